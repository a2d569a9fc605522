//! Small models as people's tools leave them, each with the logits that a reference computes:
//! `tests/golden/cases`.

use phi_wasm::weights::format::Bits;
use phi_wasm::weights::source::MemorySource;
use serde_json::Value;

use phi_wasm::backend::Backend;

use super::{CPU, all_logits, largest_difference, load};
use crate::common::backends;

macro_rules! case {
    ($file:literal) => {
        include_bytes!(concat!("../../golden/cases/", $file)).as_slice()
    };
}

/// The case, its files, the one of them that is the model where it is no directory, and the
/// reference's logits.
type Row =
    (&'static str, &'static [(&'static str, &'static [u8])], Option<&'static str>, &'static [u8]);

const CASES: &[Row] = &[
    (
        "a tied configuration with a head of its own",
        &[
            ("config.json", case!("tied-with-own-head/config.json")),
            ("model.safetensors", case!("tied-with-own-head/model.safetensors")),
        ],
        None,
        case!("tied-with-own-head/expected.json"),
    ),
    (
        "a tensor in two shards",
        &[
            ("config.json", case!("shards-overlap/config.json")),
            ("model.safetensors.index.json", case!("shards-overlap/model.safetensors.index.json")),
            (
                "model-00001-of-00002.safetensors",
                case!("shards-overlap/model-00001-of-00002.safetensors"),
            ),
            (
                "model-00002-of-00002.safetensors",
                case!("shards-overlap/model-00002-of-00002.safetensors"),
            ),
        ],
        None,
        case!("shards-overlap/expected.json"),
    ),
    (
        "no max_position_embeddings",
        &[
            ("config.json", case!("config-defaults/no-max-position-embeddings.json")),
            ("model.safetensors", case!("config-defaults/model.safetensors")),
        ],
        None,
        case!("config-defaults/expected.json"),
    ),
    (
        "silu by its other name",
        &[
            ("config.json", case!("config-defaults/swish.json")),
            ("model.safetensors", case!("config-defaults/model.safetensors")),
        ],
        None,
        case!("config-defaults/expected.json"),
    ),
    (
        "biases of attention",
        &[("model.gguf", case!("gguf-attention-bias/model.gguf"))],
        Some("model.gguf"),
        case!("gguf-attention-bias/expected.json"),
    ),
    (
        "linear scaling under its old key",
        &[("model.gguf", case!("gguf-rope-scale/scale_linear.gguf"))],
        Some("model.gguf"),
        case!("gguf-rope-scale/expected.json"),
    ),
    (
        "a scaling factor without a type",
        &[("model.gguf", case!("gguf-rope-scale/factor_alone.gguf"))],
        Some("model.gguf"),
        case!("gguf-rope-scale/expected.json"),
    ),
    (
        "Qwen2",
        &[
            ("config.json", case!("qwen2/config.json")),
            ("model.safetensors", case!("qwen2/model.safetensors")),
        ],
        None,
        case!("qwen2/expected.json"),
    ),
    (
        "Qwen2 with a window in its second layer",
        &[
            ("config.json", case!("qwen2/window.json")),
            ("model.safetensors", case!("qwen2/model.safetensors")),
        ],
        None,
        case!("qwen2/window-expected.json"),
    ),
    (
        "Qwen3",
        &[
            ("config.json", case!("qwen3/config.json")),
            ("model.safetensors", case!("qwen3/model.safetensors")),
        ],
        None,
        case!("qwen3/expected.json"),
    ),
    (
        "Qwen3 with a window in its second layer",
        &[
            ("config.json", case!("qwen3/window.json")),
            ("model.safetensors", case!("qwen3/model.safetensors")),
        ],
        None,
        case!("qwen3/window-expected.json"),
    ),
    (
        "Qwen3 as a GGUF",
        &[("model.gguf", case!("qwen3/model.gguf"))],
        Some("model.gguf"),
        case!("qwen3/expected.json"),
    ),
    (
        "Qwen2 as a GGUF",
        &[("model.gguf", case!("qwen2/model.gguf"))],
        Some("model.gguf"),
        case!("qwen2/expected.json"),
    ),
];

/// Loads a case and compares. Gives the backend back.
async fn logits_are_the_references<B: Backend>(
    backend: B,
    (what, files, entry, expected): &Row,
    tolerance: f32,
) -> B {
    let files = files.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
    let source = MemorySource { entry: entry.map(str::to_owned), ..MemorySource::directory(files) };
    let expected: Value = serde_json::from_slice(expected).unwrap();
    let ids: Vec<u32> = serde_json::from_value(expected["ids"].clone()).unwrap();
    let mut engine = load(source, backend, Bits::ThirtyTwo).await;
    let mut sequence = engine.sequence(None).unwrap();
    let logits = all_logits(&mut engine, &mut sequence, &ids).await;
    let rows: Vec<&[f32]> = logits.chunks(logits.len() / ids.len()).collect();
    let greedy: Vec<usize> = rows
        .iter()
        .map(|row| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap())
        .collect();
    assert_eq!(serde_json::to_value(greedy).unwrap(), expected["argmax"], "{what}");
    let last: Vec<f32> = serde_json::from_value(expected["last_logits"].clone()).unwrap();
    let difference = largest_difference(rows[rows.len() - 1], &last);
    assert!(difference <= tolerance, "{what}: logits differ by {difference}");
    // One token after the others: kernels for few are others.
    engine.plan(&mut sequence, &ids[..ids.len() - 1]).unwrap();
    engine.logits(&mut sequence).await.unwrap();
    engine.push(&mut sequence, ids[ids.len() - 1]).unwrap();
    let difference = largest_difference(&engine.logits(&mut sequence).await.unwrap(), &last);
    assert!(difference <= tolerance, "{what}: logits of a token alone differ by {difference}");
    engine.into_backend()
}

/// All cases on one backend.
pub async fn all<B: Backend>(mut backend: B, tolerance: f32) {
    for case in CASES {
        backend = logits_are_the_references(backend, case, tolerance).await;
    }
}

async_test! {
    async fn portable() {
        all(backends::portable().await, CPU).await;
    }
    async fn simd() {
        all(backends::simd().await, CPU).await;
    }
}
