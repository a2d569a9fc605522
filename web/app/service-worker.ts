/// <reference lib="webworker" />
// Keeps the app on the device, so that it opens without a network; and sends its policy, and, where
// the user has chosen that, the headers that allow threads.

import { clientsClaim } from "workbox-core";
import { addPlugins, cleanupOutdatedCaches, precacheAndRoute } from "workbox-precaching";
import { registerRoute } from "workbox-routing";
import { CacheFirst } from "workbox-strategies";
import { ISOLATED, POLICY, SEALED } from "../tools/headers.mjs";
import { CONTACTS, ENGINE_CACHE, type ToServiceWorker } from "./browser/service.js";

/** A file of the app, and the SHA-256 that its build wrote down. */
interface Built {
  url: string;
  revision: string | null;
  integrity: string;
}

declare const self: ServiceWorkerGlobalScope;

const CHOICES = "phi-wasm-choices";
/** Its presence in the cache of choices is the choice. */
const ISOLATE = new URL("choice/isolate", self.registration.scope).href;
const contacts = new BroadcastChannel(CONTACTS);

let isolate: Promise<boolean> | undefined;

function isolates(): Promise<boolean> {
  return (isolate ??= caches
    .open(CHOICES)
    .then(async (cache) => (await cache.match(ISOLATE)) !== undefined));
}

const sealed = new URL(SEALED.path.slice(1), self.registration.scope).href;

/**
 * The policy for pages and scripts, whose workers obey what these come with, also from a host that
 * sends none; and what isolates, where that is chosen.
 */
async function headersFor(
  request: Request,
  { headers }: Response,
): Promise<Record<string, string>> {
  const isScriptOrPage = /^text\/(html|javascript)/.test(headers.get("Content-Type") ?? "");
  const policy = request.url.startsWith(sealed) ? `${POLICY}, ${SEALED.policy}` : POLICY;
  return {
    ...(isScriptOrPage && { "Content-Security-Policy": policy }),
    ...((await isolates()) && { ...ISOLATED, "Cross-Origin-Resource-Policy": "same-origin" }),
  };
}

const securing = {
  handlerWillRespond: async ({ request, response }: { request: Request; response: Response }) => {
    if (response.type === "error" || response.type === "opaque") return response;
    const own = Object.entries(await headersFor(request, response));
    if (own.length === 0) return response;
    const headers = new Headers(response.headers);
    for (const [name, value] of own) headers.set(name, value);
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
  if (!("kind" in message)) return;
  const done = message.kind === "isolate" ? choose(message.on) : keepModule(message.url, event);
  event.waitUntil(done.finally(() => event.ports[0]?.postMessage("done")));
});

async function choose(on: boolean): Promise<void> {
  isolate = Promise.resolve(on);
  const cache = await caches.open(CHOICES);
  await (on ? cache.put(ISOLATE, new Response()) : cache.delete(ISOLATE));
}

const built = self.__WB_MANIFEST as Built[];
const isModule = ({ url }: Built) => /phi_wasm_bg[\w-]*\.wasm$/.test(url);
/** The hash of each of the engine's modules, by its address. */
const MODULES = new Map(
  built
    .filter(isModule)
    .map(({ url, integrity }) => [new URL(url, self.registration.scope).href, integrity]),
);

/**
 * Whether a response is the module that it claims to be. Servers answer with pages, too, where
 * something is missing or nobody has paid.
 */
async function isGenuine(address: string, response: Response): Promise<boolean> {
  if (response.status !== 200 || !isWasm(response)) return false;
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer()),
  );
  return MODULES.get(address) === `sha256-${btoa(String.fromCharCode(...digest))}`;
}

function isWasm({ headers }: Response): boolean {
  return /^application\/wasm\s*(;|$)/.test(headers.get("Content-Type") ?? "");
}

const genuine = {
  cacheWillUpdate: async ({ request, response }: { request: Request; response: Response }) =>
    (await isGenuine(request.url, response)) ? response : null,
  // Who asks for a reload has found that what is here does not compile.
  cachedResponseWillBeUsed: async ({
    request,
    cachedResponse,
  }: {
    request: Request;
    cachedResponse?: Response;
  }) =>
    cachedResponse && isWasm(cachedResponse) && request.cache !== "reload" ? cachedResponse : null,
};

// The engine's modules are megabytes, and each browser needs one of four: that is kept when it is
// first used.
const engine = new CacheFirst({ cacheName: ENGINE_CACHE, plugins: [genuine, securing] });

async function keepModule(url: string, event: ExtendableEvent): Promise<void> {
  // Without a network it is for another time.
  if (MODULES.has(url))
    await Promise.allSettled(engine.handleAll({ event, request: new Request(url) }));
}

addPlugins([securing]);
// What is not as it was built does not get in: installing fails, and is tried again the next time.
precacheAndRoute(built.filter((file) => !isModule(file)));
cleanupOutdatedCaches();
registerRoute(({ url }) => MODULES.has(url.href), engine);

// The first visit, too, is to end with everything on the device.
clientsClaim();
