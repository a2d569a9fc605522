// How fast loading goes.

import type { Progress } from "./types.js";

/** Milliseconds that count. */
const WINDOW = 5000;
/** Before that, a figure would only jump. */
const LEAST = 500;

/** Adds speed and time left to what is told of progress. */
export class Pace {
  #marks: { time: number; done: number }[] = [];
  #phase: Progress["phase"] | undefined;

  with(progress: Progress, time: number = performance.now()): Progress {
    const { phase, done, total } = progress;
    if (phase !== this.#phase || done < (this.#marks.at(-1)?.done ?? 0)) this.#marks = [];
    this.#phase = phase;
    this.#marks.push({ time, done });
    // The mark before the window stays: there must be one to count from.
    while (this.#marks.length > 2 && this.#marks[1]!.time <= time - WINDOW) this.#marks.shift();
    const [first] = this.#marks;
    if (time - first!.time < LEAST) return progress;
    const bytesPerSecond = (1000 * (done - first!.done)) / (time - first!.time);
    const secondsLeft =
      total > 0 && bytesPerSecond > 0
        ? { secondsLeft: Math.max(total - done, 0) / bytesPerSecond }
        : {};
    return { ...progress, bytesPerSecond, ...secondsLeft };
  }
}
