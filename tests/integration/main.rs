//! All integration tests but one in one binary. What runs on a host is what can differ there:
//! natively everything, under WASI what needs neither a GPU nor other processes, in browsers the
//! engine and its GPU. The rest would be the same WebAssembly as under WASI.
//!
//! What a fresh clone on a fresh machine lacks is behind features: `gpu-tests` and
//! `real-model-tests`. `cargo xtask test` sets both.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[macro_use]
mod common;

mod golden;
mod kernels;

// In browsers, which are the wasm32-unknown-unknown of these tests, not.
#[cfg(not(target_os = "unknown"))]
mod convert;
#[cfg(not(target_os = "unknown"))]
mod engine;
#[cfg(all(feature = "cli", not(target_os = "unknown")))]
mod eval;
#[cfg(not(target_os = "unknown"))]
mod model_cache;
#[cfg(not(target_os = "unknown"))]
mod prefixes;
#[cfg(not(target_os = "unknown"))]
mod quant;
#[cfg(not(target_os = "unknown"))]
mod stored;
#[cfg(not(target_os = "unknown"))]
mod text;
#[cfg(not(target_os = "unknown"))]
mod weights;

#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod bench;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod calibrate;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod chat;
#[cfg(not(target_family = "wasm"))]
mod circles;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod cli;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod constraint;
#[cfg(not(target_family = "wasm"))]
mod house;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod kept_prefixes;
#[cfg(not(target_family = "wasm"))]
mod layering;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod log_probs;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod prefix_cache;
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
mod profile;
#[cfg(all(feature = "real-model-tests", not(target_family = "wasm")))]
mod real_model;
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
mod resilient;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
mod shaders;
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
mod tuning;
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
mod verdict;

tests_run_in_worker!();
