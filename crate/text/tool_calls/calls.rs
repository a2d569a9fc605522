//! What is known of calls while they are read.

use serde_json::Value;

use super::scan::Scan;

/// What calls stand after, anywhere in an answer, and before.
pub(super) const TAGS: [(&str, &str); 2] =
    [("<|tool_call|>", "<|/tool_call|>"), ("<tool_call>", "</tool_call>")];
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub close: Option<&'static str>,
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
    pub fn new(raw: &str, close: Option<&'static str>, depth: usize) -> Calls {
        Calls { close, raw: raw.to_owned(), closing: 0, depth, has_called: false, call: None }
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
