// The engine's own types are declared beside the Rust code that makes the values (crate/web/types.ts) and arrive with the
// generated bindings; this adds what only the page's side has.

export type {
  Backend,
  BenchFigures,
  Code,
  Description,
  Event,
  GenerateOptions,
  LoadOptions,
  Message,
  Progress,
  Sampling,
  Stats,
} from "../../pkg/simd/phi_wasm.js";

import type { Code } from "../../pkg/simd/phi_wasm.js";

/** What every call of this package throws: a sentence for people and a stable code for programs. */
export class PhiError extends Error {
  override readonly name = "PhiError";

  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }
}
