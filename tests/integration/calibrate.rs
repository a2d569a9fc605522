//! `phi convert --calibrate` on the small random model: what comes out is a converted model as any
//! other, and nearer to what it came from than plain rounding's.

use std::fs;
use std::path::Path;

use phi_wasm::calibrate::Calibration;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::error::{Code, Result};
use phi_wasm::random::unit;
use phi_wasm::text_assets::TextAssets;
use phi_wasm::weights::DirSource;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::{Bits, WeightFormat};
use phi_wasm::weights::write::Report;
use pollster::block_on;
use safetensors::{SafeTensors, serialize};

use crate::cli::{answer, check_mistakes, phi, scratch, tiny_chat};
use crate::common::tiny_phi;
use crate::common::watched::Watched;

/// Words, each a token with its blank or spelled out, in no order.
fn text(seed: u64, words: u64) -> String {
    let word = |at| match (unit(seed, 2 * at) * 400.0) as u32 {
        id @ 130..384 => format!(" word{id}"),
        other => format!(" {other:x}"),
    };
    (0..words).map(word).collect()
}

fn open(model: &str) -> Checkpoint<DirSource> {
    block_on(Checkpoint::open(DirSource::open(model).unwrap())).unwrap()
}

/// The logits of every token of a text.
fn logits(model: &str, ids: &[u32], format: impl Into<WeightFormat>) -> Vec<f32> {
    let options = EngineOptions { format: format.into(), ctx_len: Some(ids.len()), kv: None };
    let cpu = Cpu::new(CpuOptions::default()).unwrap();
    block_on(async {
        let mut engine = Engine::load(&open(model), cpu, &options, &mut |_| {}).await.unwrap();
        let (mut sequence, mut all) = (engine.sequence(None).unwrap(), Vec::new());
        engine.plan(&mut sequence, ids).unwrap();
        while sequence.pending() > 0 {
            engine.advance(&mut sequence).await.unwrap();
            let mut take = |_: usize, logits: &[f32]| all.extend_from_slice(logits);
            engine.chunk_logits(&sequence, &mut take).await.unwrap();
        }
        all
    })
}

/// Gives a model a head of its own, the embedding once more.
fn untie(model: &str) {
    let folder = Path::new(model);
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let tied = "\"tie_word_embeddings\": true";
    assert!(config.contains(tied));
    fs::write(folder.join("config.json"), config.replace(tied, &tied.replace("true", "false")))
        .unwrap();
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors.tensors();
    let embedding = tensors.tensor("model.embed_tokens.weight").unwrap();
    all.push(("lm_head.weight".to_owned(), embedding));
    fs::write(folder.join("model.safetensors"), serialize(all, None).unwrap()).unwrap();
}

/// Removes what an earlier run left.
fn fresh(name: &str) -> String {
    let _ = fs::remove_dir_all(scratch(name));
    scratch(name).to_str().unwrap().to_owned()
}

#[test]
fn what_a_text_says_makes_rounding_lose_less() {
    let model = tiny_chat("calibrate");
    untie(&model);
    let assets = TextAssets::of(&open(&model)).unwrap();
    let ids = assets.tokenizer.encode(&text(2, 300), false).unwrap();
    let exact = logits(&model, &ids, Bits::ThirtyTwo);
    let away = |from: &str, format: WeightFormat| -> f64 {
        let found = logits(from, &ids, format);
        exact.iter().zip(found).map(|(x, y)| f64::from(x - y).powi(2)).sum()
    };
    for bits in ["4", "5", "8", "5.5"] {
        let calibrated = fresh(&format!("calibrated-{bits}"));
        let arguments = ["convert", &model, &calibrated, "--bits", bits, "--calibrate", "-"];
        let report = answer(&arguments, &text(1, 1000));
        let plainly = fresh(&format!("plainly-{bits}"));
        let plain_report = answer(&["convert", &model, &plainly, "--bits", bits], "");
        // The same tensors, of the same kinds, in the same places.
        let first = |text: &str| {
            let line = |line: &str| line.split("  ").take(4).collect::<String>();
            text.lines().take(3).map(line).collect::<Vec<_>>()
        };
        assert_eq!(first(&report), first(&plain_report));
        for file in ["config.json", "tokenizer.json", "generation_config.json"] {
            let read = |folder: &str| fs::read(Path::new(folder).join(file)).unwrap();
            assert_eq!(read(&calibrated), read(&plainly), "{file}");
        }
        let size =
            |folder: &str| fs::metadata(Path::new(folder).join("model.safetensors")).unwrap().len();
        assert_eq!(size(&calibrated), size(&plainly));

        let format = Bits::parse(bits).unwrap().into();
        let (ours, plain) = (away(&calibrated, format), away(&plainly, format));
        assert!(ours < 0.9 * plain, "{bits} bits: {ours}, plainly {plain}");
    }
    // What it writes itself says as much of a model without sense as any other text.
    let written = fresh("calibrated-auto");
    answer(&["convert", &model, &written, "--calibrate", "auto"], "");
    let format: WeightFormat = Bits::Four.into();
    assert!(away(&written, format) < 0.9 * away(&scratch("plainly-4").to_string_lossy(), format));
    // What was once rounded is not rounded again.
    let again = fresh("calibrated-again");
    let rounded = fresh("calibrated-4");
    let _ = phi(&["convert", &model, &rounded], "");
    check_mistakes(&[("bad-option", &["convert", &rounded, &again, "--calibrate", "-"])]);
    assert!(!Path::new(&again).exists());
}

#[test]
fn what_cannot_be_calibrated_is_told_and_leaves_nothing() {
    let (model, to) = (tiny_chat("cannot-calibrate"), fresh("not-calibrated"));
    let wrong = |extra: &[&str], input: &str, sentence: &str| {
        let arguments = [&["convert", &model, &to], extra].concat();
        let output = phi(&arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(sentence) && said.trim_end().lines().count() == 1, "{said}");
        for left in [to.clone(), format!("{to}.phi-part")] {
            assert!(!Path::new(&left).exists(), "{left}");
        }
    };
    wrong(&["--calibrate", "-"], "", "has 0 tokens");
    wrong(&["--calibrate", "-"], &text(1, 20), "give a longer one");
    wrong(&["--calibrate", "/no/such/text"], "", "[not-found]");
    wrong(&["--calibrate", "-", "--bits", "16"], &text(1, 1000), "nothing to calibrate");
}

#[test]
fn a_gguf_of_floats_is_calibrated_and_one_of_codes_is_told() {
    let golden = |file: &str| format!("{}/tests/golden/weights/{file}", env!("CARGO_MANIFEST_DIR"));
    let converted = fresh("calibrated-gguf");
    let report = answer(&["convert", &golden("llama.gguf"), &converted, "--calibrate", "auto"], "");
    assert!(report.lines().any(|line| line.starts_with("q4 ")), "{report}");
    let ids: Vec<u32> = (5..35).collect();
    let exact = logits(&golden("llama.gguf"), &ids, Bits::ThirtyTwo);
    let found = logits(&converted, &ids, Bits::Four);
    let off: f32 = exact.iter().zip(&found).map(|(x, y)| (x - y).powi(2)).sum();
    let all: f32 = exact.iter().map(|x| x * x).sum();
    assert!(off < 0.2 * all, "{off} of {all}");
    let (codes, to) = (golden("phi3.gguf"), fresh("not-calibrated-gguf"));
    let again = ["convert", &codes, &to, "--calibrate", "auto"];
    check_mistakes(&[("bad-option", &again)]);
}

#[test]
fn a_matrix_that_is_embedding_and_head_is_rounded_as_both() {
    let model = tiny_chat("calibrate-tied");
    let assets = TextAssets::of(&open(&model)).unwrap();
    let ids = assets.tokenizer.encode(&text(2, 300), false).unwrap();
    let exact = logits(&model, &ids, Bits::ThirtyTwo);
    let away = |extra: &[&str], name: &str| -> f64 {
        let converted = fresh(name);
        answer(&[&["convert", &model, &converted], extra].concat(), &text(1, 1000));
        let found = logits(&converted, &ids, Bits::Four);
        exact.iter().zip(found).map(|(x, y)| f64::from(x - y).powi(2)).sum()
    };
    let ours = away(&["--calibrate", "-"], "calibrated-tied");
    let plain = away(&[], "plainly-tied");
    assert!(ours < plain, "{ours}, plainly {plain}");
}

/// Converts the small model on such a text. The line is cut once so many bytes are done.
fn cut(to: &str, seed: u64, cut_at: u64) -> (Result<Report>, Vec<u64>, u64) {
    let (source, mut told) = (Watched::new(tiny_phi::tiny_chat()), Vec::new());
    let calibration = block_on(Calibration::open(source.clone(), Bits::Four)).unwrap();
    let windows = calibration.read(&text(seed, 800)).unwrap();
    let result = block_on(calibration.convert(Path::new(to), &windows, &mut |progress| {
        told.push(progress.done);
        if progress.done >= cut_at {
            source.left.set(0);
        }
    }));
    (result, told, source.read.get())
}

/// The files of a converted model, by name.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let items = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files: Vec<_> = items.map(|path| (name(&path), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn what_was_begun_is_gone_on_with() {
    let [whole, other, to] = ["begun-whole", "begun-other", "begun"].map(fresh);
    let (report, told, read) = cut(&whole, 1, u64::MAX);
    let report = report.unwrap();
    cut(&other, 2, u64::MAX).0.unwrap();
    let part = format!("{to}.phi-part");
    let _ = fs::remove_dir_all(&part);
    let total = *told.last().unwrap();
    let again = |seed: u64, expected: &str| {
        let (result, told, read) = cut(&to, seed, u64::MAX);
        assert!(files(&to) == files(expected));
        fs::remove_dir_all(&to).unwrap();
        (result.unwrap(), told[0], read)
    };
    let begin = |cut_at: u64| {
        assert_eq!(cut(&to, 1, cut_at).0.unwrap_err().code, Code::Network);
        assert!(Path::new(&part).exists() && !Path::new(&to).exists());
    };
    for twelfths in [5, 10] {
        begin(total * twelfths / 12);
        let (found, first, found_read) = again(1, &whole);
        assert_eq!(found, report);
        // What is there is neither read nor computed again.
        assert!(first > 0 && found_read < read, "{first} {found_read} of {read}");
    }
    // Cut again before it comes to what is new, a line of the journal that was not completed, and a
    // byte that is not what it was.
    begin(total * 8 / 12);
    begin(total / 12);
    let journal = Path::new(&part).join(".phi-part");
    let lines = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &lines[..lines.len() - 5]).unwrap();
    assert_eq!(again(1, &whole).0, report);
    begin(total * 8 / 12);
    let weights = Path::new(&part).join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert_eq!(again(1, &whole).0, report);
    // Of another text nothing is taken.
    begin(total * 8 / 12);
    let (_, _, other_read) = again(2, &other);
    assert_eq!(other_read, read);
}

/// Rotated SmolLM2 in 4.5 bits, 15.37 in 16 and 24.95 rounded to the nearest: 16.31 on the step's
/// text, give or take a tenth for what is chance in it (docs/measured.md).
#[test]
#[cfg(feature = "real-model-tests")]
#[ignore = "reads a text that the step `calibration` of `cargo xtask test` writes; takes minutes"]
fn real_weights_lose_no_more_than_they_did() {
    let text = std::env::var("PHI_CALIBRATION").expect("the step `calibration` sets it");
    let model = std::env::var("PHI_ROTATED").expect("`cargo xtask setup` makes it");
    let converted = fresh("calibrated-real");
    answer(&["convert", &model, &converted, "--calibrate", &text], "");
    let measured = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/quant/text.txt");
    let asked = ["perplexity", "--model", &converted, "--window", "512", measured];
    let said = answer(&[&asked[..], &["--backend", "cpu"]].concat(), "");
    fs::remove_dir_all(&converted).unwrap();
    let perplexity: f64 = said.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(perplexity <= 16.5, "{said}");
}
