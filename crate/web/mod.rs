//! The engine in a browser: its JavaScript face, and where a browser's bytes come from. The only
//! part that names JavaScript.

pub mod face;
pub mod files;
mod grammars;
#[cfg_attr(not(target_feature = "atomics"), path = "no_helpers.rs")]
pub mod helpers;
pub mod http;
mod js;
mod js_types;
mod json;
mod model_cache;
mod page;
mod pages;
mod pipelines;
mod progress;
pub mod refused;
mod rivals;
mod source;
pub mod storage;
pub mod subgroups;
