//! The `phi` command, run as a user runs it, as many lines as cases.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::SafeTensors;

use crate::common::tiny_phi;

pub fn phi(arguments: &[&str], input: &str) -> Output {
    phi_into(Stdio::piped(), Stdio::piped(), arguments, input)
}

fn phi_into(
    stdout: impl Into<Stdio>,
    stderr: impl Into<Stdio>,
    arguments: &[&str],
    input: &str,
) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_phi"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    // A command that fails before it reads has said why.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Standard output of a command that must succeed.
pub fn answer(arguments: &[&str], input: &str) -> String {
    let output = phi(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn tiny_phi() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-phi").to_str().unwrap().to_owned()
}

/// A file in a directory of this test's own.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The small random model with words, in a directory of this test's own.
pub fn tiny_chat(name: &str) -> String {
    let folder = scratch(name);
    let _ = fs::remove_dir_all(&folder); // An earlier run's.
    fs::create_dir_all(&folder).unwrap();
    for (file, bytes) in tiny_phi::tiny_chat().files {
        fs::write(folder.join(file), bytes).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

#[test]
fn choices_are_decided_between() {
    let model = tiny_chat("decide");
    let with = |more: &[&'static str]| {
        let arguments = ["decide", "--model", &model, "--backend", "cpu"];
        [&arguments[..], more].concat()
    };
    let choices = ["--choice", "yes", "--choice", "-no"];
    let [given, piped] = [("What?", ""), ("-", "What?\n")]
        .map(|(prompt, input)| answer(&with(&[&choices[..], &["--json", prompt]].concat()), input));
    let decisions: serde_json::Value = serde_json::from_str(&given).unwrap();
    assert_eq!(given, piped);
    assert_eq!(decisions[1]["choice"], "-no");
    let probability = |at: usize| decisions[at]["probability"].as_f64().unwrap();
    assert!((probability(0) + probability(1) - 1.0).abs() < 1e-9, "{decisions}");
    assert!(decisions[0]["logprob"].as_f64().unwrap() < 0.0);
    let table = answer(&with(&[&choices[..], &["What?"]].concat()), "");
    let rows = [(0, "yes"), (1, "-no")]
        .map(|(at, choice)| format!("{:.4}  {choice:?}\n", probability(at)));
    assert_eq!(table, rows.concat());
    let output = phi(&with(&["--choice", "a", "--choice", "a", "What?"]), "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "phi: choices[1] is the same as choices[0]: give each once [bad-option]\n");
}

#[test]
fn tokens_are_printed_with_how_probable_they_were() {
    let model = tiny_chat("logprobs");
    let arguments = ["run", "--model", &model, "--backend", "cpu", "--max-tokens", "4"];
    let output = phi(&[&arguments[..], &["--logprobs", "2", "What?"]].concat(), "");
    let (text, said) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    let tokens: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let joined: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!(format!("{joined}\n").as_bytes(), text, "{said}");
    assert_eq!(tokens.len(), 4, "{said}");
    for token in &tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!((top.len(), &top[0]["logprob"]), (2, &token["logprob"]), "{said}");
    }
}

#[test]
fn logits_are_the_references() {
    check_logits("cpu", 1e-4);
}

#[cfg(feature = "gpu-tests")]
#[test]
fn logits_of_a_gpu_are_the_references() {
    check_logits("gpu", 2e-3);
}

fn check_logits(backend: &str, tolerance: f32) {
    let golden = include_bytes!("../golden/tiny-phi/golden.safetensors");
    let golden = SafeTensors::deserialize(golden).unwrap();
    let ids = golden
        .tensor("long.ids")
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes(b.try_into().unwrap()).to_string());
    let ids = ids.collect::<Vec<_>>().join(",");
    let expected = golden.tensor("long.logits").unwrap();
    let out = scratch(&format!("logits-{backend}.safetensors"));
    let arguments = [
        "logits",
        "--model",
        &tiny_phi(),
        "--bits",
        "32",
        "--backend",
        backend,
        "--ids",
        &ids,
        "--out",
        out.to_str().unwrap(),
    ];
    answer(&arguments, "");
    let bytes = std::fs::read(&out).unwrap();
    let written = SafeTensors::deserialize(&bytes).unwrap();
    let logits = written.tensor("logits").unwrap();
    assert_eq!(logits.shape(), expected.shape());
    let floats = |bytes: &[u8]| {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<_>>()
    };
    for (ours, theirs) in floats(logits.data()).into_iter().zip(floats(expected.data())) {
        assert!((ours - theirs).abs() <= tolerance, "{backend}: {ours} instead of {theirs}");
    }
}

#[cfg(feature = "gpu-tests")]
#[test]
fn which_backend_is_faster_is_measured_once() {
    let (model, cache) = (tiny_chat("faster"), scratch("faster-cache"));
    let _ = fs::remove_dir_all(&cache); // An earlier run's.
    let run = |more: &[&str]| {
        let fixed = ["run", "--model", &model, "--max-tokens", "3", "--stats", "json", "Hi"];
        let output = Command::new(env!("CARGO_BIN_EXE_phi"))
            .env("PHI_WASM_CACHE", &cache)
            .args(fixed)
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let stats: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        (
            said.contains("which is faster was measured: GPU: "),
            stats["measured"].clone(),
            stats["backend"].as_str().unwrap()[..3].to_owned(),
        )
    };
    // A GPU in software is left out.
    assert_eq!(run(&[]), (false, serde_json::Value::Null, "CPU".to_owned()));
    let (told, measured, backend) = run(&["--software-gpu"]);
    let [gpu, cpu] = ["gpu", "cpu"].map(|side| measured[side].as_f64().unwrap());
    assert!(told && (backend == "CPU") == (cpu < gpu), "{measured} {backend}");
    assert_eq!(run(&["--software-gpu"]), (false, measured, backend));
    assert!(run(&["--software-gpu", "--retune"]).0);
}

#[test]
fn inspect_tells_what_the_files_hold() {
    let told = answer(&["inspect", &tiny_phi()], "");
    for part in [
        "Phi3ForCausalLM",
        "3 layers",
        "LongRoPE from 64 on",
        "model.layers.2.mlp.down_proj.weight",
        "BF16",
    ] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn prompts_and_tokens_are_shown_from_a_tokenizers_files_alone() {
    let model = tiny_chat("no-weights");
    for file in ["config.json", "model.safetensors"] {
        fs::remove_file(Path::new(&model).join(file)).unwrap();
    }
    let shown = |arguments: &[&str], input: &str| {
        answer(&[&[arguments[0], "--model", &model], &arguments[1..]].concat(), input)
    };
    // An ASCII character is a token, three after its code; the template puts a line feed after each
    // message.
    assert_eq!(shown(&["prompt", "-"], HELLO), "Hi\nHo\n");
    assert_eq!(shown(&["prompt", "--ids", "-"], HELLO), "75,108,13,75,114,13\n");
    let file = format!("{model}/messages.json");
    fs::write(&file, HELLO).unwrap();
    assert_eq!(shown(&["prompt", &file], ""), "Hi\nHo\n");
    // As Notepad writes it.
    assert_eq!(shown(&["prompt", "-"], &format!("\u{feff}{HELLO}")), "Hi\nHo\n");
    assert_eq!(
        shown(&["tokenize", "Hi <|e|>"], ""),
        "      75  \"H\"\n     108  \"i\"\n      35  \" \"\n       2  \"<|e|>\"\n"
    );
    assert_eq!(shown(&["tokenize", "--ids", "-"], "Hi"), "75,108\n");
    assert_eq!(shown(&["tokenize", "--count", "Hi"], ""), "2\n");
    // A file of its own goes before the configuration's template.
    fs::write(Path::new(&model).join("chat_template.jinja"), "<|s|>{{ messages[0].content }}")
        .unwrap();
    assert_eq!(shown(&["prompt", "--ids", "-"], HELLO), "1,75,108\n");
    // As the template wants them: a list, in the order that the file has.
    let tools = format!("{model}/tools.json");
    fs::write(
        &tools,
        r#"[{"type": "function", "function": {"name": "multiply", "description": "<b>"}}]"#,
    )
    .unwrap();
    check_mistakes(&[("bad-template", &["prompt", "--model", &model, "--tools", &tools, &file])]);
    let described = "{% for tool in tools %}{{ tool.function.name }}: {{ tool | tojson }}{% \
        endfor %}|{{ messages[1].content }}";
    fs::write(Path::new(&model).join("chat_template.jinja"), described).unwrap();
    let expected = concat!(
        r#"multiply: {"type": "function", "#,
        r#""function": {"name": "multiply", "description": "<b>"}}|Ho"#,
    );
    assert_eq!(shown(&["prompt", "--tools", &tools, "-"], HELLO), expected);
    assert_eq!(shown(&["prompt", "-"], HELLO), "|Ho");
    fs::write(&tools, "{}").unwrap();
    check_mistakes(&[("bad-option", &["prompt", "--model", &model, "--tools", &tools, &file])]);

    let messages = |name: &str, text: &str| {
        let file = format!("{model}/{name}.json");
        fs::write(&file, text).unwrap();
        file
    };
    let (cut, slip, empty) =
        (messages("cut", "[{\"role\""), messages("slip", "[{}\n, x]"), messages("empty", "[]"));
    let [many, long] = [
        messages("many", &format!("[{}1]", "1,".repeat(1 << 19))),
        messages("long", &" ".repeat((16 << 20) + 1)),
    ];
    let nameless = messages("nameless", "[{\"content\": \"Hi\"}]");
    let unlisted = messages("unlisted", "{\"messages\": []}");
    let slurred = messages("slurred", "[{\"role\": \"usr\", \"content\": \"Hi\"}]");
    let prompt = ["prompt", "--model", &model];
    for file in [&cut, &slip, &empty, &nameless, &unlisted, &slurred, &many, &long] {
        check_mistakes(&[("bad-option", &[&prompt[..], &[file]].concat())]);
    }
    let said = |file| String::from_utf8(phi(&[&prompt[..], &[file]].concat(), "").stderr).unwrap();
    assert!(said(&unlisted).contains("unlisted.json: messages is not a list: give the"));
    assert!(
        said(&slurred).contains(
            "slurred.json: messages[0].role is \"usr\": it must be one of system, developer, user, \
                assistant, tool ["
        ),
        "{}",
        said(&slurred)
    );
    // As requests have it: a developer's word is the system's, and parts are one text.
    let newer = r#"[{"role": "developer", "content": [{"type": "text", "text": "Hi"}]}]"#;
    let spoken = "{{ messages[0].role }}: {{ messages[0].content }}";
    fs::write(Path::new(&model).join("chat_template.jinja"), spoken).unwrap();
    assert_eq!(shown(&["prompt", "-"], newer), "system: Hi");
    assert!(said(&cut).contains("cut.json is not JSON: it ends too early; "), "{}", said(&cut));
    assert!(said(&slip).contains("slip.json is not JSON: line 2, column 3; "), "{}", said(&slip));
    assert!(
        said(&many).contains(
            "many.json has more than 524288 values of JSON, the most that are read; give fewer"
        ),
        "{}",
        said(&many)
    );
    assert!(
        said(&long).contains("long.json has more than 16777216 bytes, the most that are read"),
        "{}",
        said(&long)
    );
    check_sentences(&[(
        "MESSAGES.json and --tools are both -, and standard input is read once; name a file",
        &["prompt", "--model", &model, "-", "--tools", "-"],
    )]);
    fs::remove_file(Path::new(&model).join("tokenizer.json")).unwrap();
    check_mistakes(&[
        ("not-a-model", &[&prompt[..], &[&file]].concat()),
        ("not-found", &["tokenize", "--model", "/no/such/model", "Hi"]),
    ]);
}

#[test]
fn numbers_may_be_negative_and_at_the_edge() {
    let model = tiny_chat("numbers");
    let fixed = ["run", "--model", &model, "--backend", "cpu", "--max-tokens", "8"];
    let greedy = answer(&[&fixed[..], &["Hi"]].concat(), "");
    assert_eq!(
        answer(&[&fixed[..], &["--temperature", "1", "--top-p", "0", "Hi"]].concat(), ""),
        greedy
    );
    assert!(
        !answer(
            &[&fixed[..], &["--presence-penalty", "-.5", "--frequency-penalty", "-1e-3", "Hi"]]
                .concat(),
            ""
        )
        .is_empty()
    );
    let drawn = |seed: &str| {
        answer(
            &[&fixed[..], &["--temperature", "2", "--top-k", "-1", "--seed", seed, "Hi"]].concat(),
            "",
        )
    };
    assert_eq!(drawn("-1"), drawn("18446744073709551615"));
    assert_ne!(drawn("-1"), drawn("-2"));
    for (range, more) in [
        ("it must be a whole number from -2^63 to 2^64 - 1", ["--seed", "0.5"]),
        ("it must be a whole number from -1 on", ["--top-k", "-2"]),
        ("it must be a whole number from 1 to 2^64 - 1", ["--max-tokens", "-1"]),
        ("it must be a whole number from 1 to 2^64 - 1", ["--max-tokens", "99999999999999999999"]),
        ("it must be a whole number from 1 to 2^64 - 1", ["--ctx", "-1"]),
        ("it must be a whole number from 0 to 2^64 - 1", ["--threads", "-1"]),
        ("it must be a number", ["--temperature", "warm"]),
        ("it must be a number", ["--min-p", "1e999"]),
        ("--top-p is 2: it must be a number from 0 to 1", ["--top-p", "2"]),
        ("--max-tokens is 0; ", ["--max-tokens", "0"]),
    ] {
        let arguments = [&fixed[..5], &more, &["Hi"]].concat();
        check_mistakes(&[("bad-option", &arguments)]);
        let said = String::from_utf8(phi(&arguments, "").stderr).unwrap();
        assert!(said.contains(range) && said.contains(more[0]), "{said}");
    }
    let ids = ["logits", "--model", &model, "--out", "never", "--ids", "999999999999"];
    check_sentences(&[
        ("each must be a whole number from 0 to 2^32 - 1", &ids),
        (
            "it must be a whole number from 2 to 2^64 - 1",
            &["perplexity", "--model", &model, "--window", "1", "-"],
        ),
    ]);
    check_mistakes(&[
        ("bad-option", &[&fixed[..], &["--top-p", "-0.1", "Hi"]].concat()),
        ("bad-option", &[&fixed[..], &["--temperature", "-1", "Hi"]].concat()),
        // What is wrong whatever the model is told before one is looked for.
        ("bad-option", &["run", "--model", "/no/such/model", "--top-p", "2", "Hi"]),
        ("bad-option", &["run", "--model", "/no/such/model", "--max-tokens", "0", "Hi"]),
        ("bad-option", &["chat", "--model", "/no/such/model", "--top-p", "2"]),
    ]);
}

#[test]
fn a_file_that_is_the_model_is_named_once() {
    let cut = scratch("cut.gguf");
    fs::write(&cut, b"GGUF").unwrap();
    let cut = cut.to_str().unwrap();
    let said = |model: &str| String::from_utf8(phi(&["inspect", model], "").stderr).unwrap();
    let sentence = format!(
        "phi: {cut} has 4 bytes and ends within its header; the file was cut short, fetch it \
            again [truncated]\n"
    );
    assert_eq!(said(cut), sentence);
    let folder = tiny_chat("cut-weights");
    fs::write(Path::new(&folder).join("model.safetensors"), b"cut").unwrap();
    let named =
        format!("phi: model.safetensors in {folder} has 3 bytes and ends within its header; ");
    assert!(said(&folder).starts_with(&named), "{}", said(&folder));
    fs::write(Path::new(&folder).join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    fs::copy(
        Path::new(&tiny_phi()).join("model.safetensors"),
        Path::new(&folder).join("model.safetensors"),
    )
    .unwrap();
    let named =
        format!("phi: config.json in {folder}: num_attention_heads is missing [bad-config]\n");
    assert_eq!(said(&folder), named);
}

#[test]
fn what_was_typed_wrong_is_told_as_any_mistake() {
    check_mistakes(&[
        ("bad-option", &["frobnicate"]),
        ("bad-option", &["run"]),
        ("bad-option", &["run", "--model", "m", "--tempratur", "1", "Hi"]),
        ("bad-option", &["run", "--model", "m", "--raw", "--system", "s", "Hi"]),
        ("bad-option", &["run", "--model", "m", "--backend", "npu", "Hi"]),
        ("bad-option", &["bench"]),
    ]);
    check_sentences(&[
        (
            "phi: unexpected argument '--tempratur' found; a similar argument exists: \
                '--temperature' [",
            &["run", "--tempratur", "1"],
        ),
        (
            "phi: the following required arguments were not provided: --model <PATH> <PROMPT>; \
                --help tells",
            &["run"],
        ),
        (
            "phi: unexpected argument 'is' found; put the prompt in quotes, or the shell makes \
                several arguments of it [bad-option]",
            &["run", "-m", "m", "why", "is", "the", "sky", "blue"],
        ),
        (
            "phi: unexpected argument 'are' found; put what has spaces in it in quotes",
            &["chat", "-m", "m", "--system", "You", "are", "kind"],
        ),
        (
            "phi: unexpected argument 'files/model.gguf' found; put what has spaces in it in \
                quotes",
            &["inspect", "my", "files/model.gguf"],
        ),
        (
            "phi: invalid value 'x' for '--backend <BACKEND>' [possible values: auto, gpu, cpu]; \
                --help",
            &["run", "--backend", "x"],
        ),
    ]);
    // Who asks for nothing is shown what there is.
    let output = phi(&[], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("Usage: phi")
            && said.ends_with("phi: no command is given; name one of these [bad-option]\n"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn advice_is_in_the_commands_own_options() {
    let model = tiny_chat("advice");
    let text = format!("{model}/text.txt");
    fs::write(&text, "A").unwrap();
    let run = ["run", "--model", &model, "--backend", "cpu"];
    let perplexity = ["perplexity", "--model", &model, "--backend", "cpu", &text];
    let short = "x".repeat(40);
    check_sentences(&[
        (
            "the prompt has 41 tokens and the context holds 32; --ctx gives a longer context \
                [prompt-too-long]",
            &[&run[..], &["--ctx", "32", &short]].concat(),
        ),
        (
            "--window is 9999, and the context holds 2048 tokens of the text; take shorter \
                windows [bad-option]",
            &[&perplexity[..], &["--window", "9999"]].concat(),
        ),
        (
            "text.txt has one token, and the first one is not predicted; give a longer text \
                [bad-option]",
            &perplexity,
        ),
        (
            "a context of one token predicts nothing; --ctx gives a longer one [bad-option]",
            &[&perplexity[..], &["--ctx", "1"]].concat(),
        ),
    ]);
    fs::write(
        Path::new(&model).join("chat_template.jinja"),
        "{{ raise_exception('Roles must alternate') }}",
    )
    .unwrap();
    check_sentences(&[(
        "refuses these messages: Roles must alternate; --raw does without a template \
            [bad-template]",
        &[&run[..], &["Hi"]].concat(),
    )]);
    let output = phi(&["chat", "--model", &model, "--backend", "cpu"], "Hi\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("Roles must alternate; phi run --raw does without a template [bad-template]"),
        "{said}"
    );
}

/// Where no driver is, on a machine that may have one.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_gpu_is_told_with_the_option_that_does_without() {
    let model = tiny_chat("no-gpu");
    let mut command = Command::new(env!("CARGO_BIN_EXE_phi"));
    command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere");
    let output =
        command.args(["run", "--model", &model, "--backend", "gpu", "Hi"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("; --backend cpu does without a GPU [no-gpu]\n"), "{said}");
}

#[test]
fn a_piped_prompt_ends_before_its_last_line_does() {
    let model = tiny_chat("piped");
    let tokens = |arguments: &[&str], input: &str| {
        let fixed = ["--model", &model, "--backend", "cpu", "--max-tokens", "1", "--stats", "json"];
        let output = phi(&[&["run"], arguments, &fixed].concat(), input);
        let line = String::from_utf8(output.stderr).unwrap();
        let stats: serde_json::Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
        stats["prompt_tokens"].as_u64().unwrap()
    };
    let asked = tokens(&["Hi"], "");
    assert_eq!(["Hi", "Hi\n", "Hi\r\n"].map(|input| tokens(&["-"], input)), [asked; 3]);
    assert_eq!(tokens(&["-"], "Hi\n\n"), asked + 1);
    assert_eq!(tokens(&["--raw", "-"], "Hi\n"), tokens(&["--raw", "Hi"], "") + 1);
}

#[test]
fn options_that_change_nothing_are_told() {
    let model = tiny_chat("idle");
    let said = |arguments: &[&str]| {
        let fixed = ["--model", &model, "--backend", "cpu", "--max-tokens", "1"];
        let output = phi(&[arguments, &fixed].concat(), "Hi\n");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = "phi: at temperature 0 the most probable token is taken, so that nothing comes of \
        --top-k, --seed\n";
    for command in [&["run", "-"][..], &["chat"]] {
        assert!(said(&[command, &["--top-k", "4", "--seed", "1"]].concat()).contains(told));
        assert!(
            !said(&[command, &["--top-k", "4", "--temperature", "1"]].concat())
                .contains("nothing comes of")
        );
        assert!(
            !said(&[command, &["--repetition-penalty", "1.1"]].concat())
                .contains("nothing comes of")
        );
    }
}

#[test]
fn there_are_no_more_threads_than_cores() {
    let model = tiny_chat("threads");
    let fixed = ["run", "--model", &model, "--backend", "cpu", "--max-tokens", "1", "Hi"];
    let said = |threads: &str| {
        let output = phi(&[&fixed[..], &["--threads", threads]].concat(), "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    let all = said("0");
    let (told, rest) =
        said("100000").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(
        told,
        format!("phi: 100000 threads were asked for, and there are cores for {cores}")
    );
    let device = |said: &str| said.rsplit_once(" on CPU, ").unwrap().1.to_owned();
    assert_eq!(device(&rest), device(&all));
    assert!(!said("1").contains("asked for"));
}

#[test]
fn what_the_system_refuses_is_told_without_its_number() {
    let (model, folder) = (tiny_chat("refused"), scratch("refused"));
    let (folder, utf16) = (folder.to_str().unwrap(), format!("{model}/utf16.txt"));
    fs::write(&utf16, [0xff, 0xfe, b'H', 0]).unwrap();
    let nowhere = format!("{model}/nowhere/logits.safetensors");
    let logits = ["logits", "--model", &model, "--backend", "cpu", "--ids", "1", "--out"];
    check_sentences(&[
        ("refused: a directory; name a file in it [io]", &["prompt", "--model", &model, folder]),
        (
            "refused: a directory; name a file in it [io]",
            &["perplexity", "--model", &model, folder],
        ),
        (
            "utf16.txt: not a text in UTF-8; save it as one [io]",
            &["perplexity", "--model", &model, &utf16],
        ),
        (
            "text.txt: there is no such file or directory [not-found]",
            &["perplexity", "--model", &model, "text.txt"],
        ),
        ("refused: a directory; name a file [io]", &[&logits[..], &[folder]].concat()),
        (
            "logits.safetensors: the directory that it would be in is not there; make that first \
                [io]",
            &[&logits[..], &[&nowhere]].concat(),
        ),
    ]);
}

#[cfg(unix)]
#[test]
fn a_device_is_no_model() {
    check_mistakes(&[("not-a-model", &["inspect", "/dev/null"])]);
}

#[test]
fn what_the_model_is_told_first_is_part_of_the_prompt() {
    let model = tiny_chat("told");
    let output = phi(
        &[
            "run",
            "--model",
            &model,
            "--backend",
            "cpu",
            "--max-tokens",
            "1",
            "--stats",
            "json",
            "--system",
            "-ab",
            "Hi",
        ],
        "",
    );
    let said = String::from_utf8(output.stderr).unwrap();
    let stats: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(stats["prompt_tokens"], "-ab\nHi\n".len(), "{said}");
}

#[test]
fn shells_are_told_of_every_command() {
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef phi"), ("fish", "complete -c phi")]
    {
        let script = answer(&["completions", shell], "");
        assert!(
            script.contains(sign)
                && script.contains("tokenize")
                && script.contains("presence-penalty"),
            "{script}"
        );
    }
}

const HELLO: &str =
    r#"[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]"#;

/// Every command that prints, with what it reads.
fn all_that_print(model: &str, check: impl Fn(&[&str], &str)) {
    let text = format!("{model}/text.txt");
    let words = "word1 word2";
    let converted = format!("{model}/converted");
    fs::write(&text, words).unwrap();
    let cpu = ["--model", model, "--backend", "cpu"];
    check(&["--help"], "");
    check(&["completions", "bash"], "");
    check(&["inspect", model], "");
    check(&["prompt", "--model", model, "-"], HELLO);
    check(&["prompt", "--model", model, "--ids", "-"], HELLO);
    check(&["tokenize", "--model", model, "Hello"], "");
    check(&["tokenize", "--model", model, "--count", "Hello"], "");
    check(&[&["perplexity"][..], &cpu, &[&text]].concat(), "");
    check(&[&["perplexity"][..], &cpu, &["-"]].concat(), words);
    check(&[&["eval", "perplexity", "--json", "-"][..], &cpu, &[&text]].concat(), "");
    check(&["eval", "kl", "--backend", "cpu", model, model, &text], "");
    check(&[&["bench"][..], &cpu, &["--prompt", "2", "--gen", "2"]].concat(), "");
    check(&[&["bench", "--json"][..], &cpu, &["--prompt", "2", "--gen", "2"]].concat(), "");
    check(&[&["run", "--max-tokens", "3"][..], &cpu, &["Hello"]].concat(), "");
    check(&[&["chat", "--max-tokens", "3"][..], &cpu].concat(), "Hello\n");
    check(&["convert", model, &converted], "");
    fs::remove_dir_all(converted).unwrap();
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    all_that_print(&tiny_chat("closed"), |arguments, input| {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = phi_into(writer, Stdio::piped(), arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && !said.contains("phi: ") && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_in_one_sentence() {
    let model = tiny_chat("full");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    all_that_print(&model, |arguments, input| {
        let output = phi_into(full(), Stdio::piped(), arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let told: Vec<_> = said.lines().filter(|line| line.starts_with("phi: ")).collect();
        assert!(
            told == ["phi: standard output: the disk is full; make room, or name a place on \
                another disk, and try again [io]"]
                && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    });
    // What is said beside an answer matters less.
    let run = ["run", "--model", &model, "--backend", "cpu", "--max-tokens", "3", "Hello"];
    let output = phi_into(Stdio::piped(), full(), &run, "");
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
}

#[test]
fn mistakes_are_one_sentence_with_a_code() {
    let tiny = tiny_phi();
    let text = scratch("not-a-model.gguf");
    std::fs::write(&text, "once upon a time there was a text that was no model at all").unwrap();
    let out = scratch("never.safetensors");
    let (text, out) = (text.to_str().unwrap(), out.to_str().unwrap());
    check_mistakes(&[
        ("not-found", &["run", "--model", "/no/such/model", "Hello"]),
        ("not-a-model", &["run", "--model", text, "--backend", "cpu", "Hello"]),
        ("bad-tokenizer", &["run", "--model", &tiny, "--backend", "cpu", "Hello"]),
        (
            "bad-token",
            &["logits", "--model", &tiny, "--backend", "cpu", "--ids", "1,384", "--out", out],
        ),
        (
            "bad-option",
            &[
                "logits",
                "--model",
                &tiny,
                "--backend",
                "cpu",
                "--ctx",
                "4096",
                "--ids",
                "1,2",
                "--out",
                out,
            ],
        ),
        (
            "prompt-too-long",
            &[
                "logits",
                "--model",
                &tiny,
                "--backend",
                "cpu",
                "--ctx",
                "2",
                "--ids",
                "1,2,3",
                "--out",
                out,
            ],
        ),
        (
            "io",
            &[
                "logits",
                "--model",
                &tiny,
                "--backend",
                "cpu",
                "--ids",
                "1",
                "--out",
                "/no/such/directory/logits.safetensors",
            ],
        ),
    ]);
    assert!(!Path::new(out).exists(), "a failed command left a file behind");
}

#[test]
fn a_prompt_that_cannot_fit_is_refused_before_it_is_tokenized() {
    // The longest token has eight characters.
    let (model, long) = (tiny_chat("cannot-fit"), "x".repeat(8 * 64 + 1));
    let run = ["run", "--model", &model, "--backend", "cpu", "--ctx", "64", &long];
    for arguments in [&run[..], &[&run[..], &["--raw"]].concat()] {
        let output = phi(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("tokens at the least, and the context holds 64")
                && said.trim_end().ends_with("[prompt-too-long]"),
            "{said}"
        );
    }
}

/// Commands with a mistake, and what is said of it.
pub fn check_sentences(rows: &[(&str, &[&str])]) {
    for (sentence, arguments) in rows {
        let output = phi(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    }
}

/// Commands with a mistake and its code. Each is one sentence with its code, and nothing else.
pub fn check_mistakes(rows: &[(&str, &[&str])]) {
    for (code, arguments) in rows {
        let output = phi(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.trim_end().ends_with(&format!("[{code}]")), "{arguments:?}: {said}");
        assert!(
            said.starts_with("phi: ") && said.trim_end().lines().count() == 1,
            "{arguments:?}: {said}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
