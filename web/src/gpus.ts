// What loading finds out about GPUs, kept for the next time. Where a browser keeps nothing for us, it is found out again.

const STORE = "phi-wasm";
const ADDRESS = "/phi-wasm/gpus.json";

/** What is known, as the engine wrote it; empty where nothing is. */
export async function knownGpus(): Promise<string> {
  try {
    const found = await (await caches.open(STORE)).match(ADDRESS);
    return (await found?.text()) ?? "";
  } catch {
    return "";
  }
}

/** Keeps it, if there is anything. */
export async function keepGpus(tuned: string | undefined): Promise<void> {
  if (!tuned) return;
  try {
    await (await caches.open(STORE)).put(ADDRESS, new Response(tuned));
  } catch {
    // Private windows and full disks refuse: the next load times again.
  }
}
