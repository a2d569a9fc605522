//! Numbers are compared by their digits where an answer is made, and as doubles by whoever reads
//! it: nothing is said that is rounded to what a schema excludes.

use phi_wasm::text::constraint::{Form, Spellings, grammars};
use serde_json::json;

use super::suite::can_be_said;

#[test]
fn nothing_is_said_that_is_read_as_what_is_excluded() {
    let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    tokens.push(Vec::new());
    let grammars = grammars(Spellings { tokens, stop_tokens: vec![256], encode: None }).unwrap();
    let nines = "0.99999999999999999999";
    for (schema, yes, no) in [
        (json!({"exclusiveMaximum": 1}), &["0.9", "-3.5", "0.99999999"][..], &["1", nines][..]),
        (json!({"maximum": 0.905}), &["0.9", "0.905", "-0.99"], &["0.91", "0.9051"]),
        (json!({"minimum": -2.35, "maximum": -1.25}), &["-2.3", "-2", "-1.3"], &["-2.4", "-1.2"]),
        (json!({"maximum": 0.85, "multipleOf": 0.4}), &["0.8", "0.4"], &["0.85", "0.7"]),
        (json!({"maximum": 1}), &["1", nines], &["1.00000000000000000000000001"]),
        (
            json!({"exclusiveMinimum": 1, "maximum": 1.5}),
            &["1.01", "1.5"],
            &["1", "1.0", "1.00000000000000000000001"],
        ),
        (
            json!({"exclusiveMinimum": 0}),
            &["0.1", "7", "0.00000000000000000001"],
            &["0", "-0", "-1"],
        ),
        (json!({"exclusiveMaximum": 0, "minimum": -0.5}), &["-0.1", "-0.5"], &["-0", "0", "-0.0"]),
        (json!({"exclusiveMinimum": -1, "exclusiveMaximum": 0}), &["-0.5"], &["-1", "-0", "0"]),
        (
            json!({"not": {"const": 0.5}}),
            &["0.4", "0.6", "0.51"],
            &["0.5", "0.49999999999999999999"],
        ),
        (json!({"not": {"const": 0}}), &["0.4", "-0.4", "3"], &["0", "-0", "0.0"]),
        (json!({"exclusiveMinimum": 0.1, "multipleOf": 0.1}), &["0.2", "0.3"], &["0.1", "0.15"]),
        (json!({"allOf": [{"multipleOf": 0.25}, {"multipleOf": 0.1}]}), &["0.5", "1"], &["0.25"]),
    ] {
        let mut schema = schema;
        schema["type"] = "number".into();
        let form = Form::JsonSchema(schema.clone());
        let zeros = format!("0.{}1", "0".repeat(400));
        for (texts, is_said) in [(yes, true), (no, false)] {
            for text in texts {
                assert_eq!(can_be_said(&*grammars, &form, text, 256), is_said, "{schema}: {text}");
            }
        }
        // It is read as 0.
        let is_zero = schema.get("exclusiveMinimum").is_some_and(|to| to == 0);
        assert!(!is_zero || !can_be_said(&*grammars, &form, &zeros, 256));
    }
    // Between them is no number, though there are digits.
    let form = json!({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1f64.next_up()});
    assert!(grammars.constraint(&Form::JsonSchema(form)).is_err());
}
