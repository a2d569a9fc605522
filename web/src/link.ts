// The page's end of the line to the engine's worker: turns its messages into streams of replies.

import { PhiError, phiError, type PlainError } from "./errors.js";
import { Helpers } from "./helpers.js";
import type { Reply, Request } from "./protocol.js";
import type { Found } from "./start.js";
import type { Description, Progress } from "./types.js";

/** A request without its id. */
export type Ask = Request extends infer R ? (R extends Request ? Omit<R, "id"> : never) : never;

/** Replies that no other follows. */
const LAST: Reply["kind"][] = ["opened", "loaded", "tokens", "checked", "figures", "end", "error"];

export class Link {
  /** What is loaded, as last heard. */
  description: Description | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
  #worker: Worker;
  #helpers: Helpers;
  #listeners = new Map<number, (reply: Reply) => void>();
  #lastId = 0;
  /** Why there are no workers any more. */
  #over: PhiError | undefined;

  constructor({ worker, start }: Found) {
    this.#worker = worker;
    this.#helpers = new Helpers(start, (why) => this.#fail(`a thread of the engine failed (${why}): load the model again`));
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the engine's worker failed (${event.message || "it does not say why"}): load the model again`);
    };
  }

  /** Sends a request and yields its replies up to the last; leaving the loop early stops the work. */
  async *ask(ask: Ask, signal?: AbortSignal): AsyncGenerator<Reply, void> {
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
      if (signal?.aborted) stop();
      while (!over) {
        const reply = waiting.shift();
        if (!reply) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        over = LAST.includes(reply.kind);
        // Those of opening a module are nobody's but ours.
        if (reply.kind === "error") throw ask.kind === "open" ? reply.error : phiError(reply.error as PlainError);
        yield reply;
      }
    } finally {
      if (!over) stop();
      signal?.removeEventListener("abort", stop);
      this.#listeners.delete(id);
    }
  }

  /** The one reply of a kind that a request has. */
  async answer<K extends Reply["kind"]>(ask: Ask, kind: K): Promise<Reply & { kind: K }> {
    for await (const reply of this.ask(ask)) if (reply.kind === kind) return reply as Reply & { kind: K };
    throw new PhiError("internal", `the engine's worker did not answer "${ask.kind}": load the model again`);
  }

  /** Ends the workers and gives their memory back. Whatever they were doing rejects with `why`. */
  close(why: PhiError = new PhiError("cancelled", "the model was unloaded")): void {
    this.#end(why);
  }

  #hear(reply: Reply): void {
    if (reply.kind === "helpers") void this.#help(reply);
    else if (reply.kind === "progress") this.onProgress?.(reply.progress);
    else if (reply.kind === "loaded" || reply.kind === "end") this.description = reply.description;
    this.#listeners.get(reply.id)?.(reply);
  }

  #send(request: Request): void {
    const bytes = request.kind === "open" && request.wasm instanceof ArrayBuffer ? [request.wasm] : [];
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
