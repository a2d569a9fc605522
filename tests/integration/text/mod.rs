//! Words: golden ids, streaming, sampling and chat templates.

#[cfg(all(feature = "real-model-tests", not(target_family = "wasm")))]
mod real_templates;
mod sampler;
mod stream;
mod template;
mod tokenizer;

use std::io::Read;
use std::sync::OnceLock;

use phi_wasm::text::{Tokenizer, Vocabulary};
use serde::Deserialize;
use serde_json::{Value, json};

const PHI4: &[u8] = include_bytes!("../../golden/phi4-tokenizer/tokenizer.json.gz");
const PHI4_GOLDEN: &str = include_str!("../../golden/phi4-tokenizer/golden.json");
const SMOLLM2: &[u8] = include_bytes!("../../golden/smollm2/vocabulary.json.gz");
const SMOLLM2_GOLDEN: &[u8] = include_bytes!("../../golden/smollm2/golden.safetensors");
const SMOLLM2_TEXT: &str = include_str!("../../golden/smollm2/text.txt");
const SMOLLM2_TEMPLATE: &str = include_str!("../../golden/smollm2/chat_template.jinja");
const SENTENCEPIECE: &str = include_str!("../../golden/sentencepiece/bpe.json");

/// Rows of the model's head, of which the last have no token.
const PHI4_VOCAB_SIZE: usize = 200_064;

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn phi4() -> &'static Tokenizer {
    static ONE: OnceLock<Tokenizer> = OnceLock::new();
    ONE.get_or_init(|| {
        let config = json!({
            "bos_token": "<|endoftext|>",
            "eos_token": {"content": "<|endoftext|>"},
            "add_bos_token": false,
        });
        Tokenizer::from_json(&gunzip(PHI4), Some(&config)).unwrap()
    })
}

fn smollm2() -> &'static Tokenizer {
    static ONE: OnceLock<Tokenizer> = OnceLock::new();
    ONE.get_or_init(|| {
        Tokenizer::from_vocabulary(serde_json::from_slice(&gunzip(SMOLLM2)).unwrap()).unwrap()
    })
}

fn phi3_like() -> Vocabulary {
    serde_json::from_value(
        serde_json::from_str::<Value>(SENTENCEPIECE).unwrap()["vocabulary"].take(),
    )
    .unwrap()
}

/// A byte-level vocabulary of ASCII and then `extra` tokens, those like `<|this|>` special.
fn tiny(extra: &[&str], merges: &[&str]) -> Vocabulary {
    let ascii = (0..127)
        .map(|b: u32| char::from_u32(if b <= 32 { 256 + b } else { b }).unwrap().to_string());
    let tokens: Vec<String> = ascii.chain(extra.iter().map(|&t| t.to_owned())).collect();
    let token_types = tokens.iter().map(|t| if t.starts_with("<|") { 3 } else { 1 }).collect();
    let merges = merges.iter().map(|&m| m.to_owned()).collect();
    Vocabulary {
        model: "gpt2".into(),
        pre: "gpt-2".into(),
        tokens,
        token_types,
        merges,
        ..Vocabulary::default()
    }
}

/// The published SplitMix64: for reproducible noise, and the twin of what the sampler draws with.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn check_rows(tokenizer: &Tokenizer, rows: &[Row]) {
    for Row { text, ids } in rows {
        assert_eq!(tokenizer.encode(text, false).unwrap(), *ids, "{text:?}");
        assert_eq!(tokenizer.decode(ids, false).unwrap(), *text);
    }
}
