//! Every kernel of every backend against the oracle, by one table of cases.

mod cases;
// In browsers it is the same WebAssembly as under WASI.
#[cfg(not(target_os = "unknown"))]
mod cpu;
#[cfg(any(target_os = "unknown", all(feature = "gpu-tests", not(target_family = "wasm"))))]
mod gpu;
mod host;
mod make;
mod oracle;
mod runner;
#[cfg(any(target_os = "unknown", all(feature = "gpu-tests", not(target_family = "wasm"))))]
mod sampling;
mod sealing;
mod weights;

#[cfg(not(target_os = "unknown"))]
pub use make::Noise;
