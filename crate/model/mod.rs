//! The transformer, written once and run by every backend.
//!
//! Reading order: [`phi`] is the forward pass as a story, [`rope`] the angles that it rotates by, [`kv`] what it remembers.

pub mod kv;
pub mod phi;
pub mod rope;
