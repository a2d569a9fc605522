// What the page and the worker say to each other. One request has one id; its replies carry the
// same.

import type {
  ChatMessage,
  ChatRequest,
  CompletionRequest,
  DecideRequest,
  LoadOptions as EngineOptions,
  Event,
  TemplateOptions,
} from "../../pkg/simd/phi_wasm.js";
import type { Along } from "./asking.js";
import type { Code, PlainError } from "./errors.js";
import type {
  BenchFigures,
  Checked,
  Decision,
  Description,
  LoadOptions,
  Progress,
} from "./types.js";
import type { Variant } from "./variant.js";

export type { EngineOptions, Event, PlainError, TemplateOptions };

export type Request =
  /** Gets the wasm module ready, from its address or its bytes. */
  | { id: number; kind: "open"; variant: Variant; wasm: string | ArrayBuffer }
  /** Gets the module ready that holds answers to forms. Nobody waits his turn for that. */
  | { id: number; kind: "open grammars"; wasm: string | ArrayBuffer }
  | {
      id: number;
      kind: "load";
      options: EngineOptions;
      storage: NonNullable<LoadOptions["storage"]>;
      /** Whether what is read outlives the page. */
      persist: boolean;
      along: Along | undefined;
    }
  /** Hashes a kept model again. */
  | { id: number; kind: "check"; model: string; source: string; along: Along | undefined }
  | { id: number; kind: "chat"; request: ChatRequest }
  | { id: number; kind: "complete"; request: CompletionRequest }
  /** Whether the engine takes such a request. Nobody waits his turn for that. */
  | { id: number; kind: "check chat"; request: ChatRequest }
  | { id: number; kind: "check complete"; request: CompletionRequest }
  | { id: number; kind: "tokenize"; text: string }
  | { id: number; kind: "detokenize"; tokens: Uint32Array }
  | { id: number; kind: "render"; messages: ChatMessage[]; options: TemplateOptions }
  | { id: number; kind: "count"; messages: ChatMessage[]; options: TemplateOptions }
  | { id: number; kind: "export session"; messages: ChatMessage[] }
  | { id: number; kind: "import session"; session: Uint8Array }
  | { id: number; kind: "decide"; request: DecideRequest }
  | { id: number; kind: "bench"; promptTokens: number; generateTokens: number; depth: number }
  /** `id` is the request that shall stop. */
  | { id: number; kind: "stop" }
  /** `id` is the load that asked for helpers: they are ready, or this is why not. */
  | { id: number; kind: "helpers"; failure?: string };

/**
 * Instead of a request: the worker becomes a helper of the engine at the other end of this line,
 * and takes no further message.
 */
export interface Help {
  kind: "help";
  line: MessagePort;
}

/**
 * What helpers get from the engine. The page never has it: a browser gives memory back when nobody
 * holds it, and a page that held it would have to collect its rubbish first.
 */
export interface Shared {
  variant: Variant;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** The first thing that any worker says. */
export interface Hello {
  kind: "hello";
  version: string;
}

/**
 * The next, where browsers have locks: the name of the one that it holds for as long as it lives.
 */
export interface Alive {
  kind: "alive";
  life: string;
}

/** A fault that no request hears of, and after which nothing more will come. */
export interface Trapped {
  kind: "trapped";
  error: PlainError;
}

export type FromHelper =
  | Hello
  | Alive
  | Trapped
  | { kind: "ready" }
  | { kind: "failed"; message: string };

/** Why a module does not open. Both have an answer, so callers never see them. */
export type OpenCode = "no-memory" | "no-module";

export interface Failure extends Omit<PlainError, "code"> {
  code: Code | OpenCode;
}

export type Reply =
  | { id: number; kind: "opened" }
  /** The engine takes such a request. */
  | { id: number; kind: "taken" }
  /** It was told to stop, and will. */
  | { id: number; kind: "stopping" }
  /** Loading again, after a device was lost, tells of its progress under the first load's id. */
  | { id: number; kind: "progress"; progress: Progress }
  | { id: number; kind: "event"; event: Event }
  /** The engine wants as many helpers as these are lines. */
  | { id: number; kind: "helpers"; lines: MessagePort[] }
  | { id: number; kind: "loaded"; description: Description }
  | { id: number; kind: "tokens"; tokens: Uint32Array }
  | { id: number; kind: "text"; text: string }
  | { id: number; kind: "counted"; count: number }
  | { id: number; kind: "exported"; session: Uint8Array<ArrayBuffer> }
  | { id: number; kind: "decided"; decisions: Decision[] }
  | { id: number; kind: "checked"; checked: Checked }
  | { id: number; kind: "figures"; figures: BenchFigures }
  /** The answer is complete, and this is what holds the model now. */
  | { id: number; kind: "end"; description: Description }
  | { id: number; kind: "error"; error: Failure };
