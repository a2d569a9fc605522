//! Directories that earlier versions converted, each with the logits that they computed:
//! `tests/stored`, see make.mjs there.

use std::fs;
use std::path::Path;

use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::op::KvKind;
use phi_wasm::weights::{Bits, Checkpoint, DirSource};
use pollster::block_on;
use safetensors::SafeTensors;

const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored");
/// What make.mjs gave them.
const IDS: [u32; 7] = [1, 5, 9, 2, 17, 30, 4];
/// Kernels may add up in another order.
const TOLERANCE: f32 = 1e-4;

#[test]
fn what_an_earlier_version_converted_computes_what_it_did() {
    for bits in [4, 5, 8, 16, 32] {
        let model = Path::new(STORED).join(format!("6ae0297/llama-{bits}"));
        let found = logits(&model);
        let bytes = fs::read(model.with_extension("safetensors")).unwrap();
        let expected =
            SafeTensors::deserialize(&bytes).unwrap().tensor("logits").unwrap().data().to_vec();
        let expected: Vec<f32> = expected
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes(value.try_into().unwrap()))
            .collect();
        assert_eq!(found.len(), expected.len());
        let difference = found
            .iter()
            .zip(&expected)
            .map(|(found, expected)| (found - expected).abs())
            .fold(0.0, f32::max);
        assert!(difference <= TOLERANCE, "{bits} bits: logits differ by {difference}");
    }
}

/// Of every position.
fn logits(model: &Path) -> Vec<f32> {
    let options =
        EngineOptions { format: Bits::Four.into(), ctx_len: Some(64), kv: Some(KvKind::F32) };
    let mut all = Vec::new();
    block_on(async {
        let checkpoint = Checkpoint::open(DirSource::open(model)?).await?;
        let mut engine =
            Engine::load(&checkpoint, Cpu::new(CpuOptions::default())?, &options, &mut |_| {})
                .await?;
        let mut sequence = engine.sequence(None)?;
        engine.plan(&mut sequence, &IDS)?;
        while sequence.pending() > 0 {
            engine.advance(&mut sequence).await?;
            engine.chunk_logits(&sequence, &mut |_, row| all.extend_from_slice(row)).await?;
        }
        phi_wasm::Result::Ok(())
    })
    .unwrap();
    all
}
