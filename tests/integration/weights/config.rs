//! Every spelling of a configuration, and numbers that don't fit, as many lines as cases.

use phi_wasm::error::Code;
use phi_wasm::weights::config::{Architecture, Config, RopeScaling};
use serde_json::{Value, json};

use super::make::{Gguf, LLAMA_CONFIG, Meta, code, llama_directory, open};

/// Phi-4-mini-instruct's own config.json, as far as it matters.
fn phi4() -> Value {
    json!({
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_act": "silu",
        "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
        "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
        "sliding_window": 262144, "tie_word_embeddings": true, "attention_bias": false,
        "bos_token_id": 199999, "eos_token_id": 199999,
        "rope_scaling": {
            "type": "longrope",
            "short_factor": vec![1.0; 48],
            "long_factor": LONG.to_vec(),
        },
    })
}

const LONG: [f64; 48] = [
    1.0,
    1.118320672,
    1.250641126,
    1.398617824,
    1.564103225,
    1.74916897,
    1.956131817,
    2.187582649,
    2.446418898,
    2.735880826,
    3.059592084,
    3.421605075,
    3.826451687,
    4.279200023,
    4.785517845,
    5.351743533,
    5.984965424,
    6.693110555,
    7.485043894,
    8.370679318,
    9.36110372,
    10.4687158,
    11.70738129,
    13.09260651,
    14.64173252,
    16.37415215,
    18.31155283,
    20.47818807,
    22.90118105,
    25.61086418,
    28.64115884,
    32.03,
    32.1,
    32.13,
    32.23,
    32.6,
    32.61,
    32.64,
    32.66,
    32.7,
    32.71,
    32.93,
    32.97,
    33.28,
    33.49,
    33.5,
    44.16,
    47.77,
];

fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
        "max_position_embeddings": 131072, "tie_word_embeddings": true, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009],
    })
}

/// `base` with fields replaced; `null` removes one.
fn with(mut base: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(key);
        } else {
            base[key] = value.clone();
        }
    }
    base
}

#[test]
fn phi4_mini_is_what_its_file_says() {
    let config = Config::parse(&phi4()).unwrap();
    assert_eq!(config.architecture, Architecture::Phi3);
    assert_eq!((config.head_dim, config.rotary_dim), (128, 96));
    assert_eq!(
        (config.original_max_position_embeddings, config.max_position_embeddings),
        (4096, 131072)
    );
    assert_eq!(
        (config.bos_token_id, config.eos_token_ids.as_slice()),
        (Some(199999), &[199999][..])
    );
    assert_eq!(config.sliding_window, Some(262144));
    let RopeScaling::LongRope { short_factor, long_factor, attention_factor } = &config.rope else {
        panic!()
    };
    assert_eq!((short_factor.as_slice(), long_factor[47]), (&[1.0; 48][..], 47.77));
    assert!((f64::from(*attention_factor) - 1.1902380714).abs() < 1e-7);
    let matrices = config.matrices();
    let shape = |name: &str| matrices.iter().find(|(other, _)| other.ends_with(name)).unwrap().1;
    assert_eq!(shape("layers.31.self_attn.qkv_proj.weight"), [5120, 3072]);
    assert_eq!(shape("layers.0.mlp.gate_up_proj.weight"), [16384, 3072]);
    let weights: usize = matrices.iter().map(|(_, [rows, cols])| rows * cols).sum();
    assert_eq!(weights + config.vectors().iter().map(|(_, len)| len).sum::<usize>(), 3_836_021_760);
}

#[test]
fn spellings_of_the_same_config_parse_to_the_same() {
    let factors = |more: Value| {
        with(json!({ "short_factor": vec![1.0; 48], "long_factor": LONG.to_vec() }), more)
    };
    for (what, changes) in [
        (
            "rope_type in rope_scaling",
            json!({ "rope_scaling": factors(json!({ "rope_type": "longrope" })) }),
        ),
        ("the old name su", json!({ "rope_scaling": factors(json!({ "type": "su" })) })),
        (
            "both names",
            json!({
                "rope_scaling": factors(json!({ "type": "longrope", "rope_type": "longrope" })),
            }),
        ),
        (
            "rope_parameters with everything inside",
            json!({
                "rope_scaling": null, "rope_theta": null, "partial_rotary_factor": null,
                "original_max_position_embeddings": null,
                "rope_parameters": factors(json!({
                    "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
                    "original_max_position_embeddings": 4096,
                })),
            }),
        ),
        (
            "rope_parameters with a factor",
            json!({
                "rope_scaling": null, "original_max_position_embeddings": null,
                "rope_parameters": factors(json!({
                    "rope_type": "longrope", "factor": 32.0,
                    "original_max_position_embeddings": 4096,
                })),
            }),
        ),
        (
            "a factor in place of the longer length",
            json!({
                "max_position_embeddings": null,
                "rope_scaling": factors(json!({ "rope_type": "longrope", "factor": 32.0 })),
            }),
        ),
        (
            "a factor in place of the shorter length",
            json!({
                "original_max_position_embeddings": null,
                "rope_scaling": factors(json!({ "rope_type": "longrope", "factor": 32.0 })),
            }),
        ),
        (
            "the attention factor in so many words",
            json!({
                "rope_scaling": factors(json!({
                    "rope_type": "longrope", "attention_factor": 1.190_238_071_426_080_2,
                })),
            }),
        ),
        ("only a model type", json!({ "architectures": null })),
        ("a head width in so many words", json!({ "head_dim": 128 })),
        (
            "the top-level length wins",
            json!({
                "rope_scaling": factors(json!({
                    "rope_type": "longrope", "original_max_position_embeddings": 7,
                })),
            }),
        ),
        (
            "defaults left out",
            json!({
                "rope_theta": null, "rms_norm_eps": null, "hidden_act": null,
                "eos_token_id": [199999],
            }),
        ),
    ] {
        assert_eq!(
            Config::parse(&with(phi4(), changes)).unwrap(),
            Config::parse(&phi4()).unwrap(),
            "{what}"
        );
    }
}

#[test]
fn scalings_are_as_in_transformers() {
    let rope = |changes: Value| Config::parse(&with(llama(), changes)).unwrap();
    assert_eq!(rope(json!({})).rope, RopeScaling::Plain);
    assert_eq!(
        rope(json!({ "rope_scaling": { "rope_type": "default" } })).rope,
        RopeScaling::Plain
    );
    assert_eq!(
        rope(json!({ "rope_parameters": { "rope_type": "default", "rope_theta": 3.0 } }))
            .rope_theta,
        3.0
    );
    assert_eq!(
        rope(json!({ "rope_scaling": { "type": "linear", "factor": 2.5 } })).rope,
        RopeScaling::Linear { factor: 2.5 }
    );
    let llama3 = json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    let config = rope(json!({ "rope_scaling": llama3 }));
    assert_eq!(
        config.rope,
        RopeScaling::Llama3 { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0 }
    );
    assert_eq!((config.original_max_position_embeddings, config.rotary_dim), (8192, 64));
    let attention = |changes: Value| match Config::parse(&with(phi4(), changes)).unwrap().rope {
        RopeScaling::LongRope { attention_factor, .. } => attention_factor,
        other => panic!("{other:?}"),
    };
    assert_eq!(attention(json!({ "max_position_embeddings": 4096 })), 1.0, "nothing is extended");
    assert_eq!(attention(json!({ "max_position_embeddings": 2048 })), 1.0);
}

#[test]
fn phi3_minis_and_llamas_parse() {
    let phi3 = with(
        phi4(),
        json!({
            "num_attention_heads": 32, "num_key_value_heads": null, "vocab_size": 32064,
            "partial_rotary_factor": null, "max_position_embeddings": 4096,
            "sliding_window": 2047, "tie_word_embeddings": null, "rope_scaling": null,
            "bos_token_id": 1, "eos_token_id": 32000,
        }),
    );
    let config = Config::parse(&phi3).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim, config.rotary_dim), (32, 96, 96));
    assert_eq!(
        (config.rope, config.sliding_window, config.tie_word_embeddings),
        (RopeScaling::Plain, Some(2047), false)
    );
    let config =
        Config::parse(&with(llama(), json!({ "rms_norm_eps": null, "sliding_window": 9 })))
            .unwrap();
    assert_eq!(
        (config.architecture, config.rms_norm_eps, config.sliding_window),
        (Architecture::Llama, 1e-6, None)
    );
    assert_eq!(config.eos_token_ids, [128001, 128008, 128009]);
}

#[test]
fn what_is_left_out_is_as_in_transformers() {
    let parse = |base: Value, changes: Value| Config::parse(&with(base, changes)).unwrap();
    let short = json!({
        "max_position_embeddings": null, "original_max_position_embeddings": null,
        "rope_scaling": null,
    });
    assert_eq!(parse(llama(), short.clone()).max_position_embeddings, 2048);
    assert_eq!(parse(phi4(), short).max_position_embeddings, 4096);
    assert_eq!(parse(llama(), json!({ "hidden_act": "swish" })), parse(llama(), json!({})));
    assert_eq!(
        parse(llama(), json!({ "architectures": ["LLaMAForCausalLM"], "model_type": "llama" })),
        parse(llama(), json!({}))
    );
    // -1 stands for no token.
    for (eos, ids) in [(json!(-1), &[][..]), (json!([7, -1]), &[7])] {
        let config = parse(llama(), json!({ "eos_token_id": eos, "bos_token_id": -1 }));
        assert_eq!((config.eos_token_ids.as_slice(), config.bos_token_id), (ids, None));
    }
    // An object that says nothing does not hide the one that does.
    let linear = json!({ "rope_type": "linear", "factor": 2.5, "rope_theta": 3.0 });
    let config = parse(llama(), json!({ "rope_scaling": {}, "rope_parameters": linear }));
    assert_eq!((config.rope, config.rope_theta), (RopeScaling::Linear { factor: 2.5 }, 3.0));
    assert_eq!(parse(llama(), json!({ "rope_scaling": {} })), parse(llama(), json!({})));
}

#[test]
fn what_is_written_parses_to_the_same() {
    let odd = with(
        phi4(),
        json!({
            "num_attention_heads": 32, "partial_rotary_factor": 0.55, "sliding_window": null,
            "rope_scaling": null,
        }),
    );
    let linear = with(
        llama(),
        json!({
            "rope_scaling": { "type": "linear", "factor": 2.7 }, "rms_norm_eps": 1e-6,
            "bos_token_id": null,
        }),
    );
    let llama3 = json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    for json in [phi4(), llama(), odd, linear, with(llama(), json!({ "rope_scaling": llama3 }))] {
        let config = Config::parse(&json).unwrap();
        let text = config.to_json().to_string();
        assert_eq!(Config::parse(&serde_json::from_str(&text).unwrap()).unwrap(), config, "{text}");
    }
    for rotary_dim in (0..=1024).step_by(2) {
        for head_dim in [64, 80, 96, 128, 1024] {
            if rotary_dim <= head_dim {
                let config = Config {
                    head_dim,
                    rotary_dim,
                    rope: RopeScaling::Plain,
                    ..Config::parse(&phi4()).unwrap()
                };
                assert_eq!(
                    Config::parse(&config.to_json()).unwrap().rotary_dim,
                    rotary_dim,
                    "of {head_dim}"
                );
            }
        }
    }
}

#[test]
fn numbers_that_do_not_fit_are_named() {
    use Code::{BadConfig, UnsupportedArchitecture, UnsupportedTensor};
    let rope =
        |changes: Value| json!({ "rope_scaling": with(phi4()["rope_scaling"].clone(), changes) });
    for (code, named, changes) in [
        (BadConfig, "hidden_size", json!({ "hidden_size": null })),
        (BadConfig, "hidden_size", json!({ "hidden_size": "3072" })),
        (BadConfig, "hidden_size", json!({ "hidden_size": -3072 })),
        (BadConfig, "hidden_size", json!({ "hidden_size": 0 })),
        (BadConfig, "hidden_size", json!({ "hidden_size": 1u64 << 33 })),
        (BadConfig, "hidden_size", json!({ "hidden_size": 1 << 30, "head_dim": 128 })),
        (BadConfig, "hidden_size", json!({ "hidden_size": 3080, "head_dim": 128 })),
        (BadConfig, "intermediate_size", json!({ "intermediate_size": 8190 })),
        (BadConfig, "num_hidden_layers", json!({ "num_hidden_layers": 0 })),
        (BadConfig, "num_attention_heads", json!({ "num_attention_heads": 0 })),
        (BadConfig, "num_attention_heads", json!({ "num_attention_heads": 23 })),
        (BadConfig, "num_key_value_heads", json!({ "num_key_value_heads": 7 })),
        (BadConfig, "num_key_value_heads", json!({ "num_key_value_heads": 0 })),
        (BadConfig, "head_dim", json!({ "head_dim": 0 })),
        (BadConfig, "head_dim", json!({ "head_dim": 130 })),
        (BadConfig, "vocab_size", json!({ "vocab_size": 0 })),
        (BadConfig, "rms_norm_eps", json!({ "rms_norm_eps": -1.0 })),
        (BadConfig, "rope_theta", json!({ "rope_theta": 0.0 })),
        (BadConfig, "rope_theta", json!({ "rope_theta": [1] })),
        (BadConfig, "partial_rotary_factor", json!({ "partial_rotary_factor": 1.5 })),
        (BadConfig, "partial_rotary_factor", json!({ "partial_rotary_factor": 0.76 })),
        (BadConfig, "max_position_embeddings", json!({ "max_position_embeddings": 0 })),
        (
            BadConfig,
            "original_max_position_embeddings",
            json!({ "original_max_position_embeddings": 0 }),
        ),
        (BadConfig, "attention_factor", json!({ "original_max_position_embeddings": 1 })),
        (BadConfig, "sliding_window", json!({ "sliding_window": 0 })),
        (BadConfig, "eos_token_id", json!({ "eos_token_id": "</s>" })),
        (BadConfig, "eos_token_id", json!({ "eos_token_id": -1.5 })),
        (BadConfig, "bos_token_id", json!({ "bos_token_id": "<s>" })),
        (BadConfig, "hidden_act", json!({ "hidden_act": 7 })),
        (BadConfig, "model_type", json!({ "model_type": ["phi3"] })),
        (BadConfig, "architectures", json!({ "architectures": "Phi3ForCausalLM" })),
        (BadConfig, "rope_type", rope(json!({ "rope_type": 1 }))),
        (BadConfig, "model_type is mistral", json!({ "model_type": "mistral" })),
        (BadConfig, "model_type is llama", json!({ "model_type": "llama" })),
        (BadConfig, "short_factor", rope(json!({ "short_factor": [1.0] }))),
        (BadConfig, "short_factor", rope(json!({ "short_factor": null }))),
        (BadConfig, "long_factor", rope(json!({ "long_factor": vec![0.0; 48] }))),
        (BadConfig, "long_factor", rope(json!({ "long_factor": ["a"] }))),
        (BadConfig, "attention_factor", rope(json!({ "attention_factor": 0.0 }))),
        (BadConfig, "factor", json!({ "rope_scaling": { "type": "linear" } })),
        (BadConfig, "rope_scaling", json!({ "rope_scaling": 7 })),
        (BadConfig, "architectures", json!({ "architectures": null, "model_type": null })),
        (UnsupportedArchitecture, "yarn", rope(json!({ "type": "yarn" }))),
        (UnsupportedArchitecture, "short_mscale", rope(json!({ "short_mscale": 1.1 }))),
        (
            UnsupportedArchitecture,
            "Phi4MMForCausalLM",
            json!({ "architectures": ["Phi4MMForCausalLM"] }),
        ),
        (
            UnsupportedArchitecture,
            "mistral",
            json!({ "architectures": null, "model_type": "mistral" }),
        ),
        (UnsupportedArchitecture, "attention_bias", json!({ "attention_bias": true })),
        (UnsupportedArchitecture, "hidden_act", json!({ "hidden_act": "gelu" })),
        (
            UnsupportedTensor,
            "quantization_config",
            json!({ "quantization_config": { "quant_method": "awq" } }),
        ),
    ] {
        let error = Config::parse(&with(phi4(), changes.clone())).unwrap_err();
        assert_eq!(error.code, code, "{changes}: {error}");
        assert!(error.message.contains(named), "{changes}: {error}");
    }
    assert_eq!(Config::parse(&json!([1])).unwrap_err().code, BadConfig);
    // In a model's files the mistake has a place.
    for (file, json) in [
        ("config.json", "[1]"),
        ("config.json", "{}"),
        ("generation_config.json", r#"{"eos_token_id": "a"}"#),
    ] {
        let mut source = llama_directory();
        source.files.insert(file.to_owned(), json.into());
        let error = open(source).err().unwrap();
        assert!(
            error.code == BadConfig && error.message.starts_with(&format!("{file} in memory: ")),
            "{error}"
        );
    }
    let mut source = llama_directory();
    source.files.insert("config.json".to_owned(), ["\u{feff}".as_bytes(), LLAMA_CONFIG].concat());
    assert_eq!(code(source), None, "what some editors put first");
}

#[test]
fn gguf_metadata_are_checked_like_any_config() {
    use Code::{BadConfig, UnsupportedArchitecture};
    assert_eq!(code(Gguf::llama().file()), None);
    for (code, named, model) in [
        (
            UnsupportedArchitecture,
            "gemma3",
            Gguf::llama().meta("general.architecture", Meta::Text("gemma3")),
        ),
        (UnsupportedArchitecture, "missing", Gguf::llama().without("general.architecture")),
        (
            UnsupportedArchitecture,
            "expert_count",
            Gguf::llama().meta("llama.expert_count", Meta::U32(8)),
        ),
        (
            UnsupportedArchitecture,
            "yarn",
            Gguf::llama().meta("llama.rope.scaling.type", Meta::Text("yarn")),
        ),
        (
            UnsupportedArchitecture,
            "layer",
            Gguf::llama().meta("llama.feed_forward_length", Meta::I32s(vec![32, 64])),
        ),
        (
            UnsupportedArchitecture,
            "value_length",
            Gguf::llama().meta("llama.attention.value_length", Meta::U32(8)),
        ),
        (BadConfig, "block_count", Gguf::llama().without("llama.block_count")),
        (BadConfig, "block_count", Gguf::llama().meta("llama.block_count", Meta::F32(1.0))),
        (
            BadConfig,
            "embedding_length",
            Gguf::llama().meta("llama.attention.head_count", Meta::U32(3)),
        ),
        (
            BadConfig,
            "embedding_length",
            Gguf::llama().meta("llama.attention.head_count", Meta::U32(0)),
        ),
        (
            BadConfig,
            "num_key_value_heads",
            Gguf::llama().meta("llama.attention.head_count_kv", Meta::I32s(vec![0])),
        ),
        (
            BadConfig,
            "rms_norm_eps",
            Gguf::llama().meta("llama.attention.layer_norm_rms_epsilon", Meta::F32(f32::NAN)),
        ),
        (
            BadConfig,
            "layer_norm_rms_epsilon",
            Gguf::llama().meta("llama.attention.layer_norm_rms_epsilon", Meta::Text("1e-5")),
        ),
        (BadConfig, "rope.freq_base", Gguf::llama().meta("llama.rope.freq_base", Meta::Bool(true))),
        (
            BadConfig,
            "rope.scaling.type",
            Gguf::llama().meta("llama.rope.scaling.type", Meta::U32(1)),
        ),
        (
            BadConfig,
            "rope.scaling.factor",
            Gguf::llama().meta("llama.rope.scaling.factor", Meta::Text("4")),
        ),
        (
            BadConfig,
            "vocab_size is 5, but token_embd.weight has 4 rows",
            Gguf::llama().meta("llama.vocab_size", Meta::U32(5)),
        ),
        (
            BadConfig,
            "tokens has 5, but",
            Gguf::llama().meta("tokenizer.ggml.tokens", Meta::Texts(vec!["a".into(); 5])),
        ),
        (
            BadConfig,
            "rope_theta",
            Gguf::llama().meta("llama.rope.freq_base", Meta::F32(f32::INFINITY)),
        ),
    ] {
        let error = open(model.file()).err().unwrap();
        assert_eq!(error.code, code, "{error}");
        assert!(
            error.message.starts_with("model.gguf in memory: ") && error.message.contains(named),
            "{error}"
        );
    }
    let factor = || Gguf::llama().meta("llama.rope.scaling.factor", Meta::F32(4.0));
    for (what, model, rope) in [
        (
            "linear",
            factor().meta("llama.rope.scaling.type", Meta::Text("linear")),
            RopeScaling::Linear { factor: 4.0 },
        ),
        ("no type", factor(), RopeScaling::Linear { factor: 4.0 }),
        (
            "the old key",
            Gguf::llama().meta("llama.rope.scale_linear", Meta::F32(4.0)),
            RopeScaling::Linear { factor: 4.0 },
        ),
        ("none", factor().meta("llama.rope.scaling.type", Meta::Text("none")), RopeScaling::Plain),
        (
            "no factor",
            Gguf::llama().meta("llama.rope.scaling.type", Meta::Text("linear")),
            RopeScaling::Plain,
        ),
        (
            "0 for none",
            Gguf::llama().meta("llama.rope.scaling.factor", Meta::F32(0.0)),
            RopeScaling::Plain,
        ),
    ] {
        assert_eq!(open(model.file()).unwrap().config.rope, rope, "{what}");
    }
    assert_eq!(
        open(Gguf::llama().meta("llama.feed_forward_length", Meta::I32s(vec![32])).file())
            .unwrap()
            .config
            .intermediate_size,
        32
    );
    let mut factors = Gguf::llama();
    factors.tensors.push((
        "rope_freqs.weight".into(),
        vec![8],
        0,
        [2.0f32; 8].map(f32::to_le_bytes).concat(),
    ));
    let same = RopeScaling::LongRope {
        short_factor: vec![2.0; 8],
        long_factor: vec![2.0; 8],
        attention_factor: 1.0,
    };
    assert_eq!(open(factors.file()).unwrap().config.rope, same);
    let both = factors.meta("llama.rope.scaling.factor", Meta::F32(4.0));
    let RopeScaling::LongRope { short_factor, .. } = open(both.file()).unwrap().config.rope else {
        panic!()
    };
    assert_eq!(short_factor, [8.0; 8], "frequencies of their own are scaled, too");
}
