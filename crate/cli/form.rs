//! The form of an answer.

use std::path::{Path, PathBuf};

use clap::Args;
use phi_wasm::text::constraint::{Form, ResponseFormat, check};
use phi_wasm::{Code, Error, Result};

use super::options::{named, read_text};

/// What form the answer has, whatever the model would rather say.
#[derive(Debug, Clone, Args)]
pub struct FormArgs {
    /// Answer in JSON that is valid by the JSON Schema in this file.
    #[arg(long, value_name = "FILE", group = "form")]
    json_schema: Option<PathBuf>,
    /// Answer with a JSON object.
    #[arg(long, group = "form")]
    json_object: bool,
    /// Answer with an XML document that is valid by the XML Schema in this file, or like the sample
    /// document in it.
    #[arg(long, value_name = "FILE", group = "form")]
    xml_schema: Option<PathBuf>,
    /// Answer with a text that this regular expression matches as a whole.
    #[arg(long, value_name = "PATTERN", group = "form", allow_hyphen_values = true)]
    regex: Option<String>,
    /// Answer with a text of the grammar in this file, which is in Lark's notation.
    #[arg(long, value_name = "FILE", group = "form")]
    grammar: Option<PathBuf>,
    /// Answer with this text, or another that is given so.
    #[arg(long, value_name = "TEXT", group = "form", allow_hyphen_values = true)]
    choice: Vec<String>,
    /// Do not tell the model of the form that it is held to.
    #[arg(long, requires = "form")]
    no_hint: bool,
}

impl FormArgs {
    /// The form that is asked for. Nobody waits for a model to be told that it cannot be had.
    ///
    /// # Errors
    /// What reading a file can meet, and `bad-constraint`.
    pub fn format(&self) -> Result<Option<ResponseFormat>> {
        let (form, file) = if let Some(file) = &self.json_schema {
            (Form::JsonSchema(schema(file)?), Some(file))
        } else if let Some(file) = &self.xml_schema {
            (Form::XmlSchema(read_text(file)?), Some(file))
        } else if let Some(file) = &self.grammar {
            (Form::Grammar(read_text(file)?), Some(file))
        } else if let Some(pattern) = &self.regex {
            (Form::Regex(pattern.clone()), None)
        } else if !self.choice.is_empty() {
            (Form::Choice(self.choice.clone()), None)
        } else if self.json_object {
            (Form::JsonObject, None)
        } else {
            return Ok(None);
        };
        check(&form).map_err(|error| match file {
            Some(file) => error.at(named(file)),
            None => error,
        })?;
        Ok(Some(ResponseFormat { form, hint: !self.no_hint }))
    }
}

/// The JSON Schema in a file.
pub fn schema(file: &Path) -> Result<serde_json::Value> {
    serde_json::from_str(&read_text(file)?)
        .map_err(|why| Error::new(Code::BadConstraint, format!("{}: not JSON: {why}", named(file))))
}
