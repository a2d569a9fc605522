// An engine in a worker, from its start to the end of what it was started for, and whoever listens.

import { asPhiError, cancelled } from "./errors.js";
import { alongWith } from "./hub.js";
import { Link } from "./link.js";
import type { Resolved } from "./model.js";
import { Pace } from "./pace.js";
import type { EngineOptions } from "./protocol.js";
import { findWorker, openModule } from "./start.js";
import type { CheckOptions, LoadOptions } from "./types.js";
import { pick } from "./variant.js";

type StartOptions = CheckOptions & Pick<LoadOptions, "variant" | "onNotice">;

/** Starts an engine and loads a model into it. */
export async function start(asked: LoadOptions, resolved: Resolved): Promise<Link> {
  const { storage = "auto", cache: { persist = false } = {} } = asked;
  return working(asked, "loading", async (link) => {
    const along = addressAlong(resolved.model, asked);
    const { description } = await link.answer(
      { kind: "load", options: { ...resolved, ...forEngine(asked) }, storage, persist, along },
      "loaded",
    );
    if (description.notice) emit(asked.onNotice, description.notice);
    return link;
  });
}

/** Starts a worker and has it do something; it ends when that fails or is cancelled. */
export async function working<T>(
  options: StartOptions,
  what: string,
  act: (link: Link) => Promise<T>,
): Promise<T> {
  const { signal, variant = pick(), onProgress } = options;
  if (signal?.aborted) throw cancelled(what);
  const link = new Link(await findWorker(options));
  const abort = () => link.close(cancelled(what));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) abort();
    await openModule(
      async (variant, wasm) => void (await link.answer({ kind: "open", variant, wasm }, "opened")),
      variant,
      options,
    );
    const pace = new Pace();
    link.onProgress = (progress) => emit(onProgress, pace.with(progress));
    return await act(link);
  } catch (error) {
    link.close();
    return rethrow(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function forEngine({
  backend,
  bits,
  cache,
  contextLength,
  kv,
  threads,
  retune,
  softwareGpu,
}: LoadOptions): Omit<EngineOptions, "model"> {
  const cacheBytes = cache?.maxBytes;
  const asked = {
    backend,
    bits,
    cacheBytes,
    ctxLen: contextLength,
    kv,
    threads,
    retune,
    softwareGpu,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** What goes along with requests for a model, if it is at an address. */
export function addressAlong(model: unknown, asked: CheckOptions) {
  return typeof model === "string" && /^https?:/.test(model) ? alongWith(model, asked) : undefined;
}

/**
 * A listener that throws must not end what it listens to: the page hears of it as of any other
 * error of its own.
 */
export function emit<Args extends unknown[]>(
  listener: ((...args: Args) => void) | undefined,
  ...args: Args
): void {
  try {
    listener?.(...args);
  } catch (error) {
    reportError(error);
  }
}

export function rethrow(error: unknown): never {
  throw asPhiError(error);
}
