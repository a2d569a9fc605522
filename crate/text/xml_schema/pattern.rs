//! XML Schema's regular expressions as llguidance's, of texts as they are spelt in a document: a
//! character that XML has an entity for is matched where that stands, too.
//!
//! A pattern is of the whole value: there are no anchors, and nothing looks ahead or back.

use std::fmt::Write;

use super::{NAME, NAME_START, Place};
use crate::error::Result;

/// Groups within groups, and classes within classes.
const DEEPEST: usize = 32;
/// The largest number in braces.
const MOST: u32 = 65_535;
/// Categories of characters that both sides have.
const CATEGORIES: &str = concat!(
    " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po Z Zs Zl Zp ",
    "S Sm Sc Sk So C Cc Cf Co Cn "
);
/// The characters that have entities, with their names.
const ENTITIES: [(char, &str); 5] =
    [('&', "amp"), ('<', "lt"), ('>', "gt"), ('"', "quot"), ('\'', "apos")];

/// A class of characters: as llguidance has it, and which of [`ENTITIES`] are in it.
#[derive(Clone)]
struct Class {
    text: String,
    entities: [bool; 5],
    /// Whether there are more in it for XML Schema than for us: what is all but those would be
    /// too much.
    is_less: bool,
}

impl Class {
    fn of(text: impl Into<String>, has: impl Fn(char) -> bool) -> Class {
        Class { text: text.into(), entities: ENTITIES.map(|(c, _)| has(c)), is_less: false }
    }

    /// One of its characters, spelt in any way.
    fn spelt(&self) -> String {
        let named: Vec<&str> = ENTITIES
            .iter()
            .zip(self.entities)
            .filter_map(|((_, name), is_in)| is_in.then_some(*name))
            .collect();
        if named.is_empty() {
            return format!("[{}]", self.text);
        }
        format!("(?:[[{}]--[&<>]]|&(?:{});)", self.text, named.join("|"))
    }
}

/// A pattern as a regular expression of texts as they are spelt.
pub(super) struct Pattern {
    pub text: String,
    /// Whether it depends on what kind of characters there are, which grow in number.
    pub has_categories: bool,
}

/// Reads a pattern.
pub(super) fn translate(pattern: &str, place: &Place) -> Result<Pattern> {
    let mut reader = Reader { rest: pattern, place, depth: 0, has_categories: false };
    let text = reader.alternatives()?;
    if let Some(what) = crate::text::pattern::too_much(&text) {
        return Err(place.refuse(&format!("the pattern has {what}: lower them")));
    }
    match reader.rest {
        "" => Ok(Pattern { text, has_categories: reader.has_categories }),
        rest => Err(place.refuse(&format!(
            "the pattern {pattern:?} is none from {rest:?} on: write it as XML Schema has them"
        ))),
    }
}

/// A text in which no character has a meaning, spelt in any way.
pub(super) fn literal(text: &str) -> String {
    text.chars().map(character).collect()
}

fn character(c: char) -> String {
    match ENTITIES.iter().find(|(special, _)| *special == c) {
        Some((c @ ('"' | '\''), name)) => format!("(?:{c}|&{name};)"),
        Some((_, name)) => format!("&{name};"),
        None => escaped(c),
    }
}

/// A character as it is in a regular expression, and in a class of one.
pub(super) fn escaped(c: char) -> String {
    if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) }
}

struct Reader<'p> {
    rest: &'p str,
    place: &'p Place<'p>,
    depth: usize,
    has_categories: bool,
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Result<String> {
        self.deeper()?;
        let mut all = self.branch()?;
        while self.take('|') {
            all.push('|');
            all += &self.branch()?;
        }
        self.depth -= 1;
        Ok(all)
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self.refuse(&format!("nested more than {DEEPEST} deep"))),
            false => Ok(()),
        }
    }

    fn branch(&mut self) -> Result<String> {
        let mut all = String::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            let atom = match c {
                '(' => {
                    self.next();
                    let inner = self.alternatives()?;
                    if !self.take(')') {
                        return Err(self.refuse("a group that does not end"));
                    }
                    format!("(?:{inner})")
                }
                '[' => {
                    self.next();
                    self.class()?.spelt()
                }
                '.' => {
                    self.next();
                    Class::of(r"^\n\r", |_| true).spelt()
                }
                '\\' => {
                    self.next();
                    match self.escape()? {
                        Escape::One(c) => format!("(?:{})", character(c)),
                        Escape::Many(class) => class.spelt(),
                    }
                }
                '?' | '*' | '+' | '{' | '}' | ']' => {
                    return Err(self.refuse(&format!("{c:?} where it has no meaning")));
                }
                c => {
                    self.next();
                    character(c)
                }
            };
            all += &atom;
            all += &self.quantity()?;
        }
        Ok(all)
    }

    fn quantity(&mut self) -> Result<String> {
        let Some(c @ ('?' | '*' | '+' | '{')) = self.peek() else { return Ok(String::new()) };
        self.next();
        if c != '{' {
            return Ok(c.to_string());
        }
        let Some((inner, rest)) = self.rest.split_once('}') else {
            return Err(self.refuse("braces that do not end"));
        };
        let (least, most) = match inner.split_once(',') {
            Some((least, "")) => (number(least), None),
            Some((least, most)) => (number(least), Some(number(most))),
            None => (number(inner), Some(number(inner))),
        };
        let Some(least) = least.filter(|&least| most.is_none_or(|most| most >= Some(least))) else {
            return Err(self.refuse(&format!("{{{inner}}}, which is no number of times")));
        };
        self.rest = rest;
        Ok(match most.flatten() {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        })
    }

    /// A class after its opening bracket.
    fn class(&mut self) -> Result<Class> {
        self.deeper()?;
        let is_negated = self.take('^');
        let mut class = Class::of("", |_| false);
        let mut is_first = true;
        loop {
            let is_last_hyphen = self.rest.starts_with("-]");
            match self.peek() {
                Some(']') if !is_first => break,
                Some('-') if self.rest.starts_with("-[") && !is_first => break,
                Some('-') if !is_first && !is_last_hyphen => {
                    return Err(self.refuse("a hyphen within a class: escape it"));
                }
                None | Some('[' | ']') => return Err(self.refuse("a class that is none")),
                Some('\\') => {
                    self.next();
                    match self.escape()? {
                        Escape::One(c) => self.range(c, &mut class)?,
                        Escape::Many(inner) => {
                            let _ = write!(class.text, "[{}]", inner.text);
                            class.is_less |= inner.is_less;
                            for (all, one) in class.entities.iter_mut().zip(inner.entities) {
                                *all |= one;
                            }
                        }
                    }
                }
                Some(c) => {
                    self.next();
                    self.range(c, &mut class)?;
                }
            }
            is_first = false;
        }
        if is_negated {
            self.check_whole(&class)?;
            class.text = format!("^[{}]", class.text);
            class.entities = class.entities.map(|is_in| !is_in);
        }
        if self.take('-') {
            self.next();
            let without = self.class()?;
            self.check_whole(&without)?;
            class.text = format!("[{}]--[{}]", class.text, without.text);
            for (all, one) in class.entities.iter_mut().zip(without.entities) {
                *all &= !one;
            }
        } else {
            self.depth -= 1;
            self.next();
            return Ok(class);
        }
        self.depth -= 1;
        match self.take(']') {
            true => Ok(class),
            false => Err(self.refuse("a class that goes on after what is taken from it")),
        }
    }

    /// A character of a class, or a range from there.
    fn range(&mut self, first: char, class: &mut Class) -> Result<()> {
        let is_range = self.rest.starts_with('-')
            && !self.rest.starts_with("-]")
            && !self.rest.starts_with("-[");
        let mut last = first;
        if is_range {
            self.next();
            last = match self.next() {
                Some('\\') => match self.escape()? {
                    Escape::One(c) => c,
                    Escape::Many(_) => return Err(self.refuse("a range up to a class")),
                },
                Some(c @ ('[' | ']' | '-')) => {
                    return Err(self.refuse(&format!("a range up to {c:?}: escape it")));
                }
                Some(c) => c,
                None => return Err(self.refuse("a class that does not end")),
            };
        }
        if last < first {
            return Err(self.refuse(&format!("the range {first}-{last}, which is empty")));
        }
        let _ = write!(class.text, "{}-{}", escaped(first), escaped(last));
        for (is_in, (c, _)) in class.entities.iter_mut().zip(ENTITIES) {
            *is_in |= (first..=last).contains(&c);
        }
        Ok(())
    }

    /// What is after a backslash.
    fn escape(&mut self) -> Result<Escape> {
        let is_word = |c| matches!(c, '<' | '>');
        self.has_categories |= self.rest.starts_with(['d', 'D', 'w', 'W', 'p', 'P']);
        let class = match self.next() {
            Some('n') => return Ok(Escape::One('\n')),
            Some('r') => return Ok(Escape::One('\r')),
            Some('t') => return Ok(Escape::One('\t')),
            Some(c) if r"\|.?*+(){}-[]^".contains(c) => return Ok(Escape::One(c)),
            Some('s') => Class::of(r" \t\n\r", |_| false),
            Some('S') => Class::of(r"^ \t\n\r", |_| true),
            Some('d') => Class::of(r"\p{Nd}", |_| false),
            Some('D') => Class::of(r"\P{Nd}", |_| true),
            Some('w') => Class::of(r"^\p{P}\p{Z}\p{C}", is_word),
            Some('W') => Class::of(r"\p{P}\p{Z}\p{C}", |c| !is_word(c)),
            Some('i') => Class { is_less: true, ..Class::of(format!(":{NAME_START}"), |_| false) },
            Some('c') => Class { is_less: true, ..Class::of(format!(":{NAME}"), |_| false) },
            Some(c @ ('p' | 'P')) => self.category(c == 'P')?,
            Some(c) => return Err(self.refuse(&format!("\\{c}, which is not known here"))),
            None => return Err(self.refuse("a backslash at its end")),
        };
        Ok(Escape::Many(class))
    }

    /// A category of characters in braces, or a block of them.
    fn category(&mut self, is_negated: bool) -> Result<Class> {
        let named = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, rest)) = named else {
            return Err(self.refuse("\\p without a name in braces"));
        };
        self.rest = rest;
        let text = match name {
            "IsBasicLatin" => r"\x{0}-\x{7f}".to_owned(),
            "IsLatin-1Supplement" => r"\x{80}-\x{ff}".to_owned(),
            _ if CATEGORIES.contains(&format!(" {name} ")) => format!(r"\p{{{name}}}"),
            _ => return Err(self.refuse(&format!("\\p{{{name}}}, which is not known here"))),
        };
        let has = |c: char| match name {
            "IsBasicLatin" => true,
            "P" | "Po" => matches!(c, '&' | '"' | '\''),
            "S" | "Sm" => matches!(c, '<' | '>'),
            _ => false,
        };
        Ok(match is_negated {
            true => Class::of(format!("^{text}"), |c| !has(c)),
            false => Class::of(text, has),
        })
    }

    /// Refuses what is taken from others and is less than XML Schema means.
    fn check_whole(&self, class: &Class) -> Result<()> {
        match class.is_less {
            true => Err(self.refuse(
                "\\i or \\c among what is excluded, whose characters depend on the edition of XML",
            )),
            false => Ok(()),
        }
    }

    fn refuse(&self, what: &str) -> crate::error::Error {
        self.place.refuse(&format!(
            "the pattern has {what}: write it as XML Schema has them, or leave it out"
        ))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.next();
        }
        is_next
    }
}

enum Escape {
    One(char),
    Many(Class),
}

fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&number| is_number && number <= MOST)
}
