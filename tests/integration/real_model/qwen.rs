//! A real Qwen: a Qwen2.5-Coder-Instruct against what transformers answers with the same weights in
//! float32.

use phi_wasm::backend::Backend;
#[cfg(feature = "gpu-tests")]
use phi_wasm::gpu::Switch;
use phi_wasm::openai;
use phi_wasm::session::{Event, Finish, LoadOptions, Session};
use phi_wasm::text::{Ending, Message};
use phi_wasm::weights::source::DirSource;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::backends;

/// Where the reference's next best token is further behind than this, ours is the same. Rounded
/// activations move logits by less.
const MARGIN: f32 = 0.1;

/// tests/golden/make/qwen.py writes it.
#[derive(Deserialize)]
struct Golden {
    question: String,
    prompt: Vec<u32>,
    answer: Vec<u32>,
    margins: Vec<f32>,
    text: String,
}

async fn chooses_the_references_tokens<B: Backend>(backend: B) {
    let [path, golden] = ["PHI_QWEN", "PHI_QWEN_GOLDEN"].map(|name| {
        std::env::var(name).unwrap_or_else(|_| {
            panic!("{name} names no file; the step `qwen` of `cargo xtask test` sets it")
        })
    });
    let golden: Golden = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let options = LoadOptions { ctx_len: Some(256), ..LoadOptions::default() };
    let mut session = Session::open(DirSource::open(path).unwrap(), backend, &options, &mut |_| {})
        .await
        .unwrap();
    let prompt = session
        .template()
        .unwrap()
        .render(&[Message::user(&golden.question)], &[], Ending::Answer)
        .unwrap();
    assert_eq!(session.tokenizer().encode_prompt(&prompt).unwrap(), golden.prompt);
    assert_eq!(session.tokenizer().decode(&golden.answer, false).unwrap(), golden.text);

    let ids = [&golden.prompt[..], &golden.answer].concat();
    let mut chosen = Vec::new();
    let (engine, sequence) = session.engine_and_sequence();
    engine.plan(sequence, &ids).unwrap();
    while sequence.pending() > 0 {
        engine.advance(sequence).await.unwrap();
        engine.chunk_logits(sequence, &mut |_, logits| chosen.push(best(logits))).await.unwrap();
    }
    let led = golden.answer.iter().zip(&golden.margins).zip(&chosen[golden.prompt.len() - 1..]);
    let other = led.enumerate().filter(|(_, ((expected, _), found))| expected != found);
    let other: Vec<_> = other.map(|(at, ((_, &margin), _))| (at, margin)).collect();
    println!(
        "{} of {} tokens are other ones: {other:?} (place, margin)",
        other.len(),
        golden.answer.len()
    );
    assert!(other.iter().all(|&(_, margin)| margin <= MARGIN), "{other:?}");
}

/// Two rounds of tools: what is called is answered, and the model goes on from there.
async fn calls_tools<B: Backend>(backend: B) {
    let path = std::env::var("PHI_QWEN").unwrap();
    let options = LoadOptions { ctx_len: Some(512), ..LoadOptions::default() };
    let mut session = Session::open(DirSource::open(path).unwrap(), backend, &options, &mut |_| {})
        .await
        .unwrap();
    let number = json!({"type": "number"});
    let parameters = json!({"type": "object", "properties": {"a": number, "b": number}});
    let function = json!({"name": "multiply", "parameters": parameters});
    let ask = "What is 17 times 23? Use the tool, then answer in one sentence.";
    let mut messages = vec![json!({"role": "user", "content": ask})];
    for round in 0..2 {
        let request = json!({
            "messages": messages,
            "tools": [{"type": "function", "function": function}],
            "max_tokens": 60,
        });
        let (turns, options) = openai::chat(request).unwrap();
        let mut answer = session.chat(&turns, &options).unwrap();
        let (mut text, mut calls, mut finish) = (String::new(), Vec::new(), None);
        while let Some(event) = answer.next().await.unwrap() {
            match event {
                Event::Text { text: piece, .. } => text += &piece,
                Event::Call(delta) => match (delta.id, delta.name) {
                    (Some(id), Some(name)) => calls.push((id, name, delta.arguments)),
                    _ => calls[delta.index].2 += &delta.arguments,
                },
                Event::Done(stats) => finish = Some(stats.finish),
                _ => {}
            }
        }
        println!("round {round}: {finish:?}, {calls:?}, {text:?}");
        if calls.is_empty() {
            assert!(round > 0 && text.contains("391"), "{text}");
            return;
        }
        assert_eq!(finish, Some(Finish::ToolCalls));
        let (id, name, arguments) = &calls[0];
        let read: Value = serde_json::from_str(arguments).unwrap();
        assert_eq!((name.as_str(), read), ("multiply", json!({"a": 17, "b": 23})));
        let called = json!({"name": name, "arguments": arguments});
        let call = json!({"id": id, "type": "function", "function": called});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "391"}));
    }
}

#[test]
#[ignore = "reads a model that the step `qwen` of `cargo xtask test` fetches"]
fn tools_are_called() {
    pollster::block_on(async { calls_tools(backends::simd().await).await });
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
}

#[test]
#[ignore = "reads a model that the step `qwen` of `cargo xtask test` fetches"]
fn on_the_cpu() {
    pollster::block_on(async { chooses_the_references_tokens(backends::simd().await).await });
}

#[cfg(feature = "gpu-tests")]
#[test]
#[ignore = "reads a model that the step `qwen` of `cargo xtask test` fetches"]
fn on_the_gpu() {
    pollster::block_on(async {
        chooses_the_references_tokens(backends::gpu(Switch::Auto, Switch::Auto).await).await
    });
}
