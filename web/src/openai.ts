// The shapes of OpenAI's API. What requests say, and what of it the engine has not, is for the
// engine to read (crate/openai.rs).

import type { CallDelta } from "../../pkg/simd/phi_wasm.js";
import { refuse } from "./check.js";
import type { Stats } from "./types.js";

export type {
  ChatMessage,
  ChatRequest,
  CompletionRequest,
  Sampling,
  TextPart,
  Tool,
  ToolCall,
  ToolChoice,
} from "../../pkg/simd/phi_wasm.js";

/** "cancelled" is ours: the caller ended the answer. */
export type FinishReason = "stop" | "length" | "tool_calls" | "cancelled";

/** A call of a tool, whose arguments are JSON, if the model keeps to it. */
export interface CalledTool {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A piece of one: the first names it, others go on with its arguments. */
export interface CalledToolDelta {
  index: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments: string };
}

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
      /** The content is null where tools are called and nothing else is said. */
      message: { role: "assistant"; content: string | null; tool_calls?: CalledTool[] };
      finish_reason: FinishReason;
      logprobs: null;
    },
  ];
  usage: Usage;
}

interface ChatDelta {
  role?: "assistant";
  content?: string;
  tool_calls?: CalledToolDelta[];
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  /** Empty in the last chunk, if usage was asked for. */
  choices: {
    index: 0;
    delta: ChatDelta;
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
  call(delta: CallDelta): Chunk;
  last(finish: FinishReason): Chunk;
  usage(usage: Usage): Chunk;
  whole(text: string, finish: FinishReason, usage: Usage, calls?: CalledTool[]): Whole;
}

const COMMON = { index: 0, logprobs: null } as const;

export function chatShape(model: string): Shape<ChatCompletionChunk, ChatCompletion> {
  const about = answer("chatcmpl", model);
  const chunk = (delta: ChatDelta, finish_reason: FinishReason | null): ChatCompletionChunk => {
    return {
      ...about,
      object: "chat.completion.chunk",
      choices: [{ ...COMMON, delta, finish_reason }],
    };
  };
  return {
    first: () => [chunk({ role: "assistant", content: "" }, null)],
    piece: (content) => chunk({ content }, null),
    call: (delta) => chunk({ tool_calls: [calledDelta(delta)] }, null),
    last: (finish) => chunk({}, finish),
    usage: (usage) => ({ ...about, object: "chat.completion.chunk", choices: [], usage }),
    whole: (text, finish_reason, usage, calls = []) => {
      const said = { role: "assistant", content: text } as const;
      const message = calls.length ? { ...said, content: text || null, tool_calls: calls } : said;
      return {
        ...about,
        object: "chat.completion",
        choices: [{ ...COMMON, message, finish_reason }],
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
    // A text that goes on calls no tools: none are offered.
    call: () => ({ ...about, choices: [] }),
    last: (finish_reason) => ({ ...about, choices: [{ ...COMMON, text: "", finish_reason }] }),
    usage: (usage) => ({ ...about, choices: [], usage }),
    whole: (text, finish_reason, usage) => ({
      ...about,
      choices: [{ ...COMMON, text, finish_reason }],
      usage,
    }),
  };
}

function calledDelta({ index, id, name, arguments: piece }: CallDelta): CalledToolDelta {
  if (id === undefined) return { index, function: { arguments: piece } };
  return { index, id, type: "function", function: { name: name ?? "", arguments: piece } };
}

/** Adds a piece of a call to the calls so far. */
export function addCall(calls: CalledTool[], { index, id, name, arguments: piece }: CallDelta) {
  const begun = calls[index];
  if (begun) begun.function.arguments += piece;
  else
    calls[index] = {
      id: id ?? "",
      type: "function",
      function: { name: name ?? "", arguments: piece },
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

/**
 * A copy as it can cross to the engine. JSON has no infinities: they become texts, as protobuf's
 * JSON has them. An option that is a function does not vanish: the engine tells it by its name.
 */
export function plainOf<T>(what: string, value: T): T {
  function said(this: unknown, _: string, one: unknown): unknown {
    const isNoNumber = typeof one === "number" && !Number.isFinite(one);
    return isNoNumber || (typeof one === "function" && this === value) ? String(one) : one;
  }
  try {
    return JSON.parse(JSON.stringify(value, said) ?? "null");
  } catch (error) {
    const why = (error as Error).message;
    refuse(`${what} is not plain data (${why}): give texts, numbers, lists and objects`);
  }
}
