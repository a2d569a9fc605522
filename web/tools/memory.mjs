// How much memory a tab takes: its process, and what JavaScript has of it.

import { readdirSync, readFileSync } from "node:fs";

/** Bytes that a thread's objects take, and the buffers that are JavaScript's. */
export async function heap(thread) {
  const { usedSize, backingStorageSize } = await thread.send("Runtime.getHeapUsage");
  return usedSize + backingStorageSize;
}

/** Bytes that a thread's objects and buffers take after collecting rubbish: what it needs. */
export async function needed(thread) {
  await thread.send("HeapProfiler.collectGarbage");
  return heap(thread);
}

/**
 * Bytes in memory of the largest tab of a browser, where the system tells: now ("VmRSS"), or the
 * most that there were ("VmHWM").
 */
export function tabBytes(browser, which) {
  const root = browser.process().pid;
  const parents = new Map();
  const sizes = new Map();
  try {
    for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      const status = read(`/proc/${name}/status`);
      parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
      sizes.set(
        Number(name),
        1024 * Number(new RegExp(`^${which}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0),
      );
    }
  } catch {
    return null;
  }
  const below = (process) => process > 0 && (process === root || below(parents.get(process)));
  const isTab = (process) => read(`/proc/${process}/cmdline`).includes("--type=renderer");
  const all = [...sizes]
    .filter(([process]) => below(process) && isTab(process))
    .map(([, bytes]) => bytes);
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
