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
        (regex("((a{1000}){1000}b)?"), "counts that come to more than 100000"),
        (regex("[^\\x00-\\x{10ffff}]"), "nothing may follow"),
        (regex("\\bfoo"), "\\b and \\B are not enforced: leave them out"),
        (grammar(""), "grammar: "),
        (grammar("begin: \"a\""), "start"),
        (grammar("start: thing"), "thing"),
        (grammar("start: <|nobody|>"), "<|nobody|>"),
        (grammar("start: T\nT: /(([ab]{900})*c){300}/"), "counts that come to more than 100000"),
        (grammar("start: %json {\"type\": \"object\"}"), "json_schema"),
        (Form::Choice(Vec::new()), "choice is empty"),
        (Form::Choice(vec![String::new()]), "choice has no text but an empty one"),
    ] {
        let error = check(&form).unwrap_err();
        assert_eq!(error.code, Code::BadConstraint, "{error}");
        let sentence = error.sentence();
        assert!(sentence.contains(said) && !sentence.contains('\n'), "{said}: {sentence}");
        assert!(sentence.len() < 400, "{sentence}");
    }
    assert_eq!(check(&Form::JsonSchema(json!({"type": "object"}))), Ok(()));
}

/// Schemas of `a`, which must be there, and what is said of them.
#[test]
fn what_no_schema_enforces_is_refused_by_its_place() {
    let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
    for (schema, said) in [
        (
            json!({"$ref": "#"}),
            "at #/properties/a: schema has a value that must contain itself, so that no answer \
                would ever end",
        ),
        (
            json!({"type": "array", "items": {"$ref": "#"}, "minItems": 1}),
            "at #/properties/a: schema has a value that must contain itself",
        ),
        (
            json!({"type": "array", "prefixItems": [{"$ref": "#/properties/a"}], "minItems": 1}),
            "at #/properties/a/prefixItems/0: schema has a value that must contain itself",
        ),
        (json!({"type": "integer", "minimum": 1.1, "maximum": 1.9}), "at #/properties/a: schema"),
        (
            json!({"type": "number", "multipleOf": 10, "minimum": 11, "maximum": 19}),
            "at #/properties/a: schema has nothing that is valid by it",
        ),
        (
            json!({"type": "object", "properties": {"b": {"enum": ["x"], "minLength": 2}},
                "required": ["b"]}),
            "at #/properties/a/properties/b: schema has nothing that is valid by it",
        ),
        (
            json!({"type": "string", "pattern": "^a{5}$", "maxLength": 3}),
            "at #/properties/a: pattern is not enforced: nothing is valid by it",
        ),
        (
            json!({"type": "string", "format": "date", "maxLength": 3}),
            "at #/properties/a: format is not enforced: nothing is valid by it",
        ),
        (
            json!({"type": "string", "pattern": "^(a|b)*a(a|b){30}$", "minLength": 20000}),
            "at #/properties/a: pattern is not enforced: it asks for too much",
        ),
        (
            json!({"type": "number", "multipleOf": 123_456_789_012u64}),
            "at #/properties/a: multipleOf 123456789012 has more digits than are counted",
        ),
        (
            json!({"allOf": [{"multipleOf": 100_000}, {"type": "number", "multipleOf": 99_999}]}),
            "at #/properties/a: multipleOf comes to more digits than are counted",
        ),
        (
            json!({"type": "string", "pattern": "^(?:(?:(?:a{1000}){1000}){1000}){1000}$"}),
            "at #/properties/a: pattern \"^(?:(?:(?:a{1000}){1000}){1000}){1000}$\" cannot be \
                enforced: it has counts within counts that come to more than 100000",
        ),
        (json!({"type": "string", "pattern": deep}), "((((…))))"),
        (
            json!({"type": "string", "minLength": 5_000_000_000u64, "pattern": "b"}),
            "at #/properties/a: minLength is more than 4294967294",
        ),
        (
            json!({"type": "object", "patternProperties": {"^a": {"type": "null"}, "b": true},
                "additionalProperties": false}),
            "at #/properties/a: patternProperties is not enforced: its patterns overlap",
        ),
        (json!({"not": {"type": "integer"}, "type": "number"}), "at #/properties/a: type of"),
    ] {
        let form = Form::JsonSchema(
            json!({"type": "object", "properties": {"a": schema}, "required": ["a"]}),
        );
        let error = check(&form).unwrap_err();
        assert_eq!(error.code, Code::BadConstraint, "{error}");
        let sentence = error.sentence().replace(&"(".repeat(36), "").replace(&")".repeat(36), "");
        assert!(sentence.contains(said), "{schema:.200}: {sentence:.900}");
        assert!(error.sentence().len() < 700, "{sentence:.900}");
    }
}

/// What has no value is left out where others have one.
#[test]
fn what_never_ends_is_left_out_where_it_can_be() {
    let endless = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/it"}},
        "required": ["a"]});
    for schema in [
        json!({"anyOf": [{"$ref": "#/$defs/it"}, {"type": "null"}]}),
        json!({"type": "object", "properties": {"b": {"$ref": "#/$defs/it"}}}),
        json!({"type": "array", "items": {"$ref": "#/$defs/it"}}),
        json!({"type": "object", "patternProperties": {"x": {"$ref": "#/$defs/it"}}}),
        json!({"type": "array", "prefixItems": [true, {"$ref": "#/$defs/it"}], "minItems": 1}),
        json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
            "required": ["a"]}),
    ] {
        let mut schema = schema;
        schema["$defs"] = json!({"it": endless});
        assert_eq!(check(&Form::JsonSchema(schema.clone())), Ok(()), "{schema}");
    }
}
