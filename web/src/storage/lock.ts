// One tab at a time has a model.

import { nameOf } from "./about.js";
import { PLACE, StorageFault } from "./storage.js";

export interface Waiting {
  /** How long to wait for a model that another tab has, in milliseconds. */
  patience?: number;
  /** Gives up waiting. */
  signal?: AbortSignal | undefined;
}

/**
 * Takes hold of a model and returns what lets go of it; where a browser has no locks (insecure
 * pages, blocked storage), everyone may have it.
 */
export async function holdModel(
  id: string,
  { patience = 0, signal }: Waiting = {},
): Promise<() => void> {
  if (!(await hasLocks())) return () => {};
  return (await request(id, { ifAvailable: true })) ?? (await wait(id, patience, signal));
}

async function hasLocks(): Promise<boolean> {
  try {
    await navigator.locks.query();
    return true;
  } catch {
    return false;
  }
}

async function wait(id: string, patience: number, signal?: AbortSignal): Promise<() => void> {
  const giveUp = new AbortController();
  const cancel = () => giveUp.abort();
  const timer = setTimeout(cancel, patience);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    if (signal?.aborted) cancel();
    return (await request(id, { signal: giveUp.signal }))!;
  } catch (error) {
    if (!giveUp.signal.aborted) throw error;
    if (signal?.aborted)
      throw new StorageFault(
        "cancelled",
        "the wait for a model that another tab has was called off",
      );
    throw new StorageFault(
      "in-use",
      `${await nameOf(id)} is in use, here or in another tab or window of this site: close it ` +
        "there, then try again",
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

/** Resolves once the lock is held, to what releases it; to undefined if it is not available. */
function request(id: string, options: LockOptions): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const untilReleased = (lock: Lock | null) =>
      lock ? new Promise<void>((release) => resolve(release)) : undefined;
    navigator.locks
      .request(`${PLACE}/${id}`, options, untilReleased)
      .then(() => resolve(undefined), reject);
  });
}
