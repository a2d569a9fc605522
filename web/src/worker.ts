// The engine's thread. It answers one request at a time, in order; "stop", "helpers" and whether a
// request is one jump the queue. The same script makes a worker a helper of the engine's thread, if
// its first message says so.

import type { GrammarModule } from "../../pkg/simd/phi_wasm.js";
import { askFor, pageMet } from "./asking.js";
import { faultOf, isTold, type PlainError, plain } from "./errors.js";
import { openExclusively } from "./exclusive.js";
import { live } from "./life.js";
import { givesModuleNoMemory, noMemory, type Sized } from "./memory.js";
import { keep, recall } from "./notes.js";
import type {
  Alive,
  Event,
  Failure,
  FromHelper,
  Hello,
  Help,
  Reply,
  Request,
  Shared,
  Trapped,
} from "./protocol.js";
import { PrefixPages } from "./storage/prefixes.js";
import { pause, type Refusal } from "./storage/storage.js";
import type { Checked, Description } from "./types.js";
import type { Variant } from "./variant.js";
import { VERSION } from "./version.js";

type Threaded = typeof import("../../pkg/threads/phi_wasm.js");
type PhiEngine = Threaded["PhiEngine"]["prototype"];

/** Modules with threads have all that the others have, and `help`. */
const BINDINGS = {
  simd: () => import("../../pkg/simd/phi_wasm.js"),
  relaxed: () => import("../../pkg/relaxed/phi_wasm.js"),
  threads: () => import("../../pkg/threads/phi_wasm.js"),
  "threads-relaxed": () => import("../../pkg/threads-relaxed/phi_wasm.js"),
};

const grammarBindings = () => import("../../pkg/grammars/phi_grammars.js");

/** Bytes of a helper's stack, as many as the linker gives the engine's own thread. */
const STACK = 1 << 20;

/** Milliseconds to wait for a lock; without it nobody learns of this worker's end. */
const LONGEST = 2000;

type Question = Exclude<Request, { kind: "stop" | "helpers" }>;
/** What nobody waits his turn for. */
const AT_ONCE: Question["kind"][] = ["open grammars", "check chat", "check complete"];

const stopped = new Set<number>();
/** Told when the page has seen to helpers. */
let helpersCame: (failure?: string) => void = () => {};
/** The module that was opened. */
let opened: { variant: Variant; PhiEngine: Threaded["PhiEngine"] } | undefined;
/** This thread's module, once it has begun. */
let module: Sized | undefined;
let engine: PhiEngine | undefined;
/** What holds answers to forms, once it was asked for. */
let grammars: GrammarModule | undefined;
let queue: Promise<void> = Promise.resolve();

/** No other worker's of this site; insecure pages have no UUIDs. */
const life = `phi-wasm/worker/${Math.random()}`;
const alive = live(life).then(
  (isHeld) => isHeld && self.postMessage({ kind: "alive", life } satisfies Alive),
);

self.onmessage = ({ data: request }: MessageEvent<Request | Help>) => {
  if (request.kind === "help") void serve(request.line);
  else if (request.kind === "stop") stop(request.id);
  else if (request.kind === "helpers") helpersCame(request.failure);
  else if (AT_ONCE.includes(request.kind)) void answer(request);
  else queue = queue.then(() => answer(request));
};
// A trap in what goes on between two messages is nobody's: the request would wait for ever.
self.addEventListener("unhandledrejection", ({ reason }) => trapped(reason));
self.addEventListener("error", (event) => {
  event.preventDefault();
  trapped(event.error ?? event.message);
});
self.postMessage({ kind: "hello", version: VERSION } satisfies Hello);

/** The page hears that its word has come, however long the step takes that is under way. */
function stop(id: number): void {
  stopped.add(id);
  say({ id, kind: "stopping" });
}

async function answer(request: Question): Promise<void> {
  const { id } = request;
  try {
    const reply = await perform(request);
    say(reply, reply.kind === "exported" ? [reply.session.buffer] : []);
  } catch (error) {
    // What no module has told ended it.
    if (isTold(error)) say({ id, kind: "error", error: withPage(plain(error)) });
    else trapped(error);
  } finally {
    stopped.delete(id);
  }
}

/** Where there was a web page, that is why no model was found. */
function withPage(error: PlainError): PlainError {
  const page = pageMet();
  if (!page || !["not-found", "not-a-model"].includes(error.code)) return error;
  // The first file that is looked for where an address is a folder's: nobody gave its name.
  const folder = page.replace(/phi-manifest\.json$/, "");
  const what =
    folder === page
      ? "give the file's own"
      : "name a model's folder or file, for a hub's model https://huggingface.co/OWNER/NAME";
  return {
    code: "not-a-model",
    message:
      `${folder}: this address gives a web page, and no file of a model: ` +
      `check it, and ${what}`,
  };
}

/** Does what is asked for; the last reply. */
async function perform(request: Question): Promise<Reply> {
  const { id } = request;
  switch (request.kind) {
    case "open":
      return open(request);
    case "open grammars":
      return openGrammars(request);
    case "load":
      return { id, kind: "loaded", description: await load(request) };
    case "chat":
    case "complete":
      return { id, kind: "end", description: await generate(request) };
    case "tokenize":
      return { id, kind: "tokens", tokens: await loaded().tokenize(request.text) };
    case "detokenize":
      return { id, kind: "text", text: await loaded().detokenize(request.tokens) };
    case "render":
      return {
        id,
        kind: "text",
        text: await loaded().applyChatTemplate(request.messages, request.options),
      };
    case "count":
      return {
        id,
        kind: "counted",
        count: await loaded().countTokens(request.messages, request.options),
      };
    case "export session":
      return {
        id,
        kind: "exported",
        // A module's memory may be shared; what it hands out is a copy.
        session: (await loaded().exportSession(request.messages)) as Uint8Array<ArrayBuffer>,
      };
    case "import session":
      return { id, kind: "counted", count: await loaded().importSession(request.session) };
    case "decide":
      return { id, kind: "decided", decisions: await loaded().decide(request.request) };
    case "check chat":
      ready().PhiEngine.checkChat(request.request, grammars);
      return { id, kind: "taken" };
    case "check complete":
      ready().PhiEngine.checkCompletion(request.request, grammars);
      return { id, kind: "taken" };
    case "check":
      return { id, kind: "checked", checked: await check(request) };
    case "bench":
      return {
        id,
        kind: "figures",
        figures: await loaded().bench(request.promptTokens, request.generateTokens, request.depth),
      };
  }
}

/** Gets a module ready; why it does not open is a reply as good as any. */
async function open({ id, variant, wasm }: Request & { kind: "open" }): Promise<Reply> {
  try {
    const bindings = await BINDINGS[variant]();
    await begin(wasm, async (from) => {
      module = await bindings.default({ module_or_path: from });
    });
    opened = { variant, PhiEngine: bindings.PhiEngine as Threaded["PhiEngine"] };
    return { id, kind: "opened" };
  } catch (error) {
    return unopened(id, error);
  }
}

/** Gets the module ready that holds answers to forms. */
async function openGrammars({ id, wasm }: Request & { kind: "open grammars" }): Promise<Reply> {
  try {
    const { default: init, check, Grammars } = await grammarBindings();
    await begin(wasm, async (from) => void (await init({ module_or_path: from })));
    grammars = { check, open: (...spellings) => new Grammars(...spellings) };
    return { id, kind: "opened" };
  } catch (error) {
    return unopened(id, error);
  }
}

/** Begins a module, from its address or its bytes. */
async function begin(
  wasm: string | ArrayBuffer,
  init: (from: Response | ArrayBuffer) => Promise<void>,
): Promise<void> {
  if (typeof wasm !== "string") return init(wasm);
  // What some cache has kept may be another thing: a server's page of an hour ago.
  await init(await fetched(wasm, "default")).catch(async (error) => {
    if (!(error instanceof WebAssembly.CompileError) || givesModuleNoMemory(error)) throw error;
    await init(await fetched(wasm, "reload"));
  });
}

/**
 * Some devices refuse a memory that is reserved to its full size, as shared ones are, and have room
 * for others.
 */
function unopened(id: number, error: unknown): Reply {
  const code: Failure["code"] = givesModuleNoMemory(error) ? "no-memory" : "no-module";
  return { id, kind: "error", error: { code, message: (error as Error).message } };
}

async function fetched(address: string, cache: RequestCache): Promise<Response> {
  const unreachable = (error: Error) => {
    throw new Error(`${address} cannot be reached: ${error.message}`);
  };
  const response = await fetch(address, { cache }).catch(unreachable);
  if (!response.ok) throw new Error(`${address} answers ${response.status}`);
  return response;
}

async function load({
  id,
  options,
  storage,
  persist,
  along,
}: Request & { kind: "load" }): Promise<Description> {
  const { PhiEngine, variant } = ready();
  askFor(along);
  engine?.free();
  engine = undefined;
  const startHelpers = (count: number, module: WebAssembly.Module, memory: WebAssembly.Memory) =>
    new Promise<void>((resolve, reject) => {
      helpersCame = (failure) => (failure ? reject(new Error(failure)) : resolve());
      const lines = Array.from({ length: count }, () => {
        const { port1, port2 } = new MessageChannel();
        port1.postMessage({ variant, module, memory } satisfies Shared);
        return port2;
      });
      say({ id, kind: "helpers", lines }, lines);
    });
  const all = {
    knownGpus: await recall("gpus"),
    knownBackends: await recall("backends"),
    ...options,
  };
  const refused: Refusal[] = [];
  const openStorage = storage === "none" ? undefined : (id: string) => openExclusively(id, refused);
  engine = await PhiEngine.load(
    all,
    (progress) => say({ id, kind: "progress", progress }),
    startHelpers,
    openStorage,
    () => grammars,
    persist && openStorage ? PrefixPages.open : undefined,
  );
  await keep("gpus", await engine.tunedGpus());
  await keep("backends", engine.measuredBackends());
  const description = await loaded().describe();
  if (!openStorage || description.storage !== "none") return description;
  const why = refused.map(({ kind, why }) => `${kind}: ${why}`).join("; ");
  const notice = `This browser keeps no model (${why}), so it is fetched again the next time.`;
  return { ...description, notice: [description.notice, notice].filter(Boolean).join(" ") };
}

/** Hashes a kept model again. */
function check({ id, model, source, along }: Request & { kind: "check" }): Promise<Checked> {
  askFor(along);
  return ready().PhiEngine.check(
    model,
    source,
    (progress) => say({ id, kind: "progress", progress }),
    openExclusively,
  );
}

async function generate(request: Request & { kind: "chat" | "complete" }): Promise<Description> {
  const { id } = request;
  // The engine waits for this after every step, so it is also the moment when a "stop" gets in.
  const onEvent = async (event: Event): Promise<boolean> => {
    say({ id, kind: "event", event });
    await eventLoop();
    return !stopped.has(id);
  };
  // It may have waited its turn.
  if (stopped.has(id)) return loaded().describe();
  if (request.kind === "chat") await loaded().chat(request.request, onEvent);
  else await loaded().complete(request.request, onEvent);
  return loaded().describe();
}

/** Computes for the worker at the other end of a line. */
async function serve(line: MessagePort): Promise<void> {
  // A thread that computes hears nothing, not even that it has its lock.
  await Promise.race([alive, pause(LONGEST)]);
  line.onmessage = ({ data }: MessageEvent<Shared>) => void help(data);
}

/** Never returns, until the page ends this worker. */
async function help({ variant, ...shared }: Shared): Promise<void> {
  const say = (message: FromHelper) => self.postMessage(message);
  const threaded = await BINDINGS[variant]().catch((error) =>
    say({ kind: "failed", message: plain(error).message }),
  );
  if (!threaded) return;
  const { initSync, help } = threaded as Threaded;
  // Where it traps it may have held what the others wait for: nothing of the engine can go on.
  try {
    module = initSync({ ...shared, thread_stack_size: STACK });
  } catch (error) {
    return over(
      givesModuleNoMemory(error) ? noMemory(shared.memory, STACK) : faultOf(error, undefined),
    );
  }
  try {
    help(() => say({ kind: "ready" }));
  } catch (error) {
    trapped(error);
  }
}

function trapped(error: unknown): void {
  over(faultOf(error, module));
}

function over(error: PlainError): void {
  self.postMessage({ kind: "trapped", error } satisfies Trapped);
}

function ready(): NonNullable<typeof opened> {
  if (!opened) throw { code: "internal", message: "no module is open yet: open one first" };
  return opened;
}

function loaded(): PhiEngine {
  if (!engine) throw { code: "bad-option", message: "no model is loaded yet: load one first" };
  return engine;
}

function say(reply: Reply, parts: Transferable[] = []): void {
  self.postMessage(reply, { transfer: parts });
}

/**
 * Resolves after the messages that already wait have been handled; a promise alone would not let
 * them in.
 */
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
