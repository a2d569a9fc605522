//! A real Qwen: a Qwen2.5-Coder-Instruct against what transformers answers with the same weights in
//! float32.

use phi_wasm::backend::Backend;
#[cfg(feature = "gpu-tests")]
use phi_wasm::gpu::Switch;
use phi_wasm::session::{LoadOptions, Session};
use phi_wasm::text::{Ending, Message};
use phi_wasm::weights::source::DirSource;
use serde::Deserialize;

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
