// What the page and the worker say to each other. One request has one id; its replies carry the same.

import type { BenchFigures, Code, Description, Event, GenerateOptions, LoadOptions, Message, Progress } from "./types.js";

export type Request =
  | { id: number; kind: "load"; options: LoadOptions }
  | { id: number; kind: "chat"; messages: Message[]; options: GenerateOptions }
  | { id: number; kind: "complete"; prompt: string; options: GenerateOptions }
  | { id: number; kind: "bench"; promptTokens: number; generateTokens: number }
  /** `id` is the request that shall stop. */
  | { id: number; kind: "stop" };

/** An error in a form that survives the way between threads. */
export interface PlainError {
  code: Code;
  message: string;
}

export type Reply =
  | { id: number; kind: "progress"; progress: Progress }
  | { id: number; kind: "event"; event: Event }
  | { id: number; kind: "loaded"; description: Description }
  | { id: number; kind: "figures"; figures: BenchFigures }
  | { id: number; kind: "end" }
  | { id: number; kind: "error"; error: PlainError };
