//! Files in the mixes of types that llama.cpp makes, by its own quantisers.

use std::path::Path;
use std::{env, fs};

use phi_wasm::layout::planes;
use phi_wasm::weights::Bits;
use phi_wasm::weights::source::DirSource;
use safetensors::SafeTensors;

use super::make::{floats, open, whole};

/// tests/golden/make/mixes.py writes one of each.
const MIXES: [&str; 7] = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"];

/// Weights are those of the package `gguf`, bit for bit, and take 1.04 times the file's bytes at
/// most.
#[test]
#[ignore = "reads files that the step `mixes` of `cargo xtask test` makes"]
fn mixes_keep_their_values_and_their_sizes() {
    let folder = env::var("PHI_MIXES").expect("PHI_MIXES names no folder; the step `mixes` does");
    for mix in MIXES {
        let at = |ending: &str| Path::new(&folder).join(format!("{mix}.{ending}"));
        let model = open(DirSource::open(at("gguf")).unwrap()).unwrap();
        let golden = fs::read(at("values.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let mut held = 0;
        for (name, shape) in model.config.matrices() {
            let panel = whole(&model, &name, shape, Bits::Four).unwrap();
            let expected = floats(&golden, &name).into_iter().map(f32::to_bits);
            let found = (0..shape[0]).flat_map(|row| panel.row(row)).map(f32::to_bits);
            assert!(found.eq(expected), "{mix}: {name} as {:?}", panel.kind);
            held += planes(panel.kind, shape[0], shape[1]).bytes();
        }
        let of_file: u64 = model
            .tensors()
            .filter(|tensor| tensor.shape.len() == 2)
            .map(|tensor| tensor.bytes)
            .sum();
        let share = held as f64 / of_file as f64;
        println!("{mix}: {share:.4} of the file's bytes");
        assert!(share <= 1.04, "{mix}: {share:.4}");
    }
}
