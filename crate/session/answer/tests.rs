#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::session::CallDelta;
use crate::text::tool_calls::Tools;

#[test]
fn calls_are_told_in_pieces_beside_text() {
    let tools = json!([{"type": "function", "function": {"name": "now"}}]);
    let tools = Tools { is_single: true, ..Tools::read(Some(&tools), None).unwrap() };
    let said = |text: &str| Event::Text { text: text.to_owned(), logprobs: None };
    let options = GenerateOptions::default();
    let stream = TextStream::continuing(&[]);
    let mut generation = Generation::new(&[1], (stream, None), &options, &[], None).unwrap();
    generation.tell("Hm".to_owned(), false);
    assert_eq!(generation.events.pop_front(), Some(said("Hm")));
    generation.listen_for_calls(&tools, "", None).unwrap();
    generation.tell("So.\n<tool_call>{\"name\": \"now\", \"arg".to_owned(), false);
    assert_eq!(generation.events.pop_front(), Some(said("So.")));
    assert_eq!(generation.events.pop_front(), None);
    generation.tell("uments\": {}".to_owned(), false);
    let Some(Event::Call(CallDelta { index: 0, id: Some(id), name: Some(name), .. })) =
        generation.events.pop_front()
    else {
        panic!("no call has begun");
    };
    assert!(id.starts_with("call_") && name == "now");
    let more = CallDelta { index: 0, id: None, name: None, arguments: "{}".to_owned() };
    assert_eq!(generation.events.pop_front(), Some(Event::Call(more)));
    let is_enough = |generation: &Generation| generation.calls.as_ref().unwrap().is_enough();
    assert!(!is_enough(&generation));
    generation.tell("}".to_owned(), false);
    assert!(is_enough(&generation));
    generation.tell("</tool_call>".to_owned(), true);
    assert_eq!(generation.events.pop_front(), None);
}
