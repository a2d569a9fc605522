// The best storage that there is for a model.

import { why } from "../../shared/exceptions.js";
import { IndexedDbVault } from "./indexeddb.js";
import { OpfsVault } from "./opfs.js";
import { onShelves } from "./shelf.js";
import { failed, type Refusal, StorageFault, type Vault } from "./vault.js";

const KINDS = { opfs: OpfsVault, indexeddb: IndexedDbVault };

/**
 * Opens the storage of one model: where it lies already, else the best that this browser gives, if it gives any; `refused` then has why
 * there was nothing better. For a dedicated worker that holds the model (`holdModel`).
 */
export async function openStorage(id: string, refused: Refusal[] = []): Promise<Vault | undefined> {
  const taken = await takenUp(id);
  const liesInDatabase = taken.indexeddb > 0 && taken.opfs === 0;
  if (liesInDatabase) refused.push({ kind: "opfs", why: "the model lies in IndexedDB already" });
  for (const kind of liesInDatabase ? (["indexeddb"] as const) : (["opfs", "indexeddb"] as const)) {
    const vault = await KINDS[kind].open(id).catch((error: Error) => {
      if (isFinal(error)) throw error;
      // What lies there would be fetched again into another storage.
      if (taken[kind] > 0) throw failed("what is stored of the model", error);
      refused.push({ kind, why: why(error.cause ?? error) });
    });
    if (vault) return vault;
  }
  return undefined;
}

/** Bytes that a model takes up in each kind of storage. */
function takenUp(id: string): Promise<{ opfs: number; indexeddb: number }> {
  return onShelves(async (shelves) => {
    const taken = { opfs: 0, indexeddb: 0 };
    for (const shelf of shelves) taken[shelf.kind] = await shelf.taken(id);
    return taken;
  });
}

/** Whether a poorer storage would not help. */
function isFinal(error: Error): boolean {
  return (
    error instanceof StorageFault && (error.code === "in-use" || error.code === "storage-full")
  );
}
