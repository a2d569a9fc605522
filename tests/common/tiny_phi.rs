//! What transformers computed, the small random model that it computed it with, and a greedy loop.

use phi_wasm::backend::Backend;
use phi_wasm::engine::Engine;
use phi_wasm::weights::checkpoint::Bits;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::layout::Kind;
use phi_wasm::weights::panel::Panel;
use phi_wasm::weights::source::MemorySource;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// Tensors of a golden file.
pub struct Golden(SafeTensors<'static>);

impl Golden {
    pub fn tiny_phi() -> Golden {
        Golden(SafeTensors::deserialize(include_bytes!("../golden/tiny-phi/golden.safetensors")).unwrap())
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        let tensor = self.0.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::I32);
        tensor.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as u32).collect()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.0.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

const CONFIG: &[u8] = include_bytes!("../golden/tiny-phi/config.json");
const WEIGHTS: &[u8] = include_bytes!("../golden/tiny-phi/model.safetensors");

/// The small random model, in memory.
pub fn tiny_phi() -> MemorySource {
    MemorySource::directory([("config.json", CONFIG.to_vec()), ("model.safetensors", WEIGHTS.to_vec())])
}

/// The same model whose matrices hold, in f32, exactly what they are worth when packed.
pub async fn with_dequantised_weights(source: MemorySource, bits: Bits) -> MemorySource {
    let checkpoint = Checkpoint::open(source).await.unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (name, shape) in checkpoint.config.matrices() {
        let mut values = Vec::new();
        let mut take = |_: usize, panel: Panel| {
            assert_ne!(panel.kind, Kind::F32);
            (0..panel.rows).for_each(|row| values.extend(panel.row(row)));
            Ok(())
        };
        checkpoint.panels(&name, shape, bits, &mut take).await.unwrap();
        tensors.push((name, shape.to_vec(), values));
    }
    for (name, len) in checkpoint.config.vectors() {
        let values = checkpoint.vector(&name, len).await.unwrap();
        tensors.push((name, vec![len], values));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, values)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    MemorySource::directory([("config.json", CONFIG.to_vec()), ("model.safetensors", file)])
}

/// Greedy continuation of what the engine has planned: at most `count` ids, ending before one of `stop`.
pub async fn greedy<B: Backend>(engine: &mut Engine<B>, count: usize, stop: &[u32]) -> Vec<u32> {
    let mut answer = Vec::new();
    while answer.len() < count {
        let logits = engine.logits().await.unwrap();
        // The first of equal logits, as torch's argmax on the CPU.
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a))).unwrap() as u32;
        answer.push(best);
        if stop.contains(&best) {
            break;
        }
        engine.push(best).unwrap();
    }
    answer
}

/// The largest absolute difference; NaN where there is one.
pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "different lengths");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| if d.is_nan() || worst.is_nan() { f32::NAN } else { d.max(worst) })
}
