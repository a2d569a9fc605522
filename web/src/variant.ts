// Which of the four wasm modules this browser runs: threads where memory can be shared, relaxed
// SIMD where the engine knows it.

/** The worst first. */
export const VARIANTS = ["simd", "relaxed", "threads", "threads-relaxed"] as const;
export type Variant = (typeof VARIANTS)[number];
/** All wasm modules: the engine's, and what holds answers to forms. */
export type Module = Variant | "grammars";

/** A module with one function of no parameters and this body, and perhaps a shared memory. */
function wasm(body: number[], memory: number[] = []): Uint8Array<ArrayBuffer> {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const oneFunction = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
  return new Uint8Array([
    ...header,
    ...oneFunction,
    ...memory,
    10,
    body.length + 4,
    1,
    body.length + 2,
    0,
    ...body,
    0x0b,
  ]);
}

/**
 * `i32x4.relaxed_dot_i8x16_i7x16_add_s` of three vectors of zeros: what our relaxed kernels are
 * made of.
 */
function hasRelaxedSimd(): boolean {
  const zeros = [0x41, 0, 0xfd, 0x0f];
  return WebAssembly.validate(wasm([...zeros, ...zeros, ...zeros, 0xfd, 0x93, 2, 0x1a]));
}

/**
 * `atomic.fence` beside a shared memory, on a page that may share it; futures of Rust sleep by
 * `Atomics.waitAsync`.
 */
function hasThreads(): boolean {
  return (
    self.crossOriginIsolated &&
    "waitAsync" in Atomics &&
    WebAssembly.validate(wasm([0xfe, 3, 0], [5, 4, 1, 3, 1, 1]))
  );
}

/** The best that there is. */
export function pick(): Variant {
  const [relaxed, threads] = [hasRelaxedSimd(), hasThreads()];
  const runs = { simd: true, relaxed, threads, "threads-relaxed": threads && relaxed };
  return VARIANTS.findLast((variant) => runs[variant]) ?? "simd";
}

/** For a device that has no room for shared memory after all. */
export function withoutThreads(variant: Variant): Variant {
  return variant.endsWith("relaxed") ? "relaxed" : "simd";
}
