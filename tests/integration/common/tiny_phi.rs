//! What transformers computed, and the small random model that it computed it with.

use phi_wasm::weights::source::MemorySource;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// Tensors of a golden file.
pub struct Golden(SafeTensors<'static>);

impl Golden {
    pub fn tiny_phi() -> Golden {
        Golden(SafeTensors::deserialize(include_bytes!("../../golden/tiny-phi/golden.safetensors")).unwrap())
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.bytes(name, Dtype::I32).chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as u32).collect()
    }

    /// The bytes of a tensor of a known type.
    pub fn bytes(&self, name: &str, dtype: Dtype) -> Vec<u8> {
        let tensor = self.0.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype);
        tensor.data().to_vec()
    }
}

pub const CONFIG: &[u8] = include_bytes!("../../golden/tiny-phi/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../golden/tiny-phi/model.safetensors");

/// The small random model, in memory.
pub fn tiny_phi() -> MemorySource {
    MemorySource::directory([("config.json", CONFIG.to_vec()), ("model.safetensors", WEIGHTS.to_vec())])
}
