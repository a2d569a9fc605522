//! Models as tools and bad days leave them: what is there beside the usual, what was changed
//! meanwhile, what is damaged.

use std::fs;

use phi_wasm::error::Code;
use phi_wasm::weights::spec::{EMBED_TOKENS, LM_HEAD};
use phi_wasm::weights::{Bits, DirSource, MemorySource, WeightFormat};
use pollster::block_on;
use safetensors::Dtype;
use tempfile::TempDir;

use super::make::{
    Gguf, LLAMA_CONFIG, LLAMA_SAFETENSORS, everything, llama_directory, open, random_gguf,
    safetensors, unpack, whole,
};

#[test]
fn a_head_of_its_own_counts_where_it_differs_from_the_embedding() {
    let with_head = |change: fn(&mut Vec<u8>)| {
        let mut source = llama_directory();
        let mut config: serde_json::Value = serde_json::from_slice(LLAMA_CONFIG).unwrap();
        config["tie_word_embeddings"] = true.into();
        source.files.insert("config.json".into(), config.to_string().into_bytes());
        let mut tensors = unpack(LLAMA_SAFETENSORS);
        tensors.retain(|tensor| tensor.0 != LM_HEAD);
        let mut head = tensors.iter().find(|tensor| tensor.0 == EMBED_TOKENS).unwrap().clone();
        head.0 = LM_HEAD.to_owned();
        change(&mut head.3);
        tensors.push(head);
        source.files.insert("model.safetensors".into(), safetensors(&tensors));
        open(source).unwrap().config.tie_word_embeddings
    };
    assert!(with_head(|_| {}), "the same numbers need no second matrix");
    assert!(!with_head(|bytes| *bytes.last_mut().unwrap() ^= 1), "the last one differs");
}

/// The golden Llama with these vectors beside its weights, and attention_bias in its configuration
/// where that is so.
fn with_vectors(attention_bias: bool, vectors: &[(String, Vec<f32>)]) -> MemorySource {
    let mut source = llama_directory();
    let mut config: serde_json::Value = serde_json::from_slice(LLAMA_CONFIG).unwrap();
    config["attention_bias"] = attention_bias.into();
    source.files.insert("config.json".into(), config.to_string().into_bytes());
    let mut tensors = unpack(LLAMA_SAFETENSORS);
    tensors.extend(vectors.iter().map(|(name, values)| {
        (name.clone(), Dtype::F32, vec![values.len()], bytemuck::cast_slice(values).to_vec())
    }));
    source.files.insert("model.safetensors".into(), safetensors(&tensors));
    source
}

#[test]
fn biases_of_attention_are_fused_as_the_projections_are() {
    let config = open(llama_directory()).unwrap().config;
    let (hidden, qkv) = (config.hidden_size as usize, config.heads().qkv_width() as usize);
    let kv = (config.num_key_value_heads * config.head_dim) as usize;
    let values =
        |from: usize, count: usize| (from..from + count).map(|n| n as f32).collect::<Vec<_>>();
    let layer = |layer: u32, all: &[(&str, usize, usize)]| -> Vec<(String, Vec<f32>)> {
        all.iter()
            .map(|&(name, from, count)| {
                (format!("model.layers.{layer}.self_attn.{name}.bias"), values(from, count))
            })
            .collect()
    };
    let parts =
        [("q_proj", 0, qkv - 2 * kv), ("k_proj", qkv - 2 * kv, kv), ("v_proj", qkv - kv, kv)];
    let biases: Vec<_> =
        (0..config.num_hidden_layers).flat_map(|number| layer(number, &parts)).collect();
    let model = open(with_vectors(true, &biases)).unwrap();
    assert_eq!(
        block_on(model.vector("model.layers.1.self_attn.qkv_proj.bias", qkv)).unwrap(),
        values(0, qkv)
    );
    assert!(
        (model.config.attention_bias.qkv, model.config.attention_bias.o) == (true, false),
        "as many have it"
    );
    let outputs =
        (0..config.num_hidden_layers).flat_map(|number| layer(number, &[("o_proj", 7, hidden)]));
    let model =
        open(with_vectors(true, &biases.iter().cloned().chain(outputs).collect::<Vec<_>>()))
            .unwrap();
    assert_eq!(
        block_on(model.vector("model.layers.0.self_attn.o_proj.bias", hidden)).unwrap(),
        values(7, hidden)
    );
    let error = open(with_vectors(true, &biases[1..])).err().unwrap();
    assert_eq!(error.code, Code::MissingTensor, "{error}");
    assert!(error.message.contains("model.layers.0.self_attn.q_proj.bias"), "{error}");
}

#[test]
fn a_tensor_of_a_layer_that_nobody_uses_is_refused_by_name() {
    let of_gguf = |name: &str| {
        let mut model = random_gguf();
        model.tensors.push((name.into(), vec![32], 0, vec![0; 128]));
        open(model.file()).err()
    };
    let of_huggingface =
        |name: &str| open(with_vectors(false, &[(name.into(), vec![0.0; 32])])).err();
    for (name, error) in [
        "blk.0.ffn_up.bias",
        "blk.0.ffn_gate.bias",
        "blk.0.attn_q_norm.weight",
        "blk.1.attn_norm.weight",
        "output.bias",
        "output_norm.bias",
    ]
    .map(|name| (name, of_gguf(name)))
    .into_iter()
    .chain(
        [
            "model.layers.0.mlp.down_proj.bias",
            "model.layers.0.self_attn.q_proj.bias",
            "model.layers.7.input_layernorm.weight",
            "lm_head.bias",
        ]
        .map(|name| (name, of_huggingface(name))),
    ) {
        let error = error.unwrap_or_else(|| panic!("{name} is passed over"));
        assert_eq!(error.code, Code::UnsupportedArchitecture, "{error}");
        assert!(error.message.starts_with(name), "{error}");
    }
    for name in ["model.layers.0.self_attn.rotary_emb.inv_freq", "vision_tower.layers.0.weight"] {
        assert_eq!(of_huggingface(name), None, "transformers does not use it either");
    }
}

#[test]
fn a_file_that_is_replaced_or_written_over_gives_no_mixture() {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (path, next) = (dir.path().join("model.gguf"), dir.path().join("next.gguf"));
    let other = Gguf::llama().with("blk.0.ffn_up.weight", |tensor| tensor.3[0] = 1);
    fs::write(&path, random_gguf().bytes()).unwrap();
    fs::write(&next, other.bytes()).unwrap();
    let model = open(DirSource::open(&path).unwrap()).unwrap();
    fs::rename(&next, &path).unwrap();
    assert_eq!(
        everything(&model).unwrap(),
        everything(&open(random_gguf().file()).unwrap()).unwrap(),
        "the model that was opened"
    );
    let model = open(DirSource::open(&path).unwrap()).unwrap();
    assert_eq!(
        everything(&model).unwrap(),
        everything(&open(other.file()).unwrap()).unwrap(),
        "the one that has its name now"
    );
    // As long as before, and not longer: the times tell, which some systems count in steps.
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    while fs::metadata(&path).unwrap().modified().unwrap() == written {
        fs::write(&path, random_gguf().bytes()).unwrap();
    }
    let error = everything(&model).unwrap_err();
    assert_eq!(error.code, Code::Io, "{error}");
    assert!(error.message.contains("written over"), "{error}");
}

#[test]
fn a_scale_that_is_no_number_is_named_with_its_tensor_and_row() {
    let blocks = |broken: bool| {
        let mut bytes: Vec<u8> = (0..32)
            .flat_map(|_| [&half::f16::from_f32(0.5).to_le_bytes()[..], &[3; 32]].concat())
            .collect();
        if broken {
            bytes[5 * 34..][..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
        }
        bytes
    };
    let model = |broken| {
        open(
            Gguf::llama()
                .with("blk.0.ffn_up.weight", |tensor| (tensor.2, tensor.3) = (8, blocks(broken)))
                .file(),
        )
        .unwrap()
    };
    assert!(everything(&model(false)).is_ok());
    for format in [WeightFormat::from(Bits::Four), WeightFormat::EXACT] {
        let error = whole(&model(true), "model.layers.0.mlp.gate_up_proj.weight", [64, 32], format)
            .unwrap_err();
        assert_eq!(error.code, Code::Malformed, "{error}");
        assert!(
            error.message.starts_with("blk.0.ffn_up.weight row 5: the scale of a group is NaN"),
            "{error}"
        );
    }
}
