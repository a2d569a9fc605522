//! A rendered conversation, in which people's words cannot become control tokens.
//!
//! A template writes control tokens as text, and the tokenizer finds them there. What a message
//! says may be spelt like one: such spellings are marked before the template is rendered, by a
//! character of the private use area that nobody wrote, so that the tokenizer finds the template's
//! own alone; between these the marks are taken out again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A rendered conversation, to be encoded by
/// [`Tokenizer::encode_prompt`](crate::text::Tokenizer::encode_prompt).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub(super) marked: String,
    pub(super) mark: Option<char>,
    /// By a template, which alone may write control tokens.
    pub(super) is_rendered: bool,
}

impl Prompt {
    /// A text as it stands: what spells a control token is one.
    pub fn plain(text: impl Into<String>) -> Prompt {
        Prompt { marked: text.into(), mark: None, is_rendered: false }
    }

    /// With a text after it, in which what spells a control token is one; `None` where that cannot
    /// be said apart from what is marked.
    pub fn followed_by(&self, text: &str) -> Option<Prompt> {
        let is_apart = self.mark.is_none_or(|mark| !text.contains(mark));
        is_apart.then(|| Prompt { marked: format!("{}{text}", self.marked), ..self.clone() })
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
pub(super) struct Spellings {
    all: HashMap<char, Vec<Spelling>>,
}

#[derive(Clone, Debug)]
struct Spelling {
    text: String,
    is_special: bool,
}

impl Spellings {
    /// Those of control tokens, and those of tokens that are text, too: what a template looks for
    /// in what the model said.
    pub fn new(special: Vec<String>, plain: Vec<String>) -> Spellings {
        let mut all: HashMap<char, Vec<Spelling>> = HashMap::new();
        for (texts, is_special) in [(special, true), (plain, false)] {
            for text in texts {
                if let Some(first) = text.chars().next() {
                    all.entry(first).or_default().push(Spelling { text, is_special });
                }
            }
        }
        Spellings { all }
    }

    /// A text with a mark in each spelling, after its first character, also where the text ends
    /// within one: the template may put two texts side by side, without the white space at the end.
    /// In what `others` say than the model and whoever made the program, spellings of plain tokens
    /// count, too, and those of control tokens that the template could make by taking something out
    /// of the text, or by changing its case. `None` where there is none, for which nobody has to
    /// find a mark.
    pub fn mark(
        &self,
        text: &str,
        by_others: bool,
        mark: &dyn Fn() -> Option<char>,
    ) -> Option<String> {
        let last = if by_others { self.last_scattered(text) } else { HashMap::new() };
        let begins = |at: usize, first: char| {
            let rest = &text[at..];
            let is_spelt = |s: &Spelling| {
                (s.is_special || by_others)
                    && (rest.starts_with(&s.text) || s.text.starts_with(rest.trim_end()))
            };
            last.get(&first).is_some_and(|&last| at <= last)
                || self.all.get(&first).is_some_and(|those| those.iter().any(is_spelt))
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

    /// By the signs that control tokens begin with, the last place of each from which all
    /// characters of a token follow, in order and in any case, whatever is between them.
    fn last_scattered(&self, text: &str) -> HashMap<char, usize> {
        let signs =
            self.all.iter().filter(|(first, _)| !first.is_alphanumeric() && text.contains(**first));
        let mut there = None;
        let mut last = HashMap::new();
        for (first, spellings) in signs {
            let there = there.get_or_insert_with(|| {
                text.chars().map(|c| c.to_ascii_lowercase()).collect::<HashSet<_>>()
            });
            let could = |s: &&Spelling| {
                s.is_special && s.text.chars().all(|c| there.contains(&c.to_ascii_lowercase()))
            };
            if let Some(at) =
                spellings.iter().filter(could).filter_map(|s| scattered(text, &s.text)).max()
            {
                last.insert(*first, at);
            }
        }
        last
    }

    /// Whether a control token of more than one character is spelt in a name.
    pub fn are_in(&self, name: &str) -> bool {
        let is_in = |s: &Spelling| {
            s.is_special && s.text.chars().nth(1).is_some() && name.contains(&s.text)
        };
        self.all.values().flatten().any(is_in)
    }

    /// Whether a token is spelt with this character.
    pub fn have(&self, c: char) -> bool {
        self.all.values().flatten().any(|spelling| spelling.text.contains(c))
    }
}

/// Where the last place begins from which all characters of a spelling follow.
fn scattered(text: &str, spelling: &str) -> Option<usize> {
    let mut before = text.char_indices().rev();
    let mut at = None;
    for wanted in spelling.chars().rev() {
        at = before.find(|(_, c)| c.eq_ignore_ascii_case(&wanted)).map(|(at, _)| at);
        at?;
    }
    at
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
        assert_eq!(spellings.mark("1 < 2 | the end | 3 < 4", true, &unneeded), None);
        let mark = || Some('\u{e000}');
        assert_eq!(spellings.mark("a<|end|>b", false, &mark).as_deref(), Some("a<\u{e000}|end|>b"));
        assert_eq!(spellings.mark("<tool>", true, &mark).as_deref(), Some("<\u{e000}tool>"));
        // What a template may make of a text.
        assert_eq!(
            spellings.mark("<b> <|E.N.D|> <b>", true, &mark).as_deref(),
            Some("<\u{e000}b> <\u{e000}|E.N.D|> <b>")
        );
        // What a template may trim, and put another text beside.
        assert_eq!(spellings.mark("a<|en \n", false, &mark).as_deref(), Some("a<\u{e000}|en \n"));
        assert_eq!(spellings.mark("a<|end|>b", false, &|| None), None);
    }
}
