//! JSON Schema, in the part of it that the library enforces as it is meant, or refused: by where
//! and what it is that cannot be enforced.
//!
//! A schema is taken apart into claims of a value (`claims`), which part into cases (`goals`): so
//! `not`, `if` and `oneOf` become plain facts of each type (`facts`). What comes out of it is
//! written as a schema again (`emit`), which has no other keywords than the library knows, and none
//! that it enforces less strictly.

mod claims;
mod depth;
mod emit;
mod facts;
mod formats;
mod goals;
mod leaves;
mod pattern;
mod places;

use std::fmt;

use serde_json::{Map, Value, json};

/// White space between tokens of JSON: small models would go on with it for ever.
const SPACE: &str = r"\x20|\n[\x20\t]{0,40}";
/// What may be escaped: each character is written in one way, so that no name can be another's.
const ESCAPES: &str = "nrbtf\\\"";

/// What cannot be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is, as a JSON pointer.
    pub path: String,
    /// The keyword.
    pub keyword: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('\u{0}').next().unwrap_or_default();
        write!(f, "at #{path}: {} {}", self.keyword, self.why)
    }
}

type Result<T> = std::result::Result<T, Refused>;

fn refuse<T>(path: &str, keyword: &str, why: impl Into<String>) -> Result<T> {
    Err(Refused { path: path.to_owned(), keyword: keyword.to_owned(), why: why.into() })
}

/// The pattern that a text alone matches.
pub fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, c| {
        pattern::push(&mut pattern, c);
        pattern
    })
}

/// A schema as the library takes it.
///
/// # Errors
/// What in it cannot be enforced.
pub fn enforced(schema: &Value) -> Result<Value> {
    let goals = goals::Goals::new(places::Places::new(schema.clone())?);
    let mut schema: Map<String, Value> = emit::Emitter::new(goals).schema()?;
    let options = json!({ "whitespace_pattern": SPACE, "json_allowed_escapes": ESCAPES });
    schema.insert("x-guidance".to_owned(), options);
    Ok(schema.into())
}
