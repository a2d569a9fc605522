// Starts the engine's worker and its wasm module, however the package was bundled and wherever it
// is served from. The ways, in order:
//
//   worker: the address that the user gave · the package's own file · its text, as a blob
//   module: the address that the user gave · the package's own file · its bytes, out of a script
//
// A blob mends pages whose scripts come from another origin, whose workers a browser refuses; the
// inline module mends bundlers that leave `new URL(…, import.meta.url)` alone. What the user gave
// is not worked around: when it fails, that is the error.

import { trustedScript } from "../shared/trusted.js";
import { MODULES, startScript } from "./addresses.js";
import { cancelled, InputError, MemoryError, PhiError } from "./errors.js";
import * as inline from "./inline.js";
import type { Failure, Hello } from "./protocol.js";
import { pause } from "./storage/storage.js";
import type { LoadOptions } from "./types.js";
import { type Module, type Variant, withoutThreads } from "./variant.js";
import { VERSION } from "./version.js";

/**
 * Milliseconds after which the next way is tried beside a worker that is silent. Scripts that are
 * nobody's may start and say nothing.
 */
const PATIENCE = 20_000;
/**
 * Milliseconds after which a silent worker is given up. A busy device, or a slow line, starts ours
 * late.
 */
const LONGEST = 120_000;

/** A worker that has said hello, and how to start others like it. */
export interface Found {
  worker: Worker;
  start: () => Worker;
}

/** Opens a module from its address or its bytes; rejects with a {@link Failure}. */
type Open = (variant: Variant, wasm: string | ArrayBuffer) => Promise<void>;

/** What users say of modules. */
export type ModuleOptions = Pick<LoadOptions, "wasmUrl" | "onNotice">;

/** Where this package runs: a window or a worker of one. */
export function requireBrowser(): void {
  if (
    typeof Worker !== "undefined" &&
    typeof WebAssembly !== "undefined" &&
    typeof location !== "undefined"
  )
    return;
  throw new PhiError(
    "no-browser",
    "phi-wasm computes in a browser, and this is none: call Phi.load in the page, not on the " +
      "server",
  );
}

/** An address that the user gave, whole. */
export function whole(address: string | URL): string {
  try {
    return new URL(address, globalThis.document?.baseURI ?? location.href).href;
  } catch {
    throw new InputError(
      "bad-option",
      `${String(address)} is not an address that this page can reach: give one such as ` +
        "https://host/file",
    );
  }
}

/** The first way to a worker that works. */
export async function findWorker({
  workerUrl,
  signal,
}: Pick<LoadOptions, "workerUrl" | "signal">): Promise<Found> {
  const over = new AbortController();
  const end = () => over.abort();
  signal?.addEventListener("abort", end, { signal: over.signal });
  if (signal?.aborted) end();
  const attempts: Promise<Found>[] = [];
  try {
    for (const way of ways(workerUrl)) {
      const attempt = greet(way, over.signal);
      attempts.push(attempt);
      const found = await Promise.race([Promise.any(attempts), attempt, pause(PATIENCE)]).catch(
        () => undefined,
      );
      if (found) return found;
    }
    return await Promise.any(attempts);
  } catch (error) {
    if (signal?.aborted) throw cancelled("loading");
    const failures = (error as AggregateError).errors.map(({ message }: Error) => message);
    const advice =
      "serve the package's worker.js from the page's own origin and give its address as workerUrl";
    throw new PhiError("no-worker", `no worker starts here (${failures.join("; ")}): ${advice}`);
  } finally {
    end();
  }
}

async function greet(way: () => Promise<() => Worker>, over: AbortSignal): Promise<Found> {
  const start = await way();
  return { worker: await greeted(start(), over), start };
}

function ways(workerUrl?: string | URL): (() => Promise<() => Worker>)[] {
  if (workerUrl)
    return [
      async () => () =>
        new Worker(trustedScript(whole(workerUrl)), { type: "module", name: "phi" }),
    ];
  const { script } = inline;
  return script ? [async () => startScript, () => fromText(script)] : [async () => startScript];
}

async function fromText(script: () => Promise<{ default: string }>): Promise<() => Worker> {
  const text = (await script()).default;
  return () => {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(trustedScript(address), { type: "module", name: "phi" });
    // By the time it speaks or fails, it has its script.
    const revoke = () => URL.revokeObjectURL(address);
    worker.addEventListener("message", revoke, { once: true });
    worker.addEventListener("error", revoke, { once: true });
    return worker;
  };
}

/**
 * Resolves once the worker has said hello and is of our version; ends it when `over` comes first.
 */
function greeted(worker: Worker, over: AbortSignal): Promise<Worker> {
  const heard = new AbortController();
  return new Promise<Worker>((resolve, reject) => {
    const fail = (why: string) => {
      worker.terminate();
      reject(new Error(why));
    };
    const listen = { signal: heard.signal };
    worker.addEventListener(
      "message",
      ({ data }: MessageEvent<Hello>) => {
        if (data.kind === "hello" && data.version === VERSION) return resolve(worker);
        fail(`its script is of version ${data.version ?? "unknown"} and the page's of ${VERSION}`);
      },
      listen,
    );
    worker.addEventListener(
      "error",
      (event) => {
        event.preventDefault();
        fail(event.message || "its script does not load");
      },
      listen,
    );
    const silent = setTimeout(() => fail("its script stays silent"), LONGEST);
    heard.signal.addEventListener("abort", () => clearTimeout(silent));
    over.addEventListener("abort", () => fail("cancelled"), listen);
    if (over.aborted) fail("cancelled");
  }).finally(() => heard.abort());
}

/** Opens the best module that can be had; which one it is. */
export async function openModule(
  open: Open,
  wanted: Variant,
  { wasmUrl, onNotice }: ModuleOptions,
): Promise<Variant> {
  const address = wasmUrl ?? ((variant: Variant) => MODULES[variant]());
  try {
    return await withRoom(open, wanted, async (variant) => whole(address(variant)));
  } catch (error) {
    const { code, message } = error as Failure;
    if (code === "no-memory")
      throw new MemoryError(
        "out-of-memory",
        `the engine's module gets no memory here (${message}): close other tabs, and load again`,
        0,
      );
    if (code !== "no-module") throw error;
    const variant = inline.modules[wanted] ? wanted : "simd";
    if (wasmUrl || !inline.modules[variant])
      throw new PhiError(
        "no-worker",
        `the wasm module does not load (${message}): give its address as wasmUrl`,
      );
    const opened = await withRoom(open, variant, bytes);
    if (opened !== wanted)
      onNotice?.(
        `The module "${opened}" computes, for "${wanted}" does not load (${message}): give its ` +
          "address as wasmUrl.",
      );
    return opened;
  }
}

/** Opens the module that holds answers to forms. */
export async function openGrammars(
  open: (wasm: string | ArrayBuffer) => Promise<void>,
  { wasmUrl }: ModuleOptions,
): Promise<void> {
  const address = wasmUrl?.("grammars") ?? MODULES.grammars();
  try {
    await open(whole(address)).catch(async (error: Failure) => {
      if (error.code !== "no-module" || wasmUrl || !inline.modules.grammars) throw error;
      await open(await bytes("grammars"));
    });
  } catch (error) {
    const { code, message } = error as Failure;
    if (code === "no-memory")
      throw new MemoryError(
        "out-of-memory",
        `what holds answers to forms gets no memory here (${message}): close other tabs, and ` +
          "load the model again",
        0,
      );
    if (code !== "no-module") throw error;
    throw new PhiError(
      "no-worker",
      `the wasm module that holds answers to forms does not load (${message}): give its address ` +
        'as wasmUrl, which is asked for "grammars"',
    );
  }
}

/** Without threads where the device has no room for a memory that they could share. */
async function withRoom(
  open: Open,
  variant: Variant,
  wasm: (variant: Variant) => Promise<string | ArrayBuffer>,
): Promise<Variant> {
  try {
    await open(variant, await wasm(variant));
    return variant;
  } catch (error) {
    const single = withoutThreads(variant);
    if ((error as Failure).code !== "no-memory" || variant === single) throw error;
    return withRoom(open, single, wasm);
  }
}

/**
 * A module out of a script; without threads and relaxed SIMD where the package carries no other.
 */
async function bytes(module: Module): Promise<ArrayBuffer> {
  const load = inline.modules[module] ?? inline.modules.simd!;
  const packed = Uint8Array.from(atob((await load()).default), (character) =>
    character.charCodeAt(0),
  );
  return new Response(
    new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")),
  ).arrayBuffer();
}
