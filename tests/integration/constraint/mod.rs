//! Answers of a form that was asked for, from a model whose weights are random: whatever it would
//! rather say, they have it.

mod command;
mod cut;
mod numbers;
mod refused;
mod suite;
mod tools;
mod xml_facets;

use std::rc::Rc;

use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::session::{Event, Finish, GenerateOptions, LoadOptions, Session, Stats};
use phi_wasm::text::Sampling;
use phi_wasm::text::constraint::{Constraint, Form, Grammars, ResponseFormat, grammars};
use phi_wasm::text::template::Message;
use phi_wasm::text::tool_calls::Tools;
use phi_wasm::weights::source::MemorySource;
use phi_wasm::{Code, Result};
use pollster::block_on;
use serde_json::{Value, json};

use crate::common::tiny_phi::tiny_chat;
#[cfg(feature = "gpu-tests")]
use crate::common::{backends, is_long};

/// Answers of each form on each backend, of which a GPU that the CPU plays has fewer unless there
/// is time.
const SEEDS: u64 = 200;
#[cfg(feature = "gpu-tests")]
fn seeds_of_gpu() -> u64 {
    if is_long() { SEEDS } else { 12 }
}

async fn open<B: Backend>(source: MemorySource, backend: B) -> Session<B> {
    let options = LoadOptions { ctx_len: Some(1024), ..LoadOptions::default() };
    Session::open(source, backend, &options, &mut |_| {}).await.unwrap()
}

fn cpu() -> Cpu {
    Cpu::new(CpuOptions { threads: 1, ..CpuOptions::default() }).unwrap()
}

async fn on_cpu() -> Session<Cpu> {
    open(tiny_chat(), cpu()).await
}

fn asking(form: &Form, seed: u64) -> GenerateOptions {
    GenerateOptions {
        max_tokens: 900,
        sampling: Sampling { temperature: 2.0, seed: Some(seed), ..Sampling::default() },
        format: Some(ResponseFormat { form: form.clone(), hint: false }),
        ..GenerateOptions::default()
    }
}

async fn answer<B: Backend>(
    session: &mut Session<B>,
    options: &GenerateOptions,
) -> Result<(String, Stats)> {
    let mut answer = session.chat(&[Message::user("Hi")], options)?;
    let mut whole = String::new();
    while let Some(event) = answer.next().await? {
        match event {
            Event::Text { text, .. } => whole.push_str(&text),
            Event::Done(stats) => return Ok((whole, stats)),
            _ => {}
        }
    }
    panic!("an answer ends with its figures");
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "a_name_that_is_rather_long": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "score": {"type": "number", "multipleOf": 0.25, "minimum": -8, "maximum": 8},
            "tags": {"type": "array", "items": {"enum": ["red", "green", 7, null]}, "maxItems": 3},
            "code": {"type": "string", "pattern": "^[a-z]{2}-[0-9]{1,3}$"},
        },
        "required": ["a_name_that_is_rather_long", "age", "score", "tags"],
        "additionalProperties": false,
    })
}

/// Whether a text has a form.
type IsOne = Box<dyn Fn(&str) -> bool>;

/// An XML Schema, and whether a document is valid by it.
fn pets() -> (Form, IsOne) {
    let schema = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
          <xs:element name="pets">
            <xs:complexType>
              <xs:sequence>
                <xs:element name="pet" minOccurs="1" maxOccurs="2">
                  <xs:complexType>
                    <xs:simpleContent>
                      <xs:extension base="Name">
                        <xs:attribute name="kind" type="Kind" use="required"/>
                      </xs:extension>
                    </xs:simpleContent>
                  </xs:complexType>
                </xs:element>
              </xs:sequence>
            </xs:complexType>
          </xs:element>
          <xs:simpleType name="Name">
            <xs:restriction base="xs:string">
              <xs:maxLength value="6"/>
            </xs:restriction>
          </xs:simpleType>
          <xs:simpleType name="Kind">
            <xs:restriction base="xs:string">
              <xs:enumeration value="cat"/>
              <xs:enumeration value="R&amp;D"/>
            </xs:restriction>
          </xs:simpleType>
        </xs:schema>"#;
    let is_pet = |pet: &roxmltree::Node| {
        pet.has_tag_name("pet")
            && pet.attributes().len() == 1
            && ["cat", "R&D"].contains(&pet.attribute("kind").unwrap_or_default())
            && pet.children().all(|child| child.is_text())
            && pet.text().unwrap_or_default().chars().count() <= 6
    };
    let is_valid = move |text: &str| {
        roxmltree::Document::parse(text).is_ok_and(|document| {
            let pets = document.root_element();
            let all: Vec<_> = pets.children().filter(roxmltree::Node::is_element).collect();
            pets.has_tag_name("pets") && (1..=2).contains(&all.len()) && all.iter().all(is_pet)
        })
    };
    (Form::XmlSchema(schema.to_owned()), Box::new(is_valid))
}

/// Forms all of whose texts are short, and whether a text is one of theirs.
fn bounded() -> Vec<(Form, IsOne)> {
    let tree = json!({
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "leaf": {"type": "boolean"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["leaf", "next"],
                "additionalProperties": false,
            },
        },
        "$ref": "#/$defs/node",
    });
    let by_schema = |schema: Value| -> (Form, IsOne) {
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let is_valid = move |text: &str| {
            serde_json::from_str(text).is_ok_and(|value| validator.is_valid(&value))
        };
        (Form::JsonSchema(schema), Box::new(is_valid))
    };
    let choice = vec!["yes".to_owned(), "no".to_owned(), "yes, but <|s|>".to_owned()];
    let chosen = choice.clone();
    vec![
        by_schema(person()),
        by_schema(tree),
        pets(),
        (
            Form::Regex("(ab|c){2,5}\\.".to_owned()),
            Box::new(|text| {
                let body = text.strip_suffix('.').unwrap_or("?").replace("ab", "c");
                (2..=5).contains(&body.len()) && body.chars().all(|c| c == 'c')
            }),
        ),
        (
            Form::Grammar("start: \"(\" start \")\" | NUMBER\nNUMBER: /[0-9]{1,4}/".to_owned()),
            Box::new(|text| {
                let opened = text.bytes().take_while(|byte| *byte == b'(').count();
                let number = &text[opened..].trim_end_matches(')');
                text.len() == 2 * opened + number.len()
                    && (1..=4).contains(&number.len())
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            }),
        ),
        (Form::Choice(choice), Box::new(move |text| chosen.iter().any(|one| one == text))),
    ]
}

async fn check_all<B: Backend>(session: &mut Session<B>, seeds: u64) {
    for (form, is_one) in bounded() {
        let mut whole = 0;
        for seed in 0..seeds {
            let (text, stats) = answer(session, &asking(&form, seed)).await.unwrap();
            // What may nest may go on and on.
            if stats.finish == Finish::Stop {
                assert!(is_one(&text), "{form:?}, seed {seed}: {text:?}");
                whole += 1;
            }
        }
        assert!(whole * 2 > seeds, "{form:?}: only {whole} of {seeds} came to an end");
    }
}

#[test]
fn answers_have_the_form_whatever_the_weights() {
    block_on(async { check_all(&mut on_cpu().await, SEEDS).await });
}

#[cfg(feature = "gpu-tests")]
#[test]
fn answers_of_a_gpu_have_the_form() {
    use phi_wasm::gpu::Switch;
    block_on(async {
        let gpu = backends::gpu(Switch::Off, Switch::Off).await;
        check_all(&mut open(tiny_chat(), gpu).await, seeds_of_gpu()).await;
    });
}

/// Grammars that leave every token to be chosen.
struct Unforced(Box<dyn Grammars>);
struct Unhurried(Box<dyn Constraint>);

impl Grammars for Unforced {
    fn constraint(&self, form: &Form) -> Result<Box<dyn Constraint>> {
        Ok(Box::new(Unhurried(self.0.constraint(form)?)))
    }
}

impl Constraint for Unhurried {
    fn mask(&mut self) -> Result<Vec<u32>> {
        self.0.mask()
    }
    fn begin_with(&mut self, text: &str) -> Result<()> {
        self.0.begin_with(text)
    }
    fn accept(&mut self, token: u32) -> Result<()> {
        self.0.accept(token)
    }
    fn take_forced(&mut self, _: usize) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }
    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

#[test]
fn what_has_no_choice_is_read_at_once_and_changes_nothing() {
    block_on(async {
        let (mut one, mut other) = (on_cpu().await, on_cpu().await);
        let unforced = grammars(other.spellings().unwrap()).unwrap();
        other.set_grammars(Rc::new(Unforced(unforced)));
        for penalty in [0.0, 0.5] {
            for seed in 0..10 {
                let mut options = asking(&Form::JsonSchema(person()), seed);
                options.sampling.presence_penalty = penalty;
                let (text, stats) = answer(&mut one, &options).await.unwrap();
                let (same, of_same) = answer(&mut other, &options).await.unwrap();
                assert_eq!(text, same);
                assert_eq!(stats.generated_tokens, of_same.generated_tokens);
            }
        }
        // Nothing is computed where nothing is to be chosen.
        let (text, stats) =
            answer(&mut one, &asking(&Form::Choice(vec!["only <|s|>".into()]), 0)).await.unwrap();
        assert_eq!((text.as_str(), stats.finish), ("only <|s|>", Finish::Stop));
    });
}

#[test]
fn an_answer_that_is_cut_says_so_and_begins_well() {
    block_on(async {
        let mut session = on_cpu().await;
        for max_tokens in [1, 2, 30, 47] {
            let options = GenerateOptions {
                max_tokens,
                ..asking(&Form::JsonSchema(json!({"type": "string", "minLength": 200})), 1)
            };
            let (text, stats) = answer(&mut session, &options).await.unwrap();
            assert_eq!((stats.finish, stats.generated_tokens), (Finish::Length, max_tokens));
            assert!(text.starts_with('"'), "{text}");
        }
        // Where the last token that may be is the last of the form, too, it is complete.
        let options =
            GenerateOptions { max_tokens: 3, ..asking(&Form::Regex("[ab]{3}".into()), 1) };
        let (text, stats) = answer(&mut session, &options).await.unwrap();
        assert_eq!((text.len(), stats.finish), (3, Finish::Stop));
        // The whole context, and what is forced up to its end.
        let form = Form::Regex("a{2000}".to_owned());
        let (text, stats) =
            answer(&mut session, &GenerateOptions { max_tokens: 5000, ..asking(&form, 1) })
                .await
                .unwrap();
        assert_eq!(stats.finish, Finish::Length);
        assert_eq!(text.len(), stats.generated_tokens);
        assert_eq!(stats.prompt_tokens + stats.generated_tokens, 1025);
    });
}

#[test]
fn other_answers_of_a_session_are_free() {
    block_on(async {
        let mut session = on_cpu().await;
        let free = GenerateOptions {
            max_tokens: 20,
            sampling: Sampling { temperature: 2.0, seed: Some(3), ..Sampling::default() },
            ..GenerateOptions::default()
        };
        let (before, _) = answer(&mut session, &free).await.unwrap();
        let form = Form::Regex("[0-9]{40}".to_owned());
        let (digits, _) = answer(&mut session, &asking(&form, 3)).await.unwrap();
        // Two that take turns.
        let messages = [Message::user("Hi")];
        let mut one = session.begin_chat(&messages, &free).unwrap();
        let mut other = session.begin_chat(&messages, &asking(&form, 3)).unwrap();
        let mut texts = [String::new(), String::new()];
        let mut left = 2;
        while left > 0 {
            for (generation, whole) in [&mut one, &mut other].into_iter().zip(&mut texts) {
                match session.next(generation).await.unwrap() {
                    Some(Event::Text { text, .. }) => whole.push_str(&text),
                    Some(Event::Done(_)) => left -= 1,
                    _ => {}
                }
            }
        }
        assert_eq!(texts, [before, digits]);
    });
}

#[test]
fn an_answer_that_was_begun_goes_on_by_the_form() {
    block_on(async {
        let mut session = on_cpu().await;
        let form = Form::JsonSchema(person());
        let options = GenerateOptions { continue_final: true, ..asking(&form, 5) };
        let begun = r#"{"a_name_that_is_rather_long": "Ada", "ag"#;
        let messages = [Message::user("Hi"), Message::assistant(begun)];
        let mut answer = session.chat(&messages, &options).unwrap();
        let mut whole = begun.to_owned();
        while let Some(event) = answer.next().await.unwrap() {
            if let Event::Text { text, .. } = event {
                whole.push_str(&text);
            }
        }
        let value: Value = serde_json::from_str(&whole).unwrap();
        assert!(jsonschema::draft202012::new(&person()).unwrap().is_valid(&value), "{value}");
        let messages = [Message::user("Hi"), Message::assistant(r#"{"age": 7"#)];
        let error = session.chat(&messages, &options).err().unwrap();
        assert_eq!(error.code, Code::BadConstraint);
        assert!(error.message.ends_with("after \"{\\\"a\""), "{error}");
    });
}

#[test]
fn what_might_have_become_a_call_is_told_where_nothing_is_chosen() {
    block_on(async {
        let mut source = tiny_chat();
        let template = r#"{"chat_template": "{{ tools | tojson }}{{ messages[0].content }}"}"#;
        source.files.insert("tokenizer_config.json".into(), template.into());
        let mut session = open(source, cpu()).await;
        let tool = json!([{"type": "function", "function": {"name": "now"}}]);
        let tools = Tools::read(Some(&tool), None).unwrap();
        let form = Form::Choice(vec!["<tool_".to_owned()]);
        let options = GenerateOptions { tools, ..asking(&form, 1) };
        let (text, stats) = answer(&mut session, &options).await.unwrap();
        assert_eq!((&*text, stats.finish), ("<tool_", Finish::Stop));
    });
}

#[test]
fn stop_texts_end_it_earlier() {
    block_on(async {
        let mut session = on_cpu().await;
        let options = GenerateOptions {
            stop: vec!["rather".to_owned()],
            ..asking(&Form::JsonSchema(person()), 1)
        };
        let (text, stats) = answer(&mut session, &options).await.unwrap();
        assert!(text.ends_with("\"a_name_that_is_") && stats.finish == Finish::Stop, "{text}");
    });
}

#[test]
fn the_model_is_told_unless_it_is_not_to_be() {
    block_on(async {
        let mut session = on_cpu().await;
        let form = Form::Choice(vec!["red".to_owned(), "green".to_owned()]);
        let mut options = asking(&form, 1);
        let (_, quiet) = answer(&mut session, &options).await.unwrap();
        options.format = Some(ResponseFormat { form: form.clone(), hint: true });
        let (_, told) = answer(&mut session, &options).await.unwrap();
        let hint = "Answer with one of these and nothing else: \"red\", \"green\"\n";
        assert_eq!(told.prompt_tokens, quiet.prompt_tokens + hint.len());
    });
}
