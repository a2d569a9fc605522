// Small things that loading finds out, kept for the next time. Where a browser keeps nothing for
// us, they are found out again.

const STORE = "phi-wasm";

export type Note = "gpus" | "backends" | "hub";

/** What was kept; empty where nothing was. */
export async function recall(note: Note): Promise<string> {
  try {
    const found = await (await caches.open(STORE)).match(address(note));
    return (await found?.text()) ?? "";
  } catch {
    return "";
  }
}

/** Keeps it, if there is anything. */
export async function keep(note: Note, text: string | undefined): Promise<void> {
  if (!text) return;
  try {
    await (await caches.open(STORE)).put(address(note), new Response(text));
  } catch {
    // Private windows and full disks refuse.
  }
}

function address(note: Note): string {
  return `/phi-wasm/${note}.json`;
}
