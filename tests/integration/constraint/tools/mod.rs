//! Calls of tools by a model whose weights are random: of tools that were offered, with arguments
//! that are theirs.

mod edges;

use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::session::{Event, Finish, GenerateOptions, Session, Stats};
use phi_wasm::text::template::Message;
use phi_wasm::text::tool_calls::Tools;
use phi_wasm::text::{Sampling, Tokenizer, Vocabulary};
use phi_wasm::weights::source::MemorySource;
use pollster::block_on;
use serde_json::{Value, json};

#[cfg(feature = "gpu-tests")]
use crate::common::backends;
use crate::common::is_long;
use crate::common::tiny_phi::tiny_phi;

use super::{cpu, open};

fn seeds() -> u64 {
    if is_long() { 50 } else { 16 }
}
#[cfg(feature = "gpu-tests")]
const SEEDS_OF_GPU: u64 = 3;

/// What a vocabulary has for a tag: nothing, a control token, or a token that is text.
#[derive(Clone, Copy, Debug)]
enum Tag {
    None,
    Control,
    Text,
}

/// The form in which a model calls, by its template; what of it a call begins with; its tags.
const DIALECTS: [(&str, &str, [&str; 2]); 4] = [
    ("<|tool_call|>", "<|tool_call|>", ["<|tool_call|>", "<|/tool_call|>"]),
    ("<tool_call>", "<tool_call>", ["<tool_call>", "</tool_call>"]),
    ("functools", "functools[{\"name\": \"pick\", \"arguments\": {", ["-", "--"]),
    ("", "[{\"name\": \"pick\", \"arguments\": {", ["-", "--"]),
];
/// The id of the tag before a call.
const OPEN: u32 = 130;

/// The small random model with a token for each ASCII character, one for what calls begin with and
/// one for what they end with.
fn model(dialect: usize, tag: Tag) -> MemorySource {
    let (mark, _, tags) = DIALECTS[dialect];
    let special = ["<|pad|>", "<|s|>", "<|e|>"].map(str::to_owned);
    let ascii = (0..127).map(|byte| {
        char::from_u32(if byte <= 32 { 256 + byte } else { byte }).unwrap().to_string()
    });
    let tags = match tag {
        Tag::None => ["-", "--"],
        _ => tags,
    };
    let tags = tags.map(|tag| if tag.starts_with('-') { format!("{tag}tag") } else { tag.into() });
    let words = (132..384).map(|id| format!("\u{120}word{id}"));
    let tokens: Vec<String> = special.into_iter().chain(ascii).chain(tags).chain(words).collect();
    let kind = |id| match (id, tag) {
        (0..3, _) => 3,
        (130..132, Tag::Control) => 3,
        (130..132, Tag::Text) => 4,
        _ => 1,
    };
    let vocabulary = Vocabulary {
        model: "gpt2".into(),
        pre: "gpt-2".into(),
        token_types: (0..tokens.len()).map(kind).collect(),
        tokens,
        ..Vocabulary::default()
    };
    let tokenizer = Tokenizer::from_vocabulary(vocabulary).unwrap();
    let template = format!(
        "{{% if tools %}}{mark}{{% endif %}}{{% for m in messages %}}{{{{ m.content }}}}\n\
            {{% endfor %}}"
    );
    let mut source = tiny_phi();
    source.files.insert("tokenizer.json".into(), tokenizer.to_json().unwrap());
    let config = json!({ "chat_template": template }).to_string();
    source.files.insert("tokenizer_config.json".into(), config.into());
    source
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 5},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city", "days"],
        "additionalProperties": false,
    })
}

fn tools(choice: Value, is_single: bool) -> Tools {
    let tools = json!([
        {"type": "function", "function": {"name": "pick", "parameters": schema()}},
        {"type": "function", "function": {"name": "now"}},
    ]);
    Tools { is_single, ..Tools::read(Some(&tools), Some(&choice)).unwrap() }
}

fn options(tools: Tools, seed: u64) -> GenerateOptions {
    GenerateOptions {
        max_tokens: 300,
        sampling: Sampling { temperature: 2.0, seed: Some(seed), ..Sampling::default() },
        tools,
        ..GenerateOptions::default()
    }
}

/// What an answer comes to: its text, its calls with their arguments, its figures.
type Said = (String, Vec<(String, String)>, Stats);

async fn said<B: Backend>(
    session: &mut Session<B>,
    begun: &str,
    options: &GenerateOptions,
) -> Result<Said> {
    let mut messages = vec![Message::user("Hi")];
    if options.continue_final {
        messages.push(Message::assistant(begun));
    }
    let mut answer = session.chat(&messages, options)?;
    let (mut text, mut calls) = (String::new(), Vec::<(String, String)>::new());
    while let Some(event) = answer.next().await? {
        match event {
            Event::Text { text: piece, .. } => text += &piece,
            Event::Call(delta) => {
                calls.extend(delta.name.map(|name| (name, String::new())));
                calls[delta.index].1 += &delta.arguments;
            }
            Event::Done(stats) => return Ok((text, calls, stats)),
            _ => {}
        }
    }
    panic!("an answer ends with its figures");
}

/// Checks calls of which the last may be cut off.
fn check((text, calls, stats): &Said, what: &str) {
    let are_whole = stats.finish == Finish::ToolCalls;
    let is_cut = stats.finish == Finish::Length;
    assert!(are_whole || is_cut || calls.is_empty(), "{what}: {stats:?}");
    let whole = calls.len() - usize::from(!are_whole && !calls.is_empty());
    for (name, arguments) in &calls[..whole] {
        let schema = match name.as_str() {
            "pick" => schema(),
            "now" => json!({"type": "object", "maxProperties": 0}),
            _ => panic!("{what}: {name} was not offered"),
        };
        let value: Value = serde_json::from_str(arguments).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        assert!(validator.is_valid(&value), "{what}: {name} with {arguments}, text {text:?}");
    }
}

/// Answers that have to be calls.
async fn check_required<B: Backend>(session: &mut Session<B>, dialect: usize, seeds: u64) {
    let mut ended = 0;
    for seed in 0..seeds {
        let what = format!("{dialect} {seed}");
        let is_single = seed % 3 == 1;
        let choice = match seed % 3 {
            2 => json!({"type": "function", "function": {"name": "pick"}}),
            _ => json!("required"),
        };
        let told = said(session, "", &options(tools(choice, is_single), seed)).await.unwrap();
        check(&told, &what);
        assert!(told.0.is_empty() && !told.1.is_empty(), "{what}: {told:?}");
        assert!(!is_single || told.1.len() == 1, "{what}: {told:?}");
        assert!(seed % 3 != 2 || told.1.iter().all(|(name, _)| name == "pick"), "{what}");
        ended += u64::from(told.2.finish == Finish::ToolCalls);
    }
    // Of few seeds, half would be chance.
    assert!(ended * 3 >= seeds, "{dialect}: only {ended} came to an end");
}

/// Answers that were begun with a call.
async fn check_begun<B: Backend>(session: &mut Session<B>, dialect: usize, seeds: u64) {
    let begun = DIALECTS[dialect].1;
    for seed in 0..seeds {
        let what = format!("{dialect} {seed}");
        let options =
            GenerateOptions { continue_final: true, ..options(tools(json!("auto"), true), seed) };
        let told = said(session, begun, &options).await.unwrap();
        check(&told, &what);
        assert_eq!((told.0.as_str(), told.1.len()), ("", 1), "{what}");
    }
    // Whoever begins a call of what is not there goes on as before.
    let options = GenerateOptions {
        continue_final: true,
        max_tokens: 20,
        ..options(tools(json!("auto"), false), 1)
    };
    let begun = begun.replace("pick", "rm").replace("call", "calls");
    let (_, calls, stats) = said(session, &begun, &options).await.unwrap();
    assert_eq!((calls, stats.generated_tokens), (Vec::new(), 20), "{dialect}");
}

/// Answers by a model that likes to call and says this and that besides.
async fn check_auto<B: Backend>(session: &mut Session<B>, dialect: usize, seeds: u64) {
    let mut most = 0;
    for seed in 0..seeds {
        let what = format!("{dialect} {seed}");
        let mut options = options(tools(json!("auto"), seed % 2 == 1), seed);
        // Where a tag may come, it soon does.
        options.sampling.logit_bias.insert(OPEN, if seed % 3 == 0 { 100.0 } else { 8.0 });
        options.log_probs = (seed % 4 == 0).then_some(1);
        let told = said(session, "", &options).await.unwrap();
        check(&told, &what);
        assert!(seed % 2 == 0 || told.1.len() < 2, "{what}: {told:?}");
        most = most.max(told.1.len());
    }
    assert!(most > 2, "{dialect}: at most {most} calls");
}

/// Every form with each kind of tags that vocabularies have.
fn all_models() -> impl Iterator<Item = (usize, Tag)> {
    (0..2)
        .flat_map(|dialect| [Tag::None, Tag::Control, Tag::Text].map(|tag| (dialect, tag)))
        .chain([(2, Tag::None), (3, Tag::None)])
}

#[test]
fn answers_that_have_to_be_calls_are_some() {
    block_on(async {
        for (dialect, tag) in all_models() {
            check_required(&mut open(model(dialect, tag), cpu()).await, dialect, seeds()).await;
        }
    });
}

#[test]
fn calls_are_held_to_their_tool_from_where_they_begin() {
    block_on(async {
        for (dialect, tag) in all_models() {
            let mut session = open(model(dialect, tag), cpu()).await;
            check_begun(&mut session, dialect, seeds()).await;
            if !matches!(tag, Tag::None) {
                check_auto(&mut session, dialect, seeds()).await;
            }
        }
    });
}

#[cfg(feature = "gpu-tests")]
#[test]
fn calls_on_a_gpu_are_of_their_tool() {
    use phi_wasm::gpu::Switch;
    block_on(async {
        for (dialect, tag) in [(0, Tag::Control), (1, Tag::Text), (2, Tag::None), (3, Tag::None)] {
            let gpu = backends::gpu(Switch::Off, Switch::Off).await;
            let mut session = open(model(dialect, tag), gpu).await;
            check_required(&mut session, dialect, SEEDS_OF_GPU).await;
            check_begun(&mut session, dialect, SEEDS_OF_GPU).await;
            if dialect < 2 {
                check_auto(&mut session, dialect, SEEDS_OF_GPU).await;
            }
        }
    });
}
