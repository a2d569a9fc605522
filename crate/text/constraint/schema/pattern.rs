//! Regular expressions as JSON Schema has them, ECMAScript's, in the words of the library, which
//! are Rust's.

use std::iter::Peekable;
use std::str::Chars;

use llguidance::derivre::RegexBuilder;

/// ECMAScript's white space.
const SPACE: &str =
    r"\t\n\x0b\f\r \xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";
/// What it takes at the most to go through a text.
const FUEL: u64 = 100_000;

/// Whether an expression is found in a text; nothing where finding out takes too much.
pub fn is_in(pattern: &str, text: &str) -> Option<bool> {
    let mut builder = RegexBuilder::new();
    let expression = builder.mk_regex_for_serach(pattern).ok()?;
    let mut regex = builder.to_regex_limited(expression, FUEL).ok()?;
    Some(regex.is_match(text))
}

/// An expression in the library's words, or why there are none.
pub fn translated(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match escape(&mut chars)? {
                Escape::One(c) => push(&mut out, written(c)?),
                Escape::Class(inside, false) => out += &format!("[{inside}]"),
                Escape::Class(inside, true) => out += &format!("[^{inside}]"),
                Escape::Border => return Err("it asks for a word's border".to_owned()),
            },
            '.' => out += r"[^\n\r\x{2028}\x{2029}]",
            '[' => out += &class(&mut chars)?,
            '(' => {
                if chars.next_if_eq(&'?').is_some() {
                    match chars.next() {
                        Some(':') => {}
                        Some('<') if !matches!(chars.peek(), Some('=' | '!')) => {
                            while chars.next().is_some_and(|c| c != '>') {}
                        }
                        _ => return Err("it looks ahead, behind, or sets flags".to_owned()),
                    }
                }
                out += "(?:";
            }
            '{' => {
                let inside: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let mut bounds = inside.splitn(2, ',');
                let is_count =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let is_good = bounds.next().is_some_and(is_count)
                    && bounds.next().is_none_or(|most| most.is_empty() || is_count(most));
                if !is_good {
                    return Err(format!("{{{inside}}} is no count"));
                }
                out += &format!("{{{inside}}}");
            }
            '^' | '$' | '|' | ')' | '*' | '+' | '?' => out.push(c),
            c => push(&mut out, written(c)?),
        }
    }
    if let Some(what) = crate::text::pattern::too_much(&out) {
        return Err(format!("it has {what}"));
    }
    let mut builder = RegexBuilder::new();
    match builder.mk_regex_for_serach(&out) {
        Ok(_) => Ok(out),
        Err(why) => Err(why.to_string().lines().last().unwrap_or_default().to_owned()),
    }
}

enum Escape {
    One(char),
    /// What is in a class, or what is not.
    Class(String, bool),
    Border,
}

/// What follows a backslash.
fn escape(chars: &mut Peekable<Chars>) -> Result<Escape, String> {
    let class = |inside: &str, other| Ok(Escape::Class(inside.to_owned(), other));
    Ok(Escape::One(match chars.next() {
        Some('d') => return class("0-9", false),
        Some('D') => return class("0-9", true),
        Some('w') => return class("0-9A-Za-z_", false),
        Some('W') => return class("0-9A-Za-z_", true),
        Some('s') => return class(SPACE, false),
        Some('S') => return class(SPACE, true),
        Some(c @ ('p' | 'P')) if chars.next_if_eq(&'{').is_some() => {
            let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
            return class(&format!("\\p{{{name}}}"), c == 'P');
        }
        Some('b' | 'B') => return Ok(Escape::Border),
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\u{c}',
        Some('v') => '\u{b}',
        Some('0') if !chars.peek().is_some_and(char::is_ascii_digit) => '\0',
        Some('c') => match chars.next() {
            Some(c) if c.is_ascii_alphabetic() => char::from(c as u8 % 32),
            _ => return Err("\\c needs a letter".to_owned()),
        },
        Some('x') => char::from(hex(chars, 2)? as u8),
        Some('u') => {
            let code = if chars.next_if_eq(&'{').is_some() {
                let inside: String = chars.by_ref().take_while(|c| *c != '}').collect();
                u32::from_str_radix(&inside, 16).map_err(|_| format!("\\u{{{inside}}} is none"))?
            } else {
                match hex(chars, 4)? {
                    high @ 0xd800..0xdc00
                        if chars.next() == Some('\\') && chars.next() == Some('u') =>
                    {
                        0x10000 + (high - 0xd800) * 0x400 + hex(chars, 4)?.wrapping_sub(0xdc00)
                    }
                    code => code,
                }
            };
            char::from_u32(code).ok_or_else(|| "half of a surrogate pair is no text".to_owned())?
        }
        Some(c) if c.is_ascii_punctuation() || c == ' ' => c,
        Some(c @ '1'..='9') => return Err(format!("\\{c} refers back")),
        Some(c) => return Err(format!("\\{c} stands for nothing that is known")),
        None => return Err("it ends in a backslash".to_owned()),
    }))
}

fn hex(chars: &mut Peekable<Chars>, digits: usize) -> Result<u32, String> {
    let text: String = chars.by_ref().take(digits).collect();
    u32::from_str_radix(&text, 16)
        .ok()
        .filter(|_| text.len() == digits)
        .ok_or_else(|| format!("{text:?} are not {digits} hexadecimal digits"))
}

/// What stands between square brackets, with them.
fn class(chars: &mut Peekable<Chars>) -> Result<String, String> {
    let is_other = chars.next_if_eq(&'^').is_some();
    let mut members = String::new();
    loop {
        let first = match member(chars)? {
            None => break,
            Some(first) => first,
        };
        let Member::One(low) = first else {
            if let Member::Class(class) = first {
                members += &class;
            }
            continue;
        };
        let mut ahead = chars.clone();
        let is_range = ahead.next() == Some('-') && !matches!(ahead.peek(), Some(']') | None);
        if !is_range {
            push(&mut members, if is_other { low } else { written(low)? });
            continue;
        }
        chars.next();
        match member(chars)? {
            Some(Member::One(high)) if low <= high => {
                push(&mut members, low);
                members.push('-');
                push(&mut members, high);
            }
            Some(Member::One(_)) => return Err("a range in it ends before it begins".to_owned()),
            Some(Member::Class(class)) => {
                push(&mut members, low);
                members += "\\-";
                members += &class;
            }
            None => return Err("a class has no end".to_owned()),
        }
    }
    Ok(match (members.is_empty(), is_other) {
        (false, false) => format!("[{members}]"),
        (false, true) => format!("[^{members}]"),
        (true, false) => r"[^\x00-\x{10ffff}]".to_owned(),
        (true, true) => r"[\x00-\x{10ffff}]".to_owned(),
    })
}

enum Member {
    One(char),
    Class(String),
}

fn member(chars: &mut Peekable<Chars>) -> Result<Option<Member>, String> {
    Ok(Some(match chars.next() {
        Some(']') => return Ok(None),
        Some('\\') => match escape(chars)? {
            Escape::One(c) => Member::One(c),
            Escape::Class(inside, false) => Member::Class(format!("[{inside}]")),
            Escape::Class(inside, true) => Member::Class(format!("[^{inside}]")),
            Escape::Border => Member::One('\u{8}'),
        },
        Some(c) => Member::One(c),
        None => return Err("a class has no end".to_owned()),
    }))
}

/// Whether a character is written in JSON. Some controls would take a name in hexadecimal, by which
/// others could be written, too.
pub fn is_written(c: char) -> bool {
    !c.is_ascii_control() || "\u{8}\t\n\u{c}\r".contains(c)
}

fn written(c: char) -> Result<char, String> {
    if is_written(c) { Ok(c) } else { Err(format!("{c:?} is a control character")) }
}

/// Appends a character that stands for itself.
pub fn push(out: &mut String, c: char) {
    if c.is_alphanumeric() || " _/<>".contains(c) {
        out.push(c);
    } else if c.is_ascii_punctuation() {
        out.push('\\');
        out.push(c);
    } else {
        *out += &format!("\\x{{{:x}}}", u32::from(c));
    }
}

/// What finds every text but some.
pub fn none_of<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    let mut all: Vec<Vec<char>> = texts
        .into_iter()
        .filter(|text| text.chars().all(is_written))
        .map(|text| text.chars().collect())
        .collect();
    all.sort();
    all.dedup();
    let all: Vec<&[char]> = all.iter().map(Vec::as_slice).collect();
    format!("^(?:{})$", others(&all))
}

/// The ends of texts but these, which are in order.
fn others(ends: &[&[char]]) -> String {
    let mut ways = Vec::new();
    let mut firsts = String::new();
    let mut rest = ends;
    if rest.first().is_some_and(|end| end.is_empty()) {
        rest = &rest[1..];
    } else {
        ways.push(String::new());
    }
    while let Some(first) = rest.first().and_then(|end| end.first()).copied() {
        let count = rest.iter().take_while(|end| end[0] == first).count();
        let (those, after) = rest.split_at(count);
        let mut way = String::new();
        push(&mut way, first);
        push(&mut firsts, first);
        let inside: Vec<&[char]> = those.iter().map(|end| &end[1..]).collect();
        ways.push(format!("{way}(?:{})", others(&inside)));
        rest = after;
    }
    ways.push(if firsts.is_empty() { "(?s:.)+".to_owned() } else { format!("[^{firsts}](?s:.)*") });
    ways.join("|")
}
