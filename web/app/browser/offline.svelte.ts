// What the app needs without a network: its own files (the service worker keeps them) and the
// engine's module for this browser.

import { Workbox } from "workbox-window";
import grammars from "../../../pkg/grammars/phi_grammars_bg.wasm?url";
import relaxed from "../../../pkg/relaxed/phi_wasm_bg.wasm?url";
import simd from "../../../pkg/simd/phi_wasm_bg.wasm?url";
import threads from "../../../pkg/threads/phi_wasm_bg.wasm?url";
import threadsRelaxed from "../../../pkg/threads-relaxed/phi_wasm_bg.wasm?url";
import { trustedScript } from "../../shared/trusted.js";
import script from "../../src/worker.ts?worker&url";
import { settings } from "../state/settings.svelte.js";
import { ENGINE_CACHE, type ToServiceWorker } from "./service.js";

const MODULES: Record<string, string> = {
  simd,
  relaxed,
  threads,
  "threads-relaxed": threadsRelaxed,
};

function urls(): string[] {
  return Object.values(MODULES).map((url) => new URL(url, document.baseURI).href);
}

class Offline {
  /** The app opens without a network. */
  ready = $state(false);
  /** Whether this browser can have it so. */
  possible = $state("serviceWorker" in navigator);
  /** A newer version waits for the tabs to close. */
  newer = $state(false);
  #workbox: Workbox | undefined;
  #module = "";

  /**
   * Which module the engine takes is its own choice; hearing of it here says what to keep. What
   * holds answers to forms is one of the app's files.
   */
  wasmUrl = (module: string): string =>
    module === "grammars"
      ? new URL(grammars, document.baseURI).href
      : (this.#module = new URL(MODULES[module]!, document.baseURI).href);

  /**
   * The engine's script. For a model that is here already it is one that may ask nobody but this
   * site for anything: its answer says so.
   */
  workerUrl(isHere: boolean): string {
    return new URL(isHere && !import.meta.env.DEV ? "sealed/worker.js" : script, document.baseURI)
      .href;
  }

  async start(): Promise<void> {
    if (!this.possible || import.meta.env.DEV) return;
    const workbox = new Workbox(trustedScript("./service-worker.js"));
    workbox.addEventListener("waiting", () => (this.newer = true));
    workbox.addEventListener("controlling", ({ isUpdate }) => isUpdate && location.reload());
    try {
      await workbox.register();
    } catch {
      this.possible = false; // Where the user blocks what sites store.
      return;
    }
    this.#workbox = workbox;
    await this.tell({ kind: "isolate", on: settings.isolate });
    await this.keepEngine();
  }

  /** Changes to the newer version at once. */
  update(): void {
    // Workbox takes it for no update where this page was there before the app's first service
    // worker.
    this.#workbox?.addEventListener("controlling", () => location.reload());
    this.#workbox?.messageSkipWaiting();
  }

  async tell(message: ToServiceWorker): Promise<void> {
    if (!this.#workbox) return;
    const { active } = await navigator.serviceWorker.ready;
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      active?.postMessage(message, [port2]);
    });
  }

  /**
   * The engine's module was perhaps fetched before there was a service worker to keep it, or past
   * one that did not have this page yet: here it is kept.
   */
  async keepEngine(): Promise<void> {
    if (!this.#workbox) return;
    await navigator.serviceWorker.ready;
    if (this.#module) {
      await this.tell({ kind: "keep", url: this.#module });
      const cache = await caches.open(ENGINE_CACHE);
      // Modules of earlier versions go.
      for (const { url } of await cache.keys())
        if (url.endsWith(".wasm") && !urls().includes(url)) await cache.delete(url);
    }
    const kept = await Promise.all(
      (this.#module ? [this.#module] : urls()).map((url) => caches.match(url)),
    );
    this.ready = kept.some(Boolean);
  }

  /** Takes all of this off the device. */
  async wipe(): Promise<void> {
    try {
      for (const name of await caches.keys()) await caches.delete(name);
      for (const worker of await navigator.serviceWorker.getRegistrations())
        await worker.unregister();
    } catch {
      // Nothing was kept.
    }
  }
}

export const offline = new Offline();
