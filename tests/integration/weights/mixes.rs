//! Files in the mixes of types that llama.cpp makes, by its own quantisers.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use phi_wasm::weights::source::DirSource;
use phi_wasm::weights::store::chunk_hash;
use phi_wasm::weights::{Bits, WeightFormat};

use super::make::{bands, open};

/// tests/golden/make/mixes.py writes one of each.
const MODELS: [&str; 3] = ["fused", "split", "smollm2"];
const MIXES: [&str; 7] = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"];

/// Weights are those of the package `gguf`, bit for bit, and take 1.04 times the file's bytes at
/// most.
#[test]
#[ignore = "reads files that the step `mixes` of `cargo xtask test` makes"]
fn mixes_keep_their_values_and_their_sizes() {
    let folder = env::var("PHI_MIXES").expect("PHI_MIXES names no folder; the step `mixes` does");
    let files = MODELS.map(|model| MIXES.map(|mix| format!("{model}-{mix}")));
    for file in files.iter().flatten() {
        let at = |ending: &str| Path::new(&folder).join(format!("{file}.{ending}"));
        let model = open(DirSource::open(at("gguf")).unwrap()).unwrap();
        let hashes: BTreeMap<String, String> =
            serde_json::from_slice(&fs::read(at("json")).unwrap()).unwrap();
        for (name, shape) in model.config.matrices() {
            let held = bands(&model, &name, shape, Bits::Four).unwrap();
            let rows = held.iter().flat_map(|panel| (0..panel.rows).map(|row| panel.row(row)));
            let values: Vec<f32> = rows.flatten().collect();
            let kinds: Vec<_> = held.iter().map(|panel| panel.kind).collect();
            let found = chunk_hash(bytemuck::cast_slice(&values));
            assert_eq!(found, hashes[&name], "{file}: {name} as {kinds:?}");
        }
        let share = model.held_bytes(WeightFormat::from(Bits::Four)) as f64
            / model.tensors().map(|tensor| tensor.bytes).sum::<u64>() as f64;
        println!("{file}: {share:.4} of the file's bytes");
        assert!(share <= 1.04, "{file}: {share:.4}");
    }
}
