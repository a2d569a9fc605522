// Where the package's files lie, written so that bundlers find them: literally, and in one
// expression.

import type { Module } from "./variant.js";

/** A worker from the package's own script. */
export function startScript(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "phi" });
}

export const MODULES: Record<Module, () => URL> = {
  simd: () => new URL("../../pkg/simd/phi_wasm_bg.wasm", import.meta.url),
  relaxed: () => new URL("../../pkg/relaxed/phi_wasm_bg.wasm", import.meta.url),
  threads: () => new URL("../../pkg/threads/phi_wasm_bg.wasm", import.meta.url),
  "threads-relaxed": () => new URL("../../pkg/threads-relaxed/phi_wasm_bg.wasm", import.meta.url),
  grammars: () => new URL("../../pkg/grammars/phi_grammars_bg.wasm", import.meta.url),
};
