//! What is known of calls while they are read.

use serde_json::Value;

use super::dialect::Dialect;
use super::scan::Scan;

/// What calls stand after, anywhere in an answer, and before.
pub(super) const TAGS: [(&str, &str); 2] =
    [("<|tool_call|>", "<|/tool_call|>"), ("<tool_call>", "</tool_call>")];

/// What may stand around calls.
pub fn tags() -> impl Iterator<Item = &'static str> {
    TAGS.into_iter().flat_map(<[&str; 2]>::from)
}

/// Calls that have begun and are not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun<'p> {
    /// Which of the places in the answer it is where calls may begin.
    pub place: usize,
    /// In whose form they are.
    pub dialect: Dialect,
    /// What was said of them, the tag before them included.
    pub said: &'p str,
}

/// Calls that may have begun.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub close: Option<&'static str>,
    /// In whose form they begin; `None` for an object that stands alone.
    pub dialect: Option<Dialect>,
    /// All that was said of them.
    pub said: String,
    /// What was said since the last call, or the beginning.
    pub raw: String,
    /// How much of the closing tag is at the end of that.
    pub closing: usize,
    /// Lists that are open.
    pub depth: usize,
    pub has_called: bool,
    pub call: Option<Call>,
}

/// The call that is being read.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub scan: Scan,
    /// Where it begins in what was said.
    pub begins: usize,
    /// Which call it is, once that is known.
    pub index: Option<usize>,
    pub is_in_arguments: bool,
    /// Its name was not known when its arguments came, or is none of the tools': whether it is a
    /// call is said when all of it is there.
    pub is_late: bool,
}

impl Calls {
    /// Those after a tag.
    pub fn tagged(tag: usize) -> Calls {
        let (open, close) = TAGS[tag];
        let dialect = if tag == 0 { Dialect::Phi4 } else { Dialect::Hermes };
        Calls { close: Some(close), ..Calls::new(open, Some(dialect)) }
    }

    /// Those in a list that is open.
    pub fn listed(open: &str) -> Calls {
        Calls { depth: 1, ..Calls::new(open, Some(Dialect::Functools)) }
    }

    /// Those that an answer begins with, with this character.
    pub fn bare(first: char) -> Calls {
        Calls::new("", (first == '[').then_some(Dialect::Json))
    }

    fn new(open: &str, dialect: Option<Dialect>) -> Calls {
        Calls {
            close: None,
            dialect,
            said: open.to_owned(),
            raw: open.to_owned(),
            closing: 0,
            depth: 0,
            has_called: false,
            call: None,
        }
    }
}

/// What a call says of this, itself or in its `function`. A tool's description, which a model may
/// repeat, has one; a call has none.
pub(super) fn field<'c>(call: &'c Value, name: &str) -> &'c Value {
    match &call["function"][name] {
        Value::Null => &call[name],
        given => given,
    }
}

/// Whether a text only keeps calls apart.
pub(super) fn is_between(text: &str) -> bool {
    let is_mark = |c: char| c.is_whitespace() || "[],;".contains(c);
    text.chars().all(is_mark) || TAGS.iter().any(|(_, close)| close.starts_with(text.trim()))
}
