//! What comes out of models that are sound, as many lines as cases.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use phi_wasm::error::{Code, Result};
use phi_wasm::layout::{Band, Kind, planes};
use phi_wasm::op::Matrix;
use phi_wasm::weights::config::RopeScaling;
use phi_wasm::weights::gguf::write;
use phi_wasm::weights::spec::{EMBED_TOKENS, LM_HEAD};
use phi_wasm::weights::{
    Bits, Checkpoint, DirSource, MemorySource, Source, TextFiles, WeightFormat,
};
use pollster::block_on;
use safetensors::{Dtype, SafeTensors};

use super::make::{
    Dice, Gguf, GgufTensor, LLAMA_CONFIG, LLAMA_GGUF, LLAMA_SAFETENSORS, Memory, Meta, PHI3_GGUF,
    PHI3_VALUES, TINY_PHI, bands, everything, floats, llama_directory, open, random_gguf,
    safetensors, unpack, whole,
};
use crate::common::watched::Watched;

#[test]
fn a_llama_is_the_same_from_safetensors_and_from_gguf() {
    let one = open(llama_directory()).unwrap();
    let other = open(MemorySource::file("llama.gguf", LLAMA_GGUF.to_vec())).unwrap();
    assert_eq!(one.config, other.config);
    assert_eq!(one.stop_tokens, other.stop_tokens);
    // GGUF holds q and k in another order, which the package that wrote the file is the judge of.
    assert_eq!(everything(&one).unwrap(), everything(&other).unwrap());
    assert_eq!(
        one.parameters(),
        everything(&one).unwrap().values().map(|values| values.len() as u64).sum::<u64>()
    );
}

#[test]
fn fused_projections_are_the_parts_in_order() {
    let model = open(llama_directory()).unwrap();
    let fused = everything(&model).unwrap();
    let stored = SafeTensors::deserialize(LLAMA_SAFETENSORS).unwrap();
    let halves = |name: &str| -> Vec<f32> {
        let tensor = stored.tensor(&format!("model.layers.1.{name}.weight")).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F16);
        tensor
            .data()
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32())
            .collect()
    };
    let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map(halves).concat();
    assert_eq!(fused["model.layers.1.self_attn.qkv_proj.weight"], qkv);
    assert_eq!(
        fused["model.layers.1.mlp.gate_up_proj.weight"],
        ["mlp.gate_proj", "mlp.up_proj"].map(halves).concat()
    );
}

#[test]
fn a_quantised_phi3_gguf_keeps_its_values() {
    let model = open(MemorySource::file("phi3.gguf", PHI3_GGUF.to_vec())).unwrap();
    let golden = SafeTensors::deserialize(PHI3_VALUES).unwrap();
    for (name, shape) in model.config.matrices() {
        let expected = floats(&golden, &name);
        for format in [WeightFormat::from(Bits::Four), WeightFormat::EXACT] {
            let panel = whole(&model, &name, shape, format).unwrap();
            let found: Vec<f32> = (0..shape[0]).flat_map(|row| panel.row(row)).collect();
            assert_eq!(found, expected, "{name} as {:?}", panel.kind);
        }
    }
    let kinds = |name: &str, shape| {
        model.kind_of(&format!("model.layers.0.{name}.weight"), shape, Bits::Four).unwrap()
    };
    assert_eq!(kinds("self_attn.qkv_proj", [64, 32]), Kind::Q4);
    assert_eq!(kinds("self_attn.o_proj", [32, 32]), Kind::Q4Min);
    assert_eq!(kinds("mlp.gate_up_proj", [128, 32]), Kind::Q5);
    assert_eq!(
        block_on(model.vector("model.layers.1.post_attention_layernorm.weight", 32)).unwrap(),
        [3.0; 32]
    );

    let config = &model.config;
    assert_eq!(
        (config.rotary_dim, config.original_max_position_embeddings, config.sliding_window),
        (12, 64, None)
    );
    assert!(config.tie_word_embeddings);
    assert_eq!(model.stop_tokens, [40, 39], "the one that the metadata name, and <|end|>");
    let RopeScaling::LongRope { short_factor, long_factor, attention_factor } = &config.rope else {
        panic!("{:?}", config.rope)
    };
    assert_eq!((short_factor[0], short_factor[5], long_factor[5]), (1.0, 1.5, 32.0));
    assert!((attention_factor - 1.5f32.sqrt()).abs() < 1e-6);
    let TextFiles::Gguf(metadata) = &model.files else {
        panic!("metadata are kept for the tokenizer")
    };
    assert_eq!(metadata.texts("tokenizer.ggml.tokens").unwrap().len(), 41);
    assert_eq!(metadata.integers("tokenizer.ggml.token_type").unwrap()[38..], [1, 3, 3]);
}

#[test]
fn a_tied_head_is_the_embedding() {
    let model = open(MemorySource::file("phi3.gguf", PHI3_GGUF.to_vec())).unwrap();
    let shape = [41, 32];
    assert_eq!(
        whole(&model, LM_HEAD, shape, Bits::Four).unwrap(),
        whole(&model, EMBED_TOKENS, shape, Bits::Four).unwrap()
    );
    assert!(model.config.matrices().iter().all(|(name, _)| name != LM_HEAD));
}

#[test]
fn unquantised_weights_are_held_as_asked() {
    let model = open(DirSource::open(TINY_PHI).unwrap()).unwrap();
    assert_eq!(model.stop_tokens, [2]);
    let exact = everything(&model).unwrap();
    for (name, shape) in model.config.matrices() {
        for (bits, worst) in [
            (Bits::ThirtyTwo, 0.0),
            (Bits::Sixteen, 1e-3),
            (Bits::Eight, 0.01),
            (Bits::Five, 0.14),
            (Bits::Four, 0.14),
        ] {
            let panel = whole(&model, &name, shape, bits).unwrap();
            assert_eq!(panel.kind, model.kind_of(&name, shape, bits).unwrap());
            let squares = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|x| f64::from(x).powi(2)).sum::<f64>()
            };
            let found: Vec<f32> = (0..shape[0]).flat_map(|row| panel.row(row)).collect();
            let off =
                squares(&mut found.iter().zip(&exact[&name]).map(|(found, exact)| found - exact));
            let relative = (off / squares(&mut exact[&name].iter().copied())).sqrt();
            assert!(relative <= worst, "{name} in {} bits: {relative}", bits.number());
        }
    }
}

/// Moves the tensors of a model into `count` GGUF files.
fn split(model: &Gguf, count: usize) -> Vec<(String, Vec<u8>)> {
    let part = |number: usize| {
        let tensors = model.tensors.iter().skip(number).step_by(count).cloned().collect();
        let mut part = Gguf {
            version: 3,
            meta: if number == 0 { model.meta.clone() } else { Vec::new() },
            tensors,
        };
        part.meta.push(("split.no", Meta::U16(number as u16)));
        part.meta.push(("split.count", Meta::U16(count as u16)));
        part.meta.push(("split.tensors.count", Meta::U32(model.tensors.len() as u32)));
        (format!("tiny-{:05}-of-{count:05}.gguf", number + 1), part.bytes())
    };
    (0..count).map(part).collect()
}

#[test]
fn split_files_are_one_model_whichever_part_is_named() {
    let expected = everything(&open(random_gguf().file()).unwrap()).unwrap();
    let parts = split(&random_gguf(), 3);
    for entry in [None, Some(0), Some(2)] {
        let mut source = MemorySource::directory(parts.clone());
        source.entry = entry.map(|part: usize| parts[part].0.clone());
        let model = open(source).unwrap();
        assert_eq!(everything(&model).unwrap(), expected, "{entry:?}");
        assert_eq!(model.stop_tokens, [2, 3]);
    }
}

#[test]
fn both_versions_of_gguf_read_the_same() {
    let mut old = random_gguf();
    old.version = 2;
    assert_eq!(
        everything(&open(old.file()).unwrap()).unwrap(),
        everything(&open(random_gguf().file()).unwrap()).unwrap()
    );
}

#[test]
fn shards_are_one_model() {
    let tensors = unpack(LLAMA_SAFETENSORS);
    let (first, second) = tensors.split_at(tensors.len() / 2);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let map = first
        .iter()
        .map(|tensor| (&tensor.0, names[0]))
        .chain(second.iter().map(|tensor| (&tensor.0, names[1])));
    let map = serde_json::Map::from_iter(map.map(|(k, v)| (k.clone(), v.into())));
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    let mut source = MemorySource::directory([
        ("config.json", LLAMA_CONFIG.to_vec()),
        (names[0], safetensors(first)),
        (names[1], safetensors(second)),
        ("model.safetensors.index.json", index.to_string().into_bytes()),
    ]);
    let expected = everything(&open(llama_directory()).unwrap()).unwrap();
    assert_eq!(everything(&open(source.clone()).unwrap()).unwrap(), expected);
    source.entry = Some(names[1].to_owned());
    assert_eq!(
        everything(&open(source).unwrap()).unwrap(),
        expected,
        "any file of a directory stands for it"
    );
}

#[test]
fn fused_parts_of_several_types_keep_their_own() {
    use Kind::{IQ4NL, Q4, Q4Min, Q5, Q5Min, Q8};
    // Type's number in GGUF, bytes of a block, kind. Floats become what is asked for.
    let types: [(u32, usize, Kind); 7] = [
        (0, 128, Q4Min),
        (2, 18, Q4),
        (3, 20, Q4Min),
        (6, 22, Q5),
        (7, 24, Q5Min),
        (8, 34, Q8),
        (20, 18, IQ4NL),
    ];
    for (q, q_bytes, q_kind) in types {
        for (v, v_bytes, v_kind) in types {
            let random = |bytes: usize| {
                let mut dice = Dice(9);
                let mut data: Vec<u8> = (0..32 * bytes).map(|_| dice.byte()).collect();
                // Scales and minima of a sensible size, in every block; the floats become small
                // too.
                data.chunks_exact_mut(2).for_each(|pair| pair[1] &= 0x2f);
                data
            };
            let change = |kind: u32, bytes: usize| {
                move |tensor: &mut GgufTensor| (tensor.2, tensor.3) = (kind, random(bytes))
            };
            let model = Gguf::llama()
                .with("blk.0.attn_q.weight", change(q, q_bytes))
                .with("blk.0.attn_v.weight", change(v, v_bytes));
            let model = model.with("blk.0.attn_k.weight", change(q, q_bytes));
            let model = open(model.file()).unwrap();
            let (name, shape) = ("model.layers.0.self_attn.qkv_proj.weight", [96, 32]);
            let found = bands(&model, name, shape, Q4Min).unwrap();
            let expected = if q_kind == v_kind {
                vec![(q_kind, 96)]
            } else {
                vec![(q_kind, 64), (v_kind, 32)]
            };
            let held: Vec<_> = found.iter().map(|panel| (panel.kind, panel.rows)).collect();
            assert_eq!(held, expected, "{q} and {v}");
            let exact = whole(&model, name, shape, WeightFormat::EXACT).unwrap();
            let rows = found.iter().flat_map(|panel| (0..panel.rows).map(|row| panel.row(row)));
            for (row, found) in rows.enumerate() {
                let comes = if row < 64 { q } else { v };
                assert!(comes == 0 || found == exact.row(row), "{q} and {v}, row {row}");
            }
        }
    }
}

/// The planes of a loaded matrix, parts joined.
fn joined(backend: &Memory, matrix: &Matrix) -> [Vec<u8>; 3] {
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    let mut next = 0;
    for part in &matrix.parts {
        assert_eq!(part.first_row, next);
        assert!(part.first_row.is_multiple_of(4));
        next += part.rows;
        let bytes = part.planes(matrix.cols);
        for ((all, buf), bytes) in all
            .iter_mut()
            .zip([Some(part.codes), part.scales, part.mins])
            .zip([bytes.codes, bytes.scales, bytes.mins])
        {
            assert_eq!(buf.is_some(), bytes > 0);
            if let Some(buf) = buf {
                assert_eq!(backend.buffers[&buf.0].len() as u64, bytes);
                all.extend(&backend.buffers[&buf.0]);
            }
        }
    }
    assert_eq!(next, matrix.rows);
    all
}

#[test]
fn matrices_are_split_into_buffers_that_the_device_allows() {
    let model = open(DirSource::open(TINY_PHI).unwrap()).unwrap();
    for bits in Bits::ALL {
        for (name, shape) in model.config.matrices() {
            let panel = whole(&model, &name, shape, bits).unwrap();
            let quad = planes(panel.kind, 4, shape[1]).codes;
            for max_buffer in [u64::MAX, 50 * quad + 8, quad] {
                let mut backend = Memory { max_buffer, ..Memory::default() };
                let mut read = 0;
                let matrix =
                    block_on(
                        model.matrix(&mut backend, &name, shape, bits, &mut |bytes| read += bytes),
                    )
                    .unwrap();
                assert_eq!(
                    (matrix.bands(), matrix.rows as usize, matrix.cols as usize),
                    (vec![Band { kind: panel.kind, rows: shape[0] }], shape[0], shape[1])
                );
                let planes = [&panel.codes, &panel.scales, &panel.mins];
                assert_eq!(joined(&backend, &matrix), planes.map(Vec::clone), "{name}");
                assert_eq!(read, 2 * (shape[0] * shape[1]) as u64, "bf16 is two bytes a weight");
            }
        }
    }
}

/// Loads everything; what progress heard.
fn load<S: Source>(model: &Checkpoint<S>, backend: &mut Memory) -> Result<u64> {
    let heard = Cell::new(0);
    let mut loaded = Vec::new();
    for (name, shape) in model.config.matrices() {
        match block_on(
            model.matrix(backend, &name, shape, Bits::Five, &mut |bytes| {
                heard.set(heard.get() + bytes)
            }),
        ) {
            Ok(matrix) => loaded.push(matrix),
            Err(error) => {
                loaded.iter().for_each(|matrix| phi_wasm::weights::load::free(backend, matrix));
                return Err(error);
            }
        }
    }
    Ok(heard.get())
}

#[test]
fn what_fails_half_way_leaves_nothing_behind() {
    let watched = Watched::new(llama_directory());
    let model = open(watched.clone()).unwrap();
    let mut backend = Memory { max_buffer: 1000, ..Memory::default() };
    let read = load(&model, &mut backend).unwrap();
    let vectors: u64 = model.config.vectors().iter().map(|(_, len)| 2 * *len as u64).sum();
    assert_eq!(read + vectors, model.weight_bytes());
    let allocations = backend.buffers.len() as u32;
    assert!(allocations > 30);
    for allowed in 0..allocations {
        let mut backend =
            Memory { max_buffer: 1000, allocations_left: Some(allowed), ..Memory::default() };
        assert_eq!(load(&model, &mut backend).unwrap_err().code, Code::OutOfMemory);
        assert!(backend.buffers.is_empty(), "after {allowed} allocations");
    }
    for bytes in (0..read).step_by(997) {
        let mut backend = Memory { max_buffer: 1000, ..Memory::default() };
        watched.breaks_after.set(watched.read.get() + bytes);
        assert_eq!(load(&model, &mut backend).unwrap_err().code, Code::Network);
        assert!(backend.buffers.is_empty(), "after {bytes} bytes");
    }
    watched.breaks_after.set(u64::MAX);
    let mut backend = Memory { max_buffer: 64, ..Memory::default() };
    assert_eq!(
        load(&model, &mut backend).unwrap_err().code,
        Code::OutOfMemory,
        "a device with no room for a quad"
    );
}

/// A model of 64 MB that takes no room: its weights are zeros that nobody holds.
struct Large(Vec<u8>);

impl Source for Large {
    fn name(&self) -> String {
        "large".to_owned()
    }
    fn entry(&self) -> Option<&str> {
        Some("large.gguf")
    }
    async fn size(&self, _: &str) -> Result<Option<u64>> {
        Ok(Some(1 << 30))
    }
    async fn read(&self, _: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let known = rest.len().min(into.len());
        into[..known].copy_from_slice(&rest[..known]);
        into[known..].fill(0);
        Ok(())
    }
}

#[test]
fn large_matrices_stream() {
    let mut header = Gguf::llama()
        .without("tokenizer.ggml.tokens")
        .meta("llama.embedding_length", Meta::U32(1024));
    for (name, dims, _, data) in &mut header.tensors {
        data.clear();
        dims[0] = 1024;
        let output =
            dims.len() == 2 && ["attn_output", "ffn_down"].iter().any(|one| name.contains(one));
        if output {
            *dims = vec![if name.contains("ffn") { 32 } else { 1024 }, 1024];
        } else if let (Some(rows), true) = (dims.get_mut(1), name.contains("attn_")) {
            *rows = 1024;
        } else if name.contains("token_embd") {
            dims[1] = 16384;
        }
    }
    let length = |dims: &[u64]| 4 * dims.iter().product::<u64>();
    let tensors = header.tensors.iter();
    let tensors = tensors.map(|(name, dims, stored, _)| write::Tensor {
        name,
        dims,
        stored: *stored,
        bytes: length(dims),
    });
    let watched = Watched::new(Large(write::header(header.version, &header.meta, tensors)));
    let model = open(watched.clone()).unwrap();
    let mut panels = 0;
    let count = &mut |_, _| {
        panels += 1;
        Ok(())
    };
    block_on(model.panels(EMBED_TOKENS, [16384, 1024], Bits::Four, count)).unwrap();
    assert_eq!(panels, 16, "64 MB in panels of 4 MiB");
    assert_eq!(watched.largest.get(), 1 << 20);
}

#[test]
fn models_are_found_where_they_are() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("models");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let at = |name: &str| dir.join(name);
    let code = |path: &Path| DirSource::open(path).and_then(open).err().map(|error| error.code);
    assert_eq!(code(&at("nowhere")), Some(Code::NotFound));
    assert_eq!(code(&dir), Some(Code::NotAModel));
    fs::write(at("notes.txt"), "no model").unwrap();
    assert_eq!(code(&at("notes.txt")), Some(Code::NotAModel));
    fs::write(at("one.gguf"), random_gguf().bytes()).unwrap();
    assert_eq!(code(&at("one.gguf")), None);
    assert_eq!(code(&dir), None, "the only model of a directory");
    fs::rename(at("one.gguf"), at("one.GGUF")).unwrap();
    assert_eq!(code(&dir), None, "in capitals, too");
    fs::rename(at("one.GGUF"), at("one.gguf")).unwrap();
    fs::write(at("config.json"), LLAMA_CONFIG).unwrap();
    assert_eq!(code(&dir), None, "beside a configuration too");
    fs::write(at("two.gguf"), random_gguf().bytes()).unwrap();
    assert_eq!(code(&dir), Some(Code::NotAModel), "one of two must be named");
    fs::write(at("model.safetensors"), LLAMA_SAFETENSORS).unwrap();
    assert_eq!(
        open(DirSource::open(&dir).unwrap()).unwrap().parameters(),
        open(llama_directory()).unwrap().parameters()
    );
    fs::remove_file(at("config.json")).unwrap();
    assert_eq!(
        code(&at("model.safetensors")),
        Some(Code::NotAModel),
        "weights without a configuration"
    );
}

#[test]
fn files_for_words_are_handed_on() {
    let mut source = llama_directory();
    for (name, text) in [
        ("tokenizer.json", "{not even JSON: that is for others to say}"),
        ("tokenizer_config.json", r#"{"add_bos_token": true}"#),
        ("chat_template.jinja", "{{ messages }}"),
        ("generation_config.json", r#"{"eos_token_id": [7, 9]}"#),
    ] {
        source.files.insert(name.to_owned(), text.into());
    }
    let model = open(source).unwrap();
    assert_eq!(model.stop_tokens, [7, 9], "generation_config.json goes first");
    let TextFiles::HuggingFace {
        tokenizer_json,
        tokenizer_config,
        chat_template,
        generation_config,
    } = model.files
    else {
        panic!()
    };
    assert!(tokenizer_json.is_some() && generation_config.is_some());
    assert_eq!(tokenizer_config.unwrap()["add_bos_token"], true);
    assert_eq!(chat_template.unwrap(), "{{ messages }}");
    assert_eq!(open(llama_directory()).unwrap().stop_tokens, [40, 39], "then config.json");
}

/// As transformers 5.24.0 reads both.
#[test]
fn a_map_of_special_tokens_rules_a_configuration_that_lists_no_added_ones() {
    let named = |config: &str| {
        let mut source = llama_directory();
        for (name, text) in [
            ("tokenizer.json", "{}"),
            ("tokenizer_config.json", config),
            ("special_tokens_map.json", r#"{"eos_token": "<|end|>", "pad_token": "<pad>"}"#),
        ] {
            source.files.insert(name.to_owned(), text.into());
        }
        let TextFiles::HuggingFace { tokenizer_config, .. } = open(source).unwrap().files else {
            panic!()
        };
        let config = tokenizer_config.unwrap();
        (
            config["eos_token"].as_str().map(str::to_owned),
            config["pad_token"].as_str().map(str::to_owned),
        )
    };
    let (end, padding) = (Some("<|end|>".to_owned()), Some("<pad>".to_owned()));
    assert_eq!(named(r#"{"eos_token": "</s>"}"#), (end, padding));
    assert_eq!(
        named(r#"{"eos_token": "</s>", "added_tokens_decoder": {}}"#),
        (Some("</s>".to_owned()), None)
    );
}

#[test]
fn tensors_are_listed_as_stored() {
    let model = open(MemorySource::file("phi3.gguf", PHI3_GGUF.to_vec())).unwrap();
    let tensor = model.tensors().find(|tensor| tensor.name == "blk.1.ffn_up.weight").unwrap();
    assert_eq!(
        (tensor.shape.as_slice(), tensor.stored.name(), &*tensor.file, tensor.bytes),
        (&[128, 32][..], "Q5_0", "phi3.gguf", 128 * 22)
    );
    assert_eq!(model.tensors().count(), 16);
}
