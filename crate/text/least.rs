//! How many tokens a text is at the least, without tokenizing it.
//!
//! Tokenizing takes some hundred bytes of memory for each of the text, so what cannot fit a context
//! is refused before. No token stands for more bytes than the longest one is spelt with; bytes that
//! may end up in no token at all are not counted.

use serde_json::Value;
use tokenizers::AddedToken;

use super::parts::Parts;
use super::pre_tokenizers::COVERING;
use super::rules::{kind, steps};
use super::tokens::{Spelling, byte_of, byte_piece};

/// No character has more than four times the bytes that it has in another of Unicode's forms, or as
/// a small letter.
const FORMS: usize = 4;
/// What one character becomes has at most this many times its bytes.
const LONGER_FORMS: usize = 11;

/// What is known of a vocabulary.
#[derive(Clone)]
pub(super) struct Least {
    /// Bytes of text that one token stands for, at the most.
    longest: usize,
    /// Bytes that end up in tokens, whatever else is in the text.
    counted: [bool; 256],
    /// Some tokens take the white space beside them along.
    strips: bool,
}

impl Least {
    /// `None` where a text may lose any number of bytes on its way to the tokens.
    pub fn of(parts: &Parts, spelling: Spelling) -> Option<Least> {
        let shrinks = shrinks(&parts.rules.normalizer)?;
        let mut counted = [false; 256];
        for token in parts.vocab.keys() {
            let byte = match spelling {
                Spelling::ByteLevel => token
                    .chars()
                    .next()
                    .filter(|one| one.len_utf8() == token.len())
                    .and_then(byte_of),
                Spelling::Pieces => byte_piece(token).filter(|_| parts.byte_fallback),
            };
            if let Some(byte) = byte {
                counted[usize::from(byte)] = true;
            }
        }
        // Bytes that are changed first, or whose whole character must be known, count with all
        // others or not at all.
        let is_changed = !parts.rules.normalizer.is_null() || spelling == Spelling::Pieces;
        if !keeps_all(&parts.rules.pre_tokenizer) || (is_changed && counted.contains(&false)) {
            return None;
        }
        // A token of the byte-level model has a character for each byte; an added one is written as
        // it is read, in any form.
        let is_bytes = |token: &str| {
            spelling == Spelling::ByteLevel && token.chars().all(|c| byte_of(c).is_some())
        };
        let of_model = parts
            .vocab
            .keys()
            .map(|token| if is_bytes(token) { token.chars().count() } else { token.len() });
        let added = parts.added.iter().map(|(_, token)| &token.content);
        let of_added =
            added.map(|token| token.len() * if token.is_ascii() { 1 } else { LONGER_FORMS });
        let longest = of_model.chain(of_added).max()?.saturating_mul(shrinks);
        let strips =
            parts.added.iter().any(|(_, AddedToken { lstrip, rstrip, .. })| *lstrip || *rstrip);
        Some(Least { longest, counted, strips })
    }

    /// The least number of tokens that a text becomes, in which `mark` stands for nothing.
    pub fn tokens(&self, text: &str, mark: Option<char>) -> usize {
        let is_counted = |&c: &char| Some(c) != mark && !(self.strips && c.is_whitespace());
        let bytes = |c: char| {
            c.encode_utf8(&mut [0; 4])
                .bytes()
                .filter(|&byte| self.counted[usize::from(byte)])
                .count()
        };
        text.chars().filter(is_counted).map(bytes).sum::<usize>().div_ceil(self.longest.max(1))
    }
}

/// How many bytes of a text become one, at the most, by what changes it before all else.
fn shrinks(normalizer: &Value) -> Option<usize> {
    let step = |step: &Value| match kind(step) {
        "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" => Some(FORMS),
        "Prepend" => Some(1),
        "Replace" => {
            let (replaced, by) =
                (step["pattern"]["String"].as_str()?.len(), step["content"].as_str()?.len());
            (by > 0).then(|| replaced.div_ceil(by).max(1))
        }
        _ => None,
    };
    steps(normalizer, "normalizers")
        .ok()?
        .into_iter()
        .map(step)
        .try_fold(1_usize, |all, one| Some(all.saturating_mul(one?)))
}

/// Whether all of a text is in its words: what is removed may be what no match is left for.
fn keeps_all(pre_tokenizer: &Value) -> bool {
    let covers = |step: &Value| {
        step["invert"] == true && COVERING.iter().any(|known| step["pattern"]["Regex"] == *known)
    };
    let keeps = |step: &&Value| step["behavior"] != "Removed" || covers(step);
    steps(pre_tokenizer, "pretokenizers").is_ok_and(|steps| steps.iter().all(keeps))
}
