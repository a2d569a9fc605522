// The workers that help the engine's. The page starts them: not every browser and bundler lets a
// worker do it.

import type { PlainError } from "./errors.js";
import { watch } from "./life.js";
import type { FromHelper, Help } from "./protocol.js";

export class Helpers {
  #workers: Worker[] = [];
  #over = new AbortController();

  /**
   * `start` gives a worker like the engine's; `onFailure` hears of one that fails while it works:
   * the engine then waits for it for ever.
   */
  constructor(
    readonly start: () => Worker,
    readonly onFailure: (why: PlainError) => void,
  ) {}

  /**
   * Has a helper at each of these lines to the engine, those that there are counted, and resolves
   * once all are ready; rejects when one does not start.
   */
  async seeTo(lines: MessagePort[]): Promise<void> {
    await Promise.all(lines.slice(this.#workers.length).map((line) => this.#start(line)));
  }

  /** Ends them. */
  close(): void {
    this.#over.abort();
    for (const worker of this.#workers.splice(0)) worker.terminate();
  }

  #start(line: MessagePort): Promise<void> {
    const worker = this.start();
    this.#workers.push(worker);
    return new Promise((resolve, reject) => {
      let ready = false;
      const end = (why: string) =>
        this.onFailure({
          code: "internal",
          message: `a thread of the engine ${why}: load the model again`,
        });
      const fail = (why: string) => {
        if (ready) return end(`failed (${why})`);
        worker.terminate();
        this.#workers = this.#workers.filter((other) => other !== worker);
        reject(new Error(why));
      };
      worker.onmessage = ({ data }: MessageEvent<FromHelper>) => {
        if (data.kind === "failed") return fail(data.message);
        if (data.kind === "trapped") return this.onFailure(data.error);
        if (data.kind === "alive")
          return watch(data.life, this.#over.signal, () => end("is gone without a word"));
        if (data.kind !== "ready") return;
        ready = true;
        resolve();
      };
      worker.onerror = (event) => {
        event.preventDefault();
        fail(event.message || "its script did not load");
      };
      worker.postMessage({ kind: "help", line } satisfies Help, [line]);
    });
  }
}
