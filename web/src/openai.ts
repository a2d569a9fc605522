// The shapes of OpenAI's API. What requests say, and what of it the engine has not, is for the
// engine to read (crate/openai.rs).

import type {
  CallDelta,
  ChatRequest,
  CompletionRequest,
  TokenLogprob,
} from "../../pkg/simd/phi_wasm.js";
import { refuse } from "./check.js";
import type { Stats } from "./types.js";

export type {
  ChatMessage,
  ChatRequest,
  CompletionRequest,
  ResponseFormat,
  Sampling,
  TextPart,
  TokenLogprob,
  Tool,
  ToolCall,
  ToolChoice,
  TopLogprob,
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

export interface AnswerMessage {
  role: "assistant";
  /** Null where tools are called and nothing else is said. */
  content: string | null;
  tool_calls?: CalledTool[];
  /**
   * Where JSON was asked for: what the answer says, and of one that was cut ("length") the members
   * and items whose values are complete. Null where nothing is.
   */
  parsed?: unknown;
}

export interface ChatCompletion extends Answer {
  object: "chat.completion";
  /** As many as were asked for. */
  choices: Several<{
    index: number;
    message: AnswerMessage;
    finish_reason: FinishReason;
    logprobs: ChatLogprobs | null;
  }>;
  usage: Usage;
}

interface ChatDelta {
  role?: "assistant";
  content?: string;
  tool_calls?: CalledToolDelta[];
  /** In an answer's last chunk, where JSON was asked for: as a message has it. */
  parsed?: unknown;
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  /** Empty in the last chunk, if usage was asked for. */
  choices: {
    index: number;
    delta: ChatDelta;
    finish_reason: FinishReason | null;
    logprobs: ChatLogprobs | null;
  }[];
  usage?: Usage | null;
}

/** A text that goes on calls no tools. */
type TextFinishReason = Exclude<FinishReason, "tool_calls">;

export interface Completion extends Answer {
  object: "text_completion";
  /** As many as were asked for. */
  choices: Several<{
    index: number;
    text: string;
    finish_reason: TextFinishReason;
    logprobs: CompletionLogprobs | null;
  }>;
  usage: Usage;
}

export interface CompletionChunk extends Answer {
  object: "text_completion";
  choices: {
    index: number;
    text: string;
    finish_reason: TextFinishReason | null;
    logprobs: CompletionLogprobs | null;
  }[];
  usage?: Usage | null;
}

type Several<T> = [T, ...T[]];

/** Of each token that was counted, those of a stop text included. */
export interface ChatLogprobs {
  content: (TokenLogprob & { logprob: number })[];
  refusal: null;
}

/** Of each token: lists of equal length. */
export interface CompletionLogprobs {
  tokens: string[];
  /** Null for the first token of a prompt that is echoed, before which there is nothing. */
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  /** Where it begins in the text, in code points. */
  text_offset: number[];
}

/** What is told of an answer, or of a piece of it. */
export interface Told {
  text: string;
  logprobs?: TokenLogprob[];
}

export interface Answered extends Told {
  calls?: CalledTool[];
  /** Where JSON was asked for. */
  parsed?: unknown;
  finish: FinishReason;
}

export function nothingTold(): Omit<Answered, "finish"> & { calls: CalledTool[] } {
  return { text: "", calls: [] };
}

/** What is complete of an answer in JSON. */
export function parsedOf(json: string | null): unknown {
  return json === null ? null : JSON.parse(json);
}

/** Adds a piece to what was told. */
export function tell(told: Told, { text, logprobs }: Told): void {
  told.text += text;
  if (logprobs) told.logprobs = [...(told.logprobs ?? []), ...logprobs];
}

/** How answers are told, piece by piece and whole, by their index. */
export interface Shape<Chunk, Whole> {
  first(index: number): Chunk[];
  piece(index: number, piece: Told): Chunk;
  call(index: number, delta: CallDelta): Chunk;
  last(index: number, finish: FinishReason, parsed?: unknown): Chunk;
  usage(usage: Usage): Chunk;
  whole(answers: Answered[], usage: Usage): Whole;
}

export function chatShape(model: string): Shape<ChatCompletionChunk, ChatCompletion> {
  const about = answer("chatcmpl", model);
  const chunk = (
    index: number,
    delta: ChatDelta,
    finish_reason: FinishReason | null,
    logprobs: ChatLogprobs | null = null,
  ): ChatCompletionChunk => {
    return {
      ...about,
      object: "chat.completion.chunk",
      choices: [{ index, delta, finish_reason, logprobs }],
    };
  };
  return {
    first: (index) => [chunk(index, { role: "assistant", content: "" }, null)],
    piece: (index, { text, logprobs }) =>
      chunk(index, { content: text }, null, chatLogprobs(logprobs)),
    call: (index, delta) => chunk(index, { tool_calls: [calledDelta(delta)] }, null),
    last: (index, finish, parsed) => chunk(index, parsed === undefined ? {} : { parsed }, finish),
    usage: (usage) => ({ ...about, object: "chat.completion.chunk", choices: [], usage }),
    whole: (answers, usage) => {
      const choices = answers.map(({ finish, logprobs, ...told }, index) => ({
        index,
        message: messageOf(told),
        finish_reason: finish,
        logprobs: chatLogprobs(logprobs),
      })) as ChatCompletion["choices"];
      return { ...about, object: "chat.completion", choices, usage };
    },
  };
}

export function messageOf({ text, calls = [], parsed }: Omit<Answered, "finish">): AnswerMessage {
  return {
    role: "assistant",
    content: calls.length ? text || null : text,
    ...(calls.length && { tool_calls: calls }),
    ...(parsed !== undefined && { parsed }),
  };
}

function chatLogprobs(content: TokenLogprob[] | undefined): ChatLogprobs | null {
  // What an answer has was chosen, each token after something.
  return content ? { content: content as ChatLogprobs["content"], refusal: null } : null;
}

export function textShape(model: string): Shape<CompletionChunk, Completion> {
  const about = { ...answer("cmpl", model), object: "text_completion" } as const;
  const places: Place[] = [];
  const place = (index: number) => (places[index] ??= new Place());
  return {
    first: () => [],
    piece: (index, { text, logprobs }) => {
      const told = logprobs ? place(index).logprobs(logprobs) : null;
      return { ...about, choices: [{ index, text, finish_reason: null, logprobs: told }] };
    },
    // A text that goes on calls no tools: none are offered.
    call: () => ({ ...about, choices: [] }),
    last: (index, finish) => {
      const finish_reason = finish as TextFinishReason;
      return { ...about, choices: [{ index, text: "", finish_reason, logprobs: null }] };
    },
    usage: (usage) => ({ ...about, choices: [], usage }),
    whole: (answers, usage) => {
      const choices = answers.map(({ text, finish, logprobs }, index) => ({
        index,
        text,
        finish_reason: finish,
        logprobs: logprobs ? place(index).logprobs(logprobs) : null,
      })) as Completion["choices"];
      return { ...about, choices, usage };
    },
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

/** Where in a text its tokens have come to. */
class Place {
  /** Characters that have begun. */
  #begun = 0;

  /** Of the next tokens. */
  logprobs(tokens: TokenLogprob[]): CompletionLogprobs {
    const text_offset = tokens.map(({ bytes }) => {
      const goesOn = isWithinCharacter(bytes[0]);
      const offset = this.#begun - (goesOn ? 1 : 0);
      this.#begun += bytes.filter((byte) => !isWithinCharacter(byte)).length;
      return offset;
    });
    return {
      tokens: tokens.map(({ token }) => token),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(({ logprob, top_logprobs }) =>
        logprob === null
          ? null
          : Object.fromEntries(top_logprobs.map(({ token, logprob }) => [token, logprob])),
      ),
      text_offset,
    };
  }
}

/** Whether a byte of UTF-8 is none that a character begins with. */
function isWithinCharacter(byte = 0): boolean {
  return (byte & 0xc0) === 0x80;
}

function answer(kind: string, model: string): Answer {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return { id: `${kind}-${id}`, created: Math.floor(Date.now() / 1000), model };
}

type Form = Partial<Pick<ChatRequest, "response_format" | "tools" | "tool_choice">>;

/** Whether an answer, or a part of it, is held to a form, as far as one can see. */
export function asksForForm(request: ChatRequest | CompletionRequest): boolean {
  const { response_format, tools, tool_choice }: Form = request ?? {};
  const mayCall = Array.isArray(tools) && tools.length > 0 && tool_choice !== "none";
  return mayCall || (response_format?.type ?? "text") !== "text";
}

/** Of answers to one prompt, which is counted once. */
export function usageOf(answers: Stats[]): Usage {
  const { promptTokens, cachedTokens } = answers[0]!;
  const generated = answers.reduce((sum, { generatedTokens }) => sum + generatedTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: generated,
    total_tokens: promptTokens + generated,
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
