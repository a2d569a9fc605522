// The shapes of OpenAI's API, and what of them the engine knows under other names.

import { InputError } from "./errors.js";
import type { GenerateOptions, Message } from "./protocol.js";
import type { Stats } from "./types.js";

export interface TextPart {
  type: "text";
  text: string;
}

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | (string & {});
  content: string | TextPart[] | null;
}

/** How tokens are chosen and when they end; null is as good as nothing. */
export interface Sampling {
  /** Not used: the model is the one that was loaded. */
  model?: string;
  max_tokens?: number | null;
  /** Above 1 bolder, below 1 safer; 0, which it is unless said otherwise, takes the likeliest token. */
  temperature?: number | null;
  /** Keep the fewest likeliest tokens whose probabilities reach this sum; 1 keeps all. */
  top_p?: number | null;
  /** Texts that end the answer; they are not part of it. */
  stop?: string | string[] | null;
  /** The same seed gives the same text on the same backend. */
  seed?: number | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  /** Added to the logits of single tokens, by id. */
  logit_bias?: Record<string, number> | null;
  n?: 1 | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** Not OpenAI's: keep the k likeliest tokens; 0 keeps all. */
  top_k?: number | null;
  /** Not OpenAI's: keep tokens at least this fraction as likely as the likeliest; 0 keeps all. */
  min_p?: number | null;
  /** Not OpenAI's: weakens every token seen so far; 1 changes nothing. */
  repetition_penalty?: number | null;
}

export interface ChatRequest extends Sampling {
  messages: ChatMessage[];
  max_completion_tokens?: number | null;
  /** Not OpenAI's: the last message, the assistant's, is the beginning of the answer; what comes is the rest of it. */
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
  choices: [{ index: 0; message: { role: "assistant"; content: string }; finish_reason: FinishReason; logprobs: null }];
  usage: Usage;
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  /** Empty in the last chunk, if usage was asked for. */
  choices: { index: 0; delta: { role?: "assistant"; content?: string }; finish_reason: FinishReason | null; logprobs: null }[];
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
  const chunk = (delta: { role?: "assistant"; content?: string }, finish_reason: FinishReason | null): ChatCompletionChunk => {
    return { ...about, object: "chat.completion.chunk", choices: [{ ...COMMON, delta, finish_reason }] };
  };
  return {
    first: () => [chunk({ role: "assistant", content: "" }, null)],
    piece: (content) => chunk({ content }, null),
    last: (finish) => chunk({}, finish),
    usage: (usage) => ({ ...about, object: "chat.completion.chunk", choices: [], usage }),
    whole: (content, finish_reason, usage) => {
      return { ...about, object: "chat.completion", choices: [{ ...COMMON, message: { role: "assistant", content }, finish_reason }], usage };
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
    whole: (text, finish_reason, usage) => ({ ...about, choices: [{ ...COMMON, text, finish_reason }], usage }),
  };
}

function answer(kind: string, model: string): Answer {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
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

/** A conversation as the chat template takes it. */
export function messagesOf(messages: ChatMessage[]): Message[] {
  if (!Array.isArray(messages)) throw new InputError("bad-option", "messages is not a list: give the conversation, a { role, content } each");
  // OpenAI's newer name for the same.
  return messages.map(({ role, content }) => ({ role: role === "developer" ? "system" : role, content: textOf(content) }));
}

function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string" || content === null) return content ?? "";
  if (!Array.isArray(content)) throw new InputError("bad-option", "a message's content is neither text nor a list of its parts: give one of them");
  return content.map((part) => {
    if (part.type !== "text") throw new InputError("bad-option", `a message has a part of type "${part.type}": this engine reads text only`);
    return part.text;
  }).join("");
}

/** What OpenAI's API has and this engine has not; each would change what comes out. */
const UNSUPPORTED = ["tools", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs", "audio", "modalities", "suffix", "echo", "best_of"];

/** The options of a request under the engine's names. */
export function optionsOf(request: ChatRequest | CompletionRequest): GenerateOptions {
  refuse(request);
  const { temperature, top_k: topK, top_p: topP, min_p: minP, repetition_penalty: repetitionPenalty, seed } = request;
  const { presence_penalty: presencePenalty, frequency_penalty: frequencyPenalty, logit_bias: logitBias, stop } = request;
  const penalties = { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias };
  const maxTokens = ("max_completion_tokens" in request ? request.max_completion_tokens : null) ?? request.max_tokens;
  return given({
    maxTokens,
    sampling: given({ temperature, topK, topP, minP, seed, ...penalties }),
    stop: typeof stop === "string" ? [stop] : stop,
    continueFinal: "continue_final_message" in request ? request.continue_final_message : null,
  });
}

function refuse(request: ChatRequest | CompletionRequest): void {
  const all = request as unknown as Record<string, unknown>;
  // Clients send many of these with values that ask for nothing.
  const asked = (name: string) => all[name] && all[name] !== "none" && !(Array.isArray(all[name]) && all[name].length === 0);
  const unsupported = UNSUPPORTED.find(asked);
  if (unsupported) throw new InputError("bad-option", `${unsupported} is not something that this engine can do: leave it out`);
  if ((all.n ?? 1) !== 1) throw new InputError("bad-option", `n is ${String(all.n)}: this engine gives one answer at a time, ask several times`);
  const format = all.response_format as { type?: string } | null | undefined;
  if (format && format.type !== "text") throw new InputError("bad-option", `response_format "${format.type}" is not known: leave it out and ask in words`);
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> };

/** Without what is null or undefined. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) as Given<T>;
}
