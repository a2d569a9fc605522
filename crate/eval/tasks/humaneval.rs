//! HumanEval: functions to be completed, and tests that run them. Its file has an object in JSON on
//! each line.

use serde::Deserialize;

use super::json_lines;
use crate::error::Result;

/// Tokens of a completion at the most.
pub const MAX_TOKENS: usize = 1024;
/// What ends a completion.
pub const STOPS: [&str; 5] = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"];

/// A function to be completed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Function {
    /// Its name in the file.
    #[serde(rename = "task_id")]
    pub name: String,
    /// What the model reads, as it stands.
    pub prompt: String,
    test: String,
    entry_point: String,
    /// How its authors went on.
    pub canonical_solution: String,
}

impl Function {
    /// The program that fails where the completion is wrong.
    pub fn program(&self, completion: &str) -> String {
        let Function { prompt, test, entry_point, .. } = self;
        format!("{prompt}{completion}\n{test}\ncheck({entry_point})")
    }
}

/// A file's functions.
///
/// # Errors
/// `malformed`, with the file and the line.
pub fn functions(file: &str, text: &str) -> Result<Vec<Function>> {
    Ok(json_lines(file, text)?.into_iter().map(|(_, function)| function).collect())
}
