//! phi-wasm as a browser's module. A package of its own because the linker optimises by the level
//! of the package that it links: this one has the kernels', and `phi-wasm` is compiled to be small.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use phi_wasm::web::*;
