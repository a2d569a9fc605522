// What every call of this package throws: a sentence for people and a stable code for programs.

import type { Code as EngineCode } from "../../pkg/simd/phi_wasm.js";
import { ofMemory, type Sized } from "./memory.js";
import type { ChatMessage } from "./openai.js";

/** What goes wrong: the engine's codes, those of starting it at all, and that of running tools. */
export type Code = EngineCode | "no-browser" | "no-worker" | "max-rounds";

/** An error in a form that survives the way between threads. */
export interface PlainError {
  code: Code;
  message: string;
  /** With "storage-full": the bytes that are missing. */
  missing?: number;
  /** With "out-of-memory": the longest context that has room. */
  contextLength?: number;
}

/**
 * The base of all, and the class of those that belong to no group: "cancelled", "no-browser",
 * "no-worker", "internal".
 */
export class PhiError extends Error {
  override readonly name: string = "PhiError";

  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }
}

/** The browser's storage is full, was cleared, is held by another tab, or cannot be read. */
export class StorageError extends PhiError {
  override readonly name = "StorageError";

  constructor(
    code: Code,
    message: string,
    /** With "storage-full": the bytes that are missing. */
    readonly missing?: number,
  ) {
    super(code, message);
  }
}

/** The device, or the browser, has no memory for a model and its context. */
export class MemoryError extends PhiError {
  override readonly name = "MemoryError";

  constructor(
    code: Code,
    message: string,
    /** The longest context that there is room for, 0 where there is none, if that is known. */
    readonly contextLength?: number,
  ) {
    super(code, message);
  }
}

/** The model's server cannot be reached, or does not give what was asked for. */
export class NetworkError extends PhiError {
  override readonly name = "NetworkError";
}

/** The files are no model that the engine can run. */
export class ModelError extends PhiError {
  override readonly name = "ModelError";
}

/** There is no GPU, or it fails. */
export class GpuError extends PhiError {
  override readonly name = "GpuError";
}

/** What was asked for cannot be: an option, a prompt, a token. */
export class InputError extends PhiError {
  override readonly name = "InputError";
}

/** The model called functions again and again, and came to no answer. */
export class RoundsError extends PhiError {
  override readonly name = "RoundsError";

  constructor(
    rounds: number,
    /** All that joined the conversation, which can go on from there. */
    readonly messages: ChatMessage[],
  ) {
    super(
      "max-rounds",
      `the model called functions in each of ${rounds} rounds and gave no answer: ask with a ` +
        "larger maxRounds, or go on from the error's messages",
    );
  }
}

const CLASSES: Record<Code, typeof PhiError> = {
  "storage-full": StorageError,
  "storage-lost": StorageError,
  "in-use": StorageError,
  io: StorageError,
  network: NetworkError,
  "not-found": NetworkError,
  "not-a-model": ModelError,
  truncated: ModelError,
  malformed: ModelError,
  corrupt: ModelError,
  "unsupported-architecture": ModelError,
  "unsupported-tensor": ModelError,
  "missing-tensor": ModelError,
  "wrong-shape": ModelError,
  "bad-config": ModelError,
  "bad-tokenizer": ModelError,
  "bad-template": ModelError,
  "no-gpu": GpuError,
  "gpu-failed": GpuError,
  "gpu-lost": GpuError,
  "prompt-too-long": InputError,
  "context-full": InputError,
  "bad-token": InputError,
  "bad-option": InputError,
  "bad-constraint": InputError,
  "out-of-memory": MemoryError,
  cancelled: PhiError,
  internal: PhiError,
  "no-browser": PhiError,
  "no-worker": PhiError,
  "max-rounds": PhiError,
};

/** The error of the class that its code belongs to. */
export function phiError({ code, message, missing, contextLength }: PlainError): PhiError {
  if (code === "out-of-memory") return new MemoryError(code, message, contextLength);
  if (missing !== undefined) return new StorageError(code, message, missing);
  return new (CLASSES[code] ?? PhiError)(code, message);
}

/** Whether an error is told with a code of ours. The browser's own have numbers for codes. */
export function isTold(error: unknown): error is PlainError {
  const { code, message } = (error ?? {}) as Partial<PlainError>;
  return typeof code === "string" && !!message;
}

/**
 * Of anything that was thrown: the engine's and storage's errors carry a code; all else is a fault
 * of ours, or of the browser's.
 */
export function plain(error: unknown): PlainError {
  if (!isTold(error)) return faultOf(error, undefined);
  const { code, message, missing, contextLength } = error;
  return {
    code,
    message,
    ...(missing !== undefined && { missing }),
    ...(contextLength !== undefined && { contextLength }),
  };
}

/** Of what ended a module, or anything else of a browser's. */
export function faultOf(error: unknown, module: Sized | undefined): PlainError {
  const why = (error as Partial<Error> | undefined)?.message ?? String(error);
  return (
    ofMemory(error, module) ?? {
      code: "internal",
      message: `the engine stopped unexpectedly (${why}): load the model again`,
    }
  );
}

/** Of anything that was thrown, what this package throws. */
export function asPhiError(error: unknown): PhiError {
  return error instanceof PhiError ? error : phiError(plain(error));
}

export function cancelled(what: string): PhiError {
  return new PhiError("cancelled", `${what} was cancelled`);
}
