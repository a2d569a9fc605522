// The shapes of OpenAI's API, and what of them the engine knows under other names.

import {
  ANYTHING,
  type Check,
  checked,
  FLAG,
  isObject,
  number,
  refuse,
  shown,
  TEXT,
  whole,
} from "./check.js";
import type { GenerateOptions, Message } from "./protocol.js";
import type { Stats } from "./types.js";

export interface TextPart {
  type: "text";
  text: string;
}

/** What an assistant asked a tool for. */
export interface ToolCall {
  id?: string;
  type?: "function";
  function: {
    name: string /** As JSON, or what that says. */;
    arguments: string | Record<string, unknown>;
  };
}

const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;

/** Fields that are not named here go to the chat template as they are. */
export interface ChatMessage {
  role: (typeof ROLES)[number];
  /** May be left out where an assistant calls tools. */
  content?: string | TextPart[] | null;
  name?: string | null;
  tool_calls?: ToolCall[] | null;
  /** Which call a tool's message answers. */
  tool_call_id?: string | null;
  refusal?: string | null;
}

/** How tokens are chosen and when they end; null is as good as nothing. */
export interface Sampling {
  /** Not used: the model is the one that was loaded. */
  model?: string;
  max_tokens?: number | null;
  /**
   * Above 1 bolder, below 1 safer; 0, which it is unless said otherwise, takes the likeliest token.
   */
  temperature?: number | null;
  /**
   * Keep the fewest likeliest tokens whose probabilities reach this sum: at 0 the likeliest alone,
   * at 1 all.
   */
  top_p?: number | null;
  /** Texts that end the answer; they are not part of it. */
  stop?: string | string[] | null;
  /** The same seed gives the same text on the same backend. It may be negative. */
  seed?: number | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  /** Added to the logits of single tokens, by id. */
  logit_bias?: Record<string, number> | null;
  n?: 1 | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** Not OpenAI's: keep the k likeliest tokens; 0 and -1 keep all. */
  top_k?: number | null;
  /** Not OpenAI's: keep tokens at least this fraction as likely as the likeliest; 0 keeps all. */
  min_p?: number | null;
  /** Not OpenAI's: weakens every token seen so far; 1 changes nothing. */
  repetition_penalty?: number | null;
}

export interface ChatRequest extends Sampling {
  messages: ChatMessage[];
  max_completion_tokens?: number | null;
  /**
   * Not OpenAI's: the last message, the assistant's, is the beginning of the answer; what comes is
   * the rest of it.
   */
  continue_final_message?: boolean | null;
}

/** Continues a text as it stands, without the chat template. */
export interface CompletionRequest extends Sampling {
  prompt: string;
}

/** "cancelled" is ours: the caller ended the answer. */
export type FinishReason = "stop" | "length" | "cancelled";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Those of the prompt that did not have to be read again. */
  prompt_tokens_details: { cached_tokens: number };
}

interface Answer {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

export interface ChatCompletion extends Answer {
  object: "chat.completion";
  choices: [
    {
      index: 0;
      message: { role: "assistant"; content: string };
      finish_reason: FinishReason;
      logprobs: null;
    },
  ];
  usage: Usage;
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  /** Empty in the last chunk, if usage was asked for. */
  choices: {
    index: 0;
    delta: { role?: "assistant"; content?: string };
    finish_reason: FinishReason | null;
    logprobs: null;
  }[];
  usage?: Usage | null;
}

export interface Completion extends Answer {
  object: "text_completion";
  choices: { index: 0; text: string; finish_reason: FinishReason; logprobs: null }[];
  usage: Usage;
}

export interface CompletionChunk extends Answer {
  object: "text_completion";
  choices: { index: 0; text: string; finish_reason: FinishReason | null; logprobs: null }[];
  usage?: Usage | null;
}

/** How an answer is told, piece by piece and whole. */
export interface Shape<Chunk, Whole> {
  first(): Chunk[];
  piece(text: string): Chunk;
  last(finish: FinishReason): Chunk;
  usage(usage: Usage): Chunk;
  whole(text: string, finish: FinishReason, usage: Usage): Whole;
}

const COMMON = { index: 0, logprobs: null } as const;

export function chatShape(model: string): Shape<ChatCompletionChunk, ChatCompletion> {
  const about = answer("chatcmpl", model);
  const chunk = (
    delta: { role?: "assistant"; content?: string },
    finish_reason: FinishReason | null,
  ): ChatCompletionChunk => {
    return {
      ...about,
      object: "chat.completion.chunk",
      choices: [{ ...COMMON, delta, finish_reason }],
    };
  };
  return {
    first: () => [chunk({ role: "assistant", content: "" }, null)],
    piece: (content) => chunk({ content }, null),
    last: (finish) => chunk({}, finish),
    usage: (usage) => ({ ...about, object: "chat.completion.chunk", choices: [], usage }),
    whole: (content, finish_reason, usage) => {
      return {
        ...about,
        object: "chat.completion",
        choices: [{ ...COMMON, message: { role: "assistant", content }, finish_reason }],
        usage,
      };
    },
  };
}

export function textShape(model: string): Shape<CompletionChunk, Completion> {
  const about = { ...answer("cmpl", model), object: "text_completion" } as const;
  return {
    first: () => [],
    piece: (text) => ({ ...about, choices: [{ ...COMMON, text, finish_reason: null }] }),
    last: (finish_reason) => ({ ...about, choices: [{ ...COMMON, text: "", finish_reason }] }),
    usage: (usage) => ({ ...about, choices: [], usage }),
    whole: (text, finish_reason, usage) => ({
      ...about,
      choices: [{ ...COMMON, text, finish_reason }],
      usage,
    }),
  };
}

function answer(kind: string, model: string): Answer {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return { id: `${kind}-${id}`, created: Math.floor(Date.now() / 1000), model };
}

export function usageOf({ promptTokens, generatedTokens, cachedTokens }: Stats): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: generatedTokens,
    total_tokens: promptTokens + generatedTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** A conversation as the chat template takes it. Whether it is one, the engine says. */
export function messagesOf(messages: ChatMessage[]): Message[] {
  if (!Array.isArray(messages)) return plainOf("messages", messages) as Message[];
  return Array.from(messages, (message, i) => messageOf(`messages[${i}]`, message));
}

/** In the words of the engine, which knows nothing of what is OpenAI's alone. */
function messageOf(name: string, message: ChatMessage): Message {
  const copy = plainOf(name, message);
  if (!isObject(copy)) return copy as Message;
  const { role, content, tool_calls, refusal, function_call, audio, ...others } = copy;
  if (typeof role === "string" && !ROLES.some((known) => known === role))
    refuse(`${name}.role is ${shown(role)}: it must be one of ${ROLES.join(", ")}`);
  if (function_call) refuse(`${name}.function_call is OpenAI's older form: give tool_calls`);
  if (audio) refuse(`${name}.audio is sound: this engine reads text only`);
  const calls = tool_calls && callsOf(`${name}.tool_calls`, tool_calls);
  // "developer" is OpenAI's newer name for the same. The engine's own type has the fields that
  // every template knows.
  return given({
    ...others,
    role: role === "developer" ? "system" : role,
    content: textOf(content ?? refusal),
    tool_calls: calls,
  }) as unknown as Message;
}

/** A copy as it can be written down. */
function plainOf(name: string, value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null");
  } catch (error) {
    refuse(`${name} is not plain data (${(error as Error).message}): give a { role, content }`);
  }
}

/** Parts are one text to most templates. */
function textOf(content: unknown): unknown {
  const texts = Array.isArray(content) ? content.map(partOf) : [undefined];
  return texts.includes(undefined) ? content : texts.join("");
}

function partOf(part: unknown): string | undefined {
  const { type, text, refusal } = isObject(part) ? part : {};
  const said = type === "text" ? text : type === "refusal" ? refusal : undefined;
  return typeof said === "string" ? said : undefined;
}

/** Calls of tools as templates take them: what OpenAI's clients send as JSON is an object again. */
function callsOf(name: string, calls: unknown): unknown[] | undefined {
  if (!Array.isArray(calls)) refuse(`${name} is not a list: give a { id, type, function } each`);
  if (calls.length === 0) return undefined;
  return calls.map((call: unknown, i) => {
    if (!isObject(call) || !isObject(call.function))
      refuse(`${name}[${i}] calls no function: this engine knows tools of the type "function"`);
    if (typeof call.function.name !== "string")
      refuse(`${name}[${i}].function.name is ${shown(call.function.name)}: it must be a text`);
    return {
      ...call,
      function: { ...call.function, arguments: argumentsOf(call.function.arguments) },
    };
  });
}

/** What is no object written as JSON stays as the model wrote it. */
function argumentsOf(written: unknown): unknown {
  if (typeof written !== "string") return written ?? {};
  try {
    const read: unknown = JSON.parse(written || "{}");
    return isObject(read) ? read : written;
  } catch {
    return written;
  }
}

/** What OpenAI's API has and this engine has not; each would change what comes out. */
const UNSUPPORTED = [
  ...[
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "logprobs",
    "top_logprobs",
    "audio",
    "modalities",
    "suffix",
    "echo",
    "best_of",
  ],
  ...["reasoning_effort", "verbosity", "web_search_options"],
];
/** What OpenAI's API has for its own servers, and what changes nothing here. */
const IGNORED = [
  ...[
    "model",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
  ],
  ...["parallel_tool_calls", "prediction"],
];

/** Bounds of the engine's whole numbers. */
const U32 = 2 ** 32 - 1;

const SAMPLING: Record<string, Check> = {
  // More than any context has is as good as no bound.
  max_tokens: [
    (value) =>
      typeof value === "number" && value >= 1 && (Number.isInteger(value) || value === Infinity),
    "a whole number, 1 or more",
  ],
  temperature: number("a number, 0 or more", (value) => value >= 0),
  top_p: number("a number from 0 to 1", (value) => value >= 0 && value <= 1),
  stop: [
    (value) => [value].flat().every((text) => typeof text === "string"),
    "a text or a list of texts",
  ],
  seed: [
    (value) =>
      Number.isInteger(value) && -(2 ** 63) <= (value as number) && (value as number) < 2 ** 64,
    "a whole number of 64 bits",
  ],
  frequency_penalty: number(),
  presence_penalty: number(),
  logit_bias: [
    (value) => isObject(value) && Object.entries(value).every(isBias),
    "an object of numbers by the ids of tokens",
  ],
  n: [(value) => value === 1, "1: this engine gives one answer at a time, ask several times"],
  stream: FLAG,
  stream_options: [
    (value) => isObject(value) && ["boolean", "undefined"].includes(typeof value.include_usage),
    "an object such as { include_usage: true }",
  ],
  top_k: whole(-1, U32),
  min_p: number("a number from 0 to 1", (value) => value >= 0 && value <= 1),
  repetition_penalty: number("a number above 0", (value) => value > 0),
  response_format: ANYTHING,
  ...Object.fromEntries(IGNORED.map((name) => [name, ANYTHING])),
};
const CHAT = {
  messages: ANYTHING,
  max_completion_tokens: SAMPLING.max_tokens!,
  continue_final_message: FLAG,
  ...SAMPLING,
};
const COMPLETION = { prompt: TEXT, ...SAMPLING };

function isBias([id, bias]: [string, unknown]): boolean {
  return (
    /^\d+$/.test(id) &&
    Number(id) <= U32 &&
    (bias === -Infinity || (typeof bias === "number" && Number.isFinite(bias)))
  );
}

export function chatAsked(request: ChatRequest): ChatRequest {
  return asked("chat.completions.create", request, CHAT);
}

export function completionAsked(request: CompletionRequest): CompletionRequest {
  const completion = asked("complete", request, COMPLETION);
  if (completion.prompt === undefined) refuse("there is no prompt: give the text to go on with");
  return completion;
}

/** A request of which all is known, without what asks for nothing. */
function asked<T extends object>(what: string, request: T, known: Record<string, Check>): T {
  const isAsked = ([name, value]: [string, unknown]) => {
    if (!UNSUPPORTED.includes(name)) return true;
    // Clients send many of these with values that ask for nothing.
    if (value && value !== "none" && !(Array.isArray(value) && value.length === 0))
      refuse(`${name} is not something that this engine can do: leave it out`);
    return false;
  };
  const format = isObject(request) ? request.response_format : undefined;
  if (format && !(isObject(format) && format.type === "text")) {
    refuse(
      `response_format ${shown(isObject(format) ? format.type : format)} is not known: leave it out and ask in words`,
    );
  }
  return checked(
    what,
    isObject(request)
      ? (Object.fromEntries(Object.entries(request).filter(isAsked)) as T)
      : request,
    known,
  );
}

/** The options of a request under the engine's names. */
export function optionsOf(request: ChatRequest | CompletionRequest): GenerateOptions {
  const {
    temperature,
    top_k,
    top_p,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    seed,
    logit_bias,
  } = request;
  const { presence_penalty: presencePenalty, frequency_penalty: frequencyPenalty, stop } = request;
  const penalties = {
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    logitBias: logit_bias && biasesOf(logit_bias),
  };
  const maxTokens =
    ("max_completion_tokens" in request ? request.max_completion_tokens : null) ??
    request.max_tokens;
  // The likeliest token alone reaches the sum 0; others' clients turn top_k off by -1.
  const [topK, topP] = top_p === 0 ? [1, 1] : [top_k === -1 ? 0 : top_k, top_p];
  return given({
    maxTokens: maxTokens && Math.min(maxTokens, U32),
    sampling: given({ temperature, topK, topP, minP, seed: seed && seedOf(seed), ...penalties }),
    stop: stop ? [stop].flat() : null,
    continueFinal: "continue_final_message" in request ? request.continue_final_message : null,
  });
}

/**
 * The engine's seeds have no sign. Negative ones become what their bits say, as far as a number of
 * JavaScript holds them: 53.
 */
function seedOf(seed: number): number {
  return seed < 0 ? Number(BigInt.asUintN(53, BigInt(seed))) : seed;
}

/**
 * JSON, as which they cross, has no infinity; the engine takes what is too large for its numbers as
 * such.
 */
function biasesOf(biases: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(biases).map(([id, bias]) => [id, Math.max(bias, -Number.MAX_VALUE)]),
  );
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> };

/** Without what is null or undefined. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as Given<T>;
}
