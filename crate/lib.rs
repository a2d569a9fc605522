//! phi-wasm: Phi-4-mini and its relatives, whole, on the user's own device.
//!
//! Reading order: [`op`] and [`backend`] are the seam, [`weights`] what a model is made of and how
//! it streams, [`model`] the forward pass, [`engine`] token ids in and logits out, [`text`] words,
//! [`session`] messages in and text out. [`cpu`] and `gpu` compute. `crate/ARCHITECTURE.md` has the
//! picture.

pub mod bench;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
pub mod calibrate;
#[cfg_attr(
    all(feature = "browser-clock", target_family = "wasm", target_os = "unknown"),
    path = "web/clock.rs"
)]
mod clock;
pub mod convert;
pub mod engine;
#[cfg(feature = "cli")]
pub mod eval;
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
pub mod gpu;
pub mod json;
pub mod model;
pub mod model_cache;
pub mod openai;
pub mod prefix_cache;
pub mod random;
pub mod session;
pub mod text;
pub mod text_assets;
mod timing;
#[cfg(test)]
mod typescript;
#[cfg(all(feature = "web", target_family = "wasm", target_os = "unknown"))]
pub mod web;
pub mod weights;
pub mod wire;

pub use error::{Code, Error, Result};
pub use phi_wasm_core::{backend, cpu, error, layout, op, profile};
