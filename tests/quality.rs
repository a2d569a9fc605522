//! What a weight's bits cost, on a ground that is fair to quantisers: SmolLM2 with its norms folded and its residual stream rotated
//! (`golden/quant/rotate.py`), so that its f16 weights lie on no quantiser's lattice. It computes what the original computes.
//!
//! `cargo xtask test` makes the model and says where it is in `PHI_ROTATED`.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

/// Perplexity over 16 windows of 512 tokens, as `phi perplexity` prints it.
fn perplexity(bits: &str) -> f64 {
    let model = std::env::var("PHI_ROTATED").expect("PHI_ROTATED names no model; `cargo xtask test` makes it and sets the variable");
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quant/text.txt");
    let output = Command::new(env!("CARGO_BIN_EXE_phi"))
        .args(["perplexity", "--backend", "cpu", "--window", "512", "--bits", bits, "--model", &model])
        .arg(text)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    print!("{bits} bits: {told}");
    told.split(' ').nth(1).unwrap().parse().unwrap()
}

/// f16 gives 15.365; llama.cpp's q8_0 15.40, q4_1 (5 bits a weight) 20.18, q4_0 (4.5) 26.81.
#[test]
fn four_and_eight_bits_cost_less_than_others() {
    let eight = perplexity("8");
    assert!(eight <= 15.45, "8-bit groups: {eight}");
    let five = perplexity("5");
    assert!(five < 20.18, "4-bit groups, offsets in the down projections, 8 bits for queries, keys and values: {five}");
    let four = perplexity("4");
    assert!(four < 26.8, "4-bit groups: {four}");
}
