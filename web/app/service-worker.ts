/// <reference lib="webworker" />
// Keeps the app on the device, so that it opens without a network; and, where the user has chosen that, sends the headers that allow threads.

import { clientsClaim } from "workbox-core";
import { addPlugins, cleanupOutdatedCaches, precacheAndRoute } from "workbox-precaching";
import { registerRoute } from "workbox-routing";
import { CacheFirst } from "workbox-strategies";
import { ISOLATED } from "../tools/headers.mjs";
import { CONTACTS, ENGINE_CACHE, type ToServiceWorker } from "./browser/service.js";

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

const CHOICES = "phi-wasm-choices";
/** Its presence in the cache of choices is the choice. */
const ISOLATE = new URL("choice/isolate", self.registration.scope).href;
const contacts = new BroadcastChannel(CONTACTS);

let isolate: Promise<boolean> | undefined;

function isolates(): Promise<boolean> {
  return (isolate ??= caches.open(CHOICES).then(async (cache) => (await cache.match(ISOLATE)) !== undefined));
}

/** The page and its workers both need the headers. */
const isolating = {
  handlerWillRespond: async ({ response }: { response: Response }) => {
    if (response.type === "error" || response.type === "opaque" || !(await isolates())) return response;
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
    const { status, statusText, body } = response;
    return new Response(body, { status, statusText, headers });
  },
};

self.addEventListener("fetch", ({ request }) => {
  const { host } = new URL(request.url);
  if (host && host !== self.location.host) contacts.postMessage(host);
});

self.addEventListener("message", (event) => {
  const message = event.data as ToServiceWorker | { type: string };
  // So spelled by workbox-window.
  if ("type" in message && message.type === "SKIP_WAITING") void self.skipWaiting();
  if ("kind" in message && message.kind === "isolate") event.waitUntil(choose(message.on).then(() => event.ports[0]?.postMessage("done")));
});

async function choose(on: boolean): Promise<void> {
  isolate = Promise.resolve(on);
  const cache = await caches.open(CHOICES);
  await (on ? cache.put(ISOLATE, new Response()) : cache.delete(ISOLATE));
}

addPlugins([isolating]);
precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();

// Engine modules are named by their content: what is here is right. Only the one that this browser takes is ever fetched.
registerRoute(
  ({ url, sameOrigin }) => sameOrigin && url.pathname.startsWith(new URL("assets/", self.registration.scope).pathname),
  new CacheFirst({ cacheName: ENGINE_CACHE, plugins: [isolating] }),
);

// The first visit, too, is to end with everything on the device.
clientsClaim();
