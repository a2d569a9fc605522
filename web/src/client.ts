// The page's side: starts the worker, turns its messages into promises and streams.

import { Helpers, startWorker } from "./helpers.js";
import type { Reply, Request } from "./protocol.js";
import { type BenchFigures, type Description, type Event, type GenerateOptions, type LoadOptions, type Message, PhiError, type Progress } from "./types.js";
import { pick, type Variant } from "./variant.js";

export interface LoadCall extends LoadOptions {
  /** Which wasm module computes; the best that the browser runs, unless said otherwise. */
  variant?: Variant;
  /** Called with the bytes read so far; `total` is 0 while it is unknown. Also when a lost device makes the model load again. */
  onProgress?: (progress: Progress) => void;
  /** Gives up loading. */
  signal?: AbortSignal;
}

export interface GenerateCall extends GenerateOptions {
  /** Ends the answer after the step that is being computed; what was said so far stays said. */
  signal?: AbortSignal;
}

/** A request without its id. */
type Ask = Request extends infer R ? (R extends Request ? Omit<R, "id"> : never) : never;

/** Replies that no other follows. */
const LAST: Reply["kind"][] = ["end", "loaded", "figures", "error"];

/** A model in a worker of its own, which others may help. */
export class Phi {
  #worker = startWorker();
  #helpers = new Helpers((why) => this.#fail(`a thread of the engine failed (${why}): load the model again`));
  #listeners = new Map<number, (reply: Reply) => void>();
  #lastId = 0;
  #description: Description | undefined;
  #onProgress: LoadCall["onProgress"];
  /** Why there are no workers any more. */
  #over: PhiError | undefined;

  private constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the engine's worker failed (${event.message || "its script did not load"}): reload the page`);
    };
  }

  /** Loads a model. Rejects with a {@link PhiError}. */
  static async load({ onProgress, signal, variant = pick(), ...options }: LoadCall): Promise<Phi> {
    const phi = new Phi();
    phi.#onProgress = onProgress;
    const abort = () => phi.close();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (signal?.aborted) phi.close();
      for await (const _ of phi.#ask({ kind: "load", options, variant }));
      return phi;
    } catch (error) {
      phi.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** What was loaded, and what computes it; that can change from answer to answer. */
  get description(): Description {
    return this.#description!;
  }

  /** Answers a conversation, piece by piece. */
  chat(messages: Message[], { signal, ...options }: GenerateCall = {}): AsyncGenerator<Event, void> {
    return this.#events({ kind: "chat", messages, options }, signal);
  }

  /** Continues a text as it stands, without the chat template. */
  complete(prompt: string, { signal, ...options }: GenerateCall = {}): AsyncGenerator<Event, void> {
    return this.#events({ kind: "complete", prompt, options }, signal);
  }

  /** Times prefill and decoding on tokens that mean nothing. The conversation so far is forgotten. */
  async bench(promptTokens: number, generateTokens: number): Promise<BenchFigures> {
    for await (const reply of this.#ask({ kind: "bench", promptTokens, generateTokens })) if (reply.kind === "figures") return reply.figures;
    throw new PhiError("internal", "the benchmark ended without figures");
  }

  /** Ends the workers and gives their memory back. Whatever they were doing rejects with `cancelled`. */
  close(): void {
    this.#end(new PhiError("cancelled", "the model was closed"));
  }

  #hear(reply: Reply): void {
    if (reply.kind === "helpers") void this.#help(reply);
    else if (reply.kind === "progress") this.#onProgress?.(reply.progress);
    else if (reply.kind === "loaded" || reply.kind === "end") this.#description = reply.description;
    this.#listeners.get(reply.id)?.(reply);
  }

  async *#events(ask: Ask, signal?: AbortSignal): AsyncGenerator<Event, void> {
    for await (const reply of this.#ask(ask, signal)) if (reply.kind === "event") yield reply.event;
  }

  /** Sends a request and yields its replies up to the last; leaving the loop early stops the work. */
  async *#ask(ask: Ask, signal?: AbortSignal): AsyncGenerator<Reply, void> {
    if (signal?.aborted) return;
    if (this.#over) throw this.#over;
    const id = ++this.#lastId;
    const waiting: Reply[] = [];
    let wake = () => {};
    const stop = () => this.#send({ id, kind: "stop" });
    this.#listeners.set(id, (reply) => {
      waiting.push(reply);
      wake();
    });
    signal?.addEventListener("abort", stop, { once: true });
    let over = false;
    try {
      this.#send({ id, ...ask } as Request);
      while (!over) {
        const reply = waiting.shift();
        if (!reply) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        over = LAST.includes(reply.kind);
        if (reply.kind === "error") throw new PhiError(reply.error.code, reply.error.message);
        yield reply;
      }
    } finally {
      if (!over) stop();
      signal?.removeEventListener("abort", stop);
      this.#listeners.delete(id);
    }
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  async #help({ id, count, help }: Reply & { kind: "helpers" }): Promise<void> {
    if (this.#over) return;
    const failure = await this.#helpers.seeTo(count, help).then(
      () => ({}),
      (error: Error) => ({ failure: error.message }),
    );
    this.#send({ id, kind: "helpers", ...failure });
  }

  #fail(message: string): void {
    this.#end(new PhiError("internal", message));
  }

  #end(why: PhiError): void {
    this.#over ??= why;
    const { code, message } = this.#over;
    this.#worker.terminate();
    this.#helpers.close();
    for (const [id, listener] of this.#listeners) listener({ id, kind: "error", error: { code, message } });
  }
}
