//! A small Llama of random weights, whose fused projections come in several types, as a GGUF.

use phi_wasm::weights::gguf::write::{ALIGNMENT, Meta, Tensor, VERSION, header};
use phi_wasm::weights::source::MemorySource;

const HIDDEN: u64 = 256;
const INTER: u64 = 64;
const VOCAB: u64 = 64;
/// Widths of all queries, and of all keys.
const Q: u64 = 128;
const K: u64 = 64;

/// A type of GGUF: its number, weights and bytes of a block, and where that has f16 numbers, which
/// with random codes give weights of about a sixteenth.
struct Type(u32, u64, usize, &'static [(usize, f32)]);

const F32: Type = Type(0, 1, 4, &[]);
const Q5_0: Type = Type(6, 32, 22, &[(0, 6.5e-3)]);
const Q8_0: Type = Type(8, 32, 34, &[(0, 8e-4)]);
const Q4_K: Type = Type(12, 256, 144, &[(0, 4.2e-4), (2, 3.1e-3)]);
const Q6_K: Type = Type(14, 256, 210, &[(208, 4.4e-5)]);

/// Queries, keys, values, out, gate, up and down of either layer. Every type is a kernel that a GPU
/// which the CPU plays takes long to compile.
const LAYERS: [[Type; 7]; 2] =
    [[Q4_K, Q4_K, Q6_K, Q5_0, Q5_0, Q8_0, Q5_0], [Q6_K, Q4_K, F32, Q8_0, Q8_0, Q4_K, Q8_0]];

/// The model, in memory.
pub fn mixed() -> MemorySource {
    let meta = [
        ("general.architecture", Meta::Text("llama")),
        ("llama.block_count", Meta::U32(2)),
        ("llama.context_length", Meta::U32(256)),
        ("llama.embedding_length", Meta::U32(HIDDEN as u32)),
        ("llama.feed_forward_length", Meta::U32(INTER as u32)),
        ("llama.attention.head_count", Meta::U32(4)),
        ("llama.attention.head_count_kv", Meta::U32(2)),
        ("llama.attention.key_length", Meta::U32(32)),
        ("llama.attention.value_length", Meta::U32(32)),
        ("llama.rope.dimension_count", Meta::U32(32)),
        ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-6)),
        ("tokenizer.ggml.model", Meta::Text("gpt2")),
        ("tokenizer.ggml.tokens", Meta::Texts((0..VOCAB).map(|id| format!("<{id}>")).collect())),
        ("tokenizer.ggml.token_type", Meta::I32s(vec![1; VOCAB as usize])),
        ("tokenizer.ggml.eos_token_id", Meta::U32(2)),
    ];
    let mut state = 7;
    let mut tensors = Vec::new();
    let mut add = |name: String, dims: Vec<u64>, of: &Type| {
        tensors.push((name, of.0, random(&mut state, dims.iter().product(), of), dims));
    };
    add("token_embd.weight".into(), vec![HIDDEN, VOCAB], &Q6_K);
    add("output_norm.weight".into(), vec![HIDDEN], &F32);
    for (layer, [q, k, v, out, gate, up, down]) in LAYERS.iter().enumerate() {
        for norm in ["attn_norm", "ffn_norm"] {
            add(format!("blk.{layer}.{norm}.weight"), vec![HIDDEN], &F32);
        }
        for (name, cols, rows, of) in [
            ("attn_q", HIDDEN, Q, q),
            ("attn_k", HIDDEN, K, k),
            ("attn_v", HIDDEN, K, v),
            ("attn_output", Q, HIDDEN, out),
            ("ffn_gate", HIDDEN, INTER, gate),
            ("ffn_up", HIDDEN, INTER, up),
            ("ffn_down", INTER, HIDDEN, down),
        ] {
            add(format!("blk.{layer}.{name}.weight"), vec![cols, rows], of);
        }
    }
    let described = tensors.iter().map(|(name, stored, data, dims)| Tensor {
        name,
        dims,
        stored: *stored,
        bytes: data.len() as u64,
    });
    let mut file = header(VERSION, &meta, described);
    for (_, _, data, _) in &tensors {
        file.resize(file.len().next_multiple_of(ALIGNMENT as usize), 0);
        file.extend(data);
    }
    MemorySource::file("mixed.gguf", file)
}

/// So many weights: random codes under sensible scales, or floats between -1/8 and 1/8.
fn random(state: &mut u64, weights: u64, Type(_, each, bytes, halves): &Type) -> Vec<u8> {
    let mut byte = || {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 56) as u8
    };
    let mut data = Vec::new();
    for _ in 0..weights / each {
        if halves.is_empty() {
            data.extend((f32::from(byte() as i8) / 1024.0).to_le_bytes());
            continue;
        }
        let mut block: Vec<u8> = (0..*bytes).map(|_| byte()).collect();
        for (at, value) in *halves {
            block[*at..at + 2].copy_from_slice(&half::f16::from_f32(*value).to_le_bytes());
        }
        data.extend(block);
    }
    data
}
