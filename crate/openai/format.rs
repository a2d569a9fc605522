//! The form that an answer is asked for in.

use serde_json::Value;

use crate::error::{Code, Error, Result, fail};
use crate::text::constraint::{self, Form, ResponseFormat};
use crate::text::options::{NamedOptions, short};

/// The types, and what the field of the same name must be.
const TYPES: [(&str, Option<&str>); 7] = [
    ("text", None),
    ("json_object", None),
    ("json_schema", Some("an object with a schema")),
    ("xml_schema", Some("an XML Schema or a sample document")),
    ("regex", Some("a regular expression")),
    ("grammar", Some("a grammar in Lark's notation")),
    ("choice", Some("a list of texts")),
];

/// A request's `response_format`: nothing where that is plain text.
///
/// # Errors
/// `bad-option` for what is none, `bad-constraint` for one that no answer can be held to.
pub fn response_format(given: &Value) -> Result<Option<ResponseFormat>> {
    let kind = given.get("type").unwrap_or(given);
    let found = TYPES.into_iter().find(|(name, _)| kind == name && given.is_object());
    let Some((name, what)) = found else {
        fail!(
            Code::BadOption,
            "response_format {} is not known: its type must be one of {}",
            short(kind),
            TYPES.map(|(name, _)| name).join(", ")
        );
    };
    let needed = || {
        let what = what.unwrap_or_default();
        Error::new(Code::BadOption, format!("response_format.{name} is not there or not {what}"))
    };
    // What is there in its place is not told of first: leaving that out would not help.
    if what.is_some() && given.get(name).is_none() {
        return Err(needed());
    }
    let fields = NamedOptions::of(given, "response_format", &["type", "hint", name])?;
    let text = || -> Result<String> {
        Ok(fields.get(name).and_then(Value::as_str).ok_or_else(needed)?.to_owned())
    };
    let form = match name {
        "json_object" => Form::JsonObject,
        "json_schema" => Form::JsonSchema(schema(fields.get(name))?),
        "xml_schema" => Form::XmlSchema(text()?),
        "regex" => Form::Regex(text()?),
        "grammar" => Form::Grammar(text()?),
        "choice" => {
            let texts = fields.get(name).and_then(Value::as_array).and_then(|texts| {
                texts.iter().map(|text| text.as_str().map(str::to_owned)).collect()
            });
            Form::Choice(texts.ok_or_else(needed)?)
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
