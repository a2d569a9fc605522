//! Converting streams: memory does not grow with the model. Alone in its binary, since it counts
//! all that is allocated.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use phi_wasm::convert::convert;
use phi_wasm::weights::DirSource;
use phi_wasm::weights::format::Bits;
use pollster::block_on;

/// The system's allocator, counted.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; only counters are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HIDDEN: usize = 2048;
const VOCABULARY: usize = 65_536;
const INTERMEDIATE: usize = 8192;

/// One wide layer under a large vocabulary, in a file of zeros that takes no room on the disk: 403
/// MB of bf16.
fn sparse_model(directory: &std::path::Path) -> u64 {
    fs::create_dir(directory).unwrap();
    let config = serde_json::json!({
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY,
        "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 32,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 4096,
        "tie_word_embeddings": true,
    });
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let (mut header, mut offset) = (serde_json::Map::new(), 0);
    let mut tensor = |name: &str, shape: &[usize]| {
        let bytes = shape.iter().product::<usize>() * 2;
        let offsets = [offset, offset + bytes];
        let tensor = serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": offsets});
        header.insert(name.to_owned(), tensor);
        offset += bytes;
    };
    tensor("model.embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    tensor("model.layers.0.input_layernorm.weight", &[HIDDEN]);
    tensor("model.layers.0.self_attn.qkv_proj.weight", &[3 * HIDDEN, HIDDEN]);
    tensor("model.layers.0.self_attn.o_proj.weight", &[HIDDEN, HIDDEN]);
    tensor("model.layers.0.post_attention_layernorm.weight", &[HIDDEN]);
    tensor("model.layers.0.mlp.gate_up_proj.weight", &[2 * INTERMEDIATE, HIDDEN]);
    tensor("model.layers.0.mlp.down_proj.weight", &[HIDDEN, INTERMEDIATE]);
    tensor("model.norm.weight", &[HIDDEN]);
    let text = serde_json::Value::Object(header).to_string();
    let mut file = File::create(directory.join("model.safetensors")).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_len((8 + text.len() + offset) as u64).unwrap();
    offset as u64
}

#[test]
fn memory_is_bounded_whatever_the_size() {
    let here = tempfile::TempDir::new().unwrap();
    let source = here.path().join("source");
    let bytes = sparse_model(&source);
    assert!(bytes > 384 << 20);
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let report = block_on(convert(
        DirSource::open(&source).unwrap(),
        &here.path().join("model"),
        Bits::Four,
        &mut |_| {},
    ))
    .unwrap();
    let most = MOST.load(Ordering::Relaxed) - before;
    println!("{most} bytes at most, for {bytes}");
    assert_eq!(report.kinds[0].weights, (bytes / 2) - 3 * HIDDEN as u64);
    // A panel of 4 MiB as it was, as floats and packed, and the embedding's scales, twice as they
    // grow.
    assert!(most < 48 << 20, "{most} bytes of memory for a model of {bytes}");
}
