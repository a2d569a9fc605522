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
mod ends;
mod facts;
mod formats;
mod goals;
mod leaves;
mod multiples;
mod pattern;
mod places;

use std::fmt;

use serde_json::{Map, Value, json};

use crate::text::brief;

/// White space between tokens of JSON: small models would go on with it for ever.
const SPACE: &str = r"\x20|\n[\x20\t]{0,40}";
/// What may be escaped: each character is written in one way, so that no name can be another's.
const ESCAPES: &str = "nrbtf\\\"";

/// What the library may find too much in, or contradictory.
const TRIED: [&str; 6] =
    ["patternProperties", "pattern", "format", "multipleOf", "minLength", "maxLength"];

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
        let (path, why) = (brief(path, 100), brief(&self.why, 200));
        write!(f, "at #{path}: {} {why}", self.keyword)
    }
}

impl Default for Refused {
    fn default() -> Refused {
        Refused { path: String::new(), keyword: "schema".to_owned(), why: String::new() }
    }
}

impl Refused {
    /// Says where it is, where nothing did.
    fn or_at(mut self, path: &str) -> Refused {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
        }
        self
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
    Ok(with_options(emit::Emitter::new(schema)?.schema()?))
}

/// The parts of a schema that is enforced as far as we see, each as the library takes it alone,
/// with where it stands and by which keyword: so it is told which one the library does not take.
pub fn parts(schema: &Value) -> Vec<(Refused, Value)> {
    let parts = emit::Emitter::new(schema).and_then(emit::Emitter::parts).unwrap_or_default();
    let named = |(path, part): (String, Map<String, Value>)| {
        let own = schema.pointer(path.split('\u{0}').next().unwrap_or_default());
        let keyword = TRIED
            .iter()
            .find(|keyword| own.is_some_and(|own| own.get(**keyword).is_some()))
            .or_else(|| TRIED.iter().find(|keyword| part.contains_key(**keyword)));
        let keyword = keyword.map_or("schema", |keyword| *keyword).to_owned();
        (Refused { path, keyword, why: String::new() }, with_options(part))
    };
    parts.into_iter().map(named).collect()
}

fn with_options(mut schema: Map<String, Value>) -> Value {
    let options = json!({ "whitespace_pattern": SPACE, "json_allowed_escapes": ESCAPES });
    schema.insert("x-guidance".to_owned(), options);
    schema.into()
}
