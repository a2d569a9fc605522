//! Reading models: every format, every element type, and everything that can be wrong with a file.

mod blocks;
mod broken;
mod config;
mod converted;
mod families;
mod leftovers;
mod make;
mod mixes;
mod mutated;
mod reading;
