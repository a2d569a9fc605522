//! What the library says of a form, in words for whoever asked for it.

use std::fmt::Display;

use super::Form;
use crate::error::{Code, Error};

/// Where it says that nothing is valid.
const NOTHING: [&str; 2] = ["Unsatisfiable schema", "Regex is empty"];
/// Where it gave up.
const TOO_MUCH: [&str; 10] = [
    " items; max is ",
    "fuel exhausted",
    "too big (limit",
    "schema too large",
    "too many expressions",
    "too many states",
    "Too many items",
    "Unable to determine if regex is empty",
    "can't determine if",
    "precomputation failed",
];
/// What it calls the ends of words.
const WORDS_ENDS: [&str; 2] = ["WordUnicode", "WordAscii"];

/// Why a form is no grammar.
pub fn bad(form: &Form, why: impl Display) -> Error {
    let said = why.to_string();
    let is_ours = matches!(form, Form::XmlSchema(_) | Form::Calls(_) | Form::JsonObject);
    let (code, sentence) = match form {
        _ if is_too_much(&said) => (Code::BadConstraint, in_words(&said)),
        _ if is_ours => {
            (Code::Internal, format!("the grammar of it cannot be read: {}", in_words(&said)))
        }
        _ => (Code::BadConstraint, of_a_text(form, &said)),
    };
    Error::new(code, format!("{}: {sentence}", form.name()))
}

/// Why a text that somebody wrote is no grammar: of several lines those that say it.
fn of_a_text(form: &Form, said: &str) -> String {
    let (first, rest) = said.split_once('\n').unwrap_or((said, ""));
    let reason = rest.lines().find_map(|line| line.strip_prefix("error: "));
    if WORDS_ENDS.iter().any(|name| said.contains(name)) {
        return r"\b and \B are not enforced: leave them out".to_owned();
    }
    match (form, reason) {
        (Form::Regex(_), Some(reason)) => format!("it cannot be read: {reason}"),
        (Form::Regex(_), None) => {
            let said = first.split(" (in regex): ").last().unwrap_or(first);
            let said = said.split(" in regex /").next().unwrap_or(said);
            format!("it cannot be read: {}", short(said))
        }
        (_, Some(reason)) => format!("{}: {reason}", short(first)),
        (_, None) => short(first),
    }
}

/// What is said, without the library's own words where there are others.
pub fn in_words(said: &str) -> String {
    match said.lines().next().unwrap_or_default() {
        "NoExtensionBias" | "NoExtension" => "nothing may follow".to_owned(),
        _ if is_nothing(said) => "nothing is valid by it".to_owned(),
        _ if is_too_much(said) => "it asks for too much".to_owned(),
        first if first.contains("are not disjoint") => "its patterns overlap".to_owned(),
        first => {
            let reason = said.lines().find_map(|line| line.strip_prefix("error: "));
            short(reason.unwrap_or(first))
        }
    }
}

pub fn is_nothing(said: &str) -> bool {
    NOTHING.iter().any(|words| said.contains(words))
}

pub fn is_too_much(said: &str) -> bool {
    TOO_MUCH.iter().any(|words| said.contains(words))
}

/// The beginning of what may be long.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
