// The engine's thread. It answers one request at a time, in order; only "stop" jumps the queue.

import init, { PhiEngine } from "../../pkg/simd/phi_wasm.js";
import type { PlainError, Reply, Request } from "./protocol.js";
import type { Event } from "./types.js";

const started = init();
const stopped = new Set<number>();
let engine: PhiEngine | undefined;
let queue: Promise<void> = Promise.resolve();

self.onmessage = ({ data: request }: MessageEvent<Request>) => {
  if (request.kind === "stop") stopped.add(request.id);
  else queue = queue.then(() => answer(request));
};

async function answer(request: Request): Promise<void> {
  const { id } = request;
  try {
    await started;
    await perform(request);
  } catch (error) {
    say({ id, kind: "error", error: plain(error) });
  } finally {
    stopped.delete(id);
  }
}

async function perform(request: Request): Promise<void> {
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
      engine = await PhiEngine.load(request.options, (progress) => say({ id, kind: "progress", progress }));
      return say({ id, kind: "loaded", description: engine.describe() });
    }
    case "chat":
      await loaded().chat(request.messages, request.options, onEvent);
      return say({ id, kind: "end" });
    case "complete":
      await loaded().complete(request.prompt, request.options, onEvent);
      return say({ id, kind: "end" });
    case "bench":
      return say({ id, kind: "figures", figures: await loaded().bench(request.promptTokens, request.generateTokens) });
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
