// One page in a browser of its own, until it has figures; and how much memory its process took.

import { readdirSync, readFileSync } from "node:fs";
import { launch } from "../browser.mjs";

/** No measurement takes longer, not even by the slowest peer on one thread. */
const LONGEST = 30 * 60_000;

/**
 * Opens a page in a fresh headless Chromium and waits until it sets `data-outcome` on its body: "done", with JSON in #figures, or
 * "failed", with a sentence in #state.
 */
export async function figures(address) {
  // Without WebGPU, that is: no software GPU takes the CPU's time.
  const browser = await launch("chromium without WebGPU");
  try {
    const tab = await browser.newPage();
    await tab.goto(address);
    for (const start = Date.now(); ; ) {
      const [outcome, said, figures] = await tab.evaluate(() => {
        const text = (id) => document.querySelector(id)?.textContent;
        return [document.body.dataset.outcome, text("#state"), text("#figures")];
      });
      if (outcome === "failed") throw new Error(said);
      if (outcome === "done") return { ...JSON.parse(figures), tab_bytes: peak(browser.process().pid) };
      if (Date.now() - start > LONGEST) throw new Error(`no figures after ${LONGEST / 60_000} minutes; the page says "${said}"`);
      // Rarely, so that asking costs nothing.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    await browser.close();
  }
}

/** The most memory that any one tab of a browser has had, where the system tells. */
function peak(browser) {
  const parents = new Map();
  const peaks = new Map();
  try {
    for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      const status = read(`/proc/${name}/status`);
      parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
      peaks.set(Number(name), 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    }
  } catch {
    return null;
  }
  const below = (process) => process > 0 && (process === browser || below(parents.get(process)));
  const isTab = (process) => read(`/proc/${process}/cmdline`).includes("--type=renderer");
  const all = [...peaks].filter(([process]) => below(process) && isTab(process)).map(([, bytes]) => bytes);
  return all.length > 0 ? Math.max(...all) : null;
}

/** A file, or nothing: processes end while one looks. */
function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
