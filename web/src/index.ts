// What `phi-wasm` exports.

export { type ChatCompletions, Phi } from "./client.js";
export {
  type Code,
  GpuError,
  InputError,
  MemoryError,
  ModelError,
  NetworkError,
  PhiError,
  RoundsError,
  StorageError,
} from "./errors.js";
export type {
  AnswerMessage,
  CalledTool,
  CalledToolDelta,
  ChatCompletion,
  ChatCompletionChunk,
  ChatLogprobs,
  ChatMessage,
  ChatRequest,
  Completion,
  CompletionChunk,
  CompletionLogprobs,
  CompletionRequest,
  FinishReason,
  ResponseFormat,
  TextPart,
  TokenLogprob,
  Tool,
  ToolCall,
  ToolChoice,
  TopLogprob,
  Usage,
} from "./openai.js";
export type { Prefixes, StorageEstimate, StorageKind, StoredModel } from "./storage/index.js";
export type {
  RunToolsOptions,
  RunToolsRequest,
  RunToolsResult,
  ToolContext,
  ToolFunction,
} from "./tools.js";
export type {
  Backend,
  BenchFigures,
  CallOptions,
  Checked,
  CheckOptions,
  DecideRequest,
  Decision,
  Description,
  LoadOptions,
  Progress,
  PromptOptions,
  Score,
  Stats,
} from "./types.js";
export { type Module, VARIANTS, type Variant } from "./variant.js";
