//! Every kernel of every backend against the oracle, by one table of cases.
#![allow(clippy::unwrap_used)]

mod cases;
mod cpu;
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
mod draws;
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
mod gpu;
mod host;
mod oracle;
mod runner;

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

tests_run_in_worker!();
