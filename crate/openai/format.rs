//! The form that an answer is asked for in.

use serde_json::Value;

use crate::error::{Code, Result, fail};
use crate::text::constraint::{self, Form, ResponseFormat};
use crate::text::options::{NamedOptions, short};

/// The types, each with the field that says more.
const TYPES: [&str; 7] =
    ["text", "json_object", "json_schema", "xml_schema", "regex", "grammar", "choice"];

/// A request's `response_format`: nothing where that is plain text.
///
/// # Errors
/// `bad-option` for what is none, `bad-constraint` for one that no answer can be held to.
pub fn response_format(given: &Value) -> Result<Option<ResponseFormat>> {
    let kind = given.get("type").unwrap_or(given);
    let Some(name) = TYPES.into_iter().find(|name| kind == name && given.is_object()) else {
        fail!(
            Code::BadOption,
            "response_format {} is not known: its type must be one of {}",
            short(kind),
            TYPES.join(", ")
        );
    };
    let fields = NamedOptions::of(given, "response_format", &["type", "hint", name])?;
    let needed = |more: &str| format!("response_format.{name} is not there or not {more}");
    let text = |more| match fields.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => fail!(Code::BadOption, "{}", needed(more)),
    };
    let form = match name {
        "json_object" => Form::JsonObject,
        "json_schema" => Form::JsonSchema(schema(fields.get(name))?),
        "xml_schema" => Form::XmlSchema(text("an XML Schema or a sample document")?),
        "regex" => Form::Regex(text("a regular expression")?),
        "grammar" => Form::Grammar(text("a grammar in Lark's notation")?),
        "choice" => {
            let texts = fields.get(name).and_then(Value::as_array).and_then(|texts| {
                texts.iter().map(|text| text.as_str().map(str::to_owned)).collect()
            });
            match texts {
                Some(texts) => Form::Choice(texts),
                None => fail!(Code::BadOption, "{}", needed("a list of texts")),
            }
        }
        _ => return Ok(None),
    };
    constraint::check(&form)?;
    let hint = fields.read("hint", "true or false", Value::as_bool)?.unwrap_or(true);
    Ok(Some(ResponseFormat { form, hint }))
}

/// The schema in what OpenAI has around one. Its name and `strict` change nothing: every answer is
/// held to it.
fn schema(given: Option<&Value>) -> Result<Value> {
    let known = ["name", "description", "schema", "strict"];
    let what = "response_format.json_schema";
    let around = NamedOptions::of(given.unwrap_or(&Value::Null), what, &known)?;
    match around.get("schema") {
        Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema.clone()),
        _ => fail!(
            Code::BadOption,
            "{what}.schema is not there or not a JSON Schema, which is an object"
        ),
    }
}
