//! The `phi` command, run as a user runs it.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::SafeTensors;

fn phi(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_phi"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Standard output of a command that must succeed.
fn answer(arguments: &[&str], input: &str) -> String {
    let output = phi(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn tiny_phi() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-phi").to_str().unwrap().to_owned()
}

fn smollm2() -> String {
    std::env::var("PHI_SMOLLM2").expect("PHI_SMOLLM2 names no model; `cargo xtask test` fetches it and sets the variable")
}

/// A file in a directory of this test's own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn logits_are_the_references_on_both_backends() {
    let golden = include_bytes!("golden/tiny-phi/golden.safetensors");
    let golden = SafeTensors::deserialize(golden).unwrap();
    let ids = golden.tensor("long.ids").unwrap().data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).to_string());
    let ids = ids.collect::<Vec<_>>().join(",");
    let expected = golden.tensor("long.logits").unwrap();
    for (backend, tolerance) in [("cpu", 1e-4), ("gpu", 2e-3)] {
        let out = scratch(&format!("logits-{backend}.safetensors"));
        let arguments =
            ["logits", "--model", &tiny_phi(), "--bits", "32", "--backend", backend, "--ids", &ids, "--out", out.to_str().unwrap()];
        answer(&arguments, "");
        let bytes = std::fs::read(&out).unwrap();
        let written = SafeTensors::deserialize(&bytes).unwrap();
        let logits = written.tensor("logits").unwrap();
        assert_eq!(logits.shape(), expected.shape());
        let floats = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<_>>();
        for (ours, theirs) in floats(logits.data()).into_iter().zip(floats(expected.data())) {
            assert!((ours - theirs).abs() <= tolerance, "{backend}: {ours} instead of {theirs}");
        }
    }
}

#[test]
fn a_prompt_is_answered_from_an_argument_or_from_standard_input() {
    let model = smollm2();
    let question = "What is the capital of France?";
    let fixed = ["run", "--model", &model, "--backend", "cpu", "--max-tokens", "8"];
    let from_argument = answer(&[&fixed[..], &[question]].concat(), "");
    assert!(from_argument.contains("Paris"), "{from_argument}");
    assert_eq!(answer(&[&fixed[..], &["-"]].concat(), question), from_argument);
    // Without the template it is a text to go on with.
    let raw = answer(&[&fixed[..], &["--raw", "The capital of France is"]].concat(), "");
    assert!(raw.starts_with(" Paris"), "{raw}");
}

#[test]
fn figures_come_as_json_on_standard_error() {
    let output = phi(&["run", "--model", &smollm2(), "--backend", "cpu", "--max-tokens", "4", "--stats", "json", "Hello"], "");
    let line = String::from_utf8(output.stderr).unwrap();
    let stats: serde_json::Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!((&stats["generated_tokens"], &stats["finish"]), (&4.into(), &"length".into()), "{stats}");
    assert!(stats["decode_tps"].as_f64().unwrap() > 0.0 && stats["backend"].as_str().unwrap().starts_with("CPU"), "{stats}");
}

#[test]
fn a_seed_gives_the_same_text_and_another_one_another() {
    let model = smollm2();
    let tale = |seed: &str| {
        let sampling = ["--temperature", "1.5", "--top-p", "0.95", "--max-tokens", "24", "--seed", seed, "Tell me a story."];
        answer(&[&["run", "--model", &model, "--backend", "cpu"][..], &sampling].concat(), "")
    };
    assert_eq!(tale("7"), tale("7"));
    assert_ne!(tale("7"), tale("8"));
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_shown() {
    let stopped = answer(&["run", "--model", &smollm2(), "--backend", "cpu", "--stop", "Par", "What is the capital of France?"], "");
    assert_eq!(stopped, "The capital of France is \n");
}

#[test]
fn a_conversation_remembers() {
    let input = "My name is Zebedee. Greet me.\nWhat is my name?\n\n";
    let said = answer(&["chat", "--model", &smollm2(), "--backend", "cpu", "--max-tokens", "24"], input);
    assert!(said.lines().last().unwrap().contains("Zebedee"), "{said}");
}

#[test]
fn inspect_tells_what_the_files_hold() {
    let told = answer(&["inspect", &tiny_phi()], "");
    for part in ["Phi3ForCausalLM", "3 layers", "LongRoPE from 64 on", "model.layers.2.mlp.down_proj.weight", "BF16"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

/// Every mistake is one sentence with its code, and nothing else.
#[test]
fn mistakes_are_one_sentence_with_a_code() {
    let (tiny, smol) = (tiny_phi(), smollm2());
    let text = scratch("not-a-model.gguf");
    std::fs::write(&text, "once upon a time there was a text that was no model at all").unwrap();
    let cut = scratch("cut.gguf");
    std::fs::write(&cut, &std::fs::read(&smol).unwrap()[..50_000_000]).unwrap();
    let (text, cut) = (text.to_str().unwrap(), cut.to_str().unwrap());
    let out = scratch("never.safetensors");
    let out = out.to_str().unwrap();
    let long = "word ".repeat(300);
    let rows: &[(&str, &[&str])] = &[
        ("not-found", &["run", "--model", "/no/such/model", "Hello"]),
        ("not-a-model", &["run", "--model", text, "--backend", "cpu", "Hello"]),
        ("truncated", &["run", "--model", cut, "--backend", "cpu", "Hello"]),
        ("bad-tokenizer", &["run", "--model", &tiny, "--backend", "cpu", "Hello"]),
        ("bad-token", &["logits", "--model", &tiny, "--backend", "cpu", "--ids", "1,384", "--out", out]),
        ("bad-option", &["logits", "--model", &tiny, "--backend", "cpu", "--ctx", "4096", "--ids", "1,2", "--out", out]),
        ("prompt-too-long", &["logits", "--model", &tiny, "--backend", "cpu", "--ctx", "2", "--ids", "1,2,3", "--out", out]),
        ("prompt-too-long", &["run", "--model", &smol, "--backend", "cpu", "--ctx", "64", &long]),
        ("bad-option", &["run", "--model", &smol, "--backend", "cpu", "--temperature", "nan", "Hello"]),
        ("bad-option", &["run", "--model", &smol, "--backend", "cpu", "--max-tokens", "0", "Hello"]),
        ("io", &["logits", "--model", &tiny, "--backend", "cpu", "--ids", "1", "--out", "/no/such/directory/logits.safetensors"]),
        ("not-found", &["perplexity", "--model", &smol, "--backend", "cpu", "/no/such/text"]),
    ];
    for (code, arguments) in rows {
        let output = phi(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.trim_end().ends_with(&format!("[{code}]")), "{arguments:?}: {said}");
        assert!(said.starts_with("phi: ") && said.trim_end().lines().count() == 1, "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(!Path::new(out).exists(), "a failed command left a file behind");
}
