// What callers give and get, but for OpenAI's shapes (openai.ts). The engine's own types are
// written from its Rust types (crate/web/types.ts) and arrive with the generated bindings.

import type { Backend, Progress as EngineProgress } from "../../pkg/simd/phi_wasm.js";
import type { PhiError } from "./errors.js";
import type { StoredModel } from "./storage/index.js";
import type { Module, Variant } from "./variant.js";

export type {
  Backend,
  BenchFigures,
  Checked,
  DecideRequest,
  Decision,
  Description,
  Score,
  Stats,
} from "../../pkg/simd/phi_wasm.js";

export interface LoadOptions {
  /**
   * Where the model is: the address of a converted model's folder, of a Hugging Face repository
   * ("https://huggingface.co/org/name", perhaps "/tree/branch") or of a GGUF file, split or not; or
   * files that the user picked, or the handle of a folder or file, perhaps an archive that
   * `Phi.exportModel` gave; or one of those that `Phi.listModels` tells of.
   */
  model: string | Blob | File[] | FileSystemDirectoryHandle | FileSystemFileHandle | StoredModel;
  /**
   * "auto" takes the GPU where there is one that computes rightly and is no slower than the CPU,
   * and says so where it cannot.
   */
  backend?: Backend;
  /**
   * Tokens of a conversation to have room for; the model's own number, at most 4096, unless said
   * otherwise.
   */
  contextLength?: number;
  /**
   * How weights that come unquantised are held: 4, 5, 8, 16, 32 or an average from 2.5 to 8 with at
   * most two decimals, like 3.5 or 5.25; 4 unless said otherwise.
   */
  bits?: number;
  /**
   * How keys and values are held: in 8 bits, or f32 with 32-bit weights, unless said otherwise.
   * int4 takes half the memory again and loses more of what was read long ago.
   */
  kv?: "int8" | "int4" | "f16" | "f32";
  /**
   * Threads of the CPU; as many as the device has, up to 16, unless said otherwise. More than one
   * needs a cross-origin isolated page.
   */
  threads?: number;
  /** Which wasm module computes; the best that the browser runs, unless said otherwise. */
  variant?: Variant;
  /** "none": the model is streamed and not kept. */
  storage?: "auto" | "none";
  /**
   * Whether what is read of prompts outlives the page, in at most `maxBytes`, 1 GB unless said
   * otherwise: a prompt that begins like an earlier one is then read from there on. It tells what
   * was said, so it is off unless asked for; `Phi.deletePrefixes` deletes it, and so does
   * `Phi.deleteModel`. It needs a model that is kept.
   */
  cache?: { persist?: boolean; maxBytes?: number };
  /**
   * Times again which kernels are fastest on this GPU, and whether the CPU is faster; otherwise
   * that is done once for each GPU, browser and version of the engine.
   */
  retune?: boolean;
  /**
   * Whether "auto" measures a GPU that is a program on the CPU, too, as test machines have;
   * otherwise it takes the CPU.
   */
  softwareGpu?: boolean;
  /**
   * Of Hugging Face, for repositories that are not for everyone; sent to it alone, and kept
   * nowhere.
   */
  token?: string;
  /** Sent along with the requests for the model's files, to the server of its address alone. */
  headers?: Record<string, string>;
  /** Hears how far loading has come; also when a lost device makes the model load again. */
  onProgress?: (progress: Progress) => void;
  /**
   * Hears, in a sentence, what is not as one would expect: why the CPU computes, or which module
   * had to do.
   */
  onNotice?: (sentence: string) => void;
  /**
   * Hears that the engine of a loaded model has ended by itself, and why; what it was doing
   * rejects, and so does what it is asked later, until the model is loaded again. That happens by
   * itself where the engine did not stop when it was told to and the model is at hand: then `again`
   * resolves once it is there, and questions wait for it.
   */
  onFailure?: (error: PhiError, again?: Promise<void>) => void;
  /**
   * Pauses: loading rejects with "cancelled", what was stored stays, and loading again goes on from
   * there.
   */
  signal?: AbortSignal;
  /**
   * Where the package's worker.js lies, if bundler and server keep it where the package cannot find
   * it, or a policy forbids the rest.
   */
  workerUrl?: string | URL;
  /**
   * Where a wasm module lies, likewise: that of a variant, or "grammars", which holds answers to
   * forms.
   */
  wasmUrl?: (module: Module) => string | URL;
}

/** Bytes of the model. */
export interface Progress extends EngineProgress {
  /** Of the last seconds; missing until there is something to go by. */
  bytesPerSecond?: number;
  secondsLeft?: number;
}

/** For checking a stored model. */
export interface CheckOptions {
  onProgress?: (progress: Progress) => void;
  /** As for loading. */
  token?: string;
  headers?: Record<string, string>;
  /** Gives up; what was repaired stays repaired. */
  signal?: AbortSignal;
  /** As for loading. */
  workerUrl?: string | URL;
  wasmUrl?: (module: Module) => string | URL;
}

/** How a conversation is rendered for the model. */
export interface PromptOptions {
  /** Descriptions of tools, as the chat template wants them: mostly in OpenAI's shape. */
  tools?: object[];
  /** Whether the beginning of the model's answer comes last: yes, unless said otherwise. */
  addGenerationPrompt?: boolean;
  /** End within the last message, the assistant's. */
  continueFinal?: boolean;
}

export interface CallOptions {
  /** Ends the answer after the step that is being computed, also while the prompt is being read. */
  signal?: AbortSignal;
  /** Hears how many of the prompt's tokens have been read. */
  onPrefill?: (done: number, total: number) => void;
  /** Hears when what computes changes while the answer goes on, and why. */
  onNotice?: (sentence: string) => void;
}
