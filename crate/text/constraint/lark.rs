//! What is looked at in a grammar in Lark's notation before the library reads it.

use std::collections::HashMap;

use crate::text::pattern;

/// Rules within rules: the library goes into each as it meets it, and has a stack to lose.
const DEEPEST: usize = 200;

/// Why a grammar is not handed to the library, if so.
pub fn objection(grammar: &str) -> Option<String> {
    let rules = Rules::read(grammar);
    if let Some(directive) = rules.directives.iter().find(|name| **name == "%json") {
        return Some(format!("{directive} is not known here: ask for a json_schema instead"));
    }
    if grammar.contains("allow_invalid_utf8") {
        return Some("allow_invalid_utf8 would let control tokens pass".to_owned());
    }
    if let Some(what) = rules.expressions.iter().find_map(|one| pattern::too_much(one)) {
        return Some(format!("an expression has {what}: lower them"));
    }
    let depth = rules.depth();
    (depth > DEEPEST).then(|| {
        format!("rules lie within rules more than {DEEPEST} deep: put some of them together")
    })
}

/// Which rules name which.
#[derive(Default)]
struct Rules<'g> {
    named: HashMap<&'g str, Vec<&'g str>>,
    directives: Vec<&'g str>,
    /// Regular expressions.
    expressions: Vec<&'g str>,
}

impl<'g> Rules<'g> {
    fn read(grammar: &'g str) -> Rules<'g> {
        let mut rules = Rules::default();
        let mut current = "";
        let mut rest = grammar;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => quoted(rest, '"'),
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' => {
                    let length = quoted(rest, '/');
                    rules.expressions.push(&rest[..length]);
                    length
                }
                '#' => rest.find('\n').unwrap_or(rest.len()),
                c if c.is_alphabetic() || c == '_' || c == '%' => {
                    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
                    let end = rest[1..].find(|c| !is_of_name(c)).map_or(rest.len(), |at| at + 1);
                    let end = if rest.is_char_boundary(end) { end } else { rest.len() };
                    let name = &rest[..end];
                    let before = &grammar[..grammar.len() - rest.len()];
                    let line = before.rsplit('\n').next().unwrap_or_default();
                    if c == '%' {
                        rules.directives.push(name);
                    } else if line.trim_matches([' ', '\t', '?', '!']).is_empty() {
                        current = name;
                        rules.named.entry(current).or_default();
                    } else {
                        rules.named.entry(current).or_default().push(name);
                    }
                    end
                }
                c => c.len_utf8(),
            };
            rest = &rest[length..];
        }
        rules
    }

    /// How deep one comes who goes into each rule where it is first named.
    fn depth(&self) -> usize {
        let mut seen = std::collections::HashSet::from(["start"]);
        let mut way = vec![self.inside("start")];
        let mut deepest = 0;
        while let Some(next) = way.last_mut() {
            match next.next() {
                Some(name) if self.named.contains_key(name) && seen.insert(name) => {
                    way.push(self.inside(name));
                    deepest = deepest.max(way.len());
                }
                Some(_) => {}
                None => _ = way.pop(),
            }
        }
        deepest
    }

    fn inside(&self, name: &str) -> std::vec::IntoIter<&'g str> {
        self.named.get(name).cloned().unwrap_or_default().into_iter()
    }
}

/// The length of what stands between two such signs, with them.
fn quoted(text: &str, sign: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == sign => return at + 1,
            '\n' => return at,
            _ => {}
        }
    }
    text.len()
}
