//! What no answer can be held to: one sentence each, with where it is.

use phi_wasm::Code;
use phi_wasm::text::constraint::{Form, check};
use serde_json::json;

#[test]
fn what_cannot_be_enforced_is_refused_in_a_sentence() {
    let grammar = |text: &str| Form::Grammar(text.to_owned());
    let regex = |text: &str| Form::Regex(text.to_owned());
    for (form, said) in [
        (regex("(a"), "regex: it cannot be read: unclosed group"),
        (regex("a(?=b)"), "look-around"),
        (regex(&"a".repeat(2 << 20)), "shorten it"),
        (regex("[^\\x00-\\x{10ffff}]"), "nothing may follow"),
        (grammar(""), "grammar: "),
        (grammar("begin: \"a\""), "start"),
        (grammar("start: thing"), "thing"),
        (grammar("start: <|nobody|>"), "<|nobody|>"),
        (grammar("start: %json {\"type\": \"object\"}"), "json_schema"),
        (Form::Choice(Vec::new()), "choice is empty"),
    ] {
        let error = check(&form).unwrap_err();
        assert_eq!(error.code, Code::BadConstraint, "{error}");
        let sentence = error.sentence();
        assert!(sentence.contains(said) && !sentence.contains('\n'), "{said}: {sentence}");
        assert!(sentence.len() < 400, "{sentence}");
    }
    assert_eq!(check(&Form::JsonSchema(json!({"type": "object"}))), Ok(()));
}
