//! Tests of real models, which `cargo xtask test` fetches and makes. It says in variables where
//! they are.

mod cli;
mod eval;
mod needle;
mod quality;
mod qwen;
mod smollm2;

/// SmolLM2-135M-Instruct, a GGUF file of 4.5 bits a weight.
fn smollm2() -> String {
    std::env::var("PHI_SMOLLM2")
        .expect("PHI_SMOLLM2 names no model; `cargo xtask test` fetches it and sets the variable")
}

/// The model in f16, its norms folded and its residual stream rotated.
fn rotated() -> String {
    std::env::var("PHI_ROTATED")
        .expect("PHI_ROTATED names no model; `cargo xtask test` makes it and sets the variable")
}
