//! What transformers computed, and the small random model that it computed it with.

#[cfg(all(feature = "cli", not(target_family = "wasm")))]
use phi_wasm::text::{Tokenizer, Vocabulary};
use phi_wasm::weights::source::MemorySource;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// Tensors of a golden file.
pub struct Golden(SafeTensors<'static>);

impl Golden {
    pub fn tiny_phi() -> Golden {
        Golden(
            SafeTensors::deserialize(include_bytes!("../../golden/tiny-phi/golden.safetensors"))
                .unwrap(),
        )
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.bytes(name, Dtype::I32)
            .chunks_exact(4)
            .map(|b| i32::from_le_bytes(b.try_into().unwrap()) as u32)
            .collect()
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
    MemorySource::directory([
        ("config.json", CONFIG.to_vec()),
        ("model.safetensors", WEIGHTS.to_vec()),
    ])
}

/// A byte-level tokenizer that joins nothing, of tokens as its files write them.
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
pub fn byte_level(tokens: Vec<String>, is_control: impl Fn(usize) -> bool) -> Tokenizer {
    let token_types = (0..tokens.len()).map(|id| if is_control(id) { 3 } else { 1 }).collect();
    let vocabulary = Vocabulary {
        model: "gpt2".into(),
        pre: "gpt-2".into(),
        tokens,
        token_types,
        ..Vocabulary::default()
    };
    Tokenizer::from_vocabulary(vocabulary).unwrap()
}

/// The small random model with words: an ASCII character is a token, and all others are made up.
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
pub fn tiny_chat() -> MemorySource {
    const SPECIAL: [&str; 3] = ["<|pad|>", "<|s|>", "<|e|>"];
    // Byte-level vocabularies write what cannot be seen as characters from U+0100 on: a space is
    // U+0120.
    let ascii = (0..127).map(|byte| {
        char::from_u32(if byte <= 32 { 256 + byte } else { byte }).unwrap().to_string()
    });
    let words = (130..384).map(|id| format!("\u{120}word{id}"));
    let tokens: Vec<String> =
        SPECIAL.map(str::to_owned).into_iter().chain(ascii).chain(words).collect();
    let tokenizer = byte_level(tokens, |id| id < SPECIAL.len());
    let template =
        r#"{"chat_template": "{% for message in messages %}{{ message.content }}\n{% endfor %}"}"#;
    let mut source = tiny_phi();
    source.files.insert("tokenizer.json".into(), tokenizer.to_json().unwrap());
    source.files.insert("tokenizer_config.json".into(), template.into());
    source
}
