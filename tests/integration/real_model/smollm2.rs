//! Real weights and real text: SmolLM2-135M-Instruct against what transformers computes with the
//! same weights in float32.

use phi_wasm::Code;
use phi_wasm::backend::Backend;
#[cfg(feature = "gpu-tests")]
use phi_wasm::gpu::Switch;
use phi_wasm::session::{Event, Finish, GenerateOptions, LoadOptions, Session, Stats};
use phi_wasm::text::{Ending, Message};
use phi_wasm::weights::source::DirSource;
use safetensors::SafeTensors;

use crate::common::perplexity::perplexity;
use crate::common::{backends, is_long};

/// How far perplexity may stray, relatively.
const PERPLEXITY: f64 = 0.005;
/// How far the logits after a text of 62 tokens may stray: keys and values are rounded to f16.
const LOGITS: f32 = 0.05;

const TEXT: &str = include_str!("../../golden/smollm2/text.txt");

const CHATS: &[&str] = &["chat.capital", "chat.story"];

fn golden() -> SafeTensors<'static> {
    SafeTensors::deserialize(include_bytes!("../../golden/smollm2/golden.safetensors")).unwrap()
}

fn ids(name: &str) -> Vec<u32> {
    golden()
        .tensor(name)
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn floats(name: &str) -> Vec<f32> {
    golden()
        .tensor(name)
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn chat(name: &str) -> Vec<Message> {
    match name {
        "chat.capital" => vec![Message::user("What is the capital of France?")],
        _ => vec![
            Message::system("You write one short sentence."),
            Message::user("Write about a fox."),
        ],
    }
}

async fn open<B: Backend>(backend: B) -> Session<B> {
    Session::open(
        DirSource::open(super::smollm2()).unwrap(),
        backend,
        &LoadOptions::default(),
        &mut |_| {},
    )
    .await
    .unwrap()
}

/// Which answers, besides the text. What makes them of logits is the same everywhere, and slow
/// backends have only some.
async fn is_the_reference<B: Backend>(backend: B, chats: &[&str]) {
    let mut session = open(backend).await;
    predicts_the_text(&mut session).await;
    for name in if is_long() { CHATS } else { chats } {
        answers(&mut session, name).await;
    }
}

async fn predicts_the_text<B: Backend>(session: &mut Session<B>) {
    let tokens = ids("text.ids");
    assert_eq!(session.tokenizer().encode(TEXT, true).unwrap(), tokens);
    let (engine, sequence) = session.engine_and_sequence();
    let (perplexity, last) = perplexity(engine, sequence, &tokens).await;
    let reference = floats("text.nll");
    let reference =
        (reference.iter().map(|&x| f64::from(x)).sum::<f64>() / reference.len() as f64).exp();
    assert!((reference - 23.496).abs() < 0.001, "the golden file's own perplexity is {reference}");
    assert!(
        (perplexity / reference - 1.0).abs() < PERPLEXITY,
        "perplexity {perplexity} instead of {reference}"
    );
    let worst =
        last.iter().zip(floats("text.last_logits")).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < LOGITS, "the last logits differ by {worst}");
    println!("perplexity {perplexity:.4} ({reference:.4}), last logits differ by {worst:.5}");
}

async fn answers<B: Backend>(session: &mut Session<B>, name: &str) {
    let mut expected = ids(&format!("{name}.greedy"));
    let ended = session.tokenizer().is_special(*expected.last().unwrap());
    if ended {
        expected.pop();
    }
    let prompt = session.template().unwrap().render(&chat(name), &[], Ending::Answer).unwrap();
    assert_eq!(
        session.tokenizer().encode_prompt(&prompt).unwrap(),
        ids(&format!("{name}.prompt")),
        "{name}'s prompt"
    );

    let options = GenerateOptions { max_tokens: 40, ..GenerateOptions::default() };
    let expected_text = session.tokenizer().decode(&expected, true).unwrap();
    let (text, stats) = said(session, &chat(name), &options).await;
    assert_eq!(text, expected_text, "{name}");
    assert_eq!(stats.generated_tokens, expected.len(), "{name}");
    assert_eq!(stats.finish, if ended { Finish::Stop } else { Finish::Length }, "{name}");
    let whole = session.engine_and_sequence().1.tokens().to_vec();
    let begun = ids(&format!("{name}.prompt")).len();
    assert!(expected.starts_with(&whole[begun..]), "{name}: the tokens behind the text");
    goes_on(session, name, &expected).await;
}

/// The rest of an answer of which a half is there already.
async fn goes_on<B: Backend>(session: &mut Session<B>, name: &str, expected: &[u32]) {
    let text = |ids| session.tokenizer().decode(ids, true).unwrap();
    let half = expected.len() / 2;
    let (begun, whole) = (text(&expected[..half]), text(expected));
    let messages = [chat(name), vec![Message::assistant(&begun)]].concat();
    let options = GenerateOptions {
        max_tokens: expected.len() - half,
        continue_final: true,
        ..GenerateOptions::default()
    };
    assert_eq!(
        begun + &said(session, &messages, &options).await.0,
        whole,
        "{name}, from its middle"
    );
    let refused = session.chat(&chat(name), &options).err().unwrap();
    assert_eq!(refused.code, Code::BadOption, "{refused}");
}

/// A whole answer.
async fn said<B: Backend>(
    session: &mut Session<B>,
    messages: &[Message],
    options: &GenerateOptions,
) -> (String, Stats) {
    let mut answer = session.chat(messages, options).unwrap();
    let mut text = String::new();
    let stats = loop {
        match answer.next().await.unwrap().expect("an answer ends with its figures") {
            Event::Prefill { .. } => {}
            Event::Text { text: piece, .. } => text.push_str(&piece),
            Event::Call(call) => panic!("there are no tools, and {} is called", call.index),
            Event::Parsed { .. } => panic!("nobody asked for JSON"),
            Event::Notice { message } => panic!("a session stays where it is: {message}"),
            Event::Done(stats) => break stats,
        }
    };
    assert_eq!(answer.next().await.unwrap(), None);
    (text, stats)
}

#[test]
fn simd() {
    pollster::block_on(async { is_the_reference(backends::simd().await, CHATS).await });
}

#[test]
fn portable() {
    pollster::block_on(async { is_the_reference(backends::portable().await, &[]).await });
}

#[cfg(feature = "gpu-tests")]
#[test]
fn gpu() {
    pollster::block_on(async {
        is_the_reference(backends::gpu(Switch::Off, Switch::Auto).await, &["chat.capital"]).await
    });
}
