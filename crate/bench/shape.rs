//! Models of given sizes without any sense: pseudo-random weights in GGUF's Q4_0, to time engines
//! on where nobody may fetch the real ones. Speed depends on sizes and types only.
//!
//! The files are such that llama.cpp reads them, too. Their vocabulary is the 256 bytes and fillers
//! that no text leads to, so a text of N ASCII characters is N tokens in every engine.

use std::collections::BTreeSet;

use half::f16;

use crate::error::Result;
use crate::weights::gguf::write::{ALIGNMENT, Meta, Tensor, VERSION, header};
use crate::weights::write::Target;

/// A part of a split model ends before the tensor that would make it larger: browsers hand out no
/// buffer of 2 GB.
pub const FILE_BYTES: u64 = 1_500_000_000;

const F32: u32 = 0;
const Q4_0: u32 = 2;
/// Weights of a block, and its bytes: an f16 scale, then a nibble each.
const BLOCK: u64 = 32;
const BLOCK_BYTES: u64 = 18;
/// Bytes of weights made at once.
const PIECE: u64 = BLOCK_BYTES << 16;

/// The numbers of a model of architecture `phi3`, its embedding tied to its head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// What files are named after.
    pub name: &'static str,
    hidden: u32,
    intermediate: u32,
    layers: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    rotary_dim: u32,
    context: u32,
    vocabulary: u32,
}

impl Shape {
    /// Phi-4-mini's 3.8 billion weights: 2.16 GB.
    pub const PHI_4_MINI: Shape = Shape {
        name: "phi-4-mini",
        hidden: 3072,
        intermediate: 8192,
        layers: 32,
        heads: 24,
        kv_heads: 8,
        head_dim: 128,
        rotary_dim: 96,
        context: 131_072,
        vocabulary: 200_064,
    };

    /// The sizes of SmolLM2-135M: 76 MB. A copied command can be timed on it where the real one is
    /// not at hand.
    pub const SMOLLM2: Shape = Shape {
        name: "smollm2",
        hidden: 576,
        intermediate: 1536,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        rotary_dim: 64,
        context: 8192,
        vocabulary: 49_152,
    };

    /// A toy with the same architecture, for tests.
    pub const TINY: Shape = Shape {
        name: "tiny",
        hidden: 64,
        intermediate: 128,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        rotary_dim: 12,
        context: 512,
        vocabulary: 384,
    };

    /// All of them.
    pub const ALL: [Shape; 3] = [Shape::PHI_4_MINI, Shape::SMOLLM2, Shape::TINY];

    /// The file to open, the first of its parts; `write` with [`FILE_BYTES`] makes it.
    pub fn first_file(&self) -> String {
        self.file(0, self.parts(FILE_BYTES).len())
    }

    /// Bytes of weights.
    pub fn bytes(&self) -> u64 {
        self.tensors().iter().map(Planned::bytes).sum()
    }

    /// Writes the model, from front to back, in parts of at most about `file_bytes`. `progress`
    /// hears of bytes as they go out.
    ///
    /// # Errors
    /// The target's own.
    pub fn write(
        &self,
        target: &mut impl Target,
        file_bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let parts = self.parts(file_bytes);
        let count = parts.iter().map(Vec::len).sum();
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for (number, part) in parts.iter().enumerate() {
            let mut meta = if number == 0 { self.metadata() } else { Vec::new() };
            if parts.len() > 1 {
                meta.extend(split(number, parts.len(), count));
            }
            target.begin(&self.file(number, parts.len()))?;
            target.append(&header(VERSION, &meta, part.iter().map(Planned::described)))?;
            for tensor in part {
                tensor.write(target, &mut dice, progress)?;
            }
        }
        Ok(())
    }

    /// A part's name, as llama.cpp wants it.
    fn file(&self, number: usize, of: usize) -> String {
        if of == 1 {
            format!("{}.Q4_0.gguf", self.name)
        } else {
            format!("{}.Q4_0-{:05}-of-{of:05}.gguf", self.name, number + 1)
        }
    }

    fn parts(&self, file_bytes: u64) -> Vec<Vec<Planned>> {
        let mut parts: Vec<Vec<Planned>> = vec![Vec::new()];
        let mut room = file_bytes;
        for tensor in self.tensors() {
            match parts.last_mut() {
                Some(part) if part.is_empty() || tensor.bytes() <= room => part.push(tensor),
                _ => {
                    room = file_bytes;
                    parts.push(vec![tensor]);
                }
            }
            room = room.saturating_sub(
                parts.last().and_then(|part| part.last()).map_or(0, Planned::bytes),
            );
        }
        parts
    }

    fn tensors(&self) -> Vec<Planned> {
        let (hidden, inter) = (self.hidden, self.intermediate);
        let (q_width, qkv_width) =
            (self.heads * self.head_dim, (self.heads + 2 * self.kv_heads) * self.head_dim);
        let mut all = vec![Planned::matrix("token_embd", self.vocabulary, hidden)];
        for layer in 0..self.layers {
            let name = |tensor: &str| format!("blk.{layer}.{tensor}");
            all.extend([
                Planned::norm(&name("attn_norm"), hidden),
                Planned::matrix(&name("attn_qkv"), qkv_width, hidden),
                Planned::matrix(&name("attn_output"), hidden, q_width),
                Planned::norm(&name("ffn_norm"), hidden),
                Planned::matrix(&name("ffn_up"), 2 * inter, hidden),
                Planned::matrix(&name("ffn_down"), hidden, inter),
            ]);
        }
        all.push(Planned::norm("output_norm", hidden));
        all
    }

    fn metadata(&self) -> Vec<(&'static str, Meta)> {
        let eos = self.vocabulary.min(200_000) - 1;
        let tokens = self.tokens(eos);
        let mut types = vec![NORMAL; tokens.len()];
        types[eos as usize] = CONTROL;
        vec![
            ("general.architecture", Meta::Text("phi3")),
            ("general.name", Meta::Text(self.name)),
            ("general.file_type", Meta::U32(Q4_0)),
            ("general.quantization_version", Meta::U32(2)),
            ("phi3.context_length", Meta::U32(self.context)),
            ("phi3.embedding_length", Meta::U32(self.hidden)),
            ("phi3.feed_forward_length", Meta::U32(self.intermediate)),
            ("phi3.block_count", Meta::U32(self.layers)),
            ("phi3.attention.head_count", Meta::U32(self.heads)),
            ("phi3.attention.head_count_kv", Meta::U32(self.kv_heads)),
            ("phi3.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
            ("phi3.rope.dimension_count", Meta::U32(self.rotary_dim)),
            ("phi3.rope.freq_base", Meta::F32(10_000.0)),
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.pre", Meta::Text("gpt-2")),
            ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
            ("tokenizer.ggml.token_type", Meta::I32s(types)),
            // There must be merges. This one joins two zero bytes, which no text has.
            ("tokenizer.ggml.merges", Meta::Texts(vec!["Ā Ā".to_owned()])),
            ("tokenizer.ggml.bos_token_id", Meta::U32(eos)),
            ("tokenizer.ggml.eos_token_id", Meta::U32(eos)),
            ("tokenizer.ggml.add_bos_token", Meta::Bool(false)),
        ]
    }

    fn tokens(&self, eos: u32) -> Vec<String> {
        let mut tokens: Vec<String> = byte_tokens().into_iter().map(String::from).collect();
        tokens.push("ĀĀ".to_owned());
        for id in tokens.len() as u32..self.vocabulary {
            tokens.push(if id == eos { "<|endoftext|>".to_owned() } else { format!("~{id}") });
        }
        tokens
    }
}

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// The character that stands for each byte in byte-level vocabularies: itself where it can be seen,
/// else one from U+0100 on.
fn byte_tokens() -> Vec<char> {
    let seen: BTreeSet<u32> = (0x21..=0x7e).chain(0xa1..=0xac).chain(0xae..=0xff).collect();
    let mut others = 0x100..;
    (0..256)
        .filter_map(|byte| {
            if seen.contains(&byte) {
                char::from_u32(byte)
            } else {
                others.next().and_then(char::from_u32)
            }
        })
        .collect()
}

fn split(number: usize, of: usize, tensors: usize) -> [(&'static str, Meta); 3] {
    [
        ("split.no", Meta::U16(number as u16)),
        ("split.count", Meta::U16(of as u16)),
        ("split.tensors.count", Meta::I32(tensors as i32)),
    ]
}

/// A tensor that will be written.
struct Planned {
    name: String,
    dims: Vec<u64>,
    stored: u32,
}

impl Planned {
    fn matrix(name: &str, rows: u32, cols: u32) -> Planned {
        Planned {
            name: format!("{name}.weight"),
            dims: vec![u64::from(cols), u64::from(rows)],
            stored: Q4_0,
        }
    }

    fn norm(name: &str, len: u32) -> Planned {
        Planned { name: format!("{name}.weight"), dims: vec![u64::from(len)], stored: F32 }
    }

    fn bytes(&self) -> u64 {
        let elements: u64 = self.dims.iter().product();
        if self.stored == F32 { elements * 4 } else { elements / BLOCK * BLOCK_BYTES }
    }

    fn described(&self) -> Tensor<'_> {
        Tensor { name: &self.name, dims: &self.dims, stored: self.stored, bytes: self.bytes() }
    }

    /// Norms are ones. Weights are small enough that activations neither grow nor vanish over the
    /// layers.
    fn write(
        &self,
        target: &mut impl Target,
        dice: &mut Dice,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let bytes = self.bytes();
        let mut buffer = Vec::new();
        for from in (0..bytes).step_by(PIECE as usize) {
            let piece = PIECE.min(bytes - from);
            buffer.clear();
            if self.stored == F32 {
                (0..piece / 4).for_each(|_| buffer.extend(1f32.to_le_bytes()));
            } else {
                (0..piece / BLOCK_BYTES).for_each(|_| buffer.extend(dice.block()));
            }
            target.append(&buffer)?;
            progress(piece);
        }
        let padding = bytes.next_multiple_of(ALIGNMENT) - bytes;
        target.append(&[0; ALIGNMENT as usize][..padding as usize])
    }
}

/// Numbers that look random, the same every time: xorshift.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A block of Q4_0: a scale between 0.0015 and 0.003, then nibbles, which stand for -8 to 7.
    fn block(&mut self) -> [u8; BLOCK_BYTES as usize] {
        let [one, other] = [self.next(), self.next()];
        let scale = f16::from_f32(0.0015 + (one >> 56) as f32 * (0.0015 / 256.0));
        let mut block = [0; BLOCK_BYTES as usize];
        block[..2].copy_from_slice(&scale.to_le_bytes());
        block[2..10].copy_from_slice(&one.to_le_bytes());
        block[10..].copy_from_slice(&other.to_le_bytes());
        block
    }
}
