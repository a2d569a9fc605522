//! The transformer, written once and run by every backend.
//!
//! Reading order: [`forward`] is the forward pass as a story, [`transformer`] whose weights it
//! takes, [`rope`] the angles that it rotates by, [`kv`] what it remembers, [`pages`] which
//! of it is whose. Which tensors there are
//! is told in [`crate::weights::spec`].

pub mod forward;
pub mod kv;
mod layer;
pub mod pages;
pub mod rope;
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
pub mod single;
pub mod transformer;

pub use transformer::Transformer;
