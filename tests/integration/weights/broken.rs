//! Files that are cut, wrong or no models at all: each with its code, as many lines as cases.

use phi_wasm::error::{Code, Result};
use phi_wasm::weights::{MemorySource, Source};
use safetensors::Dtype;

use super::make::{
    ElementType, Gguf, LLAMA_CONFIG, LLAMA_GGUF, LLAMA_SAFETENSORS, Meta, PHI3_GGUF, code,
    llama_directory, open, safetensors, unpack,
};

#[test]
fn a_gguf_cut_anywhere_is_truncated() {
    for file in [LLAMA_GGUF, PHI3_GGUF] {
        assert_eq!(code(MemorySource::file("model.gguf", file.to_vec())), None);
        // The header's every byte, then the data in steps; the last tensor's padding may be
        // missing.
        for cut in (0..4000).chain((4000..file.len() - 32).step_by(101)) {
            assert_eq!(
                code(MemorySource::file("model.gguf", file[..cut].to_vec())),
                Some(Code::Truncated),
                "at {cut}"
            );
        }
    }
}

#[test]
fn a_file_that_was_cut_tells_its_size_and_the_whole_ones() {
    let (file, half) = (LLAMA_GGUF, LLAMA_GGUF.len() / 2);
    let header = Gguf::llama().without("output_norm.weight").bytes();
    for (source, sentence) in [
        (
            MemorySource::file("model.gguf", file[..half].to_vec()),
            format!("has {half} bytes, where {} are promised; ", file.len()),
        ),
        (
            MemorySource::file("model.gguf", file[..100].to_vec()),
            "has 100 bytes and ends within its header; ".to_owned(),
        ),
        (
            MemorySource::file("model.gguf", header[..30].to_vec()),
            "has 30 bytes and ends within its header; ".to_owned(),
        ),
        (
            with_weights(&LLAMA_SAFETENSORS[..5000]),
            format!("has 5000 bytes, where {} are promised; ", LLAMA_SAFETENSORS.len()),
        ),
        (
            with_weights(&LLAMA_SAFETENSORS[..100]),
            "has 100 bytes and ends within its header; ".to_owned(),
        ),
    ] {
        let error = open(source).err().unwrap();
        assert!(
            error.code == Code::Truncated && error.message.contains(&sentence),
            "no {sentence} in {error}"
        );
    }
}

fn with_weights(bytes: &[u8]) -> MemorySource {
    let mut source = llama_directory();
    source.files.insert("model.safetensors".into(), bytes.to_vec());
    source
}

#[test]
fn a_number_that_no_file_can_have_is_no_cut() {
    let header = Gguf::llama().bytes();
    let impossible = |at: usize| {
        let mut bytes = header.clone();
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        MemorySource::file("model.gguf", bytes)
    };
    let after = |text: &str| {
        header.windows(text.len()).position(|at| at == text.as_bytes()).unwrap() + text.len()
    };
    for (named, source) in [
        ("18446744073709551615 tensors, which no model has", impossible(8)),
        ("18446744073709551615 keys, which no model has", impossible(16)),
        ("a header of 18446744073709551615 bytes or more", impossible(24)),
        // After the key come the kinds of the list and of what is in it.
        (
            "18446744073709551615 texts in tokenizer.ggml.tokens, which",
            impossible(after("tokenizer.ggml.tokens") + 8),
        ),
        (
            "a header of 18446744073709551615 bytes or more",
            impossible(after("tokenizer.ggml.token_type") + 8),
        ),
        // The name, the number of dimensions, one of them, the type.
        (
            "output_norm.weight would end at byte 18446744073709551615",
            impossible(after("output_norm.weight") + 4 + 8 + 4),
        ),
        (
            "cannot lie in bytes 0 to 9223372036854775804",
            with_header(concat!(
                r#"{"a": {"dtype": "F32", "shape": [2305843009213693951], "#,
                r#""data_offsets": [0, 9223372036854775804]}}"#,
            )),
        ),
    ] {
        let error = open(source).err().unwrap();
        assert!(
            error.code == Code::Malformed && error.message.contains(named),
            "no {named} in {error}"
        );
    }
}

fn with_header(json: &str) -> MemorySource {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend([0; 64]);
    with_weights(&bytes)
}

#[test]
fn what_was_fetched_in_a_models_place_is_told() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec();
    let page = b"<!DOCTYPE html><html lang=\"en\"></html>".to_vec();
    for (named, source) in [
        (
            "model.gguf in memory: a pointer of Git LFS",
            MemorySource::file("model.gguf", pointer.clone()),
        ),
        ("model.safetensors in memory: a pointer of Git LFS", with_weights(&pointer)),
        ("model.gguf in memory: a page of the web", MemorySource::file("model.gguf", page.clone())),
        ("model.safetensors in memory: a page of the web", with_weights(&page)),
        (
            "model.gguf in memory: not a GGUF file, since it does not begin with GGUF; name one",
            MemorySource::file("model.gguf", b"GGML".to_vec()),
        ),
        (
            "messages.json in memory: not a GGUF file, since it does not begin with GGUF; name one",
            beside("messages.json", "[]"),
        ),
        (
            "adapter.safetensors in memory: not part of a model there; name a directory with \
                config.json",
            beside("adapter.safetensors", ""),
        ),
        (
            "memory: there are no files; a model is a GGUF file, or a directory with config.json, \
                tokenizer.json and model.safetensors",
            MemorySource::default(),
        ),
        (
            "and no GGUF file; name a model's directory or a GGUF file",
            MemorySource::directory([("README.md", Vec::new())]),
        ),
    ] {
        let error = open(source).err().unwrap();
        assert!(
            error.code == Code::NotAModel && error.message.contains(named),
            "no {named} in {error}"
        );
    }
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        assert_eq!(code(beside(file, "{}")), None, "{file}");
    }
}

#[test]
fn what_was_fetched_in_the_place_of_json_or_a_template_is_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    for (file, text, code, told) in [
        (
            "config.json",
            pointer,
            Code::Malformed,
            "config.json in memory: a pointer of Git LFS in the file's place; git lfs pull",
        ),
        (
            "tokenizer_config.json",
            "\u{feff}\n<html>",
            Code::Malformed,
            "a page of the web in the file's place; download the file",
        ),
        (
            "chat_template.jinja",
            "<!doctype html>\n<title>Hub</title>",
            Code::Malformed,
            "chat_template.jinja in memory: a page of the web in the file's place; download the",
        ),
        (
            "chat_template.jinja",
            pointer,
            Code::Malformed,
            "a pointer of Git LFS in the file's place",
        ),
        (
            "generation_config.json",
            "{\"a\": tru",
            Code::Truncated,
            "the JSON ends after 9 bytes; the file was cut short",
        ),
        (
            "config.json",
            "{\"a\" 1}",
            Code::Malformed,
            "no JSON from line 1, column 6 on; the file is damaged, fetch it again",
        ),
    ] {
        let mut source = llama_directory();
        source.files.insert(file.to_owned(), text.into());
        let error = open(source).err().unwrap();
        assert!(error.code == code && error.message.contains(told), "no {told} in {error}");
    }
    // Many templates begin with a control token.
    let mut source = llama_directory();
    source.files.insert("chat_template.jinja".to_owned(), b"<s>{{ messages }}".to_vec());
    assert_eq!(code(source), None);
}

/// A file in a model's directory that somebody names in its place.
fn beside(file: &str, text: &str) -> MemorySource {
    let mut source = llama_directory();
    source.files.entry(file.to_owned()).or_insert_with(|| text.into());
    MemorySource { entry: Some(file.to_owned()), ..source }
}

#[test]
fn safetensors_cut_anywhere_are_truncated() {
    let file = LLAMA_SAFETENSORS;
    for cut in (0..3000).chain((3000..file.len()).step_by(101)).chain([file.len() - 1]) {
        assert_eq!(code(with_weights(&file[..cut])), Some(Code::Truncated), "at {cut}");
    }
    for cut in 0..LLAMA_CONFIG.len() {
        let mut source = llama_directory();
        source.files.insert("config.json".into(), LLAMA_CONFIG[..cut].to_vec());
        assert_eq!(code(source), Some(Code::Truncated), "config.json at {cut}");
    }
}

#[test]
fn what_is_no_model_is_called_so() {
    let config = ("config.json", LLAMA_CONFIG.to_vec());
    for (what, expected, source) in [
        (
            "text as GGUF",
            Code::NotAModel,
            MemorySource::file("model.gguf", b"Once upon a time".to_vec()),
        ),
        (
            "any file",
            Code::NotAModel,
            MemorySource::file("picture.png", vec![0x89, b'P', b'N', b'G', 0, 0, 0, 0]),
        ),
        ("an empty directory", Code::NotAModel, MemorySource::default()),
        ("no weights", Code::NotAModel, MemorySource::directory([config.clone()])),
        (
            "text as safetensors",
            Code::NotAModel,
            MemorySource::directory([
                config.clone(),
                ("model.safetensors", b"Once upon a time".to_vec()),
            ]),
        ),
        (
            "zeros as safetensors",
            Code::NotAModel,
            MemorySource::directory([config.clone(), ("model.safetensors", vec![0; 64])]),
        ),
        ("GGUF 1", Code::NotAModel, Gguf { version: 1, ..Gguf::llama() }.file()),
        ("GGUF 4", Code::NotAModel, Gguf { version: 4, ..Gguf::llama() }.file()),
        ("big-endian GGUF", Code::NotAModel, Gguf { version: 3 << 24, ..Gguf::llama() }.file()),
        ("a list as config", Code::BadConfig, with(&config, "config.json", "[]")),
        ("no JSON as config", Code::Malformed, with(&config, "config.json", "hidden_size: 7")),
        ("a list as index", Code::Malformed, with(&config, "model.safetensors.index.json", "[1]")),
        (
            "a shard that is missing",
            Code::NotFound,
            with(
                &config,
                "model.safetensors.index.json",
                r#"{"weight_map": {"a": "b.safetensors"}}"#,
            ),
        ),
        (
            "a shard elsewhere",
            Code::Malformed,
            with(
                &config,
                "model.safetensors.index.json",
                r#"{"weight_map": {"a": "../b.safetensors"}}"#,
            ),
        ),
    ] {
        assert_eq!(code(source), Some(expected), "{what}");
    }
    let absent = MemorySource { entry: Some("model.gguf".to_owned()), ..MemorySource::default() };
    assert_eq!(code(absent), Some(Code::NotFound));
}

fn with(base: &(&'static str, Vec<u8>), name: &'static str, text: &str) -> MemorySource {
    let mut source = llama_directory();
    if name.contains("index") {
        source.files.remove("model.safetensors");
    }
    source.files.insert(base.0.to_owned(), base.1.clone());
    source.files.insert(name.to_owned(), text.into());
    source
}

/// A server: it cannot be listed.
struct Server;

impl Source for Server {
    fn name(&self) -> String {
        "https://example.org/model".to_owned()
    }
    fn entry(&self) -> Option<&str> {
        None
    }
    async fn size(&self, _: &str) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn read(&self, _: &str, _: u64, _: &mut [u8]) -> Result<()> {
        unreachable!("nothing is there")
    }
}

#[test]
fn an_address_with_nothing_behind_is_not_found() {
    assert_eq!(code(Server), Some(Code::NotFound));
}

#[test]
fn every_tensor_is_needed_in_its_shape_and_type() {
    let names: Vec<String> = Gguf::llama().tensors.into_iter().map(|tensor| tensor.0).collect();
    for name in &names {
        let missing = open(Gguf::llama().without(name).file()).err().unwrap();
        // Without its rows, nothing says how large the vocabulary is but the list of tokens.
        assert_eq!(missing.code, Code::MissingTensor, "{name}: {missing}");
        let wide = open(Gguf::llama().with(name, |tensor| tensor.1[0] = 8).file()).err().unwrap();
        assert_eq!(wide.code, Code::WrongShape, "{name}: {wide}");
        assert!(
            wide.message.contains('8') && wide.message.contains("32"),
            "both shapes are named: {wide}"
        );
        let (one_bit, integers) = (19, 26);
        for kind in [one_bit, integers, 9999] {
            let unknown =
                open(Gguf::llama().with(name, |tensor| tensor.2 = kind).file()).err().unwrap();
            assert_eq!(unknown.code, Code::UnsupportedTensor, "{name}: {unknown}");
            assert!(unknown.message.contains(name.as_str()), "{unknown}");
        }
    }
    for (at, (name, ..)) in unpack(LLAMA_SAFETENSORS).into_iter().enumerate() {
        let changed = |change: &dyn Fn(&mut Vec<ElementType>)| {
            let mut tensors = unpack(LLAMA_SAFETENSORS);
            change(&mut tensors);
            let mut source = llama_directory();
            source.files.insert("model.safetensors".into(), safetensors(&tensors));
            code(source)
        };
        assert_eq!(
            changed(&|tensors| drop(tensors.remove(at))),
            Some(Code::MissingTensor),
            "{name}"
        );
        assert_eq!(changed(&|tensors| tensors[at].2.push(1)), Some(Code::WrongShape), "{name}");
        assert_eq!(
            changed(&|tensors| tensors[at].1 = Dtype::I16),
            Some(Code::UnsupportedTensor),
            "{name}"
        );
    }
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let twice = {
        let mut model = Gguf::llama();
        model.tensors.push(model.tensors[0].clone());
        model
    };
    let odd_row =
        Gguf::llama().with("output_norm.weight", |tensor| (tensor.1, tensor.2) = (vec![31], 8));
    let many = Gguf::llama().with("output_norm.weight", |tensor| tensor.1 = vec![1; 5]);
    for (what, model) in [
        ("a tensor that is there twice", twice),
        ("a row that is no whole block", odd_row),
        ("five dimensions", many),
        ("an alignment of 3", Gguf::llama().meta("general.alignment", Meta::U32(3))),
        ("one of several parts without a number", Gguf::llama().meta("split.count", Meta::U16(3))),
    ] {
        assert_eq!(code(model.file()), Some(Code::Malformed), "{what}");
    }
    let damaged = |model: Gguf| open(model.file()).err().unwrap();
    for (key, value) in [
        ("general.alignment", Meta::Text("32")),
        ("split.count", Meta::Text("1")),
        ("tokenizer.ggml.model", Meta::U32(1)),
        ("tokenizer.ggml.pre", Meta::Bool(true)),
        ("tokenizer.ggml.tokens", Meta::I32s(vec![1, 2, 3, 4])),
        ("tokenizer.ggml.token_type", Meta::Texts(vec!["normal".into(); 4])),
        ("tokenizer.ggml.bos_token_id", Meta::Text("<s>")),
        ("tokenizer.ggml.eos_token_id", Meta::F32(2.0)),
        ("tokenizer.ggml.add_bos_token", Meta::U32(1)),
        ("tokenizer.chat_template", Meta::U32(1)),
    ] {
        let error = damaged(Gguf::llama().meta(key, value));
        assert_eq!(error.code, Code::Malformed, "{error}");
        assert!(error.message.contains(&format!("{key} must be")), "{error}");
    }
    let mut keys = Gguf::llama();
    keys.meta.push(("llama.context_length", Meta::U32(64)));
    let mut overlapping = Gguf::llama().bytes();
    // The header's last tensor, ffn_down, ends with its offset: put it where the one before lies.
    let end = overlapping.windows(17).position(|at| at == b"blk.0.ffn_down.we").unwrap()
        + "blk.0.ffn_down.weight".len()
        + 4
        + 16
        + 4;
    let before = u64::from_le_bytes(overlapping[end..end + 8].try_into().unwrap()) - 32;
    overlapping[end..end + 8].copy_from_slice(&before.to_le_bytes());
    for (named, source) in [
        ("llama.context_length is there twice", keys.file()),
        (
            "blk.0.ffn_up.weight and blk.0.ffn_down.weight",
            MemorySource::file("model.gguf", overlapping),
        ),
    ] {
        let error = open(source).err().unwrap();
        assert_eq!(error.code, Code::Malformed, "{error}");
        assert!(error.message.contains(named), "{error}");
    }
    let huge = Gguf::llama().with("output_norm.weight", |tensor| tensor.1 = vec![1 << 40, 1 << 40]);
    assert_eq!(code(huge.file()), Some(Code::Malformed));
    let long = Gguf::llama().with("output_norm.weight", |tensor| tensor.1 = vec![1 << 40]);
    assert_eq!(code(long.file()), Some(Code::Truncated));

    for (json, expected) in [
        (r#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}"#, Code::Malformed),
        (r#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}"#, Code::Malformed),
        (
            r#"{"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}}"#,
            Code::Malformed,
        ),
        (
            concat!(
                r#"{"a": {"dtype": "I8", "shape": [], "#,
                r#""data_offsets": [18446744073709551615, 18446744073709551615]}}"#,
            ),
            Code::Malformed,
        ),
        (r#"{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}"#, Code::Malformed),
        (r#"{"a": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}"#, Code::Truncated),
        (r#"{"a": 1}"#, Code::Malformed),
        (
            concat!(
                r#"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "#,
                r#""a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#,
            ),
            Code::Malformed,
        ),
        (
            concat!(
                r#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "#,
                r#""b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#,
            ),
            Code::Malformed,
        ),
        (r#"{"a": "#, Code::Truncated),
        (r#"{}"#, Code::MissingTensor),
    ] {
        assert_eq!(code(with_header(json)), Some(expected), "{json}");
    }
}

#[test]
fn parts_must_belong_together() {
    let part = |number: u16, count: u16| {
        Gguf::llama()
            .meta("split.no", Meta::U16(number))
            .meta("split.count", Meta::U16(count))
            .bytes()
    };
    let name = |number: u16| format!("x-{number:05}-of-00002.gguf");
    let pair = |first, second| MemorySource {
        entry: Some(name(1)),
        ..MemorySource::directory([(name(1), first), (name(2), second)])
    };
    let told = |first, second| open(pair(first, second)).err().unwrap();
    let (twice, tensors) = (told(part(0, 2), part(0, 2)), told(part(0, 2), part(1, 2)));
    assert!(
        twice.code == Code::Malformed
            && twice.message.starts_with("x-00002-of-00002.gguf in memory: its split.no"),
        "{twice}"
    );
    assert!(
        tensors.code == Code::Malformed
            && tensors.message.contains("twice, once in x-00002-of-00002.gguf in memory"),
        "{tensors}"
    );
    assert_eq!(code(pair(part(0, 3), part(1, 3))), Some(Code::Malformed), "parts of another split");
    let alone =
        MemorySource { entry: Some(name(1)), ..MemorySource::directory([(name(1), part(0, 2))]) };
    let error = open(alone).err().unwrap();
    assert_eq!(
        (error.code, &error.message[..]),
        (
            Code::NotFound,
            "x-00002-of-00002.gguf in memory is not there, and the model needs it; fetch it too"
        )
    );
}
