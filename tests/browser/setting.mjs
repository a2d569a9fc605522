// What every test here stands on: the built page, the demo model, the reference's answers.

import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { serve } from "../../web/tools/serve.mjs";

/** The demo model's path; `cargo xtask test` sets it. */
export const MODEL = process.env.PHI_SMOLLM2;
if (!MODEL)
  throw new Error(
    "PHI_SMOLLM2 must name SmolLM2's GGUF file: `cargo xtask test` fetches it and sets it",
  );

/** What transformers answers, greedily: see make.py beside the file. */
export const ANSWERS = JSON.parse(
  readFileSync(new URL("../golden/smollm2/answers.json", import.meta.url), "utf8"),
);

/**
 * The page's server, for a page that may share memory with threads unless told otherwise; `model`
 * is then the address of that file.
 */
export async function servePage({ isolated = true, model = MODEL, models = dirname(model) } = {}) {
  const { server, address } = await serve({ models, isolated });
  return {
    address: `${address}lab/`,
    model: `/models/${basename(model)}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * Stops the engine's clock: whatever it times takes as long as anything else, and then a GPU is no
 * slower than the CPU.
 */
export const stopClock = (worker) => worker.evaluate(() => void (performance.now = () => 0));

/** Has `act` done to the engine's worker before that is told anything. */
export async function atStart(page, act) {
  await page.tab.evaluate(() => {
    const { postMessage } = Worker.prototype;
    const changed = new Promise((resolve) => (self.workerIsChanged = resolve));
    Worker.prototype.postMessage = function (...message) {
      void changed.then(() => postMessage.apply(this, message));
    };
  });
  page.tab.once("workercreated", async (worker) => {
    // A worker that has just begun has nothing yet.
    while (!(await worker.evaluate(() => "GPUDevice" in self)));
    await act(worker);
    await page.tab.evaluate(() => self.workerIsChanged());
  });
}
