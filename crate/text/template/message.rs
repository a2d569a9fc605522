//! One turn of a conversation.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Code, Result, fail};
use crate::text::options::short;

/// One turn of a conversation, with all that a chat template may ask of it: `role`, `content`, and
/// what else its sender gave, such as `tool_calls` or `reasoning_content`, in the order given.
/// Fields that are null are as good as absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Message {
    fields: Map<String, Value>,
}

impl Message {
    /// A message by `role`: `system`, `user` or `assistant`, or what else the template knows.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        let fields = [("role", role.into()), ("content", content.into())];
        Message {
            fields: fields
                .map(|(name, text)| (name.to_owned(), Value::from(text)))
                .into_iter()
                .collect(),
        }
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Message {
        Message::new("user", content)
    }

    /// What the model says.
    pub fn assistant(content: impl Into<String>) -> Message {
        Message::new("assistant", content)
    }

    /// What the model is to be.
    pub fn system(content: impl Into<String>) -> Message {
        Message::new("system", content)
    }

    /// A conversation from parsed JSON, a list of messages.
    ///
    /// # Errors
    /// [`Code::BadOption`], which names what is no message: no list, an empty one, no role, content
    /// that is no text.
    pub fn conversation(json: Value) -> Result<Vec<Message>> {
        let Value::Array(all) = json else {
            fail!(
                Code::BadOption,
                "messages is not a list: give the conversation, a {{ role, content }} each"
            );
        };
        if all.is_empty() {
            fail!(Code::BadOption, "messages is empty: give at least one {{ role, content }}");
        }
        all.into_iter()
            .enumerate()
            .map(|(i, one)| Message::from_json(&format!("messages[{i}]"), one))
            .collect()
    }

    fn from_json(name: &str, json: Value) -> Result<Message> {
        let Value::Object(mut fields) = json else {
            fail!(Code::BadOption, "{name} is {}: give a {{ role, content }}", short(&json));
        };
        fields.retain(|_, value| !value.is_null());
        match fields.get("role") {
            Some(Value::String(role)) if is_name(role) => {}
            Some(role) => fail!(
                Code::BadOption,
                "{name}.role is no name, but {}: say who speaks, in letters, digits, _, - and ., \
                    such as \"user\"",
                short(role)
            ),
            None => fail!(Code::BadOption, "{name} has no role: say who speaks, such as \"user\""),
        }
        match fields.get("content") {
            Some(Value::String(_)) => {}
            Some(Value::Array(parts)) => {
                parts.iter().try_for_each(|part| check_part(name, part))?
            }
            Some(_) => fail!(
                Code::BadOption,
                "{name}.content is neither text nor a list of its parts: give one of them"
            ),
            None if calls(&fields).is_some() => {}
            None => fail!(
                Code::BadOption,
                "{name} has no content: give what is said, which may be empty"
            ),
        }
        Ok(Message { fields })
    }

    /// Who speaks.
    pub fn role(&self) -> &str {
        self.fields.get("role").and_then(Value::as_str).unwrap_or_default()
    }

    /// What is said: the text, or that of all its parts.
    pub fn text(&self) -> String {
        match self.fields.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part["text"].as_str()).collect()
            }
            _ => String::new(),
        }
    }

    /// Whether the message calls tools.
    pub fn calls_tools(&self) -> bool {
        calls(&self.fields).is_some()
    }

    pub(super) fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.fields
    }

    /// The message with its texts changed, the names of its fields as `rename` has them. A role
    /// stays where it is a name: a template asks for it, and writes it between the signs of a
    /// control token.
    pub(super) fn map_texts(
        &self,
        change: &impl Fn(&str) -> String,
        rename: &impl Fn(&str) -> String,
    ) -> Message {
        let field = |(name, value): (&String, &Value)| match name.as_str() {
            "role" if value.as_str().is_some_and(is_name) => (name.clone(), value.clone()),
            _ => (rename(name), map_texts(value, change, rename)),
        };
        Message { fields: self.fields.iter().map(field).collect() }
    }

    /// The message with `end` after its last text.
    pub(crate) fn with_end(&self, end: &str) -> Message {
        let mut fields = self.fields.clone();
        match fields.get_mut("content") {
            Some(Value::String(text)) => text.push_str(end),
            Some(Value::Array(parts)) => {
                if let Some(Value::String(text)) =
                    parts.iter_mut().rev().find_map(|part| part.get_mut("text"))
                {
                    text.push_str(end);
                }
            }
            _ => {
                fields.insert("content".to_owned(), end.into());
            }
        }
        Message { fields }
    }
}

/// What may be a role, and what names of fields are that templates look for: nothing with a sign of
/// a control token in it.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn calls(fields: &Map<String, Value>) -> Option<&Vec<Value>> {
    fields.get("tool_calls")?.as_array().filter(|calls| !calls.is_empty())
}

fn check_part(name: &str, part: &Value) -> Result<()> {
    match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(_)) => Ok(()),
        (Some("text") | None, _) => fail!(
            Code::BadOption,
            "{name}.content has a part without a text: give {{ type: \"text\", text }}"
        ),
        (Some(_), _) => fail!(
            Code::BadOption,
            "{name}.content has a part of type {}: this engine reads text only",
            short(&part["type"])
        ),
    }
}

pub(super) fn map_texts(
    value: &Value,
    change: &impl Fn(&str) -> String,
    rename: &impl Fn(&str) -> String,
) -> Value {
    let within = |value| map_texts(value, change, rename);
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(within).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (rename(name), within(value))).collect()
        }
        _ => value.clone(),
    }
}
