// The options of this package's own calls; those of requests are OpenAI's.

import {
  ADDRESS,
  ANYTHING,
  type Check,
  checked,
  FLAG,
  isObject,
  LISTENER,
  oneOf,
  refuse,
  SIGNAL,
  shown,
  TEXT,
  whole,
} from "./check.js";
import type { Prefixes } from "./storage/index.js";
import type { RunToolsOptions } from "./tools.js";
import type { CallOptions, CheckOptions, LoadOptions, PromptOptions } from "./types.js";
import { VARIANTS } from "./variant.js";

const HEADERS: Check = [
  (value) =>
    isObject(value) &&
    Object.values(value).every((one) => typeof one === "string") &&
    isSendable(value as Record<string, string>),
  "an object of texts, with names and values that a request can have",
];
/** An average has at most two decimals. */
const BITS: Check = [
  (value) =>
    [4, 5, 8, 16, 32].includes(value as number) ||
    (typeof value === "number" && value >= 2.5 && value <= 8 && Number(value.toFixed(2)) === value),
  "4, 5, 8, 16, 32 or an average from 2.5 to 8, like 3.5 or 5.25",
];
const CHECK = {
  token: TEXT,
  headers: HEADERS,
  onProgress: LISTENER,
  signal: SIGNAL,
  workerUrl: ADDRESS,
  wasmUrl: LISTENER,
} satisfies Record<keyof CheckOptions, Check>;

const LOAD = {
  ...CHECK,
  model: ANYTHING,
  backend: oneOf("auto", "gpu", "cpu"),
  contextLength: whole(1, 2 ** 32 - 1),
  bits: BITS,
  kv: oneOf("int8", "int4", "f16", "f32"),
  threads: whole(0, 64),
  variant: oneOf(...VARIANTS),
  storage: oneOf("auto", "none"),
  cache: [isObject, "an object such as { persist: true }"],
  retune: FLAG,
  softwareGpu: FLAG,
  onNotice: LISTENER,
  onFailure: LISTENER,
} satisfies Record<keyof LoadOptions, Check>;

const CACHE = {
  persist: FLAG,
  maxBytes: whole(1, 2 ** 53 - 1),
} satisfies Record<keyof NonNullable<LoadOptions["cache"]>, Check>;

/** Those of OpenAI's client that concern its line to a server, and so nothing here. */
const TRANSPORT = Object.fromEntries(
  ["headers", "query", "maxRetries", "idempotencyKey"].map((name) => [name, ANYTHING]),
);
const CALL = { signal: SIGNAL, onPrefill: LISTENER, onNotice: LISTENER, ...TRANSPORT };

/** Browsers refuse a name with a blank, say, or a value with a line feed. */
function isSendable(headers: Record<string, string>): boolean {
  try {
    return Boolean(new Headers(headers));
  } catch {
    return false;
  }
}

export function ofLoad(given: LoadOptions): LoadOptions {
  const asked = checked("Phi.load", given, LOAD);
  if (asked.cache) asked.cache = checked("cache", asked.cache, CACHE);
  if (asked.cache?.persist && asked.storage === "none")
    refuse('cache.persist needs a model that is kept: leave storage: "none" out');
  return asked;
}

export function ofCheck(given: CheckOptions): CheckOptions {
  return checked("Phi.checkModel", given, CHECK);
}

const RUN = { ...CALL, onMessage: LISTENER, onChunk: LISTENER };

export function ofRun(given: RunToolsOptions): RunToolsOptions {
  return checked("runTools", given, RUN);
}

export function ofCall(given: CallOptions = {}): CallOptions {
  return checked("a call", given, CALL);
}

const PROMPT = {
  tools: [
    (value) => Array.isArray(value) && value.every(isObject),
    "a list of objects, each a tool's description",
  ],
  addGenerationPrompt: FLAG,
  continueFinal: FLAG,
} satisfies Record<keyof PromptOptions, Check>;

export function ofPrompt(given: PromptOptions = {}): PromptOptions {
  return checked("a chat template", given, PROMPT);
}

/** A stored model's id, as the engine makes them. */
export function idOf(id: string): string {
  if (typeof id === "string" && /^[0-9a-f]{32}$/.test(id)) return id;
  const what =
    typeof id === "string" && /[:/.]/.test(id)
      ? `${id} is an address, and no stored model's id`
      : `${shown(id)} is no stored model's id`;
  refuse(`${what}: give one that Phi.listModels() tells`);
}

export function ofPrefixes(given: Prefixes = {}): Prefixes {
  const asked = checked("Phi.deletePrefixes", given, { model: TEXT, promptCacheKey: TEXT });
  if (asked.model !== undefined) idOf(asked.model);
  return asked;
}

export function requireText(text: string): void {
  if (typeof text !== "string") refuse(`the text is ${shown(text)}: give a text`);
}

export function requireBlob(session: Blob): void {
  if (!(session instanceof Blob))
    refuse(`the session is ${shown(session)}: give a Blob that exportSession gave`);
}

export function tokensOf(ids: Iterable<number>): Uint32Array {
  const all =
    typeof ids === "object" && ids !== null && Symbol.iterator in ids
      ? Array.from(ids)
      : refuse(`the tokens are ${shown(ids)}: give a list of ids`);
  const wrong = all.find((id) => !whole(0, 2 ** 32 - 1)[0](id));
  if (wrong !== undefined)
    refuse(`${shown(wrong)} is no token's id: give whole numbers, as Phi's tokenize does`);
  return Uint32Array.from(all);
}

/** Of tokens, of which a benchmark needs some. */
export function requireCounts(counts: Record<string, number>, least = 1): void {
  const [isRight, words] = whole(least, 2 ** 32 - 1);
  for (const [name, value] of Object.entries(counts))
    if (!isRight(value)) refuse(`${name} is ${shown(value)}: it must be ${words}`);
}
