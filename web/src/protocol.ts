// What the page and the worker say to each other. One request has one id; its replies carry the same.

import type { BenchFigures, Code, Description, Event, GenerateOptions, LoadOptions, Message, Progress } from "./types.js";
import type { Variant } from "./variant.js";

export type Request =
  | { id: number; kind: "load"; options: LoadOptions; variant: Variant }
  | { id: number; kind: "chat"; messages: Message[]; options: GenerateOptions }
  | { id: number; kind: "complete"; prompt: string; options: GenerateOptions }
  | { id: number; kind: "bench"; promptTokens: number; generateTokens: number }
  /** `id` is the request that shall stop. */
  | { id: number; kind: "stop" }
  /** `id` is the load that asked for helpers: they are ready, or this is why not. */
  | { id: number; kind: "helpers"; failure?: string };

/** Instead of a request: the worker becomes a helper of the engine that has this module and memory, and takes no further message. */
export interface Help {
  kind: "help";
  variant: Variant;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

export type FromHelper = { kind: "ready" } | { kind: "failed"; message: string };

/** An error in a form that survives the way between threads. */
export interface PlainError {
  code: Code;
  message: string;
}

export type Reply =
  /** Loading again, after a device was lost, tells of its progress under the first load's id. */
  | { id: number; kind: "progress"; progress: Progress }
  | { id: number; kind: "event"; event: Event }
  /** The engine wants `count` helpers. */
  | { id: number; kind: "helpers"; count: number; help: Help }
  | { id: number; kind: "loaded"; description: Description }
  | { id: number; kind: "figures"; figures: BenchFigures }
  /** The answer is complete, and this is what holds the model now. */
  | { id: number; kind: "end"; description: Description }
  | { id: number; kind: "error"; error: PlainError };
