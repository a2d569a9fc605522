//! Conversations with tools as Phi-4-mini's template takes them: it finds the tools, as JSON, in
//! the system's message, and knows nothing of calls, nor of what they gave, but how they are
//! written.

use serde_json::{Value, json};

use super::Message;
use crate::text::tool_calls::{Dialect, as_python_writes};

/// The conversation in the template's words.
pub(super) fn conversation(messages: Vec<Message>, tools: &[Value]) -> Vec<Message> {
    let mut messages: Vec<Message> = messages.into_iter().map(said).collect();
    if tools.is_empty() {
        return messages;
    }
    // An object by names in place of the list, or OpenAI's wrapping, and the model calls wrongly.
    let described = tools.iter().map(|tool| tool.get("function").unwrap_or(tool).clone());
    let described: Value = described.collect();
    if messages.first().is_none_or(|first| first.role() != "system") {
        messages.insert(0, Message::system(""));
    }
    let system = messages[0].fields_mut();
    system.insert("tools".to_owned(), as_python_writes(&described).into());
    messages
}

/// A message whose calls are said, and whose role is the template's.
fn said(mut message: Message) -> Message {
    if message.role() == "tool" {
        message.fields_mut().insert("role".to_owned(), "tool_response".into());
    }
    if message.calls_tools() {
        let text = message.text();
        let fields = message.fields_mut();
        let calls = fields.shift_remove("tool_calls").unwrap_or_default();
        let calls = calls.as_array().into_iter().flatten().map(|call| {
            let function = &call["function"];
            as_python_writes(&json!({
                "name": function["name"],
                "arguments": function["arguments"],
            }))
        });
        let (open, between, close) = Dialect::Phi4.around();
        let calls = calls.collect::<Vec<_>>().join(between);
        fields.insert("content".to_owned(), format!("{text}{open}{calls}{close}").into());
    }
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::text::template::{BuiltIn, ChatTemplate, Ending};

    /// That of Phi-4-mini's own files.
    const OWN: &str = concat!(
        "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message ",
        "and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + ",
        "message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}",
        "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}",
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}",
        "{% else %}{{ eos_token }}{% endif %}"
    );

    #[test]
    fn tools_calls_and_results_are_where_the_model_learnt_them() {
        let function = json!({"name": "now", "description": "é <|/tool|>", "parameters": {}});
        let tools = [json!({"type": "function", "function": function})];
        let told = r#"[{"name": "now", "description": "é <|/tool|>", "parameters": {}}]"#;
        let call = json!({"id": "c", "function": {"name": "now", "arguments": {"a": [1, 2]}}});
        let conversation = |system: bool| {
            let mut all = vec![
                json!({"role": "user", "content": "When?"}),
                json!({"role": "assistant", "tool_calls": [call, call]}),
                json!({"role": "tool", "tool_call_id": "c", "content": "Noon"}),
            ];
            if system {
                all.insert(0, json!({"role": "system", "content": "Be kind."}));
            }
            Message::conversation(all.into()).unwrap()
        };
        let called = r#"{"name": "now", "arguments": {"a": [1, 2]}}"#;
        let rest = format!(
            "<|user|>When?<|end|><|assistant|><|tool_call|>[{called}, {called}]<|/tool_call|>\
                <|end|><|tool_response|>Noon<|end|><|assistant|>"
        );
        let tokens = [("tool", "<|/tool|>")];
        for source in [OWN, BuiltIn::Phi4.source()] {
            let template = ChatTemplate::new(source, &tokens).unwrap();
            assert_eq!(template.dialect(), Dialect::Phi4);
            for (has_system, system) in [(true, "Be kind."), (false, "")] {
                let messages = conversation(has_system);
                let prompt = template.render(&messages, &tools, Ending::Answer).unwrap();
                let expected = format!("<|system|>{system}<|tool|>{told}<|/tool|><|end|>{rest}");
                assert_eq!(prompt.text(), expected);
                // What the description spells is no token; the template's own is.
                assert_eq!(prompt.marked.matches("<|/tool|>").count(), 1, "{}", prompt.marked);
                let without = template.render(&messages, &[], Ending::Answer).unwrap();
                let system = if has_system { "<|system|>Be kind.<|end|>" } else { "" };
                assert_eq!(without.text(), format!("{system}{rest}"));
            }
        }
    }
}
