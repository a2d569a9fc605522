//! A rendered conversation, in which people's words cannot become control tokens.
//!
//! A template writes control tokens as text, and the tokenizer finds them there. What a message says may be spelt like one:
//! such spellings are marked before the template is rendered, by a character of the private use area that nobody wrote,
//! so that the tokenizer finds the template's own alone; between these the marks are taken out again.

use std::borrow::Cow;
use std::collections::HashMap;

/// A rendered conversation, to be encoded by [`Tokenizer::encode_prompt`](crate::text::Tokenizer::encode_prompt).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub(in crate::text) marked: String,
    pub(in crate::text) mark: Option<char>,
}

impl Prompt {
    /// A text as it stands: what spells a control token is one.
    pub fn plain(text: impl Into<String>) -> Prompt {
        Prompt { marked: text.into(), mark: None }
    }

    /// The text, as it reads.
    pub fn text(&self) -> Cow<'_, str> {
        match self.mark {
            Some(mark) => self.marked.replace(mark, "").into(),
            None => self.marked.as_str().into(),
        }
    }
}

/// How a vocabulary's added tokens are spelt, by what a spelling begins with.
#[derive(Clone, Debug, Default)]
pub(in crate::text) struct Spellings {
    all: HashMap<char, Vec<Spelling>>,
}

#[derive(Clone, Debug)]
struct Spelling {
    text: String,
    is_special: bool,
}

impl Spellings {
    /// Those of control tokens, and those of tokens that are text, too: what a template looks for in what the model said.
    pub fn new(special: Vec<String>, plain: Vec<String>) -> Spellings {
        let mut all: HashMap<char, Vec<Spelling>> = HashMap::new();
        for (texts, is_special) in [(special, true), (plain, false)] {
            // One character cannot be broken by a mark after it.
            for text in texts.into_iter().filter(|text| text.chars().nth(1).is_some()) {
                if let Some(first) = text.chars().next() {
                    all.entry(first).or_default().push(Spelling { text, is_special });
                }
            }
        }
        Spellings { all }
    }

    /// A text with a mark in each spelling, after its first character, also where the text ends within one: the template may put
    /// two texts side by side, without the white space at the end. `None` where there is none, for which nobody has to find a mark.
    pub fn mark(&self, text: &str, with_plain: bool, mark: &dyn Fn() -> Option<char>) -> Option<String> {
        let begins = |at: usize, first: char| {
            let rest = &text[at..];
            let is_spelt =
                |s: &Spelling| (s.is_special || with_plain) && (rest.starts_with(&s.text) || s.text.starts_with(rest.trim_end()));
            self.all.get(&first).is_some_and(|those| those.iter().any(is_spelt))
        };
        let mut marked = String::new();
        let mut copied = 0;
        for (at, first) in text.char_indices().filter(|&(at, first)| begins(at, first)) {
            let after = at + first.len_utf8();
            marked.push_str(&text[copied..after]);
            marked.push(mark()?);
            copied = after;
        }
        marked.push_str(&text[copied..]);
        (copied > 0).then_some(marked)
    }

    /// Whether a token is spelt with this character.
    pub fn have(&self, c: char) -> bool {
        self.all.values().flatten().any(|spelling| spelling.text.contains(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_looked_for_where_there_is_something_to_mark() {
        let spellings = Spellings::new(vec!["<|end|>".to_owned()], vec!["<tool>".to_owned()]);
        let unneeded = || panic!("nothing is spelt like a token here");
        for text in ["", "What is 2 < 3?", "<tool>"] {
            assert_eq!(spellings.mark(text, false, &unneeded), None, "{text}");
        }
        let mark = || Some('\u{e000}');
        assert_eq!(spellings.mark("a<|end|>b", false, &mark).as_deref(), Some("a<\u{e000}|end|>b"));
        assert_eq!(spellings.mark("<tool>", true, &mark).as_deref(), Some("<\u{e000}tool>"));
        // What a template may trim, and put another text beside.
        assert_eq!(spellings.mark("a<|en \n", false, &mark).as_deref(), Some("a<\u{e000}|en \n"));
        assert_eq!(spellings.mark("a<|end|>b", false, &|| None), None);
    }
}
