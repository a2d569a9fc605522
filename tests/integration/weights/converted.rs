//! Our own converted form, read back and checked.

use std::collections::BTreeMap;

use phi_wasm::error::{Code, Result};
use phi_wasm::layout::quant::KINDS;
use phi_wasm::layout::{Kind, QUAD};
use phi_wasm::weights::store::{
    FORMAT, FileEntry, MANIFEST, Manifest, MatrixEntry, VERSION, band_name, chunk_hash, plane_name,
};
use phi_wasm::weights::{Bits, MemorySource, WeightFormat};
use pollster::block_on;
use safetensors::Dtype;

use super::make::{LLAMA_GGUF, code, everything, open, safetensors, whole};
use crate::common::watched::Watched;

/// The golden Llama, written by the words of the format's description, with small chunks.
fn converted(kind: Kind) -> MemorySource {
    let model = open(MemorySource::file("llama.gguf", LLAMA_GGUF.to_vec())).unwrap();
    let (mut tensors, mut matrices) = (Vec::new(), BTreeMap::new());
    for (name, shape) in model.config.matrices() {
        let panel = whole(&model, &name, shape, kind).unwrap();
        let (quads, groups) = (shape[0].div_ceil(QUAD), shape[1] / 32);
        tensors.push((
            plane_name(&name, "codes"),
            Dtype::U8,
            vec![quads, groups, kind.codes_per_group()],
            panel.codes,
        ));
        for (plane, halves) in [("scales", panel.scales), ("mins", panel.mins)] {
            if !halves.is_empty() {
                tensors.push((
                    plane_name(&name, plane),
                    Dtype::F16,
                    vec![quads, groups, QUAD],
                    halves,
                ));
            }
        }
        matrices.insert(name, MatrixEntry { kind, rows: shape[0], cols: shape[1] });
    }
    for (name, len) in model.config.vectors() {
        let values = block_on(model.vector(&name, len)).unwrap();
        tensors.push((name, Dtype::F32, vec![len], bytemuck::cast_slice(&values).to_vec()));
    }
    let mut source = MemorySource::directory([
        ("config.json", model.config.to_json().to_string().into_bytes()),
        ("generation_config.json", br#"{"eos_token_id": [40, 39]}"#.to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors", safetensors(&tensors)),
    ]);
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        chunk: 1000,
        matrices,
        files: entries(&source, 1000),
    };
    set_manifest(&mut source, &manifest);
    source
}

fn entries(source: &MemorySource, chunk: usize) -> BTreeMap<String, FileEntry> {
    let entry = |bytes: &Vec<u8>| FileEntry {
        size: bytes.len() as u64,
        sha256: bytes.chunks(chunk).map(chunk_hash).collect(),
    };
    source.files.iter().map(|(name, bytes)| (name.clone(), entry(bytes))).collect()
}

fn manifest(source: &MemorySource) -> Manifest {
    Manifest::parse(MANIFEST, &source.files[MANIFEST]).unwrap()
}

/// Has a matrix in two bands, the first of so many rows.
fn in_bands(manifest: &mut Manifest, name: &str, first: usize) {
    let whole = manifest.matrices.remove(name).unwrap();
    for (band, rows) in [first, whole.rows - first].into_iter().enumerate() {
        manifest.matrices.insert(band_name(name, band), MatrixEntry { rows, ..whole });
    }
}

fn set_manifest(source: &mut MemorySource, manifest: &Manifest) {
    source.files.insert(MANIFEST.into(), serde_json::to_vec(manifest).unwrap());
}

/// Opens and reads everything.
fn read(source: MemorySource) -> Result<BTreeMap<String, Vec<f32>>> {
    everything(&open(source)?)
}

#[test]
fn what_was_converted_reads_the_same() {
    let original = open(MemorySource::file("llama.gguf", LLAMA_GGUF.to_vec())).unwrap();
    // What only files have comes as it is: tests of reading have it.
    for kind in KINDS.into_iter().chain([Kind::F16, Kind::F32]) {
        let model = open(converted(kind)).unwrap();
        assert_eq!(model.config, original.config);
        assert_eq!(model.stop_tokens, original.stop_tokens);
        for (name, shape) in model.config.matrices() {
            let expected = whole(&original, &name, shape, kind).unwrap();
            // A model that was converted is held as it was converted, whatever is asked for floats.
            assert_eq!(whole(&model, &name, shape, Bits::ThirtyTwo).unwrap(), expected, "{name}");
            assert_eq!(whole(&model, &name, shape, Bits::Four).unwrap(), expected, "{name}");
            let exact = whole(&model, &name, shape, WeightFormat::EXACT).unwrap();
            assert!(
                (0..shape[0]).all(|row| exact.row(row) == expected.row(row)),
                "{name} as {kind:?}"
            );
        }
        for (name, len) in model.config.vectors() {
            assert_eq!(
                block_on(model.vector(&name, len)).unwrap(),
                block_on(original.vector(&name, len)).unwrap()
            );
        }
    }
}

#[test]
fn each_chunk_is_fetched_about_once() {
    let watched = Watched::new(converted(Kind::Q4Min));
    let model = open(watched.clone()).unwrap();
    let opened = watched.read.get();
    everything(&model).unwrap();
    let fetched = watched.read.get() - opened;
    // Chunks are as small as the tensors here, so that some are fetched again for what follows; in
    // a real file few are.
    let size = watched.source.files["model.safetensors"].len() as u64;
    assert!(fetched >= size && fetched < size * 14 / 10, "{fetched} of {size}");
    assert!(watched.largest.get() <= watched.source.files[MANIFEST].len());
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let sound = converted(Kind::Q4);
    assert!(read(sound.clone()).is_ok());
    for file in ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"] {
        for at in (0..sound.files[file].len()).step_by(211) {
            let mut source = sound.clone();
            source.files.get_mut(file).unwrap()[at] ^= 0x10;
            let error = read(source).unwrap_err();
            assert_eq!(error.code, Code::Corrupt, "{file} at {at}: {error}");
            assert!(
                error.message.contains(file)
                    && error.message.contains(&format!("chunk {}", at / 1000 + 1)),
                "{error}"
            );
        }
    }
}

#[test]
fn a_file_that_is_shorter_than_promised_is_truncated() {
    let sound = converted(Kind::Q8);
    for file in ["model.safetensors", "config.json", MANIFEST] {
        for cut in (0..sound.files[file].len()).step_by(307) {
            let mut source = sound.clone();
            source.files.get_mut(file).unwrap().truncate(cut);
            assert_eq!(read(source).unwrap_err().code, Code::Truncated, "{file} at {cut}");
        }
    }
    let mut source = sound;
    source.files.remove("model.safetensors");
    assert_eq!(code(source), Some(Code::NotFound));
}

#[test]
fn files_that_the_manifest_does_not_name_are_not_used() {
    let mut source = converted(Kind::Q4);
    source.files.insert("tokenizer_config.json".into(), b"no JSON".to_vec());
    assert_eq!(code(source), None);
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let name = "model.layers.0.mlp.down_proj.weight";
    let change = |change: &dyn Fn(&mut Manifest)| {
        let mut source = converted(Kind::Q4);
        let mut manifest = manifest(&source);
        change(&mut manifest);
        set_manifest(&mut source, &manifest);
        open(source).err().unwrap()
    };
    for (what, expected, found) in [
        ("another format", Code::NotAModel, change(&|m| m.format = "x".into())),
        ("another version", Code::NotAModel, change(&|m| m.version = 3)),
        ("no chunks", Code::Malformed, change(&|m| m.chunk = 0)),
        ("vast chunks", Code::Malformed, change(&|m| m.chunk = 1 << 40)),
        ("other chunks", Code::Malformed, change(&|m| m.chunk = 100)),
        (
            "a hash too few",
            Code::Malformed,
            change(&|m| drop(m.files.get_mut("model.safetensors").unwrap().sha256.pop())),
        ),
        ("odd columns", Code::Malformed, change(&|m| m.matrices.get_mut(name).unwrap().cols = 33)),
        (
            "a matrix too few",
            Code::MissingTensor,
            change(&|m| m.matrices.retain(|other, _| other != name)),
        ),
        ("other rows", Code::WrongShape, change(&|m| m.matrices.get_mut(name).unwrap().rows = 28)),
        (
            "a kind of another size",
            Code::WrongShape,
            change(&|m| m.matrices.get_mut(name).unwrap().kind = Kind::Q8),
        ),
        (
            "a kind with more planes",
            Code::MissingTensor,
            change(&|m| m.matrices.get_mut(name).unwrap().kind = Kind::Q4Min),
        ),
        ("bands that begin within a quad", Code::WrongShape, change(&|m| in_bands(m, name, 30))),
        ("bands without planes", Code::MissingTensor, change(&|m| in_bands(m, name, 28))),
        ("no configuration", Code::NotAModel, change(&|m| drop(m.files.remove("config.json")))),
    ] {
        assert_eq!(found.code, expected, "{what}");
        assert!(
            expected != Code::Malformed
                || found.message.starts_with(&format!("{MANIFEST} in memory: ")),
            "{found}"
        );
    }
}

#[test]
fn a_number_that_is_none_is_found_in_a_converted_model_too() {
    let (name, shape) = ("model.layers.1.mlp.down_proj.weight", [32, 64]);
    for (kind, plane, at) in [
        // The fourth number of a quad's first group of columns is its fourth row's: here that of
        // row 7.
        (Kind::Q4, "scales", 2 * (4 * 2 + 3)),
        (Kind::Q8, "scales", 2 * (4 * 2 + 3)),
        (Kind::Q4Min, "mins", 2 * (4 * 2 + 3)),
        // Four bytes of each row by turns.
        (Kind::F16, "codes", 2 * 256 + 4 * 3 + 2),
        (Kind::F32, "codes", 2 * 512 + 4 * 3 + 2),
    ] {
        let mut source = converted(kind);
        let model = open(source.clone()).unwrap();
        let tensor =
            model.tensors().find(|tensor| tensor.name == plane_name(name, plane)).unwrap().clone();
        assert_eq!(whole(&model, name, shape, kind).map(|panel| panel.kind).unwrap(), kind);
        let bytes = source.files.get_mut("model.safetensors").unwrap();
        // The upper half of an f32 infinity is no number in f16 either.
        bytes[tensor.offset as usize + at..][..2].copy_from_slice(&0x7f80u16.to_le_bytes());
        let manifest = manifest(&source);
        source.files.remove(MANIFEST);
        let files = entries(&source, 1000);
        set_manifest(&mut source, &Manifest { files, ..manifest });
        let error = read(source).unwrap_err();
        assert_eq!(error.code, Code::Malformed, "{kind:?}: {error}");
        assert!(
            error.message.contains(name) && error.message.contains("row 7"),
            "{kind:?}: {error}"
        );
    }
}
