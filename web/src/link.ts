// The page's end of the line to the engine's worker: turns its messages into streams of replies.

import { PhiError, type PlainError, phiError } from "./errors.js";
import { Helpers } from "./helpers.js";
import { watch } from "./life.js";
import type { Alive, Reply, Request, Trapped } from "./protocol.js";
import { type Found, type ModuleOptions, openGrammars } from "./start.js";
import type { Description, Progress } from "./types.js";

/** A request without its id. */
export type Ask = Request extends infer R ? (R extends Request ? Omit<R, "id"> : never) : never;

/**
 * Milliseconds that a worker has to say something after it was told to stop: longer than any step
 * of the CPU; while a GPU computes it hears.
 */
const PATIENCE = 10_000;

/** What opens a module. */
const OPENING: Request["kind"][] = ["open", "open grammars"];

/** Replies that no other follows. */
const LAST: Reply["kind"][] = [
  "opened",
  "taken",
  "loaded",
  "tokens",
  "text",
  "counted",
  "decided",
  "checked",
  "figures",
  "end",
  "error",
];

export class Link {
  /** What is loaded, as last heard. */
  description: Description | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
  /** Hears that the workers have ended by themselves, or were ended because they did not stop. */
  onEnd: ((why: PhiError, didNotStop: boolean) => void) | undefined;
  #worker: Worker;
  #helpers: Helpers;
  #listeners = new Map<number, (reply: Reply) => void>();
  #lastId = 0;
  /** When the worker said something last. */
  #heard = 0;
  /** Why there are no workers any more. */
  #over: PhiError | undefined;
  #watching = new AbortController();
  #grammars: Promise<void> | undefined;

  constructor({ worker, start }: Found) {
    this.#worker = worker;
    this.#helpers = new Helpers(start, (why) => this.#fail(why));
    worker.onmessage = ({ data }: MessageEvent<Reply | Alive | Trapped>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(fault(`failed (${event.message || "it does not say why"})`));
    };
  }

  /**
   * Sends a request and yields its replies up to the last; leaving the loop early stops the work.
   */
  async *ask(ask: Ask, signal?: AbortSignal): AsyncGenerator<Reply, void> {
    if (this.#over) throw this.#over;
    const id = ++this.#lastId;
    const waiting: Reply[] = [];
    let wake = () => {};
    const stop = () => this.#stop(id);
    this.#listeners.set(id, (reply) => {
      waiting.push(reply);
      wake();
    });
    signal?.addEventListener("abort", stop, { once: true });
    let over = false;
    try {
      this.#send({ id, ...ask } as Request);
      if (signal?.aborted) stop();
      while (!over) {
        const reply = waiting.shift();
        if (!reply) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        over = LAST.includes(reply.kind);
        // Those of opening a module are nobody's but ours.
        if (reply.kind === "error")
          throw OPENING.includes(ask.kind) ? reply.error : phiError(reply.error as PlainError);
        yield reply;
      }
    } finally {
      if (!over) stop();
      signal?.removeEventListener("abort", stop);
      this.#listeners.delete(id);
    }
  }

  /** The one reply of a kind that a request has. */
  async answer<K extends Reply["kind"]>(
    ask: Ask,
    kind: K,
    signal?: AbortSignal,
  ): Promise<Reply & { kind: K }> {
    for await (const reply of this.ask(ask, signal))
      if (reply.kind === kind) return reply as Reply & { kind: K };
    throw new PhiError(
      "internal",
      `the engine's worker did not answer "${ask.kind}": load the model again`,
    );
  }

  /** Has the module that holds answers to forms opened, once; where that fails, again. */
  grammars(options: ModuleOptions): Promise<void> {
    const open = async (wasm: string | ArrayBuffer) =>
      void (await this.answer({ kind: "open grammars", wasm }, "opened"));
    this.#grammars ??= openGrammars(open, options).catch((error) => {
      this.#grammars = undefined;
      throw error;
    });
    return this.#grammars;
  }

  /** Ends the workers and gives their memory back. Whatever they were doing rejects with `why`. */
  close(why: PhiError = new PhiError("cancelled", "the model was unloaded")): void {
    this.#end(why);
  }

  /** Tells the worker to stop, and ends it where it says nothing more. */
  #stop(id: number): void {
    const told = performance.now();
    this.#send({ id, kind: "stop" });
    const timer = setInterval(() => {
      if (this.#over || !this.#listeners.has(id)) return clearInterval(timer);
      const silent = performance.now() - Math.max(told, this.#heard);
      if (silent >= PATIENCE)
        this.#fail(fault(`did not stop, and said nothing for ${PATIENCE / 1000} seconds`), true);
      // It says that it has heard.
      else this.#send({ id, kind: "stop" });
    }, 1000);
  }

  #hear(reply: Reply | Alive | Trapped): void {
    this.#heard = performance.now();
    if (reply.kind === "alive")
      return watch(reply.life, this.#watching.signal, () =>
        this.#fail(fault("is gone without a word")),
      );
    if (reply.kind === "trapped") return this.#fail(reply.error);
    if (reply.kind === "helpers") void this.#help(reply);
    else if (reply.kind === "progress") this.onProgress?.(reply.progress);
    else if (reply.kind === "loaded" || reply.kind === "end") this.description = reply.description;
    this.#listeners.get(reply.id)?.(reply);
  }

  #send(request: Request): void {
    const bytes = "wasm" in request && request.wasm instanceof ArrayBuffer ? [request.wasm] : [];
    this.#worker.postMessage(request, bytes);
  }

  async #help({ id, lines }: Reply & { kind: "helpers" }): Promise<void> {
    if (this.#over) return;
    const failure = await this.#helpers.seeTo(lines).then(
      () => ({}),
      (error: Error) => ({ failure: error.message }),
    );
    this.#send({ id, kind: "helpers", ...failure });
  }

  #fail(why: PlainError, didNotStop = false): void {
    if (this.#over) return;
    this.#end(phiError(why));
    this.onEnd?.(this.#over!, didNotStop);
  }

  #end(why: PhiError): void {
    this.#over ??= why;
    const { code, message } = this.#over;
    this.#watching.abort();
    this.#worker.terminate();
    this.#helpers.close();
    for (const [id, listener] of this.#listeners)
      listener({ id, kind: "error", error: { code, message } });
  }
}

function fault(what: string): PlainError {
  return { code: "internal", message: `the engine's worker ${what}: load the model again` };
}
