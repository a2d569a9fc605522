//! What phi-wasm computes with, and must be fast: the seam between a model and what computes it,
//! the layout of weights with their quantiser, and the CPU's kernels. A package of its own because
//! the rest of a browser's module is compiled to be small.

pub mod backend;
pub mod cpu;
pub mod error;
pub mod layout;
pub mod op;
pub mod profile;
