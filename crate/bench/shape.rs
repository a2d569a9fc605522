//! Models of given sizes without any sense: pseudo-random weights in GGUF's types, to time engines
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

/// Blocks of weights made at once.
const PIECE: u64 = 1 << 16;

/// Types of tensors, by their numbers in GGUF.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    F32 = 0,
    Q4_0 = 2,
    Q4K = 12,
    Q5K = 13,
    Q6K = 14,
}

impl Stored {
    /// Weights of a block, and its bytes.
    fn block(self) -> (u64, u64) {
        match self {
            Stored::F32 => (1, 4),
            Stored::Q4_0 => (32, 18),
            Stored::Q4K => (256, 144),
            Stored::Q5K => (256, 176),
            Stored::Q6K => (256, 210),
        }
    }
}

/// Which type each matrix has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mix {
    Q4_0,
    /// As llama.cpp's quantiser mixes for `phi3`.
    Q4KM,
}

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
    mix: Mix,
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
        mix: Mix::Q4_0,
    };

    /// The same in the types of a `Q4_K_M` file, which most people have: 2.49 GB.
    pub const PHI_4_MINI_Q4KM: Shape =
        Shape { name: "phi-4-mini-q4km", mix: Mix::Q4KM, ..Shape::PHI_4_MINI };

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
        mix: Mix::Q4_0,
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
        mix: Mix::Q4_0,
    };

    /// All of them.
    pub const ALL: [Shape; 4] =
        [Shape::PHI_4_MINI, Shape::PHI_4_MINI_Q4KM, Shape::SMOLLM2, Shape::TINY];

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
        let mix = if self.mix == Mix::Q4KM { "Q4_K_M" } else { "Q4_0" };
        if of == 1 {
            format!("{}.{mix}.gguf", self.name)
        } else {
            format!("{}.{mix}-{:05}-of-{of:05}.gguf", self.name, number + 1)
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
        let mixed = |stored| if self.mix == Mix::Q4KM { stored } else { Stored::Q4_0 };
        let mut all =
            vec![Planned::matrix("token_embd", mixed(Stored::Q6K), self.vocabulary, hidden)];
        for layer in 0..self.layers {
            let name = |tensor: &str| format!("blk.{layer}.{tensor}");
            let down = mixed(if self.bears_least(layer) { Stored::Q6K } else { Stored::Q4K });
            let (qkv, others) = (mixed(Stored::Q5K), mixed(Stored::Q4K));
            all.extend([
                Planned::norm(&name("attn_norm"), hidden),
                Planned::matrix(&name("attn_qkv"), qkv, qkv_width, hidden),
                Planned::matrix(&name("attn_output"), others, hidden, q_width),
                Planned::norm(&name("ffn_norm"), hidden),
                Planned::matrix(&name("ffn_up"), others, 2 * inter, hidden),
                Planned::matrix(&name("ffn_down"), down, hidden, inter),
            ]);
        }
        all.push(Planned::norm("output_norm", hidden));
        all
    }

    /// Whether a layer's down projection gets more bits: the first and the last eighth of them, and
    /// every third between.
    fn bears_least(&self, layer: u32) -> bool {
        let eighth = self.layers / 8;
        layer < eighth || layer >= 7 * self.layers / 8 || (layer - eighth) % 3 == 2
    }

    fn metadata(&self) -> Vec<(&'static str, Meta)> {
        let eos = self.vocabulary.min(200_000) - 1;
        let tokens = self.tokens(eos);
        let mut types = vec![NORMAL; tokens.len()];
        types[eos as usize] = CONTROL;
        vec![
            ("general.architecture", Meta::Text("phi3")),
            ("general.name", Meta::Text(self.name)),
            ("general.file_type", Meta::U32(if self.mix == Mix::Q4KM { 15 } else { 2 })),
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
    stored: Stored,
}

impl Planned {
    fn matrix(name: &str, stored: Stored, rows: u32, cols: u32) -> Planned {
        let dims = vec![u64::from(cols), u64::from(rows)];
        Planned { name: format!("{name}.weight"), dims, stored }
    }

    fn norm(name: &str, len: u32) -> Planned {
        let dims = vec![u64::from(len)];
        Planned { name: format!("{name}.weight"), dims, stored: Stored::F32 }
    }

    fn blocks(&self) -> u64 {
        self.dims.iter().product::<u64>() / self.stored.block().0
    }

    fn bytes(&self) -> u64 {
        self.blocks() * self.stored.block().1
    }

    fn described(&self) -> Tensor<'_> {
        let (dims, stored) = (&self.dims[..], self.stored as u32);
        Tensor { name: &self.name, dims, stored, bytes: self.bytes() }
    }

    /// Norms are ones. Weights are small enough that activations neither grow nor vanish over the
    /// layers.
    fn write(
        &self,
        target: &mut impl Target,
        dice: &mut Dice,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let (bytes, blocks) = (self.bytes(), self.blocks());
        let mut buffer = Vec::new();
        for from in (0..blocks).step_by(PIECE as usize) {
            buffer.clear();
            (0..PIECE.min(blocks - from)).for_each(|_| dice.block(self.stored, &mut buffer));
            target.append(&buffer)?;
            progress(buffer.len() as u64);
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

    /// A block: ones, or codes of any value around zero, in steps such that weights reach from
    /// 0.012 to 0.024 to either side.
    fn block(&mut self, stored: Stored, to: &mut Vec<u8>) {
        let step = |bits: u32, random: u64| {
            0.0015 * (1.0 + (random >> 56) as f32 / 256.0) / (1u32 << (bits - 4)) as f32
        };
        let half = |value: f32| f16::from_f32(value).to_le_bytes();
        match stored {
            Stored::F32 => to.extend(1f32.to_le_bytes()),
            Stored::Q4_0 => {
                let [one, other] = [self.next(), self.next()];
                to.extend(half(step(4, one)));
                to.extend([one, other].map(u64::to_le_bytes).as_flattened());
            }
            Stored::Q4K | Stored::Q5K => {
                let (bits, words) = if stored == Stored::Q4K { (4, 16) } else { (5, 20) };
                let step = step(bits, self.next()) / f32::from(SCALE);
                to.extend(half(step));
                to.extend(half(step * ((1u32 << bits) - 1) as f32 / 2.0));
                to.extend(SCALES);
                (0..words).for_each(|_| to.extend(self.next().to_le_bytes()));
            }
            Stored::Q6K => {
                (0..24).for_each(|_| to.extend(self.next().to_le_bytes()));
                to.extend([SCALE; 16]);
                to.extend(half(step(6, self.next()) / f32::from(SCALE)));
            }
        }
    }
}

/// The scale of every group of a block, and its minimum.
const SCALE: u8 = 48;
/// Both for eight groups, as `Q4_K` packs them: 48 has nothing in its lower four bits.
const SCALES: [u8; 12] = [0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0, 0, 0, 0];
