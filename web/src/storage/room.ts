// How much a site may store, and asking for it.

import { StorageFault } from "./storage.js";

/**
 * Throws where the browser says that it would not take that much more; Chromium never does, for it
 * knows nothing of the disk.
 */
export async function askForRoom(bytes: number): Promise<void> {
  const room = await roomLeft();
  if (bytes > room) throw full(bytes, bytes - room);
}

/** Why `bytes` more were refused. */
export async function refusedRoom(bytes: number): Promise<StorageFault> {
  const room = await roomLeft();
  return full(bytes, bytes > room ? bytes - room : undefined);
}

/** Why `bytes` more were refused, `missing` of them, as far as that is known. */
export function full(bytes?: number, missing?: number): StorageFault {
  const more = bytes === undefined ? "left" : `for ${inWords(bytes)} more`;
  const lack = missing === undefined ? "" : `: ${inWords(missing)} (${missing} bytes) are missing`;
  const advice = "delete a model or free space on the device, then load again";
  return new StorageFault(
    "storage-full",
    `there is no room ${more} in the browser's storage${lack}; ${advice}`,
    { missing },
  );
}

/** Bytes that the browser says it would still take. */
async function roomLeft(): Promise<number> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return usage === undefined || quota === undefined ? Infinity : Math.max(quota - usage, 0);
  } catch {
    return Infinity;
  }
}

function inWords(bytes: number): string {
  for (const [unit, size] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const)
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  return `${bytes} bytes`;
}

/**
 * Asks that the browser does not clear our storage on its own. Firefox asks the user and waits for
 * the answer: let nothing wait for this.
 */
export async function persist(): Promise<boolean> {
  try {
    return (await navigator.storage.persisted()) || (await navigator.storage.persist());
  } catch {
    return false;
  }
}
