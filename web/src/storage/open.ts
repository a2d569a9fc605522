// The best storage that there is for a model.

import { why } from "../../shared/exceptions.js";
import { IndexedDbStorage } from "./indexeddb.js";
import { OpfsStorage } from "./opfs.js";
import { failed, type ModelStorage, type Refusal, StorageFault } from "./storage.js";
import { withIndexes } from "./storage-index.js";

const KINDS = { opfs: OpfsStorage, indexeddb: IndexedDbStorage };

/**
 * Opens the storage of one model: where it lies already, else the best that this browser gives, if
 * it gives any; `refused` then has why there was nothing better. For a dedicated worker that holds
 * the model (`holdModel`).
 */
export async function openStorage(
  id: string,
  refused: Refusal[] = [],
): Promise<ModelStorage | undefined> {
  const taken = await takenUp(id);
  const liesInDatabase = taken.indexeddb > 0 && taken.opfs === 0;
  if (liesInDatabase) refused.push({ kind: "opfs", why: "the model lies in IndexedDB already" });
  for (const kind of liesInDatabase ? (["indexeddb"] as const) : (["opfs", "indexeddb"] as const)) {
    const storage = await KINDS[kind].open(id).catch((error: Error) => {
      if (isFinal(error)) throw error;
      // What lies there would be fetched again into another storage.
      if (taken[kind] > 0) throw failed("what is stored of the model", error);
      refused.push({ kind, why: why(error.cause ?? error) });
    });
    if (storage) return storage;
  }
  return undefined;
}

/** Bytes that a model takes up in each kind of storage. */
function takenUp(id: string): Promise<{ opfs: number; indexeddb: number }> {
  return withIndexes(async (indexes) => {
    const taken = { opfs: 0, indexeddb: 0 };
    for (const index of indexes) taken[index.kind] = await index.taken(id);
    return taken;
  });
}

/** Whether a poorer storage would not help. */
function isFinal(error: Error): boolean {
  return (
    error instanceof StorageFault && (error.code === "in-use" || error.code === "storage-full")
  );
}
