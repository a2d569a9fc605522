// The engine's thread. It answers one request at a time, in order; "stop" and "helpers" jump the queue.
// The same script makes a worker a helper of the engine's thread, if its first message says so.

import { keepGpus, knownGpus } from "./gpus.js";
import type { FromHelper, Help, PlainError, Reply, Request } from "./protocol.js";
import type { Event } from "./types.js";
import { type Variant, withoutThreads } from "./variant.js";

type Threaded = typeof import("../../pkg/threads/phi_wasm.js");
type PhiEngine = Threaded["PhiEngine"]["prototype"];

/** Modules with threads have all that the others have, and `help`. */
const MODULES = {
  simd: () => import("../../pkg/simd/phi_wasm.js"),
  relaxed: () => import("../../pkg/relaxed/phi_wasm.js"),
  threads: () => import("../../pkg/threads/phi_wasm.js"),
  "threads-relaxed": () => import("../../pkg/threads-relaxed/phi_wasm.js"),
};

/** Bytes of a helper's stack, as many as the linker gives the engine's own thread. */
const STACK = 1 << 20;

type Question = Exclude<Request, { kind: "stop" | "helpers" }>;

const stopped = new Set<number>();
/** Told when the page has seen to helpers. */
let helpersCame: (failure?: string) => void = () => {};
let engine: PhiEngine | undefined;
let queue: Promise<void> = Promise.resolve();

self.onmessage = ({ data: request }: MessageEvent<Request | Help>) => {
  if (request.kind === "help") void help(request);
  else if (request.kind === "stop") stopped.add(request.id);
  else if (request.kind === "helpers") helpersCame(request.failure);
  else queue = queue.then(() => answer(request));
};

async function answer(request: Question): Promise<void> {
  const { id } = request;
  try {
    await perform(request);
  } catch (error) {
    say({ id, kind: "error", error: plain(error) });
  } finally {
    stopped.delete(id);
  }
}

async function perform(request: Question): Promise<void> {
  const { id } = request;
  // The engine waits for this after every step, so it is also the moment when a "stop" gets in.
  const onEvent = async (event: Event): Promise<boolean> => {
    say({ id, kind: "event", event });
    await eventLoop();
    return !stopped.has(id);
  };
  switch (request.kind) {
    case "load": {
      engine?.free();
      engine = undefined;
      const { PhiEngine, variant } = await open(request.variant);
      const startHelpers = (count: number, module: WebAssembly.Module, memory: WebAssembly.Memory) =>
        new Promise<void>((resolve, reject) => {
          helpersCame = (failure) => (failure ? reject(new Error(failure)) : resolve());
          say({ id, kind: "helpers", count, help: { kind: "help", variant, module, memory } });
        });
      const options = { knownGpus: await knownGpus(), ...request.options };
      engine = await PhiEngine.load(options, (progress) => say({ id, kind: "progress", progress }), startHelpers);
      await keepGpus(await engine.tunedGpus());
      return say({ id, kind: "loaded", description: await engine.describe() });
    }
    case "chat":
      await loaded().chat(request.messages, request.options, onEvent);
      return say({ id, kind: "end", description: await loaded().describe() });
    case "complete":
      await loaded().complete(request.prompt, request.options, onEvent);
      return say({ id, kind: "end", description: await loaded().describe() });
    case "bench":
      return say({ id, kind: "figures", figures: await loaded().bench(request.promptTokens, request.generateTokens) });
  }
}

/** The module, ready to use; without threads where there is no room for a memory that they could share. */
async function open(variant: Variant): Promise<{ PhiEngine: Threaded["PhiEngine"]; variant: Variant }> {
  const module = await MODULES[variant]();
  try {
    await module.default();
  } catch (error) {
    const single = withoutThreads(variant);
    if (!(error instanceof RangeError) || variant === single) throw error;
    return open(single);
  }
  return { PhiEngine: module.PhiEngine as Threaded["PhiEngine"], variant };
}

/** Computes for another worker until the page ends this one. */
async function help({ variant, module, memory }: Help): Promise<void> {
  const say = (message: FromHelper) => self.postMessage(message);
  try {
    const threaded = (await MODULES[variant]()) as Threaded;
    threaded.initSync({ module, memory, thread_stack_size: STACK });
    threaded.help(() => say({ kind: "ready" }));
  } catch (error) {
    say({ kind: "failed", message: plain(error).message });
  }
}

function loaded(): PhiEngine {
  if (!engine) throw { code: "bad-option", message: "no model is loaded yet: load one first" } satisfies PlainError;
  return engine;
}

function say(reply: Reply): void {
  self.postMessage(reply);
}

/** Resolves after the messages that already wait have been handled; a promise alone would not let them in. */
function eventLoop(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** The engine's errors carry a code; anything else is a fault of ours, or the tab's memory has run out. */
function plain(error: unknown): PlainError {
  const { code, message } = error as Partial<PlainError>;
  if (code && message) return { code, message };
  return { code: "internal", message: `the engine stopped unexpectedly (${message ?? String(error)}): load the model again` };
}
