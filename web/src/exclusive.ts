// The storage of a model while it is loaded.

import { holdModel } from "./storage/lock.js";
import { openStorage } from "./storage/open.js";
import type { ModelStorage, Refusal } from "./storage/storage.js";

/**
 * How long to wait for another tab that loads the same model, in milliseconds: as long as a
 * download may take.
 */
const PATIENCE = 3_600_000;

/**
 * Opens a model's storage, once no other tab has it; undefined where this browser keeps nothing,
 * since memory has the model already: `refused` then has why.
 */
export async function openExclusively(
  id: string,
  refused?: Refusal[],
): Promise<ModelStorage | undefined> {
  const release = await holdModel(id, { patience: PATIENCE });
  try {
    const storage = await openStorage(id, refused);
    if (!storage) {
      release();
      return undefined;
    }
    const close = storage.close.bind(storage);
    return Object.assign(storage, {
      async close() {
        await close();
        release();
      },
    });
  } catch (error) {
    release();
    throw error;
  }
}
