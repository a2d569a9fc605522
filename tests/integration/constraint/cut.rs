//! Answers in JSON that are cut: what was complete of them is told.

use phi_wasm::session::{Event, Finish, GenerateOptions, Stats};
use phi_wasm::text::constraint::{Form, complete_json};
use phi_wasm::text::template::Message;
use pollster::block_on;

use super::{asking, on_cpu, person};

/// An answer's text, what was told to be complete of it, and its figures.
fn told(messages: &[Message], options: &GenerateOptions) -> (String, Vec<Option<String>>, Stats) {
    block_on(async {
        let mut session = on_cpu().await;
        let mut answer = session.chat(messages, options).unwrap();
        let (mut text, mut parsed) = (String::new(), Vec::new());
        loop {
            match answer.next().await.unwrap().expect("an answer ends with its figures") {
                Event::Text { text: piece, .. } => {
                    assert!(parsed.is_empty(), "{piece:?} comes after what was complete");
                    text.push_str(&piece);
                }
                Event::Parsed { json } => parsed.push(json),
                Event::Done(stats) => return (text, parsed, stats),
                _ => {}
            }
        }
    })
}

#[test]
fn what_was_complete_of_json_is_told_wherever_it_is_cut() {
    let hi = [Message::user("Hi")];
    let options = asking(&Form::JsonSchema(person()), 11);
    let (whole, parsed, stats) = told(&hi, &options);
    assert_eq!((parsed, stats.finish), (vec![Some(whole.clone())], Finish::Stop));
    let mut kinds = [0, 0];
    for max_tokens in (1..stats.generated_tokens).step_by(5) {
        let (text, parsed, stats) = told(&hi, &GenerateOptions { max_tokens, ..options.clone() });
        assert_eq!(stats.finish, Finish::Length, "{text}");
        assert!(whole.starts_with(&text) && text.len() < whole.len(), "{text}");
        kinds[usize::from(parsed[0].is_some())] += 1;
        assert_eq!(parsed, [complete_json(&text, false)]);
    }
    assert!(kinds.into_iter().all(|count| count > 0), "{kinds:?}");
}

#[test]
fn what_a_stop_text_cuts_is_not_whole() {
    let form = Form::JsonSchema(serde_json::json!({"const": 1234}));
    let hi = [Message::user("Hi")];
    let options = GenerateOptions { stop: vec!["3".to_owned()], ..asking(&form, 1) };
    let (text, parsed, stats) = told(&hi, &options);
    assert_eq!((text.as_str(), parsed, stats.finish), ("12", vec![None], Finish::Stop));
    let (whole, parsed, _) = told(&hi, &asking(&form, 1));
    assert_eq!(whole, "1234");
    assert_eq!(parsed, [Some(whole)]);
}

#[test]
fn what_an_answer_goes_on_from_is_part_of_it() {
    let begun = r#"{"a_name_that_is_rather_long": "Ada", "ag"#;
    let messages = [Message::user("Hi"), Message::assistant(begun)];
    let options = asking(&Form::JsonSchema(person()), 5);
    let options = GenerateOptions { continue_final: true, ..options };
    let (rest, parsed, _) = told(&messages, &options);
    assert_eq!(parsed, [Some(format!("{begun}{rest}"))]);
    let cut = GenerateOptions { max_tokens: 1, ..options };
    let name = r#"{"a_name_that_is_rather_long": "Ada"}"#;
    assert_eq!(told(&messages, &cut).1, [Some(name.to_owned())]);
}

#[test]
fn nothing_is_told_of_other_forms() {
    let hi = [Message::user("Hi")];
    let choice = Form::Choice(vec!["1".to_owned(), "2".to_owned()]);
    assert_eq!(told(&hi, &asking(&choice, 1)).1, []);
    let free = GenerateOptions { format: None, max_tokens: 5, ..asking(&choice, 1) };
    assert_eq!(told(&hi, &free).1, []);
}
