#![allow(clippy::unwrap_used)]

use serde_json::json;

#[cfg(feature = "constraints")]
use super::tests::{parsed, tool};
use super::*;

/// What the grammar of a dialect has in it is what the parser takes for calls.
#[cfg(feature = "constraints")]
#[test]
fn grammars_of_calls_are_read_by_the_parser() {
    use crate::text::constraint::{Form, Spellings, allows, grammars};
    let stop = 256;
    let tokens = (0..=u8::MAX).map(|byte| vec![byte]).chain([Vec::new()]).collect();
    let spellings = Spellings { tokens, stop_tokens: vec![stop], encode: None };
    let grammars = grammars(spellings).unwrap();
    let accepts = |form: &CallsForm, text: &str| {
        let mut constraint = grammars.constraint(&Form::Calls(form.clone())).unwrap();
        let is_begun = constraint.begin_with(text).is_ok();
        is_begun && (constraint.is_over() || allows(&constraint.mask().unwrap(), stop))
    };
    let mut tools = Tools::read(Some(&json!([tool("weather"), tool("now")])), None).unwrap();
    for dialect in [Dialect::Phi4, Dialect::Hermes, Dialect::Functools, Dialect::Json] {
        let (open, between, close) = dialect.around();
        let call = |name: &str, city: &str| {
            format!("{{\"name\": \"{name}\", \"arguments\": {{\"city\": {city}}}}}")
        };
        let (first, second) = (call("weather", "\"Paris\""), call("now", "\"Rome\""));
        let one = format!("{open}{first}{close}");
        let two = format!("{open}{first}{between}{second}{close}");
        let all = tools.form(dialect).unwrap();
        assert!(accepts(&all, &one) && accepts(&all, &two), "{dialect:?}");
        assert_eq!(parsed(&[&two]).1.len(), 2, "{dialect:?}");
        for (name, city) in [("rm", "\"Paris\""), ("now", "7"), ("now", "\"Llanfairpwll\"")] {
            let other = format!("{open}{}{close}", call(name, city));
            assert!(!accepts(&all, &other), "{dialect:?}: {other}");
        }
        let single = CallsForm { is_single: true, ..all.clone() };
        assert!(accepts(&single, &one) && !accepts(&single, &two), "{dialect:?}");
        // It crosses to wherever grammars are known.
        let crossed = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<CallsForm>(&crossed).unwrap(), all);
    }
    tools.choice = ToolChoice::Named("now".to_owned());
    let named = tools.form(Dialect::Json).unwrap();
    assert_eq!((named.tools.len(), named.tools[0].index), (1, 1));
    assert_eq!(Tools::default().form(Dialect::Json), None);
}

#[test]
fn arguments_are_held_to_what_is_said_of_them() {
    let schema_of = |function: Value| {
        let tools = json!([{"type": "function", "function": function}]);
        let form = Tools::read(Some(&tools), None).unwrap().form(Dialect::Json).unwrap();
        form.tools[0].parameters.clone()
    };
    let nothing = json!({"type": "object", "additionalProperties": false});
    let open = json!({"type": "object"});
    let rows = [
        (json!({"name": "a"}), nothing.clone()),
        (json!({"name": "a", "parameters": null, "strict": true}), nothing),
        (json!({"name": "a", "parameters": {}}), open.clone()),
        (
            json!({"name": "a", "parameters": {"maxProperties": 1}, "strict": null}),
            json!({"maxProperties": 1, "type": "object"}),
        ),
        (json!({"name": "a", "parameters": {"maxProperties": 1}, "strict": false}), open),
    ];
    for (function, schema) in rows {
        assert_eq!(schema_of(function.clone()), schema, "{function}");
    }
}
