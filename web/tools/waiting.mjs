// Waiting for what happens, and never for a while.

import { setTimeout } from "node:timers/promises";

/**
 * Milliseconds: a bound that turns what hangs into a failure. However busy a machine is, nothing
 * else takes that long.
 */
export const LONGEST = 10 * 60_000;

/**
 * Looks again and again at what has no event of its own, until it is as wanted; what it was then.
 */
export async function until(isAsWanted, look, what) {
  for (const start = performance.now(); ; await setTimeout(50)) {
    const seen = await look();
    if (isAsWanted(seen)) return seen;
    if (performance.now() - start > LONGEST)
      throw new Error(`${what} did not come; at last there was ${JSON.stringify(seen)}`);
  }
}

/** Resolves once a tab's workers have ended. */
export async function noWorkers(tab) {
  const signal = AbortSignal.timeout(LONGEST);
  while (tab.workers().length > 0) {
    await new Promise((resolve, reject) => {
      tab.once("workerdestroyed", resolve);
      signal.onabort = () => reject(new Error(`${tab.workers().length} workers do not end`));
    });
  }
}
