// One page in a browser of its own, until it has figures.

import { launch } from "../browser.mjs";
import { tabBytes } from "../memory.mjs";

/** No measurement takes longer, not even by the slowest peer on one thread. */
const LONGEST = 30 * 60_000;

/**
 * Opens a page in a fresh headless Chromium and waits until it sets `data-outcome` on its body:
 * "done", with JSON in #figures, or "failed", with a sentence in #state.
 */
export async function figures(address) {
  // Without WebGPU, that is: no software GPU takes the CPU's time. For whoever looks at the network
  // a tab would keep 200 MB of what it has fetched.
  const browser = await launch("chromium without WebGPU", { networkEnabled: false });
  try {
    const tab = await browser.newPage();
    await tab.goto(address);
    for (const start = Date.now(); ; ) {
      const [outcome, said, figures] = await tab.evaluate(() => {
        const text = (id) => document.querySelector(id)?.textContent;
        return [document.body.dataset.outcome, text("#state"), text("#figures")];
      });
      if (outcome === "failed") throw new Error(said);
      if (outcome === "done")
        return { ...JSON.parse(figures), tab_bytes: tabBytes(browser, "VmHWM") };
      if (Date.now() - start > LONGEST)
        throw new Error(`no figures after ${LONGEST / 60_000} minutes; the page says "${said}"`);
      // Rarely, so that asking costs nothing.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    await browser.close();
  }
}
