// A conversation in which the model's calls of tools are run, until it answers without one.

import { isObject, refuse, shown, whole } from "./check.js";
import type { ChatCompletions } from "./client.js";
import { cancelled, RoundsError } from "./errors.js";
import {
  type AnswerMessage,
  addCall,
  type CalledTool,
  type ChatCompletionChunk,
  type ChatMessage,
  type ChatRequest,
  type FinishReason,
  messageOf,
  type Tool,
} from "./openai.js";
import * as options from "./options.js";
import type { CallOptions } from "./types.js";
import { emit } from "./working.js";

type Described = Tool["function"];

/** A function that the model may call. */
export interface ToolFunction extends Described {
  /**
   * What it returns, or resolves with, goes to the model: a text as it is, all else as JSON. What
   * it throws becomes `{"error": …}`.
   */
  // biome-ignore lint/suspicious/noExplicitAny: they are what `parameters` says, as far as is known
  run(args: any, context: ToolContext): unknown;
}

/** What a function is told besides its arguments. */
export interface ToolContext {
  /** The call's id. */
  id: string;
  /** Aborts when nobody waits for an answer any more. */
  signal: AbortSignal;
}

/** What of a request is not for `runTools`, and what is there instead. */
const RESERVED = {
  tools: "give functions",
  stream: "onChunk hears the answers as they come",
  stream_options: "onChunk hears the answers as they come",
  n: "it comes to one answer",
  continue_final_message: "answers are whole messages",
} satisfies Partial<Record<keyof ChatRequest, string>>;

const ROUNDS = 10;

export interface RunToolsRequest extends Omit<ChatRequest, keyof typeof RESERVED> {
  functions: ToolFunction[];
  /** Answers at the most, those that call functions included: 10 unless said otherwise. */
  maxRounds?: number | null;
}

export interface RunToolsOptions extends CallOptions {
  /** Hears each message that joins the conversation: answers, with their calls, and results. */
  onMessage?: (message: ChatMessage) => void;
  /** Hears the answers as they come. */
  onChunk?: (chunk: ChatCompletionChunk) => void;
}

/** What came of a conversation with tools. */
export interface RunToolsResult {
  /** What the last answer says. */
  text: string;
  /** Where JSON was asked for: what of that is complete. */
  parsed?: unknown;
  /** "length" where the last answer was cut; what it was about to call is not run. */
  finishReason: FinishReason;
  /** All that joined the conversation, the last answer included. */
  messages: ChatMessage[];
  /** How many answers it took. */
  rounds: number;
}

/** The conversation, with functions run, to its answer. */
export async function runTools(
  { create }: ChatCompletions,
  given: RunToolsRequest,
  wishes: RunToolsOptions = {},
): Promise<RunToolsResult> {
  const { functions, maxRounds, ...request } = requestOf(given);
  const { onMessage, onChunk, ...call } = options.ofRun(wishes);
  const messages: ChatMessage[] = [];
  const add = (message: ChatMessage) => {
    messages.push(message);
    emit(onMessage, message);
  };
  for (let rounds = 1; rounds <= maxRounds; rounds++) {
    const asked = { ...request, messages: [...request.messages, ...messages] };
    const chunks = await create({ ...asked, stream: true }, call);
    const { message, finishReason } = await gather(chunks, onChunk);
    if (finishReason === "cancelled") throw cancelled("the answer");
    const { role, content, tool_calls: calls, parsed } = message;
    // Of the calls in an answer that was cut, the last is not whole.
    if (!calls || finishReason === "length") {
      const text = content ?? "";
      add({ role, content: text });
      const told = parsed === undefined ? {} : { parsed };
      return { text, ...told, finishReason, messages, rounds };
    }
    add({ role, content, tool_calls: calls });
    const results = calls.map((called) => run(called, functions, call.signal));
    for (const result of await orAborted(Promise.all(results), call.signal)) add(result);
    // Who has to call something each time never comes to an answer.
    if (request.tool_choice !== "none") request.tool_choice = "auto";
  }
  throw new RoundsError(maxRounds, messages);
}

type Asked = Omit<RunToolsRequest, "functions" | "maxRounds"> & {
  tools: Tool[];
  functions: Map<string, ToolFunction>;
  maxRounds: number;
};

/** A request whose functions are tools. */
function requestOf(given: RunToolsRequest): Asked {
  if (!isObject(given)) refuse(`runTools takes a request, and was given ${shown(given)}`);
  for (const [name, instead] of Object.entries(RESERVED))
    if ((given as Record<string, unknown>)[name]) refuse(`${name} is not for runTools: ${instead}`);
  const { functions, maxRounds, messages, ...request } = given;
  if (!Array.isArray(messages)) refuse(`messages is ${shown(messages)}: give a list of messages`);
  if (!Array.isArray(functions)) refuse(`functions is ${shown(functions)}: give a list`);
  functions.forEach(requireFunction);
  const [isRight, words] = whole(1, 2 ** 32 - 1);
  if (!isRight(maxRounds ?? ROUNDS))
    refuse(`maxRounds is ${shown(maxRounds)}: it must be ${words}`);
  return {
    ...request,
    messages,
    tools: functions.map(({ run: _, ...described }) => ({ type: "function", function: described })),
    functions: new Map(functions.map((one) => [one.name, one])),
    maxRounds: maxRounds ?? ROUNDS,
  };
}

function requireFunction(one: ToolFunction, index: number): void {
  const isRight = isObject(one) && typeof one.name === "string" && typeof one.run === "function";
  if (!isRight) refuse(`functions[${index}] is no { name, description, parameters, run }`);
}

/** A whole answer of its chunks. */
async function gather(
  chunks: AsyncIterable<ChatCompletionChunk>,
  onChunk: RunToolsOptions["onChunk"],
): Promise<{ message: AnswerMessage; finishReason: FinishReason }> {
  let text = "";
  let parsed: unknown;
  let finishReason: FinishReason = "cancelled";
  const calls: CalledTool[] = [];
  for await (const chunk of chunks) {
    emit(onChunk, chunk);
    const [choice] = chunk.choices;
    if (!choice) continue;
    const { content, tool_calls = [], parsed: value } = choice.delta;
    text += content ?? "";
    for (const { function: piece, ...call } of tool_calls) addCall(calls, { ...call, ...piece });
    if (value !== undefined) parsed = value;
    finishReason = choice.finish_reason ?? finishReason;
  }
  return { message: messageOf({ text, calls, parsed }), finishReason };
}

/** Runs a function. Whatever comes of it is something that the model can be told. */
async function run(
  { id, function: { name, arguments: written } }: CalledTool,
  functions: Map<string, ToolFunction>,
  signal = new AbortController().signal,
): Promise<ChatMessage> {
  const told = async () => {
    const called = functions.get(name);
    if (!called) throw new Error(`there is no function ${name}`);
    return textOf(await called.run(argumentsOf(written), { id, signal }));
  };
  const content = await told().catch((error) => JSON.stringify({ error: reasonOf(error) }));
  return { role: "tool", tool_call_id: id, name, content };
}

function argumentsOf(written: string): Record<string, unknown> {
  const given = jsonOf(written || "{}");
  if (isObject(given)) return given;
  throw new Error("the arguments are no JSON object");
}

function jsonOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** What a function gave, as a text. */
function textOf(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text === undefined) throw new Error(`the function gave ${shown(value)}, which is no JSON`);
  return text;
}

/** Of anything that was thrown, and may have traps of its own. */
function reasonOf(error: unknown): string {
  try {
    return String((error as Partial<Error> | null)?.message || error);
  } catch {
    return "the function failed, and does not say why";
  }
}

/** What is waited for no longer than until a signal. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(cancelled("the answer"));
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}
