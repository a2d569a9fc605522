// The workers that help the engine's. The page starts them: not every browser and bundler lets a worker do it.

import type { FromHelper, Help } from "./protocol.js";

export class Helpers {
  #workers: Worker[] = [];

  /** `start` gives a worker like the engine's; `onFailure` hears of one that fails while it works: the engine then waits for it for ever. */
  constructor(
    readonly start: () => Worker,
    readonly onFailure: (why: string) => void,
  ) {}

  /** Has a helper at each of these lines to the engine, those that there are counted, and resolves once all are ready; rejects when one does not start. */
  async seeTo(lines: MessagePort[]): Promise<void> {
    await Promise.all(lines.slice(this.#workers.length).map((line) => this.#start(line)));
  }

  /** Ends them. */
  close(): void {
    for (const worker of this.#workers.splice(0)) worker.terminate();
  }

  #start(line: MessagePort): Promise<void> {
    const worker = this.start();
    this.#workers.push(worker);
    return new Promise((resolve, reject) => {
      let ready = false;
      const fail = (why: string) => {
        if (ready) return this.onFailure(why);
        worker.terminate();
        this.#workers = this.#workers.filter((other) => other !== worker);
        reject(new Error(why));
      };
      worker.onmessage = ({ data }: MessageEvent<FromHelper>) => {
        if (data.kind === "failed") return fail(data.message);
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
