// The model: loading it, pausing that, and what is known of it once it is there.

import { type Description, Phi, type Progress, type StoredModel } from "../../src/index.js";
import { keepAwake } from "../browser/awake.js";
import { offline } from "../browser/offline.svelte.js";
import { words } from "../words/words.svelte.js";
import { type Problem, problemOf } from "./problems.js";
import { set, settings } from "./settings.svelte.js";
import { status } from "./toasts.svelte.js";

export interface Choice {
  source: string | File[] | FileSystemDirectoryHandle | StoredModel;
  name: string;
  /** Whether it is in this browser's storage already, whole. */
  stored: boolean;
}

type Phase = "empty" | "loading" | "paused" | "ready" | "failed";

/** Tokens that the engine has room for unless told otherwise. */
const USUAL_CONTEXT = 4096;
/** What is shorter is no conversation. */
const SHORTEST_CONTEXT = 256;

class Engine {
  phase: Phase = $state("empty");
  choice: Choice | undefined = $state.raw();
  progress: Progress | undefined = $state.raw();
  description: Description | undefined = $state.raw();
  problem: Problem | undefined = $state.raw();
  /** What the engine has said about what it does instead. */
  notice = $state("");
  phi: Phi | undefined;
  #loading: AbortController | undefined;

  readonly ready = $derived(this.phase === "ready");
  readonly busy = $derived(this.phase === "loading");

  async load(choice: Choice): Promise<void> {
    await this.unload();
    const controller = new AbortController();
    this.#loading = controller;
    this.choice = choice;
    this.phase = "loading";
    status.say(words.t.status.loading(choice.name));
    const rest = keepAwake();
    set("loading", choice.name);
    try {
      const onFailure = (error: unknown, again?: Promise<void>) => void this.#ended(controller, error, again);
      const phi = await Phi.load({ ...this.#options(), model: choice.source, workerUrl: offline.workerUrl(choice.stored), signal: controller.signal, onFailure });
      if (controller.signal.aborted) return void (await phi.unload());
      this.#loaded(phi, choice);
    } catch (error) {
      if (this.#loading === controller) this.#failed(error, controller.signal.aborted);
    } finally {
      set("loading", "");
      rest();
    }
  }

  /** What was stored stays; loading the same again goes on from there. */
  pause(): void {
    this.#loading?.abort();
    // One that is loaded again by itself.
    if (this.phi && this.phase === "loading") {
      void this.phi.unload();
      this.phase = "paused";
    }
  }

  async resume(): Promise<void> {
    if (this.choice) await this.load(this.choice);
  }

  /** A context that may have room where the last one had none: what the engine says, or half of it. None where that is no conversation. */
  shorter({ contextLength }: Problem): number | undefined {
    const tried = this.description?.ctxLen ?? (this.#contextLength() || USUAL_CONTEXT);
    const next = contextLength ?? Math.floor(tried / 2);
    return next >= SHORTEST_CONTEXT ? next : undefined;
  }

  /** Gives memory and locks back. */
  async unload(): Promise<void> {
    this.#loading?.abort();
    this.#loading = undefined;
    const { phi } = this;
    this.phi = undefined;
    this.phase = "empty";
    this.choice = this.progress = this.description = this.problem = undefined;
    this.notice = "";
    await phi?.unload();
  }

  /** What computes can change with every answer. */
  refresh(): void {
    this.description = this.phi?.description;
  }

  /** 0 leaves it to the engine. */
  #contextLength(): number {
    const { contextLength, shortened } = settings;
    return contextLength > 0 && shortened > 0 ? Math.min(contextLength, shortened) : contextLength || shortened;
  }

  #options() {
    const contextLength = this.#contextLength();
    return {
      backend: settings.compute,
      ...(contextLength > 0 && { contextLength }),
      wasmUrl: offline.wasmUrl,
      onProgress: (progress: Progress) => (this.progress = progress),
      onNotice: (sentence: string) => (this.notice = sentence),
    };
  }

  #loaded(phi: Phi, choice: Choice): void {
    this.phi = phi;
    this.description = phi.description;
    this.notice = phi.description.notice ?? this.notice;
    this.phase = "ready";
    status.say(words.t.status.loaded(choice.name));
    void offline.keepEngine();
  }

  /** The engine has ended by itself; `again` is while its model is loaded again. */
  async #ended(controller: AbortController, error: unknown, again?: Promise<void>): Promise<void> {
    const isMine = () => this.#loading === controller && this.phase !== "paused";
    if (!isMine()) return;
    if (!again) return this.#failed(error, false);
    this.phase = "loading";
    const failure = await again.then(() => undefined, (error: unknown) => ({ error }));
    if (!isMine()) return;
    if (failure) return this.#failed(failure.error, false);
    this.phase = "ready";
    this.refresh();
  }

  #failed(error: unknown, paused: boolean): void {
    this.phase = paused ? "paused" : "failed";
    if (!paused) this.problem = problemOf(error);
    status.say(paused ? words.t.status.paused : words.t.problems[this.problem!.name].title);
  }
}

export const engine = new Engine();
