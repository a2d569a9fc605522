//! The architectures beside Phi-3 and Llama: what their files must have, and how their
//! configurations are read.

use phi_wasm::error::Code;
use phi_wasm::weights::{Config, MemorySource};
use serde_json::{Value, json};

use super::make::{code, open, safetensors, unpack};

macro_rules! case {
    ($file:literal) => {
        include_bytes!(concat!("../../golden/cases/", $file)).as_slice()
    };
}

/// A family's `config.json`, its weights, and the same as a GGUF.
const FAMILIES: [(&[u8], &[u8], &[u8]); 2] = [
    (case!("qwen2/config.json"), case!("qwen2/model.safetensors"), case!("qwen2/model.gguf")),
    (case!("qwen3/config.json"), case!("qwen3/model.safetensors"), case!("qwen3/model.gguf")),
];

fn directory(config: &[u8], weights: Vec<u8>) -> MemorySource {
    MemorySource::directory([("config.json", config.to_vec()), ("model.safetensors", weights)])
}

fn with(config: &[u8], changes: Value) -> Value {
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

#[test]
fn each_tensor_must_be_there_in_its_shape() {
    for (config, weights, _) in FAMILIES {
        let all = unpack(weights);
        assert_eq!(code(directory(config, safetensors(&all))), None);
        for at in 0..all.len() {
            let name = &all[at].0;
            let mut others = all.clone();
            others.remove(at);
            let error = open(directory(config, safetensors(&others))).err().unwrap();
            assert_eq!(error.code, Code::MissingTensor, "{error}");
            assert!(
                error.message.contains(&format!("{name} "))
                    || error.message.contains(&format!("{name},")),
                "{name}: {error}"
            );
            let mut bent = all.clone();
            bent[at].2.insert(0, 1);
            let error = open(directory(config, safetensors(&bent))).err().unwrap();
            assert_eq!(error.code, Code::WrongShape, "{error}");
            assert!(error.message.contains(name), "{name}: {error}");
        }
    }
}

#[test]
fn each_tensor_of_a_gguf_must_be_there() {
    for (.., gguf) in FAMILIES {
        let model = open(MemorySource::file("model.gguf", gguf.to_vec())).unwrap();
        // Without a head of its own a model takes the embedding.
        for name in
            model.tensors().map(|tensor| tensor.name.clone()).filter(|name| name != "output.weight")
        {
            let mut renamed = gguf.to_vec();
            let at = gguf.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap();
            renamed[at + name.len() - 1] = b'_';
            let error = open(MemorySource::file("model.gguf", renamed)).err().unwrap();
            // The embedding's rows are the vocabulary's size, too.
            assert_eq!(
                error.code,
                if name == "token_embd.weight" { Code::BadConfig } else { Code::MissingTensor },
                "{error}"
            );
            assert!(
                name == "token_embd.weight" || error.message.contains(&name),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn qwen_has_a_window_only_where_it_is_switched_on() {
    let types = |types: [&str; 2]| json!({ "use_sliding_window": true, "layer_types": types });
    #[rustfmt::skip]
    let rows = [
        // changes, the window, its first layer
        (json!({}),                                                            None,       0),
        (json!({ "use_sliding_window": null }),                                None,       0),
        (json!({ "use_sliding_window": true }),                                Some(4),    1),
        (json!({ "use_sliding_window": true, "sliding_window": null }),        None,       0),
        (json!({ "use_sliding_window": true, "max_window_layers": 0 }),        Some(4),    0),
        (json!({ "use_sliding_window": true, "max_window_layers": 2 }),        None,       0),
        (json!({ "use_sliding_window": true, "max_window_layers": null }),     None,       0),
        (types(["full_attention", "full_attention"]),                          None,       0),
        (types(["full_attention", "sliding_attention"]),                       Some(4),    1),
        (types(["sliding_attention", "sliding_attention"]),                    Some(4),    0),
    ];
    for (config, ..) in FAMILIES {
        for (changes, window, first) in &rows {
            let config = Config::parse(&with(config, changes.clone())).unwrap();
            assert_eq!(
                (config.sliding_window, config.max_window_layers),
                (*window, *first),
                "{changes}"
            );
            assert_eq!(config.window(1), *window, "{changes}");
            assert_eq!(Config::parse(&config.to_json()).unwrap(), config, "{changes}");
        }
        for unknown in
            [["sliding_attention", "full_attention"], ["full_attention", "chunked_attention"]]
        {
            let error = Config::parse(&with(config, types(unknown))).unwrap_err();
            assert_eq!(error.code, Code::UnsupportedArchitecture);
            assert!(error.message.contains("layer_types has"), "{error}");
        }
    }
}
