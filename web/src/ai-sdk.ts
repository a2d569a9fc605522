// `phi-wasm/ai-sdk`: a provider for the AI SDK (`ai`), in its language models' version 4.

import * as specification from "@ai-sdk/provider";
import {
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4FinishReason,
  type LanguageModelV4Prompt,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
  NoSuchModelError,
  type ProviderV4,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider";
import {
  type CalledTool,
  type CalledToolDelta,
  type CallOptions,
  type ChatCompletionChunk,
  type ChatMessage,
  type ChatRequest,
  type FinishReason,
  InputError,
  type LoadOptions,
  Phi,
  PhiError,
  type Tool,
  type ToolCall,
  type ToolChoice,
  type Usage,
} from "./index.js";

/** Options of ours, in a call's `providerOptions.phi`. */
export interface PhiProviderOptions {
  /** Keep tokens at least this fraction as probable as the most probable. */
  minP?: number;
  /** Weakens every token seen so far; 1 changes nothing. */
  repetitionPenalty?: number;
}

export interface PhiProvider extends ProviderV4 {
  /** The model at an address; it is loaded when it is first asked. */
  (address: string): LanguageModelV4;
  /** Gives the models' memory back. */
  unload(): Promise<void>;
}

/**
 * A provider whose models' ids are their addresses; each is loaded once, when it is first asked.
 */
export function createPhi(options: Omit<LoadOptions, "model"> = {}): PhiProvider {
  requireVersion4();
  const loaded = new Map<string, Promise<Phi>>();
  const load = (address: string): Promise<Phi> => {
    const phi = loaded.get(address) ?? Phi.load({ ...options, model: address });
    loaded.set(address, phi);
    // The next question tries again.
    phi.catch(() => loaded.delete(address));
    return phi;
  };
  const unload = async () => {
    const all = [...loaded.values()];
    loaded.clear();
    await Promise.all(
      all.map((phi) =>
        phi.then(
          (phi) => phi.unload(),
          () => {},
        ),
      ),
    );
  };
  const none = (modelType: "embeddingModel" | "imageModel") => (modelId: string) => {
    throw new NoSuchModelError({ modelId, modelType });
  };
  const languageModel = (address: string) => modelOf(() => load(address), address);
  return Object.assign(languageModel, {
    specificationVersion: "v4" as const,
    languageModel,
    embeddingModel: none("embeddingModel"),
    imageModel: none("imageModel"),
    unload,
  });
}

/** A model that is loaded already. */
export function phiModel(phi: Phi): LanguageModelV4 {
  requireVersion4();
  return modelOf(async () => phi, phi.description.model);
}

/**
 * `ai` 6 comes with version 3, and refuses a model of version 4 in words that name neither `ai` 6
 * nor a way out.
 */
function requireVersion4(): void {
  if ("NoSuchProviderReferenceError" in specification) return;
  const way = "npm takes that on Node.js 20: install ai@7, with Node.js 22 or newer";
  throw new InputError(
    "bad-option",
    `phi-wasm/ai-sdk needs ai 7 and finds a part of ai 6 or older; ${way}`,
  );
}

function modelOf(load: () => Promise<Phi>, modelId: string): LanguageModelV4 {
  return {
    specificationVersion: "v4",
    provider: "phi-wasm",
    modelId,
    supportedUrls: {},
    async doGenerate(options) {
      const [request, call] = asked(options);
      const phi = await load();
      const { id, created, model, choices, usage } = await phi.chat.completions
        .create({ ...request, stream: false }, call)
        .catch((error) => {
          throw asAbort(error, options.abortSignal);
        });
      const [{ message, finish_reason }] = choices;
      const calls = (message.tool_calls ?? []).map(
        ({ id, function: { name, arguments: input } }) =>
          ({ type: "tool-call", toolCallId: id, toolName: name, input }) as const,
      );
      return {
        content: [{ type: "text", text: message.content ?? "" }, ...calls],
        finishReason: finishOf(finish_reason),
        usage: usageOf(usage),
        response: { id, timestamp: new Date(created * 1000), modelId: model },
        warnings: warningsOf(options),
      };
    },
    async doStream(options) {
      const [request, call] = asked(options);
      const phi = await load();
      const pieces = await phi.chat.completions.create(
        { ...request, stream: true, stream_options: { include_usage: true } },
        call,
      );
      return { stream: streamOf(partsOf(pieces, options)) };
    },
  };
}

async function* partsOf(
  pieces: AsyncIterable<ChatCompletionChunk>,
  options: LanguageModelV4CallOptions,
): AsyncGenerator<LanguageModelV4StreamPart, void> {
  yield { type: "stream-start", warnings: warningsOf(options) };
  const id = "0";
  let finish: FinishReason = "stop";
  let isFirst = true;
  const calls: CalledTool[] = [];
  for await (const { id: answerId, created, model, choices, usage } of pieces) {
    if (isFirst) {
      yield {
        type: "response-metadata",
        id: answerId,
        timestamp: new Date(created * 1000),
        modelId: model,
      };
      yield { type: "text-start", id };
    }
    isFirst = false;
    const [choice] = choices;
    if (choice?.delta.content) yield { type: "text-delta", id, delta: choice.delta.content };
    for (const delta of choice?.delta.tool_calls ?? []) yield* partsOfCall(calls, delta);
    if (choice?.finish_reason === "cancelled") throw asAbort(undefined, options.abortSignal);
    finish = choice?.finish_reason ?? finish;
    if (!usage) continue;
    yield* endOf(calls);
    yield { type: "text-end", id };
    yield { type: "finish", finishReason: finishOf(finish), usage: usageOf(usage) };
  }
}

/** What a piece of a call is to the SDK; the call before it is over when another begins. */
function* partsOfCall(
  calls: CalledTool[],
  { index, id, function: { name, arguments: delta } }: CalledToolDelta,
): Generator<LanguageModelV4StreamPart, void> {
  let call = calls[index];
  if (!call) {
    yield* endOf(calls);
    const begun = { name: name ?? "", arguments: "" };
    call = { id: id ?? "", type: "function", function: begun };
    calls[index] = call;
    yield { type: "tool-input-start", id: call.id, toolName: call.function.name };
  }
  call.function.arguments += delta;
  if (delta) yield { type: "tool-input-delta", id: call.id, delta };
}

/** The end of the last call: without it the SDK runs no tool. */
function* endOf(calls: CalledTool[]): Generator<LanguageModelV4StreamPart, void> {
  const last = calls.at(-1);
  if (!last) return;
  const { name, arguments: input } = last.function;
  yield { type: "tool-input-end", id: last.id };
  yield { type: "tool-call", toolCallId: last.id, toolName: name, input };
}

/** Not all browsers have `ReadableStream.from`. */
function streamOf<T>(parts: AsyncGenerator<T, void>): ReadableStream<T> {
  return new ReadableStream<T>({
    async pull(controller) {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await parts.return();
    },
  });
}

/** A call's options, as our API takes them. */
function asked(options: LanguageModelV4CallOptions): [ChatRequest, CallOptions] {
  const {
    maxOutputTokens,
    temperature,
    topP,
    topK,
    stopSequences,
    seed,
    presencePenalty,
    frequencyPenalty,
    abortSignal,
  } = options;
  const { minP, repetitionPenalty, ...others } = (options.providerOptions?.phi ??
    {}) as PhiProviderOptions;
  const [unknown] = Object.keys(others);
  if (unknown)
    throw new InputError(
      "bad-option",
      `${unknown} is no option of providerOptions.phi, which takes minP and repetitionPenalty`,
    );
  const sampling = {
    temperature,
    top_p: topP,
    top_k: topK,
    seed,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
  };
  const given = {
    ...sampling,
    max_tokens: maxOutputTokens,
    stop: stopSequences,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
  };
  const request = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  return [
    {
      ...request,
      ...formatOf(options),
      ...toolsOf(options),
      messages: options.prompt.flatMap(messagesOf),
    },
    abortSignal ? { signal: abortSignal } : {},
  ];
}

/** The form that is asked for: without a schema, any object. */
function formatOf({ responseFormat }: LanguageModelV4CallOptions): Partial<ChatRequest> {
  if (responseFormat?.type !== "json") return {};
  const { schema, name = "response", description } = responseFormat;
  if (!schema) return { response_format: { type: "json_object" } };
  const json_schema = { name, schema: { ...schema }, ...(description && { description }) };
  return { response_format: { type: "json_schema", json_schema } };
}

/** The tools of a call, as our API takes them. */
function toolsOf({ tools, toolChoice }: LanguageModelV4CallOptions): Partial<ChatRequest> {
  const ours = (tools ?? []).filter((tool) => tool.type === "function");
  if (!ours.length) return {};
  const asTool = ({ name, description, inputSchema, strict }: (typeof ours)[number]): Tool => ({
    type: "function",
    function: {
      name,
      description: description ?? null,
      parameters: { ...inputSchema },
      ...(strict === undefined ? {} : { strict }),
    },
  });
  const choice: ToolChoice | undefined =
    toolChoice?.type === "tool"
      ? { type: "function", function: { name: toolChoice.toolName } }
      : toolChoice?.type;
  return { tools: ours.map(asTool), ...(choice ? { tool_choice: choice } : {}) };
}

type Turn = LanguageModelV4Prompt[number];

function messagesOf(turn: Turn): ChatMessage[] {
  if (turn.role === "system") return [{ role: "system", content: turn.content }];
  if (turn.role === "tool") return turn.content.map(resultOf);
  const calls: ToolCall[] = [];
  const texts = turn.content.map((part) => {
    if (part.type === "text") return part.text;
    // What a model thought is no part of what it said.
    if (part.type === "reasoning") return "";
    if (part.type !== "tool-call") throw unread(part.type);
    const { toolCallId, toolName, input } = part;
    const called = { name: toolName, arguments: JSON.stringify(input ?? {}) };
    calls.push({ id: toolCallId, type: "function", function: called });
    return "";
  });
  const said = { role: turn.role, content: texts.join("") };
  return [calls.length ? { ...said, tool_calls: calls } : said];
}

/** What a tool gave, as a message. */
function resultOf(part: (Turn & { role: "tool" })["content"][number]): ChatMessage {
  if (part.type !== "tool-result") throw unread(part.type);
  const { output } = part;
  if (output.type === "content") throw unread("content");
  const value = output.type === "execution-denied" ? (output.reason ?? "denied") : output.value;
  return {
    role: "tool",
    tool_call_id: part.toolCallId,
    name: part.toolName,
    content: typeof value === "string" ? value : JSON.stringify(value),
  };
}

function unread(type: string): UnsupportedFunctionalityError {
  return new UnsupportedFunctionalityError({
    functionality: `a part of type "${type}" in a message: phi-wasm reads text only`,
  });
}

/** What a call asks for that has no effect. */
function warningsOf({
  tools,
  reasoning = "provider-default",
}: LanguageModelV4CallOptions): { type: "unsupported"; feature: string }[] {
  const features = [
    ...(tools?.some((tool) => tool.type !== "function") ? ["tools of a provider"] : []),
    ...(["provider-default", "none"].includes(reasoning) ? [] : ["reasoning"]),
  ];
  return features.map((feature) => ({ type: "unsupported", feature }));
}

function finishOf(raw: FinishReason): LanguageModelV4FinishReason {
  const unified = {
    stop: "stop",
    length: "length",
    tool_calls: "tool-calls",
    cancelled: "other",
  } as const;
  return { unified: unified[raw], raw };
}

function usageOf({
  prompt_tokens,
  completion_tokens,
  prompt_tokens_details: { cached_tokens },
}: Usage): LanguageModelV4Usage {
  return {
    inputTokens: {
      total: prompt_tokens,
      noCache: prompt_tokens - cached_tokens,
      cacheRead: cached_tokens,
      cacheWrite: undefined,
    },
    outputTokens: { total: completion_tokens, text: completion_tokens, reasoning: undefined },
  };
}

/** The SDK knows an abort by what the signal gives as its reason. */
function asAbort(error: unknown, signal: AbortSignal | undefined): unknown {
  const isAbort =
    signal?.aborted &&
    (error === undefined || (error instanceof PhiError && error.code === "cancelled"));
  return isAbort ? signal.reason : (error ?? new PhiError("cancelled", "the answer was cancelled"));
}
