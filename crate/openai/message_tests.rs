#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::tests::{TOOLS, request};
use super::*;
use crate::text::tool_calls::ToolChoice;

fn call(written: Value) -> Value {
    json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": written}}])
}

#[test]
fn messages_are_put_as_templates_take_them() {
    let rows = [
        // A developer is the system, parts of text are one text, a refusal is what was said; other
        // fields stay, in their order.
        (json!({"role": "developer", "content": "a"}), json!({"role": "system", "content": "a"})),
        (
            json!({
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            }),
            json!({"role": "user", "content": "ab"}),
        ),
        (
            json!({"role": "assistant", "content": null, "refusal": "no"}),
            json!({"role": "assistant", "content": "no"}),
        ),
        (
            json!({
                "extra": {"x": 1}, "role": "user", "name": "n", "refusal": null, "content": "a",
            }),
            json!({"extra": {"x": 1}, "role": "user", "name": "n", "content": "a"}),
        ),
        // Arguments are the objects that JSON says; what is no object stays as it was written.
        (
            json!({"role": "assistant", "tool_calls": call(json!("{\"a\":1}"))}),
            json!({"role": "assistant", "tool_calls": call(json!({"a": 1}))}),
        ),
        (
            json!({"role": "assistant", "tool_calls": call(json!(""))}),
            json!({"role": "assistant", "tool_calls": call(json!({}))}),
        ),
        (
            json!({"role": "assistant", "tool_calls": call(json!(null))}),
            json!({"role": "assistant", "tool_calls": call(json!({}))}),
        ),
        (
            json!({"role": "assistant", "tool_calls": call(json!("{\"a\":"))}),
            json!({"role": "assistant", "tool_calls": call(json!("{\"a\":"))}),
        ),
        (
            json!({"role": "assistant", "tool_calls": call(json!("[1]"))}),
            json!({"role": "assistant", "tool_calls": call(json!("[1]"))}),
        ),
    ];
    for (given, taken) in rows {
        let messages = messages(json!([given])).unwrap();
        // As texts, which have an order.
        assert_eq!(serde_json::to_string(&messages[0]).unwrap(), taken.to_string(), "{given}");
    }
}

#[test]
fn tools_are_read_with_how_they_may_be_called() {
    let rows = [
        (json!({"tools": TOOLS.clone()}), ToolChoice::Auto, false, 1),
        (json!({"tools": TOOLS.clone(), "tool_choice": "none"}), ToolChoice::None, false, 0),
        (
            json!({"tools": TOOLS.clone(), "tool_choice": "auto", "parallel_tool_calls": false}),
            ToolChoice::Auto,
            true,
            1,
        ),
        (json!({"tools": null, "tool_choice": null}), ToolChoice::Auto, false, 0),
        (
            json!({"tools": TOOLS.clone(), "tool_choice": "required"}),
            ToolChoice::Required,
            false,
            1,
        ),
        (
            json!({
                "tools": TOOLS.clone(),
                "tool_choice": {"type": "function", "function": {"name": "now"}},
            }),
            ToolChoice::Named("now".to_owned()),
            false,
            1,
        ),
    ];
    for (options, choice, is_single, told) in rows {
        let tools = chat(request(options.clone())).unwrap().1.tools;
        assert_eq!(
            (&tools.choice, tools.is_single, tools.told().len()),
            (&choice, is_single, told),
            "{options}"
        );
    }
}

/// Parameters that no call can be held to.
#[cfg(feature = "constraints")]
#[test]
fn parameters_that_cannot_be_enforced_are_refused_unless_they_need_not_be() {
    let tools = |parameters: Value, strict: Value| {
        let function = json!({"name": "f", "parameters": parameters, "strict": strict});
        let mut tools = TOOLS.clone();
        tools.as_array_mut().unwrap().push(json!({"type": "function", "function": function}));
        tools
    };
    let object = |a: Value| json!({"type": "object", "properties": {"a": a}, "required": ["a"]});
    let advice = "; leave it out, or set the function's strict to false to let it pass";
    let rows = [
        (object(json!({"uniqueItems": true})), "at #/properties/a: uniqueItems is not enforced"),
        (object(json!({"type": "string", "pattern": "a(?=b)"})), "at #/properties/a: pattern"),
        (object(json!(false)), "at #/properties/a: schema has nothing that is valid by it"),
        (object(json!({"$ref": "https://a.b/c"})), "at #/properties/a: $ref"),
    ];
    for (parameters, place) in rows {
        for choice in [json!("auto"), json!("required")] {
            let given = json!({"tools": tools(parameters.clone(), json!(null))});
            let mut given = request(given);
            given["tool_choice"] = choice;
            let error = chat(given.clone()).unwrap_err();
            assert_eq!(error.code, Code::BadConstraint, "{parameters}");
            let sentence = error.sentence();
            let place = format!("tools[1].function.parameters {place}");
            assert!(sentence.starts_with(&place) && sentence.ends_with(advice), "{sentence}");
            // Who cannot be called is not looked at, nor who need not keep to it.
            given["tool_choice"] = json!({"type": "function", "function": {"name": "now"}});
            assert!(chat(given.clone()).is_ok(), "{parameters}");
            given["tool_choice"] = json!("auto");
            given["tools"] = tools(parameters.clone(), json!(false));
            assert!(chat(given).is_ok(), "{parameters}");
        }
    }
}

#[test]
fn a_conversation_with_calls_of_tools_is_read_whole() {
    let request: Value =
        serde_json::from_str(include_str!("../../tests/golden/requests/tool-calls.json")).unwrap();
    let (messages, _) = chat(request).unwrap();
    let call = json!({
        "id": "call_1",
        "type": "function",
        "function": {"name": "multiply", "arguments": {"a": 6, "b": 7}},
    });
    let expected = json!([
        {"role": "user", "content": "What is 6 times 7?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]);
    assert_eq!(serde_json::to_value(messages).unwrap(), expected);
}

#[test]
fn messages_that_are_none_are_refused() {
    let rows = [
        (
            json!({"role": "critic", "content": "Hi"}),
            "messages[0].role is \"critic\": it must be one of system, developer, user, \
                assistant, tool",
        ),
        (json!(null), "messages[0] is null: give a { role, content }"),
        (
            json!({"role": "assistant", "content": null, "tool_calls": []}),
            "messages[0] has no content: give what is said, which may be empty",
        ),
        (
            json!({"role": "assistant", "tool_calls": {}}),
            "messages[0].tool_calls is not a list: give a { id, type, function } each",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "c"}]}),
            "messages[0].tool_calls[0] calls no function: this engine knows tools of the type \
                \"function\"",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}),
            "messages[0].tool_calls[0].function.name is 1: it must be a text",
        ),
        (
            json!({"role": "assistant", "function_call": {"name": "f"}}),
            "messages[0].function_call is OpenAI's older form: give tool_calls",
        ),
        (
            json!({"role": "user", "audio": {"id": "a"}}),
            "messages[0].audio is sound: this engine reads text only",
        ),
        (
            json!({"role": "user", "content": [{"type": "image_url"}]}),
            "messages[0].content has a part of type \"image_url\": this engine reads text only",
        ),
    ];
    for (given, sentence) in rows {
        let error = messages(json!([given])).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::BadOption, sentence), "{given}");
    }
}
