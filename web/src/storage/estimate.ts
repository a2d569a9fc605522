// What is stored on this device, in all.

import { hasIndexedDb } from "./indexeddb.js";
import { hasOpfs } from "./opfs.js";
import type { StorageKind } from "./storage.js";

export interface StorageEstimate {
  /** Bytes that this site stores, of any kind. */
  usage: number;
  /** Bytes that it might store, says the browser; the disk may have less. */
  quota: number;
  /** Whether the browser promises not to clear it on its own. */
  persisted: boolean;
  /** Where a model would be kept. */
  kind: StorageKind;
}

export async function storageEstimate(): Promise<StorageEstimate> {
  const [{ usage = 0, quota = 0 }, persisted, kind] = await Promise.all([
    said(),
    isPersisted(),
    bestKind(),
  ]);
  return { usage, quota, persisted, kind };
}

async function said(): Promise<{ usage?: number; quota?: number }> {
  try {
    return await navigator.storage.estimate();
  } catch {
    return {};
  }
}

async function isPersisted(): Promise<boolean> {
  try {
    return await navigator.storage.persisted();
  } catch {
    return false;
  }
}

async function bestKind(): Promise<StorageKind> {
  if (await hasOpfs()) return "opfs";
  return (await hasIndexedDb()) ? "indexeddb" : "memory";
}
