//! What a regular expression asks for: whether a tokenizer's is one that we run, and how often one
//! repeats what it repeats.
//!
//! A tokenizer's library goes through a text once for most patterns. Where one looks ahead or
//! behind, or refers to what it matched before, it tries one way after the other, and a pattern
//! with many ways through the same words takes for ever.

use crate::error::{Code, Result, fail};

/// Bytes; the longest in use, which lists letters, has under two thousand.
const LONGEST: usize = 16 * 1024;
/// Brackets within brackets.
const DEEPEST: usize = 32;
/// How often something may be repeated by numbers, repetitions within repetitions multiplied.
const MOST_TIMES: usize = 100;
/// The same, where an answer is held to a pattern: what is repeated once alone is not bounded.
const MOST_TIMES_WITHIN: usize = 100_000;

/// What is known of an alternative, or of a group.
#[derive(Clone, Copy, Default)]
struct Part {
    /// There is more than one way through it: alternatives, or something that is there or not, or
    /// more than once.
    has_ways: bool,
    /// Something in it that has ways is repeated.
    repeats_ways: bool,
    /// It looks around, or refers to what was matched before.
    goes_back: bool,
    /// How often it repeats what is in it, by numbers.
    times: usize,
    /// The same, where it repeats what has a number of times itself.
    times_within: usize,
}

impl Part {
    fn add(&mut self, inner: Part) {
        self.has_ways |= inner.has_ways;
        self.repeats_ways |= inner.repeats_ways;
        self.goes_back |= inner.goes_back;
        self.times = self.times.max(inner.times);
        self.times_within = self.times_within.max(inner.times_within);
    }

    fn repeat(&mut self, times: usize, varies: bool, is_more_than_once: bool) {
        self.repeats_ways |= self.has_ways && is_more_than_once;
        self.has_ways |= varies;
        let is_within = times > 1 && self.times > 1;
        self.times = times.saturating_mul(self.times.max(1));
        if is_within {
            self.times_within = self.times;
        }
    }
}

/// Refuses a pattern that is too long, nested too deeply, repeats too much or may take for ever.
///
/// # Errors
/// [`Code::BadTokenizer`], which says what about the pattern.
pub(super) fn check(pattern: &str) -> Result<()> {
    if pattern.len() > LONGEST {
        fail!(
            Code::BadTokenizer,
            "a pattern of the tokenizer has {} bytes, and {LONGEST} are the most that we read",
            pattern.len()
        );
    }
    let (parts, depth) = read(pattern);
    if depth > DEEPEST {
        fail!(
            Code::BadTokenizer,
            "a pattern of the tokenizer is nested more than {DEEPEST} deep, which we do not read"
        );
    }
    parts.into_iter().try_for_each(check_part)
}

/// What a pattern has that no answer can be held to, if so.
pub(super) fn too_much(pattern: &str) -> Option<String> {
    (times_within(pattern) > MOST_TIMES_WITHIN)
        .then(|| format!("counts within counts that come to more than {MOST_TIMES_WITHIN}"))
}

/// How often a pattern repeats by numbers what has a number of times itself; 0 where it does not.
fn times_within(pattern: &str) -> usize {
    read(pattern).0.iter().map(|part| part.times_within).max().unwrap_or(0)
}

/// The alternatives of a pattern, and how deep brackets lie within brackets.
fn read(pattern: &str) -> (Vec<Part>, usize) {
    // Groups that are open, and for each what is known of the one around it.
    let mut open: Vec<Part> = Vec::new();
    let (mut all, mut depth) = (Vec::new(), 0);
    let mut part = Part::default();
    let mut atom = Part::default();
    let bytes = pattern.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'\\' => {
                atom = Part::default();
                part.goes_back |= matches!(rest.get(1), Some(b'1'..=b'9' | b'k' | b'G' | b'K'));
                escape(rest)
            }
            b'[' => {
                atom = Part::default();
                class(rest)
            }
            b'(' => {
                open.push(part);
                part = Part { goes_back: looks_around(rest), ..Part::default() };
                // The question mark of a group's kind repeats nothing.
                if rest.get(1) == Some(&b'?') { 2 } else { 1 }
            }
            b')' => {
                atom = part;
                part = open.pop().unwrap_or_default();
                part.add(atom);
                1
            }
            b'|' => {
                // Alternatives of the whole pattern are tried by themselves.
                if open.is_empty() {
                    all.push(std::mem::take(&mut part));
                } else {
                    part.has_ways = true;
                }
                1
            }
            b'*' | b'+' | b'?' | b'{' => {
                let (length, times, varies) = repetition(rest);
                atom.repeat(times, varies, byte != b'?');
                part.add(atom);
                length
            }
            _ => {
                atom = Part::default();
                1
            }
        };
        depth = depth.max(open.len());
    }
    // A group that never ends is no pattern; the library says so.
    open.into_iter().for_each(|around| part.add(around));
    all.push(part);
    (all, depth)
}

fn check_part(part: Part) -> Result<()> {
    if part.times > MOST_TIMES {
        fail!(
            Code::BadTokenizer,
            "a pattern of the tokenizer repeats something more than {MOST_TIMES} times, which we \
                do not read"
        );
    }
    if part.goes_back && part.repeats_ways {
        fail!(
            Code::BadTokenizer,
            "a pattern of the tokenizer looks around and repeats what has several ways, which may \
             take for ever"
        );
    }
    Ok(())
}

/// Whether a group is one that looks ahead or behind, or keeps to the first way that it finds.
fn looks_around(group: &[u8]) -> bool {
    [&b"(?="[..], b"(?!", b"(?<=", b"(?<!", b"(?>", b"(?("]
        .iter()
        .any(|mark| group.starts_with(mark))
}

/// Bytes of an escape, with the name or number that it has in braces: `\p{L}`. What is in those of
/// others is how often.
fn escape(text: &[u8]) -> usize {
    match text {
        [_, b'p' | b'P' | b'x' | b'u' | b'U' | b'k', b'{', ..] => {
            text.iter().position(|&byte| byte == b'}').map_or(2, |end| end + 1)
        }
        _ => 2,
    }
}

/// Bytes of a class of characters, and of those within it.
fn class(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'[' => depth += 1,
            // The first character of a class may be a bracket.
            b']' if !matches!(&text[..at], [.., b'['] | [.., b'[', b'^']) => {
                depth = depth.saturating_sub(1)
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Bytes of a repetition with its mark for the shortest or the only one; how many times it says, if
/// it does; whether that may vary.
fn repetition(text: &[u8]) -> (usize, usize, bool) {
    let end = match text[0] {
        b'{' => text.iter().position(|&byte| byte == b'}').map_or(1, |end| end + 1),
        _ => 1,
    };
    let numbers = text[..end]
        .split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| std::str::from_utf8(digits).ok());
    let times = numbers
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(usize::MAX))
        .max();
    let marks = usize::from(matches!(text.get(end), Some(b'?' | b'+')));
    (end + marks, times.unwrap_or(1), text[0] != b'{' || text[..end].contains(&b','))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn counts_within_counts_are_multiplied() {
        for (pattern, times) in [
            ("a{1000000}", 0),
            ("a{10}b{20}|c{30}", 0),
            ("(?:a{10}b){20}", 200),
            ("(?:(?:a{2,5}|b)*c{3}){20,}", 100),
            (r"(?:\p{L}{2}[{9}a]){3}|\x{41}{7}", 6),
            (r"(\{9}){3}(?:(a{4}){1}){0,5}", 20),
            ("((a{100000}){100000}){100000}{100000}{100000}", usize::MAX),
        ] {
            assert_eq!(times_within(pattern), times, "{pattern}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        let deep = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        let rows = [
            (r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\s+(?!\S)|\s+".to_owned(), None),
            (r"(?=(\d{3})+(?!\d))".to_owned(), None),
            (
                concat!(
                    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}]*[\p{Ll}]+(?i:'s|'t)?",
                    r"|\p{N}{1,3}|[](]+|[^]a-c[d]\]]+(?=\))",
                )
                .to_owned(),
                None,
            ),
            (r"(?:ab|c){2}(?!d)".to_owned(), Some("several ways")),
            (r"(?:a+b)+(?!d)".to_owned(), Some("several ways")),
            (r"(?:\p{L}+ )+(?!d)".to_owned(), Some("several ways")),
            (r"(?:\p{L}{2} )+(?!d)".to_owned(), None),
            (r"x|(?:(?<!d)a?)*".to_owned(), Some("several ways")),
            ("a{100}".to_owned(), None),
            ("a{101}".to_owned(), Some("more than 100 times")),
            ("(?:a{40}b){3}".to_owned(), Some("more than 100 times")),
            ("a".repeat(LONGEST), None),
            ("a".repeat(LONGEST + 1), Some("16385 bytes")),
            (deep(DEEPEST), None),
            (deep(DEEPEST + 1), Some("more than 32 deep")),
        ];
        for (pattern, refused) in rows {
            let found = check(&pattern).err().map(|error| error.message);
            assert_eq!(found.is_some(), refused.is_some(), "{pattern:.60}: {found:?}");
            assert!(
                refused.is_none_or(|words| found.as_ref().unwrap().contains(words)),
                "{pattern:.60}: {found:?}"
            );
        }
    }
}
