// The model: loading it, pausing that, and what is known of it once it is there.

import { type Description, Phi, type Progress, type StoredModel } from "../../src/index.js";
import { keepAwake } from "../browser/awake.js";
import { offline } from "../browser/offline.svelte.js";
import { words } from "../words/words.svelte.js";
import { models } from "./models.svelte.js";
import { type Problem, problemOf, problemOfFiles } from "./problems.js";
import { set, settings } from "./settings.svelte.js";
import { status } from "./toasts.svelte.js";

export interface Choice {
  source: string | File[] | FileSystemDirectoryHandle | StoredModel;
  name: string;
  /** Whether it is in this browser's storage already, whole. */
  stored: boolean;
}

type Phase = "empty" | "loading" | "paused" | "ready" | "failed";

/** A model that worked, and under which name storage has it. */
interface Former {
  choice: Choice;
  storedId: string | undefined;
}

/** Tokens that the engine has room for unless told otherwise. */
const USUAL_CONTEXT = 4096;
/** What is shorter is no conversation. */
const SHORTEST_CONTEXT = 256;

class Engine {
  phase: Phase = $state("empty");
  choice: Choice | undefined = $state.raw();
  progress: Progress | undefined = $state.raw();
  description: Description | undefined = $state.raw();
  /** Why the latest choice is not there; it stays told when the model before it works again. */
  problem: Problem | undefined = $state.raw();
  /** What the engine has said about what it does instead. */
  notice = $state("");
  phi: Phi | undefined;
  #loading: AbortController | undefined;
  /** What `problem` is about. */
  #refused: Choice | undefined;
  #former: Former | undefined;

  readonly ready = $derived(this.phase === "ready");
  readonly busy = $derived(this.phase === "loading");
  /** Whether there is something to say about a model on its way. */
  readonly isTold = $derived(
    this.problem !== undefined || this.phase === "loading" || this.phase === "paused",
  );

  /**
   * Memory has room for one model: the one that works makes way, and comes back if the new one
   * cannot be had.
   */
  async load(choice: Choice): Promise<void> {
    const former = this.ready
      ? { choice: this.choice!, storedId: this.description!.storedId }
      : this.#former;
    await this.unload();
    this.#former = former;
    if (!(await this.#attempt(choice)) && choice !== former?.choice) await this.#goBack(former);
  }

  /** Whether it is there, or nobody waits for it any more. */
  async #attempt(choice: Choice): Promise<boolean> {
    const controller = new AbortController();
    this.#loading = controller;
    this.choice = choice;
    this.phase = "loading";
    status.say(words.t.status.loading(choice.name));
    const rest = keepAwake();
    set("loading", choice.name);
    try {
      const onFailure = (error: unknown, again?: Promise<void>) =>
        void this.#ended(controller, error, again);
      const phi = await Phi.load({
        ...this.#options(),
        model: choice.source,
        workerUrl: offline.workerUrl(choice.stored),
        signal: controller.signal,
        onFailure,
      });
      if (controller.signal.aborted) await phi.unload();
      else this.#loaded(phi, choice);
      return true;
    } catch (error) {
      if (this.#loading === controller) this.#failed(error, controller.signal.aborted);
      return this.#loading !== controller || controller.signal.aborted;
    } finally {
      set("loading", "");
      rest();
    }
  }

  /** Loads what worked before, where nothing has to be fetched for it. */
  async #goBack(former: Former | undefined): Promise<void> {
    if (!former) return;
    const controller = this.#loading;
    await models.refresh().catch(() => {});
    const choice = models.atHand(former.choice, former.storedId);
    if (!choice || this.#loading !== controller) return;
    this.#former = { ...former, choice };
    await this.#attempt(choice);
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

  /**
   * Tries again what `problem` is about, which may be another model than the one that is loaded.
   */
  async retry(): Promise<void> {
    if (this.#refused) await this.load(this.#refused);
  }

  forgetProblem(): void {
    this.problem = this.#refused = undefined;
  }

  /**
   * A context that may have room where the last one had none: what the engine says, or half of it.
   * None where that is no conversation.
   */
  shorter(problem: Problem): number | undefined {
    const { contextLength } = problem;
    const description = problem === this.problem && this.ready ? undefined : this.description;
    const tried = description?.ctxLen ?? (this.#contextLength() || USUAL_CONTEXT);
    const next = contextLength ?? Math.floor(tried / 2);
    return next >= SHORTEST_CONTEXT ? next : undefined;
  }

  /** Gives memory and locks back. */
  async unload(): Promise<void> {
    this.#loading?.abort();
    this.#loading = this.#former = undefined;
    const { phi } = this;
    this.phi = undefined;
    this.phase = "empty";
    this.choice = this.progress = this.description = undefined;
    this.forgetProblem();
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
    return contextLength > 0 && shortened > 0
      ? Math.min(contextLength, shortened)
      : contextLength || shortened;
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
    this.#former = undefined;
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
    const failure = await again.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (!isMine()) return;
    if (failure) return this.#failed(failure.error, false);
    this.phase = "ready";
    this.refresh();
  }

  #failed(error: unknown, paused: boolean): void {
    this.phase = paused ? "paused" : "failed";
    if (paused) return status.say(words.t.status.paused);
    const source = this.choice?.source;
    this.problem = Array.isArray(source) ? problemOfFiles(error, source) : problemOf(error);
    this.#refused = this.choice;
    status.say(words.t.problems[this.problem.name].title);
  }
}

export const engine = new Engine();
