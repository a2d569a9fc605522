// Memory that was refused, however that shows: in an engine's module that ends, or in what a browser throws.

import type { PlainError } from "./errors.js";

/** A module and what it has, as far as it came. */
export interface Sized {
  /** Bytes that it was refused, if that is why it ended. */
  refusedBytes: () => number;
  memory: WebAssembly.Memory | undefined;
}

/** What browsers say in place of memory: V8, SpiderMonkey, which may throw a bare text, and JavaScriptCore. */
const REFUSALS = /out of memory|allocation (failed|size overflow)|could not allocate|invalid ((typed )?array|array buffer|string) length/i;

/** Whether something that was thrown says that there is no memory. */
export function saysNoMemory(error: unknown): boolean {
  return REFUSALS.test(saysOf(error));
}

/** The same of what opening a module throws: a memory that is too large to begin with is an error of the module, to some. */
export function givesModuleNoMemory(error: unknown): boolean {
  if (saysNoMemory(error) || error instanceof RangeError) return true;
  return (error instanceof WebAssembly.CompileError || error instanceof TypeError) && /memory/i.test(error.message);
}

/** What a fault is in truth: a module that asks for memory in vain ends with "unreachable". */
export function ofMemory(error: unknown, module: Sized | undefined): PlainError | undefined {
  const refused = bytesRefused(module);
  if (!refused && !saysNoMemory(error)) return undefined;
  const has = module?.memory?.buffer.byteLength;
  const needed = refused ? `${inWords(refused)} more are needed` : saysOf(error);
  const there = has ? `the engine's memory has ${inWords(has)}, and no more is to be had` : "there is no memory";
  return { code: "out-of-memory", message: `${there} (${needed}): load with a shorter context or a smaller model, or close other tabs` };
}

function bytesRefused(module: Sized | undefined): number {
  try {
    return module?.refusedBytes() ?? 0;
  } catch {
    return 0; // It has not begun.
  }
}

function saysOf(error: unknown): string {
  return typeof error === "string" ? error : String((error as Partial<Error> | undefined)?.message ?? error);
}

function inWords(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${bytes} bytes`;
}
