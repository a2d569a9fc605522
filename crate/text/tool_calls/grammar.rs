//! The grammar of calls, for answers that have to be some.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::calls::tags;
use super::{Dialect, Tools, name_of};

/// Calls of one answer.
const MOST_CALLS: usize = 16;

/// Text that is calls of tools, in one model's form: all that its grammar needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallsForm {
    /// What stands before the first call.
    pub open: String,
    /// What stands between two.
    pub between: String,
    /// What stands after the last.
    pub close: String,
    /// The tools that may be called.
    pub tools: Vec<CallableTool>,
    /// Whether there is one call alone.
    pub is_single: bool,
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallableTool {
    /// Which of the request's tools it is.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The JSON Schema of its arguments, which are an object.
    pub parameters: Value,
}

impl Tools {
    /// The calls that an answer may be; `None` where no tool may be called.
    pub fn form(&self, dialect: Dialect) -> Option<CallsForm> {
        let callable = self.callable();
        let tools: Vec<_> = self
            .offered
            .iter()
            .enumerate()
            .filter_map(|(index, tool)| {
                let name = name_of(tool).filter(|name| callable.contains(name))?.to_owned();
                Some(CallableTool { index, name, parameters: parameters(tool) })
            })
            .collect();
        let (open, between, close) = dialect.around();
        let [open, between, close] = [open, between, close].map(str::to_owned);
        let is_single = self.is_single;
        (!tools.is_empty()).then_some(CallsForm { open, between, close, tools, is_single })
    }
}

/// The JSON Schema of a tool's arguments, as far as they are held to it.
fn parameters(tool: &Value) -> Value {
    let function = &tool["function"];
    match &function["parameters"] {
        _ if function["strict"] == false => json!({ "type": "object" }),
        Value::Object(schema) => {
            let mut schema = schema.clone();
            schema.entry("type").or_insert_with(|| "object".into());
            Value::Object(schema)
        }
        _ => json!({ "type": "object", "additionalProperties": false }),
    }
}

impl CallsForm {
    /// A Lark grammar as llguidance reads it, spelt as models were trained, with a schema of each
    /// tool's arguments that the library takes. Tags that are tokens of their own are these tokens.
    pub fn grammar(&self, arguments: &[Value], is_token: impl Fn(&str) -> bool) -> String {
        let spelt = |text: &str| spelt(text, &is_token);
        let more = match self.is_single {
            true => String::new(),
            false => format!("({} call){{0,{}}}", spelt(&self.between), MOST_CALLS - 1),
        };
        let ways: Vec<String> = (0..self.tools.len()).map(|i| format!("call_{i}")).collect();
        let mut lines = vec![
            format!("start: {} call {more} {}", spelt(&self.open), spelt(&self.close)),
            format!("call: {}", ways.join(" | ")),
        ];
        for (i, (CallableTool { name, .. }, schema)) in self.tools.iter().zip(arguments).enumerate()
        {
            let begin = quoted(&format!("{{\"name\": \"{name}\", \"arguments\": "));
            lines.push(format!("call_{i}: {begin} arguments_{i} {}", quoted("}")));
            lines.push(format!("arguments_{i}: %json {schema}"));
        }
        lines.join("\n") + "\n"
    }
}

/// A text in Lark's notation: quoted, but for tags that are tokens.
fn spelt(text: &str, is_token: &impl Fn(&str) -> bool) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((at, tag)) = first_tag(rest, is_token) {
        parts.extend([quoted(&rest[..at]), tag.to_owned()]);
        rest = &rest[at + tag.len()..];
    }
    parts.push(quoted(rest));
    parts.join(" ")
}

/// The first tag in a text that is a token, and where it is.
pub fn first_tag(text: &str, is_token: impl Fn(&str) -> bool) -> Option<(usize, &'static str)> {
    let tags = tags().filter(|tag| is_token(tag));
    tags.filter_map(|tag| Some((text.find(tag)?, tag))).min()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
