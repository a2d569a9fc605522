// What the page and its service worker say to each other, and by which names.

/** The cache in which the service worker looks for the engine's module. */
export const ENGINE_CACHE = "phi-wasm-engine";

/**
 * The channel on which the service worker names every other computer that is asked for something.
 */
export const CONTACTS = "phi-wasm-contacts";

/** Said to the service worker, which answers on the port that comes along. */
export type ToServiceWorker = { kind: "isolate"; on: boolean } | { kind: "keep"; url: string };
