//! Tools that a model may call: what is offered, how models write calls, and the grammar of those.
//!
//! A tool is described as OpenAI does, `{ type: "function", function: { name, description,
//! parameters } }`. Models call in the form that they were trained in ([`Dialect`]); what comes is
//! read by a [`CallParser`], whatever it is.

mod calls;
mod dialect;
mod grammar;
mod parser;
mod scan;

use serde_json::Value;

pub use calls::{Begun, tags};
pub use dialect::Dialect;
pub(super) use dialect::{as_python_writes, takes_tools_in_message};
pub use grammar::{CallableTool, CallsForm, first_tag};
pub use parser::{CallParser, Piece};

use super::options::short;
use crate::error::{Code, Result, fail};

/// Characters of a tool's name, as OpenAI has it.
const LONGEST_NAME: usize = 64;

/// Which tools a model is to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// Those that it likes, or none.
    #[default]
    Auto,
    /// None; it is not told of any, either.
    None,
    /// One at least.
    Required,
    /// This one.
    Named(String),
}

/// What a request says of tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tools {
    /// Each as it was described; none where there are no tools.
    pub offered: Vec<Value>,
    /// Which are to be called.
    pub choice: ToolChoice,
    /// Whether one answer calls at most one.
    pub is_single: bool,
}

impl Tools {
    /// Reads OpenAI's `tools` and `tool_choice`.
    ///
    /// # Errors
    /// [`Code::BadOption`], which names what is no tool, or the choice that is none.
    pub fn read(tools: Option<&Value>, choice: Option<&Value>) -> Result<Tools> {
        let offered = match tools {
            None => Vec::new(),
            Some(Value::Array(tools)) => tools.clone(),
            Some(other) => fail!(
                Code::BadOption,
                "tools is {}: it must be a list of {{ type: \"function\", function }}",
                short(other)
            ),
        };
        let mut names = Vec::new();
        for (i, tool) in offered.iter().enumerate() {
            let name = check(&format!("tools[{i}]"), tool)?;
            if names.contains(&name) {
                fail!(Code::BadOption, "tools[{i}].function.name is {name:?} again: rename one");
            }
            names.push(name);
        }
        let choice = match choice {
            None => ToolChoice::Auto,
            Some(choice) => read_choice(choice, &names)?,
        };
        match offered.is_empty() {
            true => Ok(Tools::default()),
            false => Ok(Tools { offered, choice, is_single: false }),
        }
    }

    /// Whether an answer is a call, and nothing else.
    pub fn must_be_called(&self) -> bool {
        matches!(self.choice, ToolChoice::Required | ToolChoice::Named(_))
    }

    /// The tools that the model is told of.
    pub fn told(&self) -> &[Value] {
        match self.choice {
            ToolChoice::None => &[],
            _ => &self.offered,
        }
    }

    /// The names of the tools that may be called.
    pub fn callable(&self) -> Vec<&str> {
        let is_callable = |name: &&str| match &self.choice {
            ToolChoice::Named(named) => named == name,
            _ => true,
        };
        self.told().iter().filter_map(name_of).filter(is_callable).collect()
    }
}

/// The name of a tool.
fn name_of(tool: &Value) -> Option<&str> {
    tool["function"]["name"].as_str()
}

/// Checks one tool's description, and gives its name.
fn check<'t>(place: &str, tool: &'t Value) -> Result<&'t str> {
    if tool["type"] != "function" || !tool["function"].is_object() {
        fail!(
            Code::BadOption,
            "{place} is no function: give {{ type: \"function\", function: {{ name }} }}"
        );
    }
    let function = &tool["function"];
    let is_name = |name: &&str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_letter)
    };
    let Some(name) = function["name"].as_str().filter(is_name) else {
        fail!(
            Code::BadOption,
            "{place}.function.name is {}: it must be 1 to {LONGEST_NAME} of a-z, A-Z, 0-9, _ and -",
            short(&function["name"])
        );
    };
    let (description, parameters) = (&function["description"], &function["parameters"]);
    if !description.is_null() && !description.is_string() {
        fail!(
            Code::BadOption,
            "{place}.function.description is {}: it must be a text",
            short(description)
        );
    }
    let strict = &function["strict"];
    if !strict.is_null() && !strict.is_boolean() {
        fail!(
            Code::BadOption,
            "{place}.function.strict is {}: it must be true or false",
            short(strict)
        );
    }
    let is_schema =
        parameters.is_object() && matches!(&parameters["type"], Value::Null | Value::String(_));
    let is_object = parameters["type"].is_null() || parameters["type"] == "object";
    if !(parameters.is_null() || is_schema && is_object) {
        fail!(
            Code::BadOption,
            "{place}.function.parameters is {}: it must be a JSON Schema of type \"object\"",
            short(parameters)
        );
    }
    Ok(name)
}

fn read_choice(choice: &Value, names: &[&str]) -> Result<ToolChoice> {
    let read = match choice {
        Value::String(word) => match word.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        },
        named if named["type"] == "function" => {
            named["function"]["name"].as_str().map(|name| ToolChoice::Named(name.to_owned()))
        }
        _ => None,
    };
    let Some(read) = read else {
        fail!(
            Code::BadOption,
            "tool_choice is {}: it must be \"auto\", \"none\", \"required\" or \
                {{ type: \"function\", function: {{ name }} }}",
            short(choice)
        );
    };
    match &read {
        ToolChoice::Required if names.is_empty() => {
            fail!(Code::BadOption, "tool_choice is \"required\", and there are no tools: give some")
        }
        ToolChoice::Named(name) if !names.contains(&name.as_str()) => {
            fail!(Code::BadOption, "tool_choice names {name:?}, which tools has not: offer it")
        }
        _ => Ok(read),
    }
}

#[cfg(test)]
mod grammar_tests;
#[cfg(test)]
mod tests;
