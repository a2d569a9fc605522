//! The field's tests, against what lm-evaluation-harness scores with the same weights in float32:
//! `tests/golden/make/eval.py` writes the items and the scores.

use std::fs;
use std::path::Path;

use phi_wasm::eval::sandbox::{Outcome, Sandbox};
use phi_wasm::eval::tasks::humaneval::functions;
use phi_wasm::eval::tasks::{Item, arc, completed, hellaswag, mmlu};
use phi_wasm::session::{LoadOptions, Session};
use phi_wasm::weights::format::WeightFormat;
use phi_wasm::weights::source::DirSource;
use serde_json::Value;

use crate::common::{backends, is_long};

/// How far a log-probability may be from the reference's.
const TOLERANCE: f64 = 1e-2;
/// Of a hundred items, so many must be answered as the reference does.
const SAME: usize = 99;
/// Of so many items one is asked, unless all are.
const ONE_OF: usize = 4;

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eval");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Each test's items, by the names that the reference's scores have.
fn tests() -> Vec<(String, Vec<Item>)> {
    let subjects = ["made_up_geography", "made_up_science", "made_up_mathematics"];
    let subject = |name: &str| {
        let [dev, test] =
            ["dev", "test"].map(|split| read(&format!("mmlu/{split}/{name}_{split}.csv")));
        mmlu::items(name, ("dev", &dev), ("test", &test), mmlu::SHOTS).unwrap()
    };
    let mut tests: Vec<_> =
        subjects.iter().map(|name| ((*name).to_owned(), subject(name))).collect();
    tests.push(("arc".to_owned(), arc::items("arc", &read("arc.jsonl")).unwrap()));
    let scenes = hellaswag::items("hellaswag", &read("hellaswag.jsonl")).unwrap();
    tests.push(("hellaswag".to_owned(), scenes));
    tests
}

/// The most probable choice, and the one most probable for each of its characters.
fn choices(item: &Item, log_probs: &[f64]) -> [usize; 2] {
    let best = |score: &dyn Fn(usize) -> f64| {
        (0..log_probs.len()).rev().max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap()
    };
    let length = |at: usize| item.choices[at].chars().count() as f64;
    [best(&|at| log_probs[at]), best(&|at| log_probs[at] / length(at))]
}

#[test]
fn tests_are_scored_as_lm_evaluation_harness_does() {
    pollster::block_on(async {
        let golden: Value = serde_json::from_str(&read("answers.json")).unwrap();
        let options = LoadOptions { format: WeightFormat::EXACT, ..LoadOptions::default() };
        let source = DirSource::open(super::smollm2()).unwrap();
        let backend = backends::simd().await;
        let mut session = Session::open(source, backend, &options, &mut |_| {}).await.unwrap();
        let (mut asked, mut same, mut worst) = (0, 0, 0.0f64);
        for (name, items) in tests() {
            let scores: Vec<Vec<f64>> = serde_json::from_value(golden[&name].clone()).unwrap();
            assert_eq!(items.len(), scores.len(), "{name}");
            let mut right = [0, 0];
            for (item, expected) in items.iter().zip(&scores) {
                let chosen = choices(item, expected);
                right = [0, 1].map(|at| right[at] + usize::from(chosen[at] == item.gold));
            }
            // What counts as right, over all items, from the reference's scores.
            for (metric, right) in ["acc", "acc_norm"].iter().zip(right) {
                let Some(acc) = golden[format!("{name}.{metric}")].as_f64() else { continue };
                let ours = right as f64 / items.len() as f64;
                assert!((ours - acc).abs() < 1e-6, "{name}: {metric} {ours} instead of {acc}");
            }
            let step = if is_long() { 1 } else { ONE_OF };
            for (item, expected) in items.iter().zip(&scores).step_by(step) {
                let answered = item.answer(&mut session).await.unwrap();
                asked += 1;
                same +=
                    usize::from([answered.choice, answered.choice_norm] == choices(item, expected));
                for (found, expected) in answered.log_probs.iter().zip(expected) {
                    worst = worst.max((found - expected).abs());
                }
                assert!(worst < TOLERANCE, "{name}: {answered:?} instead of {expected:?}");
            }
        }
        println!("{same} of {asked} answered alike; log-probabilities differ by {worst:.6}");
        assert!(same * 100 >= asked * SAME, "{same} of {asked} answered alike");
    });
}

/// A function as HumanEval has them.
const FUNCTION: &str = r#"{"task_id": "Made/0",
    "prompt": "def twice(x):\n    \"\"\"Twice x.\"\"\"\n",
    "entry_point": "twice", "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n"}"#;

/// What is done with completions where nothing may happen but their own work.
#[test]
fn what_a_model_wrote_runs_in_a_sandbox() {
    let sandbox = Sandbox::open(2).unwrap();
    let [function] = &functions("f", &FUNCTION.replace('\n', "")).unwrap()[..] else {
        panic!("one function")
    };
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let reads = format!("    open({secret:?}).read()\n    return 2 * x\n");
    let rows = [
        (&*function.canonical_solution, Outcome::Passed),
        ("    return 3 * x\n", Outcome::Failed),
        ("    return 2 *\n", Outcome::Failed),
        ("    import sys; sys.exit(0)\n", Outcome::Failed),
        ("    import os; os._exit(0)\n", Outcome::Failed),
        ("    while True: pass\n", Outcome::TimedOut),
        ("    return len('y' * (1 << 40))\n", Outcome::Failed),
        // What is there of the system is only read, and of its users' things nothing is there.
        ("    open('/usr/x', 'w')\n    return 2 * x\n", Outcome::Failed),
        (&*reads, Outcome::Failed),
        ("    open('/tmp/x', 'w').write('x')\n    return 2 * x\n", Outcome::Passed),
        ("    import os; os.stat('/tmp/x')\n    return 2 * x\n", Outcome::Failed),
        (
            "    import socket; socket.create_connection(('127.0.0.1', 80))\n    return 2 * x\n",
            Outcome::Failed,
        ),
        ("    import os; os.fork(); return 2 * x\n", Outcome::Passed),
    ];
    for (completion, outcome) in rows {
        let found = sandbox.run(&function.program(completion)).unwrap();
        assert_eq!(found, outcome, "{completion}");
    }
}

/// What transformers' tokens of the same prompt say, greedily, up to a stop text.
#[test]
fn answers_end_before_a_stop_text() {
    pollster::block_on(async {
        let source = DirSource::open(super::smollm2()).unwrap();
        let backend = backends::simd().await;
        let options = LoadOptions { ctx_len: Some(128), ..LoadOptions::default() };
        let mut session = Session::open(source, backend, &options, &mut |_| {}).await.unwrap();
        let prompt = "Question: What is 2 + 2?\nAnswer: 4\n\nQuestion: What is 1 + 1?\nAnswer:";
        let whole = completed(&mut session, prompt, &[], 12).await.unwrap();
        let cut = completed(&mut session, prompt, &["Question:"], 12).await.unwrap();
        assert!(whole.contains("Question:"), "{whole:?}");
        assert_eq!(Some(&*cut), whole.split("Question:").next());
    });
}
