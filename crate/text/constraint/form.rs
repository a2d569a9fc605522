//! What form an answer may be asked for in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::tool_calls::CallsForm;

/// The form of an answer, and whether the model hears of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseFormat {
    /// What every answer is.
    pub form: Form,
    /// Whether the model is told, in its system message, besides being held to it.
    pub hint: bool,
}

/// What every answer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// An object in JSON.
    JsonObject,
    /// JSON that is valid by a JSON Schema, draft 2020-12 unless it says another.
    JsonSchema(Value),
    /// An XML document that is valid by an XML Schema, or like a sample.
    XmlSchema(String),
    /// A text that a regular expression matches as a whole.
    Regex(String),
    /// A text that a grammar in Lark's notation gives.
    Grammar(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// Calls of tools.
    Calls(CallsForm),
}

impl ResponseFormat {
    /// What the model is told, if it is.
    pub fn hint(&self) -> Option<String> {
        self.hint.then(|| self.form.hint())
    }
}

impl Form {
    /// What it is, in the words of requests.
    pub fn name(&self) -> &'static str {
        match self {
            Form::JsonObject => "json_object",
            Form::JsonSchema(_) => "json_schema",
            Form::XmlSchema(_) => "xml_schema",
            Form::Regex(_) => "regex",
            Form::Grammar(_) => "grammar",
            Form::Choice(_) => "choice",
            Form::Calls(_) => "tools",
        }
    }

    /// Whether every answer is JSON.
    pub fn is_json(&self) -> bool {
        matches!(self, Form::JsonObject | Form::JsonSchema(_))
    }

    /// What a model is told.
    fn hint(&self) -> String {
        match self {
            Form::JsonObject => "Answer with one JSON object and nothing else.".to_owned(),
            Form::JsonSchema(schema) => format!(
                "Answer with JSON that is valid by this JSON Schema, its keys in the schema's \
                    order, and nothing else: {schema}"
            ),
            Form::XmlSchema(schema) => format!(
                "Answer with an XML document that is valid by this XML Schema, or like this \
                    sample, and nothing else:\n{schema}"
            ),
            Form::Regex(pattern) => format!(
                "Answer with a text that this regular expression matches, and nothing else: \
                    {pattern}"
            ),
            Form::Grammar(grammar) => format!(
                "Answer with a text of this grammar, which is in Lark's notation, and nothing \
                    else:\n{grammar}"
            ),
            Form::Choice(texts) => {
                let quoted: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
                format!("Answer with one of these and nothing else: {}", quoted.join(", "))
            }
            Form::Calls(_) => "Answer with calls of tools and nothing else.".to_owned(),
        }
    }
}
