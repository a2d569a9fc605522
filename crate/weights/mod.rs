//! What a model is made of, and where its bytes come from.

pub mod checkpoint;
pub mod config;
pub mod directory;
pub(crate) mod filler;
pub mod fingerprint;
pub mod format;
pub mod gguf;
mod journal;
pub mod left;
pub mod load;
pub(crate) mod mix;
pub(crate) mod names;
pub(crate) mod panels;
pub(crate) mod plan;
mod safetensors;
pub mod source;
pub mod spec;
pub mod store;
pub mod tensor;
pub mod write;

pub use checkpoint::{Checkpoint, TextFiles};
pub use config::{Config, RopeScaling};
pub use format::{Bits, WeightFormat};
pub use source::{DirSource, MemorySource, Source};
