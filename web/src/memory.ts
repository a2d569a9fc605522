// Memory that was refused, however that shows: in an engine's module that ends, or in what a
// browser throws.

import type { PlainError } from "./errors.js";

/** What a module exports for it. */
export interface Sized {
  /** Bytes that it was refused, if that is why it ended, as a number with a sign. */
  refusedBytes: () => number;
  memory: WebAssembly.Memory;
}

/**
 * What browsers say in place of memory: V8, SpiderMonkey, which may throw a bare text, and
 * JavaScriptCore.
 */
const REFUSALS = new RegExp(
  "out of memory|allocation (failed|size overflow)|could not allocate|" +
    "invalid ((typed )?array|array buffer|string) length",
  "i",
);

/** Whether something that was thrown says that there is no memory. */
export function saysNoMemory(error: unknown): boolean {
  return REFUSALS.test(saysOf(error));
}

/**
 * Whether what a module throws that begins says that there is no memory: some call a memory that is
 * too large a fault of it, and all that it does then is to take memory.
 */
export function givesModuleNoMemory(error: unknown): boolean {
  if (
    saysNoMemory(error) ||
    error instanceof RangeError ||
    error instanceof WebAssembly.RuntimeError
  )
    return true;
  return (
    (error instanceof WebAssembly.CompileError || error instanceof TypeError) &&
    /memory/i.test(error.message)
  );
}

/** What a fault is in truth: a module that asks for memory in vain ends with "unreachable". */
export function ofMemory(error: unknown, module: Sized | undefined): PlainError | undefined {
  const refused = (module?.refusedBytes() ?? 0) >>> 0;
  return refused || saysNoMemory(error)
    ? noMemory(module?.memory, refused || saysOf(error))
    : undefined;
}

/** An engine with this memory needs so many bytes more, or whatever a browser says. */
export function noMemory(
  memory: WebAssembly.Memory | undefined,
  needed: number | string,
): PlainError {
  const there = memory
    ? `the engine's memory has ${inWords(memory.buffer.byteLength)}, and no more is to be had`
    : "there is no memory";
  const why = typeof needed === "number" ? `${inWords(needed)} more are needed` : needed;
  const advice = "load with a shorter context or a smaller model, or close other tabs";
  return { code: "out-of-memory", message: `${there} (${why}): ${advice}` };
}

function saysOf(error: unknown): string {
  return typeof error === "string"
    ? error
    : String((error as Partial<Error> | undefined)?.message ?? error);
}

function inWords(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${bytes} bytes`;
}
