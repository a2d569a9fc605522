//! Synthetic models are whole and are read; `phi bench` prints what it promises. Nothing here asks
//! how fast.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::bench::shape::{FILE_BYTES, Shape};
use phi_wasm::bench::{Plan, measure};
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::error::Code;
use phi_wasm::session::{LoadOptions, Session};
use phi_wasm::weights::gguf::read_header;
use phi_wasm::weights::write::Target;
use phi_wasm::weights::{Checkpoint, MemorySource};
use pollster::block_on;
use serde_json::Value;

/// Files in memory, in the order in which they were begun.
#[derive(Default)]
struct Files(Vec<(String, Vec<u8>)>);

impl Target for Files {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.0.push((file.to_owned(), Vec::new()));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.last_mut().unwrap().1.extend(bytes);
        Ok(())
    }
}

fn tiny(file_bytes: u64) -> MemorySource {
    let (mut files, mut told) = (Files::default(), 0);
    Shape::TINY.write(&mut files, file_bytes, &mut |bytes| told += bytes).unwrap();
    assert_eq!(told, Shape::TINY.bytes());
    MemorySource::directory(files.0)
}

fn session(source: MemorySource) -> Session<impl Backend> {
    let cpu = Cpu::new(CpuOptions { threads: 1, ..CpuOptions::default() }).unwrap();
    block_on(Session::open(source, cpu, &LoadOptions::default(), &mut |_| {})).unwrap()
}

#[test]
fn a_synthetic_model_is_whole_in_however_many_parts() {
    let whole = tiny(FILE_BYTES);
    assert_eq!(whole.files.keys().collect::<Vec<_>>(), [&Shape::TINY.first_file()]);
    let tensors = |source: &MemorySource, file: &str| block_on(read_header(source, file)).unwrap();
    let expected: Vec<_> = tensors(&whole, &Shape::TINY.first_file())
        .tensors
        .into_iter()
        .map(|t| (t.name, t.shape, t.bytes))
        .collect();

    let split = tiny(16 << 10);
    let count = split.files.len();
    assert!(count > 2, "{count} parts");
    let mut found = Vec::new();
    for (number, (file, bytes)) in split.files.iter().enumerate() {
        assert_eq!(*file, format!("tiny.Q4_0-{:05}-of-{count:05}.gguf", number + 1));
        assert_eq!(bytes.len() % 32, 0);
        let header = tensors(&split, file);
        for (key, value) in
            [("split.no", number), ("split.count", count), ("split.tensors.count", expected.len())]
        {
            assert_eq!(header.metadata.unsigned(key), Some(value as u64), "{file}: {key}");
        }
        assert_eq!(
            header.metadata.text("general.architecture").is_some(),
            number == 0,
            "only the first part has the metadata"
        );
        assert!(
            header.tensors.len() == 1
                || header.tensors.iter().map(|tensor| tensor.bytes).sum::<u64>() <= 16 << 10,
            "{file}"
        );
        found.extend(
            header.tensors.into_iter().map(|tensor| (tensor.name, tensor.shape, tensor.bytes)),
        );
    }
    assert_eq!(found, expected);
    assert!(block_on(Checkpoint::open(split)).is_ok());
}

#[test]
fn shapes_have_the_real_models_numbers() {
    // All matrices and norms at 4.5 bits a weight.
    let (weights, norms) = (3_836_021_760u64, (2 * 32 + 1) * 3072);
    assert_eq!(Shape::PHI_4_MINI.bytes(), (weights - norms) / 32 * 18 + norms * 4);
    let (weights, norms) = (134_515_008u64, (2 * 30 + 1) * 576);
    assert_eq!(Shape::SMOLLM2.bytes(), (weights - norms) / 32 * 18 + norms * 4);
    assert_eq!(Shape::PHI_4_MINI.first_file(), "phi-4-mini.Q4_0-00001-of-00002.gguf");
    // The types of such a file: embedding Q6_K, qkv Q5_K, half of the down projections Q6_K.
    let (hidden, inter, layers, six) = (3072, 8192, 32, 4 + 4 + 8);
    let [four, five, six_bits] =
        [144, 176, 210].map(|bytes| move |rows: u64, cols: u64| rows * cols / 256 * bytes);
    let down = six * six_bits(hidden, inter) + (layers - six) * four(hidden, inter);
    let others = layers * (five(5120, hidden) + four(hidden, hidden) + four(2 * inter, hidden));
    let norms = (2 * layers + 1) * hidden * 4;
    let all = six_bits(200_064, hidden) + down + others + norms;
    assert_eq!(Shape::PHI_4_MINI_Q4KM.bytes(), all);
    assert_eq!(Shape::PHI_4_MINI_Q4KM.first_file(), "phi-4-mini-q4km.Q4_K_M-00001-of-00002.gguf");
}

#[test]
fn a_synthetic_model_answers_and_a_letter_is_a_token() {
    let mut session = session(tiny(16 << 10));
    let text = "The quick brown fox jumps over the lazy dog, 3 times.";
    let ids = session.tokenizer().encode(text, true).unwrap();
    assert_eq!(ids.len(), text.len());
    let (engine, sequence) = session.engine_and_sequence();
    engine.plan(sequence, &ids).unwrap();
    let logits = block_on(engine.logits(sequence)).unwrap();
    let (low, high) =
        logits.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    assert!(low.is_finite() && high.is_finite() && high - low > 0.1, "logits from {low} to {high}");
}

#[test]
fn measuring_runs_what_was_planned() {
    let mut session = session(tiny(FILE_BYTES));
    let (engine, sequence) = session.engine_and_sequence();
    let figures =
        block_on(measure(engine, sequence, Plan { depth: 0, prompt: 300, generate: 5 })).unwrap();
    assert_eq!(
        (figures.prompt_tokens, figures.generated_tokens, sequence.tokens().len()),
        (300, 5, 305)
    );
    assert!(figures.prefill_tps > 0.0 && figures.decode_tps > 0.0);
    // 4.5 bits a weight; of two layers and two heads of 16, at 302 positions, a byte for each key's
    // and value's elements, four a position for the value's scale and minimum, and as many for each
    // of the keys' channels of a page.
    let matrices: usize =
        engine.config().matrices().iter().map(|(_, [rows, cols])| rows * cols).sum();
    assert_eq!(
        figures.bytes_per_token as usize,
        matrices / 32 * 18 + 302 * 2 * 2 * (2 * 16 + 4 + 1)
    );
    for (prompt, generate, code) in [
        (0, 1, Code::BadOption),
        (1, 0, Code::BadOption),
        (513, 1, Code::PromptTooLong),
        (512, 1, Code::ContextFull),
    ] {
        assert_eq!(
            block_on(measure(engine, sequence, Plan { depth: 0, prompt, generate }))
                .unwrap_err()
                .code,
            code,
            "{prompt} + {generate}"
        );
    }
}

/// `phi bench` with a cache of its own.
pub fn phi(cache: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phi"))
        .arg("bench")
        .args(arguments)
        .env("PHI_WASM_CACHE", cache)
        .output()
        .unwrap()
}

fn written(folder: &Path) -> BTreeMap<String, SystemTime> {
    let items = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|item| std::fs::read_dir(item.unwrap().path()).unwrap());
    items
        .map(|item| item.unwrap())
        .map(|item| {
            (item.path().display().to_string(), item.metadata().unwrap().modified().unwrap())
        })
        .collect()
}

#[test]
fn an_answer_that_a_schema_holds_is_timed_beside_the_same_tokens() {
    let here = tempfile::tempdir().unwrap();
    let schema = here.path().join("schema.json");
    let bench = |text: &str| {
        fs::write(&schema, text).unwrap();
        let fixed = "--shape tiny --backend cpu --threads 1 --prompt 4 --gen 100 --json";
        let mut all: Vec<&str> = fixed.split(' ').collect();
        all.extend(["--json-schema", schema.to_str().unwrap()]);
        phi(here.path(), &all)
    };
    let output = bench(
        r#"{"type": "object", "properties": {"long_key": {"enum": [1, 2]}},
            "required": ["long_key"], "additionalProperties": false}"#,
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let held = &record["held"];
    let (tokens, chosen) = (held["tokens"].as_u64().unwrap(), held["chosen"].as_u64().unwrap());
    // Each letter is a token, and those of the key come without a choice.
    assert!(tokens >= 14 && chosen >= 1 && chosen + 8 <= tokens, "{held}");
    for key in ["tree_ms", "first_mask_ms", "mask_ms", "mask_share", "time_ratio"] {
        assert!(held[key].as_f64().is_some_and(|figure| figure > 0.0), "{key}: {held}");
    }
    let output = bench(r#"{"uniqueItems": true}"#);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("uniqueItems"));
}

#[test]
fn figures_come_as_a_line_of_json_and_the_model_is_written_once() {
    let here = tempfile::tempdir().unwrap();
    let fixed = [
        "--shape",
        "tiny",
        "--backend",
        "cpu",
        "--threads",
        "1",
        "--prompt",
        "12",
        "--gen",
        "3",
        "--json",
    ];
    let output = phi(here.path(), &fixed);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = written(here.path());
    assert_eq!(first.len(), 1, "{first:?}");
    let output = phi(here.path(), &fixed);
    assert_eq!(written(here.path()), first);

    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let record: Value = serde_json::from_str(&line).unwrap();
    let texts = [("engine", "phi-wasm"), ("host", "native"), ("backend", "cpu"), ("model", "tiny")];
    texts.iter().for_each(|(key, value)| assert_eq!(record[key], *value, "{line}"));
    let numbers = [("threads", 1), ("prompt_tokens", 12), ("generated_tokens", 3)];
    numbers.iter().for_each(|(key, value)| assert_eq!(record[key], *value, "{line}"));
    assert!(record["variant"].is_string(), "{line}");
    for key in [
        "prefill_tps",
        "decode_tps",
        "load_ms",
        "peak_bytes",
        "bytes_per_token",
        "read_bandwidth",
        "bandwidth_share",
    ] {
        // Only Linux tells how much memory a process has had.
        let known = record[key].as_f64().is_some_and(|value| value > 0.0);
        assert!(known || key == "peak_bytes" && !cfg!(target_os = "linux"), "{key}: {line}");
    }
}

#[test]
fn every_shape_is_listed_where_help_is_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let told = String::from_utf8(phi(here.path(), &["--help"]).stdout).unwrap();
    for shape in Shape::ALL {
        assert!(told.contains(shape.name), "no {} in {told}", shape.name);
    }
}

#[test]
fn mistakes_are_one_sentence_with_a_code() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let file = file.to_str().unwrap();
    let rows: &[(&str, &[&str])] = &[
        ("not-found", &["--model", "/no/such/model"]),
        ("bad-option", &["--shape", "tiny", "--prompt", "0"]),
        ("bad-option", &["--shape", "tiny", "--prompt", "600"]),
        ("bad-option", &["--shape", "tiny", "--cache", file]),
        ("bad-option", &["--shape", "tiny", "--profile"]),
    ];
    for (code, arguments) in rows {
        let output = phi(here.path(), &[arguments, &["--backend", "cpu"][..]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.starts_with("phi: ") && said.trim_end().ends_with(&format!("[{code}]")),
            "{arguments:?}: {said}"
        );
    }
}
