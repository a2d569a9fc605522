//! `phi convert`'s library: what is converted reads the same, and what fails leaves nothing behind,
//! as many lines as cases.

use std::fs;
use std::path::Path;

use phi_wasm::convert::{ConvertProgress, convert};
use phi_wasm::error::{Code, Error, Result};
use phi_wasm::layout::panel::Panel;
use phi_wasm::layout::{Band, Kind};
use phi_wasm::weights::checkpoint::{Checkpoint, TextFiles};
#[cfg(unix)]
use phi_wasm::weights::directory::NewDirectory;
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::store::{BANDED, MANIFEST, Manifest, MatrixEntry, band_name, chunk_hash};
use phi_wasm::weights::write::{ConvertOptions, Report, Target};
use phi_wasm::weights::{DirSource, MemorySource, Source, WeightFormat};
use pollster::block_on;
use tempfile::TempDir;

use crate::common::mixed::mixed;
use crate::common::watched::Watched;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// A Hugging Face directory and GGUF files, small ones.
const MODELS: &[&str] = &[
    "tiny-phi",
    "weights/llama",
    "weights/llama.gguf",
    "weights/phi3.gguf",
    "cases/gguf-attention-bias/model.gguf",
];

fn golden(model: &str) -> DirSource {
    DirSource::open(Path::new(GOLDEN).join(model)).unwrap()
}

fn to(
    destination: &Path,
    source: impl Source,
    options: impl Into<ConvertOptions>,
) -> Result<Report> {
    block_on(convert(source, destination, options, &mut |_| {}))
}

fn open(path: &Path) -> Checkpoint<DirSource> {
    block_on(Checkpoint::open(DirSource::open(path).unwrap())).unwrap()
}

fn panels<S: Source>(
    model: &Checkpoint<S>,
    name: &str,
    shape: [usize; 2],
    format: impl Into<WeightFormat>,
) -> (Vec<u8>, Vec<u8>, Vec<u8>, Vec<Band>) {
    let format = format.into();
    let (mut codes, mut scales, mut mins) = (Vec::new(), Vec::new(), Vec::new());
    let mut take = |_: usize, panel: Panel| {
        codes.extend(panel.codes);
        scales.extend_from_slice(bytemuck::cast_slice(&panel.scales));
        mins.extend_from_slice(bytemuck::cast_slice(&panel.mins));
        Ok(())
    };
    block_on(model.panels(name, shape, format, &mut take)).unwrap();
    (codes, scales, mins, model.bands(name, shape, format).unwrap())
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Browsers hold models, and halves of downloads, that go by what is said of them here: names,
/// order, kinds and places.
#[test]
fn what_is_stored_lies_where_it_lay_in_the_first_version() {
    let rows = [
        ("tiny-phi", "3c297f22f6ded677468dcdf4c1da342b9ddb97e11a9da18fbedf874a0147b793"),
        ("weights/llama", "d94fa72170d22e31f0433bf88d2ef8f996f4e9d854b6c2f9bd4d971911151193"),
        ("weights/phi3.gguf", "cf7b63cc3acc83bf1fc16c1cf5e970cd24db93180dc0f5337cba28e46920562e"),
        (
            "cases/gguf-attention-bias/model.gguf",
            "5986139cabe05c8bd4e7d79cf39e9bebb2b8a2ff5b7f18e0b5b5bf2cc714116b",
        ),
    ];
    for (model, expected) in rows {
        let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let destination = here.path().join("model");
        to(
            &destination,
            golden(model),
            WeightFormat { as_first: true, ..WeightFormat::from(Bits::Five) },
        )
        .unwrap();
        let weights = fs::read(destination.join("model.safetensors")).unwrap();
        let header = &weights[..8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize];
        let manifest = fs::read_to_string(destination.join(MANIFEST)).unwrap();
        let (matrices, _) = manifest.split_once("\"files\"").unwrap();
        assert_eq!(chunk_hash(&[header, matrices.as_bytes()].concat()), expected, "{model}");
    }
}

#[test]
fn a_converted_model_is_byte_for_byte_what_loading_makes_of_its_source() {
    for model in MODELS {
        for bits in Bits::ALL {
            let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let destination = here.path().join("model");
            to(&destination, golden(model), bits).unwrap();
            let (source, converted) =
                (block_on(Checkpoint::open(golden(model))).unwrap(), open(&destination));
            assert_eq!(converted.config, source.config, "{model}");
            assert_eq!(converted.stop_tokens, source.stop_tokens, "{model}");
            for (name, shape) in source.config.matrices() {
                let expected = panels(&source, &name, shape, bits);
                // However it is asked for: converted weights are held as they come.
                assert!(
                    panels(&converted, &name, shape, Bits::Four) == expected,
                    "{model} {bits:?} {name}"
                );
            }
            for (name, length) in source.config.vectors() {
                let [expected, found] = [
                    block_on(source.vector(&name, length)).unwrap(),
                    block_on(converted.vector(&name, length)).unwrap(),
                ];
                assert_eq!(found, expected, "{model} {name}");
            }
        }
    }
}

#[test]
fn a_converted_model_converts_to_itself() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (once, twice) = (here.path().join("once"), here.path().join("twice"));
    to(&once, golden("tiny-phi"), Bits::Five).unwrap();
    to(&twice, DirSource::open(&once).unwrap(), Bits::Eight).unwrap();
    assert_same_files(&once, &twice);
}

/// Fused projections of several types keep each its bits, in bands of a manifest that those who
/// know of none refuse.
#[test]
fn a_matrix_of_several_kinds_comes_back_as_it_was() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (once, twice, cut) =
        (here.path().join("once"), here.path().join("twice"), here.path().join("cut"));
    let report = to(&once, mixed(), Bits::Four).unwrap();
    to(&twice, DirSource::open(&once).unwrap(), Bits::Eight).unwrap();
    assert_same_files(&once, &twice);
    to(&cut, mixed(), ConvertOptions { shard_bytes: 30_000, ..Bits::Four.into() }).unwrap();
    let qkv = "model.layers.0.self_attn.qkv_proj.weight";
    let shape = [256, 256];
    let source = block_on(Checkpoint::open(mixed())).unwrap();
    assert_eq!(
        source.bands(qkv, shape, Bits::Four).unwrap(),
        [Band { kind: Kind::Q4K, rows: 192 }, Band { kind: Kind::Q6K, rows: 64 }]
    );
    let as_first = WeightFormat { as_first: true, ..Bits::Four.into() };
    assert_eq!(source.kind_of(qkv, shape, as_first).unwrap(), Kind::Q8, "it knew of no bands");
    for directory in [&once, &cut] {
        let manifest =
            Manifest::parse(MANIFEST, &fs::read(directory.join(MANIFEST)).unwrap()).unwrap();
        assert_eq!(manifest.version, BANDED);
        let entry = |kind, rows| MatrixEntry { kind, rows, cols: 256 };
        let held = [0, 1].map(|band| manifest.matrices[&band_name(qkv, band)]);
        assert_eq!(held, [entry(Kind::Q4K, 192), entry(Kind::Q6K, 64)]);
        let converted = open(directory);
        for (name, shape) in source.config.matrices() {
            for format in [Bits::Four.into(), WeightFormat::EXACT] {
                // A float that was rounded is worth what it was rounded to.
                let is_rounded = name.ends_with("1.self_attn.qkv_proj.weight");
                assert!(
                    is_rounded && format == WeightFormat::EXACT
                        || panels(&source, &name, shape, format)
                            == panels(&converted, &name, shape, format),
                    "{name} as {format:?}"
                );
            }
        }
    }
    let held: u64 = report.kinds.iter().map(|held| held.bytes).sum();
    assert_eq!(held, source.held_bytes(Bits::Four.into()));
    let weights: u64 = report.kinds.iter().map(|held| held.weights).sum();
    assert_eq!(weights, source.parameters());
}

fn assert_same_files(one: &Path, other: &Path) {
    assert_eq!(names(one), names(other));
    for file in names(one) {
        assert_eq!(
            fs::read(one.join(&file)).unwrap(),
            fs::read(other.join(&file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn large_models_are_cut_into_files_at_tensor_borders() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (whole, cut) = (here.path().join("whole"), here.path().join("cut"));
    to(&whole, golden("tiny-phi"), Bits::Four).unwrap();
    to(&cut, golden("tiny-phi"), ConvertOptions { shard_bytes: 200_000, ..Bits::Four.into() })
        .unwrap();
    let weights: Vec<String> =
        names(&cut).into_iter().filter(|name| name.ends_with(".safetensors")).collect();
    assert!(weights.len() > 3, "{weights:?}");
    assert_eq!(weights[0], format!("model-00001-of-{:05}.safetensors", weights.len()));
    for file in &weights {
        let bytes = fs::read(cut.join(file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert!(
            tensors
                .names()
                .iter()
                .all(|name| tensors.tensor(name).unwrap().data().as_ptr().addr() % 4
                    == bytes.as_ptr().addr() % 4)
        );
        assert!(bytes.len() < 210_000, "{file}");
    }
    let (whole, cut) = (open(&whole), open(&cut));
    for (name, shape) in whole.config.matrices() {
        assert!(
            panels(&whole, &name, shape, Bits::Four) == panels(&cut, &name, shape, Bits::Four),
            "{name}"
        );
    }
}

#[test]
fn the_report_says_what_became_of_the_weights() {
    // The weights are normal: min-max scales would give 0.0865, 0.0786 and 0.0053.
    for (kind, rms) in [(Kind::Q4, 0.0825), (Kind::Q4Min, 0.07), (Kind::Q8, 0.005)] {
        let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let report = to(&here.path().join("model"), golden("tiny-phi"), kind).unwrap();
        let [matrices, vectors] = report.kinds[..] else { panic!("{report:?}") };
        assert_eq!((matrices.kind, matrices.tensors, matrices.weights), (kind, 13, 1_253_376));
        assert_eq!((vectors.kind, vectors.tensors, vectors.weights), (Kind::F32, 7, 1344));
        assert_eq!(matrices.bits(), kind.bits());
        println!("{kind:?}: {:.5} of the weights", matrices.quant_error.relative_rms());
        assert!(
            matrices.quant_error.relative_rms() < rms
                && matrices.quant_error.relative_rms() > rms * 0.9,
            "{kind:?} {:?}",
            matrices.quant_error
        );
        let files: u64 = names(&here.path().join("model"))
            .iter()
            .map(|n| fs::metadata(here.path().join("model").join(n)).unwrap().len())
            .sum();
        assert_eq!(report.bytes, files);
    }
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let report = to(&here.path().join("model"), golden("tiny-phi"), Bits::Five).unwrap();
    assert_eq!(
        report.kinds.iter().map(|held| (held.kind, held.tensors)).collect::<Vec<_>>(),
        [(Kind::Q4, 7), (Kind::F32, 7), (Kind::Q8, 3), (Kind::Q4Min, 3)]
    );
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let report = to(&here.path().join("model"), golden("tiny-phi"), Bits::Sixteen).unwrap();
    assert!(
        report.kinds[0].quant_error.relative_rms() < 1e-6,
        "bf16 weights of this size fit f16 but for the smallest"
    );
}

#[test]
fn progress_ends_at_the_whole() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut last = ConvertProgress { done: 0, total: 0 };
    let mut hear = |now: ConvertProgress| {
        assert!(now.done >= last.done && now.done <= now.total, "{now:?}");
        last = now;
    };
    block_on(convert(golden("tiny-phi"), &here.path().join("model"), Bits::Four, &mut hear))
        .unwrap();
    // Norms are too small to be told.
    assert!(last.total > 2_000_000 && last.total - last.done < 20_000, "{last:?}");
}

#[test]
fn words_come_along() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let source = here.path().join("source");
    fs::create_dir(&source).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(GOLDEN).join("tiny-phi").join(file), source.join(file)).unwrap();
    }
    let texts = [
        ("tokenizer.json", r#"{"model": {"type": "BPE"}}"#),
        ("tokenizer_config.json", r#"{"bos_token": "<s>", "chat_template": "{{ messages }}"}"#),
        ("chat_template.jinja", "{{ messages[0].content }}"),
        ("generation_config.json", r#"{"eos_token_id": [7, 8], "temperature": 0.5}"#),
    ];
    texts.iter().for_each(|(name, text)| fs::write(source.join(name), text).unwrap());
    let destination = here.path().join("model");
    to(&destination, DirSource::open(&source).unwrap(), Bits::Four).unwrap();
    let [source, converted] = [open(&source), open(&destination)];
    assert_eq!(converted.stop_tokens, [7, 8]);
    assert_eq!(format!("{:?}", converted.files), format!("{:?}", source.files));
    let TextFiles::HuggingFace { tokenizer_json, .. } = converted.files else {
        panic!("not a directory")
    };
    assert_eq!(tokenizer_json.unwrap(), texts[0].1.as_bytes());
}

#[test]
fn a_changed_byte_is_found_when_it_is_read() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let destination = here.path().join("model");
    to(&destination, golden("tiny-phi"), Bits::Four).unwrap();
    let file = destination.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = block_on(Checkpoint::open(DirSource::open(&destination).unwrap())).err().unwrap();
    assert_eq!(error.code, Code::Corrupt, "{error}");
}

fn tiny_phi() -> MemorySource {
    let read = |name: &str| {
        (name.to_owned(), fs::read(Path::new(GOLDEN).join("tiny-phi").join(name)).unwrap())
    };
    MemorySource::directory([read("config.json"), read("model.safetensors")])
}

#[test]
fn whatever_goes_wrong_leaves_nothing_behind() {
    for reads in [0, 1, 5, 12, 20] {
        let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = Watched::new(tiny_phi());
        source.left.set(reads);
        let error = to(&here.path().join("model"), source, Bits::Four).unwrap_err();
        assert_eq!(error.code, Code::Network, "{error}");
        assert_eq!(names(here.path()), [""; 0], "after {reads} reads");
    }
}

#[test]
fn what_stands_in_a_tokenizers_place_is_not_converted() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut source = tiny_phi();
    source.files.insert(
        "tokenizer.json".to_owned(),
        b"version https://git-lfs.github.com/spec/v1\n".as_slice().into(),
    );
    let error = to(&here.path().join("model"), source, Bits::Four).unwrap_err();
    assert!(error.message.contains("tokenizer.json: a pointer of Git LFS"), "{error}");
    assert_eq!(names(here.path()), [""; 0]);
}

#[test]
fn weights_that_are_no_numbers_are_not_converted() {
    let file = tiny_phi().files.remove("model.safetensors").unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    // The file begins with the embedding and ends with a norm, both in bf16.
    for (at, bits) in [
        (header, Bits::Four),
        (header, Bits::Eight),
        (header, Bits::Sixteen),
        (file.len() - 2, Bits::Four),
    ] {
        let mut source = tiny_phi();
        source.files.get_mut("model.safetensors").unwrap()[at..at + 2]
            .copy_from_slice(&0x7fc0u16.to_le_bytes());
        let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let error = to(&here.path().join("model"), source, bits).unwrap_err();
        assert_eq!(error.code, Code::Malformed, "{error}");
        assert!(error.message.contains("model."), "{error}");
        assert_eq!(names(here.path()), [""; 0]);
    }
}

/// A disk with room for some bytes.
struct SmallDisk {
    room: usize,
    files: usize,
}

impl Target for SmallDisk {
    fn begin(&mut self, _: &str) -> Result<()> {
        self.files += 1;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(room) = self.room.checked_sub(bytes.len()) else {
            return Err(Error::new(Code::Io, "the disk is full"));
        };
        self.room = room;
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_wherever_it_fills() {
    let model = block_on(Checkpoint::open(tiny_phi())).unwrap();
    let write = |room: usize| {
        let mut disk = SmallDisk { room, files: 0 };
        block_on(model.write(
            &mut disk,
            Bits::Four,
            &[("config.json", vec![b' '; 100])],
            &mut |_| {},
        ))
        .map(|report| (report, disk))
    };
    let (report, disk) = write(1 << 30).unwrap();
    assert_eq!(disk.files, 3, "configuration, weights and manifest");
    assert_eq!(report.bytes as usize, (1 << 30) - disk.room);
    for room in [0, 99, 100, 5000, 300_000, report.bytes as usize - 1] {
        assert_eq!(
            write(room).map(|_| ()).unwrap_err().code,
            Code::Io,
            "room for {room} of {}",
            report.bytes
        );
    }
    assert!(write(report.bytes as usize).is_ok());
}

#[test]
fn destinations_that_are_in_use_are_refused() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let full = here.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter.txt"), "keep me").unwrap();
    let file = here.path().join("file");
    fs::write(&file, "me too").unwrap();
    for (destination, says) in [
        (&full, "the directory is not empty; name a new one, or empty it first"),
        (&file, "there is a file of that name; name a directory that is to be made"),
    ] {
        let error = to(destination, tiny_phi(), Bits::Four).unwrap_err();
        assert_eq!(error.code, Code::BadOption, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
    assert_eq!(to(Path::new(".."), tiny_phi(), Bits::Four).unwrap_err().code, Code::BadOption);
    assert_eq!(names(here.path()), ["file", "full"]);
    assert_eq!(fs::read_to_string(full.join("letter.txt")).unwrap(), "keep me");
    assert_eq!(fs::read_to_string(file).unwrap(), "me too");
}

#[test]
fn an_empty_directory_and_what_a_killed_conversion_left_are_used() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (destination, left) = (here.path().join("model"), here.path().join("model.phi-part"));
    fs::create_dir(&destination).unwrap();
    fs::create_dir(&left).unwrap();
    fs::write(left.join("model-00001-of-00009.safetensors"), "half of it").unwrap();
    fs::write(left.join(".phi-part"), "").unwrap();
    to(&destination, tiny_phi(), Bits::Four).unwrap();
    assert_eq!(names(here.path()), ["model"]);
    assert_eq!(
        names(&destination),
        ["config.json", "generation_config.json", "model.safetensors", MANIFEST]
    );
}

#[test]
fn what_somebody_else_has_put_there_stays() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let other = here.path().join("model.phi-part");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "keep me").unwrap();
    let error = to(&here.path().join("model"), tiny_phi(), Bits::Four).unwrap_err();
    assert!(
        error.code == Code::BadOption && error.message.contains("phi has not made what is there"),
        "{error}"
    );
    assert_eq!(names(here.path()), ["model.phi-part"]);
    assert_eq!(fs::read_to_string(other.join("letter.txt")).unwrap(), "keep me");
}

#[test]
#[cfg(unix)]
fn a_link_is_followed_to_a_directory() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [real, link, nowhere] = ["real", "link", "nowhere"].map(|name| here.path().join(name));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    std::os::unix::fs::symlink(here.path().join("gone"), &nowhere).unwrap();
    to(&link, tiny_phi(), Bits::Four).unwrap();
    assert_eq!(
        names(&real),
        ["config.json", "generation_config.json", "model.safetensors", MANIFEST]
    );
    let error = to(&nowhere, tiny_phi(), Bits::Four).unwrap_err();
    assert!(
        error.code == Code::BadOption && error.message.contains("a link to what is not there"),
        "{error}"
    );
}

#[test]
#[cfg(unix)]
fn two_conversions_to_one_destination_do_not_mix() {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let destination = here.path().join("model");
    let write = |directory: &mut NewDirectory, text: &str| {
        directory.begin("file").and_then(|()| directory.append(text.as_bytes())).unwrap();
    };
    let mut first = NewDirectory::begin(&destination).unwrap();
    write(&mut first, "the first one's");
    let error = NewDirectory::begin(&destination).unwrap_err();
    assert_eq!(error.code, Code::InUse, "{error}");
    assert!(error.message.contains("somebody else is writing there"), "{error}");
    first.finish().unwrap();
    assert_eq!(fs::read_to_string(destination.join("file")).unwrap(), "the first one's");
    assert_eq!(names(here.path()), ["model"]);
    assert_eq!(
        NewDirectory::begin(&destination).unwrap_err().code,
        Code::BadOption,
        "it is there now"
    );
    assert_eq!(names(here.path()), ["model"]);

    // Whoever gives up leaves the way free, and whoever comes by another way is not written over.
    fs::remove_dir_all(&destination).unwrap();
    drop(NewDirectory::begin(&destination).unwrap());
    let mut second = NewDirectory::begin(&destination).unwrap();
    write(&mut second, "the second one's");
    fs::create_dir(&destination).unwrap();
    fs::write(destination.join("file"), "somebody else's").unwrap();
    assert_eq!(second.finish().unwrap_err().code, Code::InUse);
    assert_eq!(fs::read_to_string(destination.join("file")).unwrap(), "somebody else's");
    assert_eq!(names(here.path()), ["model"]);
}
