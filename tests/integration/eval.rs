//! How good a model is, on the small random one: what is shared between choices and windows changes
//! nothing.

use phi_wasm::cpu::Cpu;
use phi_wasm::engine::{Engine, EngineOptions, Sequence};
use phi_wasm::eval::{divergence, log_probs, perplexity};
use phi_wasm::layout::Kind;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::WeightFormat;

use crate::common::backends;
use crate::common::tiny_phi::tiny_phi;

async fn open(format: WeightFormat, ctx_len: usize) -> (Engine<Cpu>, Sequence) {
    let checkpoint = Checkpoint::open(tiny_phi()).await.unwrap();
    let options = EngineOptions { format, ctx_len: Some(ctx_len), kv: None };
    let backend = backends::simd().await;
    let mut engine = Engine::load(&checkpoint, backend, &options, &mut |_| {}).await.unwrap();
    let sequence = engine.sequence(None).unwrap();
    (engine, sequence)
}

/// Ids that look random, the same each time.
fn ids(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32).map(|at| (at * 7919 + seed * 104_729) % 383 + 1).collect()
}

/// The sum over the last tokens, from a sequence that holds nothing yet.
async fn alone(context: &[u32], continuation: &[u32], ctx_len: usize) -> f64 {
    let (mut engine, mut sequence) = open(WeightFormat::EXACT, ctx_len).await;
    let all = [context, continuation].concat();
    let all = &all[all.len().saturating_sub(ctx_len + 1)..];
    let begin = all.len() - continuation.len();
    engine.plan(&mut sequence, &all[..all.len() - 1]).unwrap();
    let mut sum = 0.0;
    while sequence.pending() > 0 {
        engine.advance(&mut sequence).await.unwrap();
        engine
            .chunk_logits(&sequence, &mut |position, row| {
                if position + 1 >= begin {
                    let all_of: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
                    sum += f64::from(row[all[position + 1] as usize]) - all_of.ln();
                }
            })
            .await
            .unwrap();
    }
    sum
}

async_test! {
    async fn choices_are_scored_as_each_alone() {
        let (context, more) = (ids(1, 40), ids(2, 12));
        // One is what two others begin with, two are equal, and one has nothing in common.
        let choices = [&more[..1], &more[..5], &more, &ids(3, 3), &more[..5], &ids(2, 1)]
            .map(<[u32]>::to_vec);
        for ctx_len in [60, 44, 12] {
            let (mut engine, mut sequence) = open(WeightFormat::EXACT, ctx_len).await;
            // The second time the cache holds the context, and what was scored last.
            for round in 0..2 {
                let found =
                    log_probs(&mut engine, &mut sequence, &context, &choices).await.unwrap();
                for (choice, found) in choices.iter().zip(found) {
                    let expected = alone(&context, choice, ctx_len).await;
                    assert!(
                        (found - expected).abs() < 1e-3,
                        "{found} instead of {expected}, {ctx_len} positions, round {round}"
                    );
                }
            }
        }
        let (mut engine, mut sequence) = open(WeightFormat::EXACT, 11).await;
        let error = log_probs(&mut engine, &mut sequence, &context, &choices).await.unwrap_err();
        assert_eq!(error.code.as_str(), "prompt-too-long", "{error}");
    }

    async fn what_is_shared_is_read_once() {
        let (mut engine, mut sequence) = open(WeightFormat::EXACT, 60).await;
        let context = ids(1, 40);
        let choices: Vec<_> = (0..4).map(|seed| ids(seed, 1)).collect();
        log_probs(&mut engine, &mut sequence, &context, &choices).await.unwrap();
        assert_eq!(sequence.tokens(), context);
        // All of them come out of one row.
        let longer = [context, ids(9, 2)].concat();
        engine.plan(&mut sequence, &longer).unwrap();
        assert_eq!(sequence.pending(), 2);
    }

    async fn a_window_that_begins_as_the_last_did_counts_whole() {
        let (mut engine, mut sequence) = open(WeightFormat::EXACT, 40).await;
        let once = ids(5, 30);
        let twice = [&once[..], &once].concat();
        let mut read = 0;
        let mut measure = async |ids: &[u32]| {
            let told = &mut |rows| read += rows;
            perplexity(&mut engine, &mut sequence, (ids, 30), told).await.unwrap()
        };
        let (one, two) = (measure(&once).await, measure(&twice).await);
        assert_eq!((one.tokens, two.tokens), (29, 58));
        assert!((one.value() - two.value()).abs() < 1e-6, "{} {}", one.value(), two.value());
        assert_eq!(read, 3 * 29);
        let whole = alone(&once[..1], &once[1..], 40).await;
        assert!((one.negative_log_likelihood + whole).abs() < 1e-3);
    }

    async fn a_model_is_as_far_from_itself_as_nothing() {
        let text = ids(6, 50);
        let mut far = Vec::new();
        for format in [WeightFormat::EXACT, Kind::Q8.into(), Kind::Q4.into()] {
            let (mut one, mut its) = open(WeightFormat::EXACT, 64).await;
            let (mut other, mut others) = open(format, 64).await;
            let (one, other) = ((&mut one, &mut its), (&mut other, &mut others));
            let found = divergence(one, other, (&text, 20), &mut |_| {}).await.unwrap();
            assert_eq!(found.each.len(), 19 + 19 + 9);
            let (mut engine, mut sequence) = open(format, 64).await;
            let second =
                perplexity(&mut engine, &mut sequence, (&text, 20), &mut |_| {}).await.unwrap();
            assert!((found.perplexity[1].value() / second.value() - 1.0).abs() < 1e-6);
            far.push((found.mean(), found.top_agreement()));
        }
        assert_eq!(far[0], (0.0, 1.0));
        assert!(0.0 < far[1].0 && far[1].0 < far[2].0, "{far:?}");
    }
}

#[cfg(not(target_family = "wasm"))]
mod command {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use serde_json::Value;

    use crate::cli::{answer, check_mistakes, check_sentences, scratch, tiny_chat};

    const ARC: &str = concat!(
        r#"{"id": "1", "question": {"stem": "Why?", "choices": [{"text": "So", "label": "A"}, "#,
        r#"{"text": "Because of it", "label": "B"}]}, "answerKey": "B"}"#
    );
    const SCENE: &str = concat!(
        r#"{"activity_label": "Ice", "ctx_a": "A man sits.", "ctx_b": "he", "#,
        r#""endings": ["stands up.", "[step] is here.", "is ice."], "label": 2}"#
    );

    fn written(folder: &str, name: &str, text: &str) -> String {
        let path = Path::new(folder).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_test_is_told_as_a_table_and_as_json() {
        let model = tiny_chat("eval");
        let arc = written(&model, "arc.jsonl", &format!("{ARC}\n{ARC}\n"));
        let scenes = written(&model, "scenes.jsonl", SCENE);
        for (subject, letter) in [("a_b", "A"), ("c", "D")] {
            for split in ["dev", "test"] {
                let rows = format!("1+1?,1,2,3,4,{letter}\n").repeat(6);
                written(&model, &format!("mmlu/{split}/{subject}_{split}.csv"), &rows);
            }
        }
        let mmlu = format!("{model}/mmlu");
        let json = scratch("eval.json");
        let json = json.to_str().unwrap();
        let fixed = ["--model", &model, "--backend", "cpu", "--limit", "2", "--json"];
        let report = |test: &str, data: &[&str], more: &[&str]| -> Value {
            let arguments = [&["eval", test], &fixed[..], &["-"], more, data].concat();
            serde_json::from_str(&answer(&arguments, "")).unwrap()
        };

        let told = report("arc", &[&arc, &scenes.replace("scenes", "arc")], &[]);
        let run = &told["runs"][0];
        assert_eq!(
            (&told["test"], &run["items"], &run["bits"]),
            (&"arc".into(), &4.into(), &4.into())
        );
        let sample = &run["groups"][1]["samples"][0];
        assert_eq!(sample["log_probs"].as_array().unwrap().len(), 2, "{told}");
        let log_probs = sample["log_probs"].as_array().unwrap();
        let is_first = log_probs[0].as_f64() >= log_probs[1].as_f64();
        assert_eq!(sample["choice"], u64::from(!is_first), "{told}");

        let told = report("hellaswag", &[&scenes], &["--formats", "4,32"]);
        assert_eq!([&told["runs"][0]["bits"], &told["runs"][1]["bits"]], [4, 32]);
        let told = report("mmlu", &[&mmlu], &["--shots", "2"]);
        let run = &told["runs"][0];
        assert_eq!((&run["items"], &run["shots"], &run["cut"]), (&4.into(), &2.into(), &0.into()));
        assert!(run["acc_norm"].is_null(), "{told}");
        let told = report("mmlu", &[&mmlu], &["--subject", "c", "--ctx", "64"]);
        assert_eq!([&told["runs"][0]["items"], &told["runs"][0]["cut"]], [2, 2]);

        // A file gets the JSON, and standard output the table.
        let table = answer(&[&["eval", "mmlu"], &fixed[..], &[json, &mmlu]].concat(), "");
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("model") && lines[0].ends_with("acc"), "{table}");
        assert!(lines[1].starts_with("eval ") && lines[1].contains(" ± "), "{table}");
        assert!(lines[3].starts_with("a_b") && lines[4].starts_with("c  "), "{table}");
        let told: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        assert_eq!(told["runs"][0]["groups"][0]["name"], "a_b");
    }

    #[test]
    fn answers_that_are_written_are_graded() {
        let model = tiny_chat("eval-written");
        let line = "{\"question\": \"1+1?\", \"answer\": \"#### 2\"}\n";
        written(&model, "gsm8k/train.jsonl", &line.repeat(6));
        written(&model, "gsm8k/test.jsonl", &line.repeat(3));
        let data = format!("{model}/gsm8k");
        let fixed = ["eval", "gsm8k", "--model", &model, "--backend", "cpu", "--limit", "2"];
        let told = answer(&[&fixed[..], &["--json", "-", &data]].concat(), "");
        let told: Value = serde_json::from_str(&told).unwrap();
        let run = &told["runs"][0];
        assert_eq!((&run["items"], &run["shots"]), (&2.into(), &5.into()), "{told}");
        assert_eq!(run["samples"][1]["strict"], false, "{told}");
        let table = answer(&[&fixed[..], &[&data]].concat(), "");
        assert!(table.lines().next().unwrap().ends_with("flexible"), "{table}");
        fs::remove_file(format!("{data}/train.jsonl")).unwrap();
        check_mistakes(&[("not-found", &[&fixed[..], &[&data]].concat())]);
    }

    /// Where there is no sandbox nothing is run, nor is a model loaded.
    #[cfg(target_os = "linux")]
    #[test]
    fn programs_are_refused_without_a_sandbox() {
        let model = tiny_chat("eval-refused");
        let function = concat!(
            r#"{"task_id": "Made/0", "prompt": "def f():\n", "entry_point": "f", "#,
            r#""canonical_solution": "", "test": "def check(f):\n    pass\n"}"#
        );
        let file = written(&model, "functions.jsonl", function);
        let output = Command::new(env!("CARGO_BIN_EXE_phi"))
            .env("PATH", "/nowhere")
            .args(["eval", "humaneval", "--model", &model, "--backend", "cpu", &file])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("phi: programs that a model wrote run in a sandbox only")
                && said.ends_with("namespaces [not-found]\n")
                && said.lines().count() == 1,
            "{said}"
        );
        assert_eq!(output.status.code(), Some(1));
    }

    #[test]
    fn formats_of_a_model_are_compared() {
        let model = tiny_chat("eval-formats");
        let text = written(&model, "text.txt", "word1 word2 and some more words");
        let cpu = ["--backend", "cpu"];
        let kl = |more: &[&str]| -> Value {
            let fixed = ["eval", "kl", "--json", "-", "--window", "16", &model, &model, &text];
            serde_json::from_str(&answer(&[&fixed[..], &cpu, more].concat(), "")).unwrap()
        };
        let same = &kl(&[])["runs"][0];
        assert_eq!((&same["mean_kl"], &same["top1_agreement"]), (&0.0.into(), &1.0.into()));
        let other = &kl(&["--bits", "32", "--bits-b", "4"])["runs"][0];
        assert!(other["p99_kl"].as_f64() > other["mean_kl"].as_f64(), "{other}");
        assert!(other["mean_kl"].as_f64() > Some(0.0), "{other}");
        assert_eq!([&other["bits"], &other["other"]["bits"]], [32, 4]);

        let fixed = ["--model", &model, "--window", "16"];
        let short = answer(&[&["perplexity"], &fixed[..], &cpu, &[&text]].concat(), "");
        let long = answer(&[&["eval", "perplexity"], &fixed[..], &cpu, &[&text]].concat(), "");
        assert_eq!(short, long);
        let formats = ["--formats", "32,4"];
        let table = answer(&[&["perplexity"], &fixed[..], &cpu, &formats, &[&text]].concat(), "");
        let figure =
            |line: usize| table.lines().nth(line).unwrap().split_whitespace().nth(2).unwrap();
        let of = |figures: &Value, name: &str| format!("{:.3}", figures[name].as_f64().unwrap());
        assert_eq!(figure(1), of(other, "perplexity"), "{table}");
        assert_eq!(figure(2), of(other, "other_perplexity"), "{table}");
    }

    #[test]
    fn what_is_wrong_with_a_tests_files_is_told_with_its_line() {
        let model = tiny_chat("eval-wrong");
        let bad = ARC.replace("answerKey\": \"B\"", "answerKey\": \"E\"");
        let arc = written(&model, "arc.jsonl", &format!("{ARC}\n{bad}\n"));
        let scenes = written(&model, "scenes.jsonl", &format!("{SCENE}\n{{"));
        let one = written(&model, "one/test/x_test.csv", "a,b,c,d,e,A\na,b\n");
        let one = one.strip_suffix("/test/x_test.csv").unwrap();
        written(&model, "one/dev/x_dev.csv", "a,b,c,d,e,A\n");
        let eval = |test: &'static str| ["eval", test, "--model", &model, "--backend", "cpu"];
        check_sentences(&[
            (
                "arc.jsonl, line 2: answerKey is \"E\", and the choices' labels are A, B; give \
                    the file as its publisher has it [malformed]",
                &[&eval("arc")[..], &[&arc]].concat(),
            ),
            (
                "scenes.jsonl, line 2: EOF while parsing an object; give the file",
                &[&eval("hellaswag")[..], &[&scenes]].concat(),
            ),
            (
                "x_test.csv, line 2: 2 columns, not 6; give the file",
                &[&eval("mmlu")[..], &["--shots", "1", one]].concat(),
            ),
            (
                "x_dev.csv has 1 examples, and 5 are to come before each question [bad-option]",
                &[&eval("mmlu")[..], &[one]].concat(),
            ),
        ]);
        check_mistakes(&[
            ("not-found", &[&eval("mmlu")[..], &[&model]].concat()),
            ("not-found", &[&eval("mmlu")[..], &["--subject", "y", one]].concat()),
            ("not-found", &[&eval("arc")[..], &["/no/such/file"]].concat()),
            ("bad-option", &[&eval("arc")[..], &["--limit", "0", &scenes]].concat()),
            ("bad-option", &[&eval("arc")[..], &["--bits", "4", "--formats", "8", &arc]].concat()),
            ("bad-option", &["eval", "arc", &arc]),
            ("not-found", &["eval", "kl", &model, "/no/such/model", &scenes]),
        ]);
    }
}
