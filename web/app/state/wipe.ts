// Deleting everything. The app's other tabs let go first, and begin anew with this one.

import { Phi } from "../../src/index.js";
import { offline } from "../browser/offline.svelte.js";
import { channel } from "../browser/tabs.js";
import { seal, unseal, wipeDatabase } from "../data/database.js";
import { answers } from "./answers.svelte.js";
import { engine } from "./engine.svelte.js";
import { models } from "./models.svelte.js";
import { wipeSettings } from "./settings.svelte.js";

/** Milliseconds: a tab that has not deleted everything by then was killed. */
const LONGEST = 30_000;

type Step = "begun" | "done" | "failed";

class Wipe {
  #tell: (step: Step) => void = () => {};

  /** Lets go, and begins anew, when another tab deletes everything. */
  follow(): void {
    this.#tell = channel("phi-wasm-wipe", (step) => void this.#heard(step as Step));
  }

  /**
   * Takes everything off this device and opens the app anew. Throws what keeps a model from being
   * deleted.
   */
  async everything(): Promise<void> {
    this.#tell("begun");
    try {
      await letGo();
      await models.refresh();
      for (const { id } of models.stored) await Phi.deleteModel(id);
      await wipeDatabase();
    } catch (error) {
      unseal();
      this.#tell("failed");
      throw error;
    }
    wipeSettings();
    await offline.wipe();
    this.#tell("done");
    beginAnew();
  }

  async #heard(step: Step): Promise<void> {
    if (step === "begun") return letGo().finally(() => setTimeout(beginAnew, LONGEST));
    // What this tab may have noted since the other one wiped it.
    if (step === "done") wipeSettings();
    beginAnew();
  }
}

/** Nothing is written any more, and nothing is in use. */
async function letGo(): Promise<void> {
  seal();
  answers.stop();
  await engine.unload();
}

function beginAnew(): void {
  location.replace(location.pathname);
}

export const wipe = new Wipe();
