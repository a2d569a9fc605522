#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::text::constraint::{Form, ResponseFormat};

/// A tool that takes nothing.
pub(super) static TOOLS: LazyLock<Value> =
    LazyLock::new(|| json!([{"type": "function", "function": {"name": "now"}}]));

/// A request with one message and these options besides.
pub(super) fn request(options: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    request
}

#[test]
fn options_are_read_as_clients_write_them() {
    let d = || GenerateOptions { max_tokens: 1024, ..GenerateOptions::default() };
    let s = Sampling::default;
    let sampled = |sampling| GenerateOptions { sampling, ..d() };
    let formed =
        |form, hint| GenerateOptions { format: Some(ResponseFormat { form, hint }), ..d() };
    let rows = [
        (json!({}), d()),
        (
            json!({
                "temperature": null, "stop": null, "seed": null, "logit_bias": null, "n": null,
                "nonsense": null,
            }),
            d(),
        ),
        (
            json!({
                "tools": [], "tool_choice": "none", "logprobs": false, "top_logprobs": 0,
                "suffix": "", "response_format": {"type": "text"},
            }),
            d(),
        ),
        (
            json!({
                "model": "any", "user": "u", "metadata": {}, "n": 1, "stream": true,
                "stream_options": {"include_usage": true},
            }),
            d(),
        ),
        (json!({"max_tokens": 3}), GenerateOptions { max_tokens: 3, ..d() }),
        (json!({"n": 128}), GenerateOptions { n: 128, ..d() }),
        (json!({"logprobs": true}), GenerateOptions { log_probs: Some(0), ..d() }),
        (
            json!({"logprobs": true, "top_logprobs": 20}),
            GenerateOptions { log_probs: Some(20), ..d() },
        ),
        (
            json!({"max_tokens": 3, "max_completion_tokens": 2}),
            GenerateOptions { max_tokens: 2, ..d() },
        ),
        (
            json!({"max_tokens": 3, "max_completion_tokens": null}),
            GenerateOptions { max_tokens: 3, ..d() },
        ),
        // More than any context has is as good as no bound.
        (json!({"max_tokens": "Infinity"}), GenerateOptions { max_tokens: usize::MAX, ..d() }),
        (json!({"stop": "a"}), GenerateOptions { stop: vec!["a".into()], ..d() }),
        (
            json!({"stop": ["a", "b"]}),
            GenerateOptions { stop: vec!["a".into(), "b".into()], ..d() },
        ),
        (json!({"continue_final_message": true}), GenerateOptions { continue_final: true, ..d() }),
        (json!({"response_format": {"type": "json_object"}}), formed(Form::JsonObject, true)),
        (
            json!({
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": true, "schema": {"type": "integer"}},
                },
            }),
            formed(Form::JsonSchema(json!({"type": "integer"})), true),
        ),
        (
            json!({"response_format": {"type": "xml_schema", "xml_schema": "<a>1</a>"}}),
            formed(Form::XmlSchema("<a>1</a>".to_owned()), true),
        ),
        (
            json!({"response_format": {"type": "regex", "regex": "a+", "hint": false}}),
            formed(Form::Regex("a+".into()), false),
        ),
        (
            json!({"response_format": {"type": "grammar", "grammar": "start: \"a\""}}),
            formed(Form::Grammar("start: \"a\"".into()), true),
        ),
        (
            json!({"response_format": {"type": "choice", "choice": ["a", "b"]}}),
            formed(Form::Choice(vec!["a".into(), "b".into()]), true),
        ),
        (
            json!({"temperature": 1, "top_p": 0}),
            sampled(Sampling { temperature: 1.0, top_p: 0.0, ..s() }),
        ),
        (json!({"top_k": -1}), d()),
        (
            json!({"top_k": 5, "top_p": 0.5, "min_p": 0.1}),
            sampled(Sampling { top_k: 5, top_p: 0.5, min_p: 0.1, ..s() }),
        ),
        (json!({"seed": 0}), sampled(Sampling { seed: Some(0), ..s() })),
        (json!({"seed": 1e3}), sampled(Sampling { seed: Some(1000), ..s() })),
        (json!({"seed": -1}), sampled(Sampling { seed: Some(u64::MAX), ..s() })),
        (json!({"seed": u64::MAX}), sampled(Sampling { seed: Some(u64::MAX), ..s() })),
        (json!({"seed": i64::MIN}), sampled(Sampling { seed: Some(1 << 63), ..s() })),
        (
            json!({"logit_bias": {"7": "-Infinity", "17": -100}}),
            sampled(Sampling { logit_bias: [(7, f32::NEG_INFINITY), (17, -100.0)].into(), ..s() }),
        ),
        (
            json!({"repetition_penalty": 1.5, "presence_penalty": 1, "frequency_penalty": 2}),
            sampled(Sampling {
                repetition_penalty: 1.5,
                presence_penalty: 1.0,
                frequency_penalty: 2.0,
                ..s()
            }),
        ),
    ];
    for (options, read) in rows {
        assert_eq!(chat(request(options.clone())).unwrap().1, read, "{options}");
    }
    let (prompt, options) = completion(&json!({"prompt": "Once", "max_tokens": 2})).unwrap();
    assert_eq!((prompt.as_str(), options.max_tokens), ("Once", 2));
    for (given, log_probs, echo, max_tokens) in [
        (json!({"prompt": "a", "logprobs": 0}), Some(0), false, 1024),
        (json!({"prompt": "a", "logprobs": false, "echo": false}), None, false, 1024),
        (json!({"prompt": "a", "logprobs": 5, "echo": true, "max_tokens": 0}), Some(5), true, 0),
    ] {
        let expected = GenerateOptions { log_probs, echo, max_tokens, ..d() };
        assert_eq!(completion(&given).unwrap().1, expected, "{given}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let rows = [
        (
            json!({"temprature": 1}),
            "temprature is no option of chat.completions.create: check its spelling, or leave it \
                out",
        ),
        (
            json!({"prompt": "a"}),
            "prompt is no option of chat.completions.create: check its spelling, or leave it out",
        ),
        (json!({"max_tokens": 0}), "max_tokens is 0: it must be a whole number, 1 or more"),
        (json!({"top_p": 2}), "top_p is 2: it must be a number from 0 to 1"),
        (json!({"top_p": -0.5}), "top_p is -0.5: it must be a number from 0 to 1"),
        (
            json!({"temperature": "Infinity"}),
            "temperature is \"Infinity\": it must be a number, 0 or more",
        ),
        (json!({"temperature": "hot"}), "temperature is \"hot\": it must be a number, 0 or more"),
        (json!({"presence_penalty": []}), "presence_penalty is a list: it must be a number"),
        (json!({"repetition_penalty": 0}), "repetition_penalty is 0: it must be a number above 0"),
        (json!({"seed": 0.5}), "seed is 0.5: it must be a whole number from -2^63 to 2^64 - 1"),
        (
            json!({"seed": 18446744073709551616.0}),
            "seed is 1.8446744073709552e+19: it must be a whole number from -2^63 to 2^64 - 1",
        ),
        (
            json!({"top_k": -2}),
            "top_k is -2: it must be a whole number from -1 on; 0 and -1 keep all tokens",
        ),
        (json!({"stop": ["a", 1]}), "stop is a list: it must be a text or a list of texts"),
        (
            json!({"logit_bias": []}),
            "logit_bias is a list: it must be an object from token ids to biases, such as \
                {\"17\": -100}",
        ),
        (
            json!({"logit_bias": {"the": 1}}),
            "logit_bias has \"the\": what it names must be ids of tokens",
        ),
        (
            json!({"logit_bias": {"1": "Infinity"}}),
            "logit_bias of token 1 is \"Infinity\": it must be a number, or minus infinity to \
                forbid the token",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0] is no function: give { type: \"function\", function: { name } }",
        ),
        (
            json!({
                "tools": TOOLS.clone(), "tool_choice": "required",
                "response_format": {"type": "json_object"},
            }),
            "tool_choice asks for a call and response_format for another form: leave one out",
        ),
        (
            json!({"tools": TOOLS.clone(), "parallel_tool_calls": 1}),
            "parallel_tool_calls is 1: it must be true or false",
        ),
        (json!({"n": 0}), "n is 0: it must be a whole number from 1 to 128"),
        (json!({"n": 129}), "n is 129: it must be a whole number from 1 to 128"),
        (json!({"logprobs": 2}), "logprobs is 2: it must be true or false"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            "top_logprobs is 21: it must be a whole number from 0 to 20",
        ),
        (
            json!({"top_logprobs": 1}),
            "top_logprobs is 1 and logprobs is not true: ask for logprobs, too",
        ),
        (
            json!({"echo": true}),
            "echo is no option of chat.completions.create: check its spelling, or leave it out",
        ),
        (json!({"stream": "yes"}), "stream is \"yes\": it must be true or false"),
        (
            json!({"stream_options": {"include_usage": 1}}),
            "stream_options is an object: it must be an object such as { include_usage: true }",
        ),
        (
            json!({"response_format": {"type": "yaml"}}),
            "response_format \"yaml\" is not known: its type must be one of text, json_object, \
                json_schema, xml_schema, regex, grammar, choice",
        ),
        (
            json!({"response_format": "json"}),
            "response_format \"json\" is not known: its type must be one of text, json_object, \
                json_schema, xml_schema, regex, grammar, choice",
        ),
        (
            json!({"response_format": {"type": "regex", "regex": "a", "flags": "i"}}),
            "flags is no option of response_format: check its spelling, or leave it out",
        ),
        (
            json!({"response_format": {"type": "regex", "pattern": "a"}}),
            "response_format.regex is not there or not a regular expression",
        ),
        (
            json!({"response_format": {"type": "json_schema", "schema": {}}}),
            "response_format.json_schema is not there or not an object with a schema",
        ),
        (
            json!({"response_format": {"type": "choice", "choice": ["a", 1]}}),
            "response_format.choice is not there or not a list of texts",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
            "response_format.json_schema.schema is not there or not a JSON Schema, which is an \
                object",
        ),
        (
            json!({"response_format": {"type": "json_object", "hint": "no"}}),
            "hint is \"no\": it must be true or false",
        ),
        (
            json!({"continue_final_message": 1}),
            "continue_final_message is 1: it must be true or false",
        ),
        (
            json!({"messages": null}),
            "messages is not a list: give the conversation, a { role, content } each",
        ),
    ];
    for (options, sentence) in rows {
        let error = chat(request(options.clone())).unwrap_err();
        assert_eq!(
            (error.code, error.sentence().as_str()),
            (Code::BadOption, sentence),
            "{options}"
        );
    }
    let rows = [
        (json!(null), "complete takes an object of options, and was given none"),
        (json!([]), "complete takes an object of options, and was given a list"),
        (json!({}), "there is no prompt: give the text to go on with"),
        (json!({"prompt": 7}), "prompt is 7: it must be a text"),
        (
            json!({"prompt": "a", "logprobs": true}),
            "logprobs is true: it must be a whole number from 0 to 20",
        ),
        (json!({"prompt": "a", "echo": 1}), "echo is 1: it must be true or false"),
        (
            json!({"prompt": "a", "max_tokens": 0}),
            "max_tokens is 0: it must be a whole number, 1 or more",
        ),
        (
            json!({"prompt": "a", "suffix": "b"}),
            "suffix is not something that this engine can do: leave it out",
        ),
    ];
    for (request, sentence) in rows {
        assert_eq!(completion(&request).unwrap_err().message, sentence, "{request}");
    }
}

#[test]
fn decisions_are_asked_for_in_a_list_of_texts() {
    let messages = json!([{"role": "developer", "content": "Decide."}]);
    let given = json!({"messages": messages, "choices": ["a", "b"]});
    let (messages, choices) = decision(given.clone()).unwrap();
    assert_eq!((messages[0].text().as_str(), choices), ("Decide.", vec!["a".into(), "b".into()]));
    for (choices, sentence) in [
        (json!(null), "choices is empty: give the texts to decide between"),
        (json!("a"), "choices is \"a\": it must be a list of texts"),
        (json!(["a", 1]), "choices is a list: it must be a list of texts"),
        (json!(["a", "a"]), "choices[1] is the same as choices[0]: give each once"),
    ] {
        let mut asked = given.clone();
        asked["choices"] = choices;
        assert_eq!(decision(asked).unwrap_err().message, sentence);
    }
    let unknown = decision(json!({"messages": [], "choices": ["a"], "n": 2})).unwrap_err();
    assert_eq!(unknown.message, "n is no option of decide: check its spelling, or leave it out");
}
