//! phi-wasm: Phi-4-mini, whole, in a browser tab.

pub mod backend;
pub mod cpu;
pub mod error;
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
pub mod gpu;
pub mod model;
pub mod op;
pub mod text;
#[cfg(all(feature = "web", target_family = "wasm", target_os = "unknown"))]
pub mod web;
pub mod weights;

pub use error::{Code, Error, Result};
