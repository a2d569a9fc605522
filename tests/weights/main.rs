//! Reading models: every format, every element type, and everything that can be wrong with a file.
#![allow(clippy::unwrap_used, missing_docs)]

mod blocks;
mod broken;
mod config;
mod converted;
mod make;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod mutated;
mod reading;
#[path = "../common/watched.rs"]
mod watched;
