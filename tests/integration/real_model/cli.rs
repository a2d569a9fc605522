//! The `phi` command answers.

use super::smollm2;
use crate::cli::{answer, check_mistakes, phi, scratch};

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
    let output = phi(
        &[
            "run",
            "--model",
            &smollm2(),
            "--backend",
            "cpu",
            "--max-tokens",
            "4",
            "--stats",
            "json",
            "Hello",
        ],
        "",
    );
    let line = String::from_utf8(output.stderr).unwrap();
    let stats: serde_json::Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&stats["generated_tokens"], &stats["finish"]),
        (&4.into(), &"length".into()),
        "{stats}"
    );
    assert!(
        stats["decode_tps"].as_f64().unwrap() > 0.0
            && stats["backend"].as_str().unwrap().starts_with("CPU"),
        "{stats}"
    );
}

#[test]
fn a_seed_gives_the_same_text_and_another_one_another() {
    let model = smollm2();
    let tale = |seed: &str| {
        let sampling = [
            "--temperature",
            "1.5",
            "--top-p",
            "0.95",
            "--max-tokens",
            "24",
            "--seed",
            seed,
            "Tell me a story.",
        ];
        answer(&[&["run", "--model", &model, "--backend", "cpu"][..], &sampling].concat(), "")
    };
    assert_eq!(tale("7"), tale("7"));
    assert_ne!(tale("7"), tale("8"));
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_shown() {
    let stopped = answer(
        &[
            "run",
            "--model",
            &smollm2(),
            "--backend",
            "cpu",
            "--stop",
            "Par",
            "What is the capital of France?",
        ],
        "",
    );
    assert_eq!(stopped, "The capital of France is \n");
}

#[test]
fn a_conversation_remembers() {
    let input = "My name is Zebedee. Greet me.\n\nWhat is my name?\n";
    let said =
        answer(&["chat", "--model", &smollm2(), "--backend", "cpu", "--max-tokens", "24"], input);
    assert!(said.lines().last().unwrap().contains("Zebedee"), "{said}");
}

#[test]
fn prompts_are_those_of_transformers() {
    let model = smollm2();
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../golden/smollm2/answers.json")).unwrap();
    for row in rows {
        let messages = row["messages"].to_string();
        assert_eq!(
            answer(&["prompt", "--model", &model, "-"], &messages),
            row["prompt"].as_str().unwrap()
        );
    }
}

#[test]
fn mistakes_are_one_sentence_with_a_code() {
    let smol = smollm2();
    let cut = scratch("cut.gguf");
    std::fs::write(&cut, &std::fs::read(&smol).unwrap()[..50_000_000]).unwrap();
    let cut = cut.to_str().unwrap();
    let long = "word ".repeat(300);
    check_mistakes(&[
        ("truncated", &["run", "--model", cut, "--backend", "cpu", "Hello"]),
        ("prompt-too-long", &["run", "--model", &smol, "--backend", "cpu", "--ctx", "64", &long]),
        (
            "bad-option",
            &["run", "--model", &smol, "--backend", "cpu", "--temperature", "nan", "Hello"],
        ),
        (
            "bad-option",
            &["run", "--model", &smol, "--backend", "cpu", "--max-tokens", "0", "Hello"],
        ),
        ("not-found", &["perplexity", "--model", &smol, "--backend", "cpu", "/no/such/text"]),
    ]);
}
