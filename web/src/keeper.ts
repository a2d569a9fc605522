// The storage of a model while it is loaded.

import { holdModel } from "./storage/lock.js";
import { openStorage } from "./storage/open.js";
import type { Refusal, Vault } from "./storage/vault.js";

/** How long to wait for another tab that loads the same model, in milliseconds: as long as a download may take. */
const PATIENCE = 3_600_000;

/**
 * Opens a model's vault, once no other tab has it; undefined where this browser keeps nothing, since memory has the model already: `refused`
 * then has why.
 */
export async function openKeeper(id: string, refused?: Refusal[]): Promise<Vault | undefined> {
  const release = await holdModel(id, { patience: PATIENCE });
  try {
    const vault = await openStorage(id, refused);
    if (!vault) {
      release();
      return undefined;
    }
    const close = vault.close.bind(vault);
    return Object.assign(vault, {
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
