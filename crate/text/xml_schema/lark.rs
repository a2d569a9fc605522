//! A grammar in the making, and how llguidance reads it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::{Place, bad, brief};
use crate::error::{Error, Result};

/// Bytes of the grammar.
const LONGEST: usize = 1 << 20;
/// The largest number of times that is read.
const MOST_TIMES: u32 = i32::MAX as u32;
/// Groups within groups; what is deeper becomes a rule.
const DEEPEST: usize = 3;

/// What may come, by rules and terminals.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// A terminal by its name.
    Terminal(String),
    /// A text as it stands.
    Text(String),
    Rule(usize),
    Sequence(Vec<Expr>),
    Choice(Vec<Expr>),
    /// So often; without end where there is no most.
    Repeat(Box<Expr>, u32, Option<u32>),
}

/// All rules and terminals.
#[derive(Default)]
pub(super) struct Lark {
    rules: Vec<Body>,
    terminals: Vec<String>,
    names: HashMap<String, usize>,
    required: Vec<Required>,
    bytes: usize,
}

/// A terminal that must have a text.
pub struct Required {
    pub(super) expression: String,
    place: String,
    what: String,
}

enum Body {
    /// Until it is written.
    Open,
    One(Expr),
    /// Each once, in any order; those that need not come are marked so.
    All(Vec<(Expr, bool)>),
}

impl Required {
    /// `what` is wrong where there is no text.
    fn new(expression: &str, place: &Place, what: &str) -> Required {
        let [expression, what] = [expression, what].map(str::to_owned);
        Required { expression, place: place.shown(), what }
    }

    /// Why the schema is refused where there is no text.
    pub fn refused(&self) -> Error {
        bad(&format!("{}: {}", self.place, brief(&self.what, 200)))
    }

    /// Why it is refused where nobody can tell.
    pub fn too_much(&self) -> Error {
        bad(&format!("{}: it asks for too much: loosen it", self.place))
    }
}

impl Lark {
    /// The name of the terminal that is so.
    pub fn terminal(&mut self, expression: &str) -> String {
        // A name stands for itself.
        if expression.starts_with('T') && expression[1..].bytes().all(|b| b.is_ascii_digit()) {
            return expression.to_owned();
        }
        let next = self.terminals.len();
        let at = *self.names.entry(expression.to_owned()).or_insert(next);
        if at == next {
            self.bytes += expression.len();
            self.terminals.push(expression.to_owned());
        }
        format!("T{at}")
    }

    /// Asks that a terminal would have a text that is so: without one, this is wrong there.
    pub fn require(&mut self, expression: &str, place: &Place, what: &str) {
        self.required.push(Required::new(expression, place, what));
    }

    /// What must have a text, each once.
    pub fn required(&mut self) -> Vec<Required> {
        let mut seen = HashSet::new();
        self.required.retain(|one| seen.insert(one.expression.clone()));
        std::mem::take(&mut self.required)
    }

    /// A rule whose body comes later: it may name itself.
    pub fn open_rule(&mut self) -> usize {
        self.rules.push(Body::Open);
        self.rules.len() - 1
    }

    pub fn close_rule(&mut self, rule: usize, body: Expr) {
        self.bytes += body.size();
        self.rules[rule] = Body::One(body);
    }

    /// A rule by which each of these comes once, in any order; `true` beside one that need not.
    pub fn all(&mut self, members: Vec<(Expr, bool)>) -> Expr {
        self.bytes += members.iter().map(|(one, _)| one.size()).sum::<usize>();
        self.rules.push(Body::All(members));
        Expr::Rule(self.rules.len() - 1)
    }

    /// One after the other; what is a sequence itself is no part of its own.
    pub fn sequence(&mut self, parts: Vec<Expr>) -> Expr {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Expr::Sequence(parts) => all.extend(parts),
                part => all.push(self.shallow(part)),
            }
        }
        match <[Expr; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => Expr::Sequence(all),
        }
    }

    pub fn choice(&mut self, ways: Vec<Expr>) -> Expr {
        let ways: Vec<Expr> = ways.into_iter().map(|way| self.shallow(way)).collect();
        match <[Expr; 1]>::try_from(ways) {
            Ok([one]) => one,
            Err(ways) => Expr::Choice(ways),
        }
    }

    pub fn repeat(&mut self, part: Expr, least: u32, most: Option<u32>) -> Expr {
        match (least, most) {
            (1, Some(1)) => return part,
            (_, Some(0)) => return Expr::Sequence(Vec::new()),
            _ => {}
        }
        if let Expr::Repeat(inner, fewest, many) = &part
            && let Some((least, most)) = at_once((least, most), (*fewest, *many))
        {
            return Expr::Repeat(inner.clone(), least, most);
        }
        Expr::Repeat(Box::new(self.shallow(part)), least, most)
    }

    /// What is deep becomes a rule.
    fn shallow(&mut self, expr: Expr) -> Expr {
        if expr.depth() < DEEPEST {
            return expr;
        }
        let rule = self.open_rule();
        self.close_rule(rule, expr);
        Expr::Rule(rule)
    }

    /// Refuses what has grown too large already.
    pub fn check_size(&self) -> Result<()> {
        match self.bytes > LONGEST {
            true => Err(bad(&format!(
                "the schema becomes a grammar of more than {LONGEST} bytes: use a smaller one"
            ))),
            false => Ok(()),
        }
    }

    /// Whether every rule comes to an end.
    pub fn ends(&self) -> bool {
        let mut ends = vec![false; self.rules.len()];
        loop {
            let before = ends.clone();
            for (rule, body) in self.rules.iter().enumerate() {
                ends[rule] = match body {
                    Body::Open => false,
                    Body::One(expr) => expr.ends(&before),
                    Body::All(all) => all.iter().all(|(one, _)| one.ends(&before)),
                };
            }
            if ends == before {
                return ends.into_iter().all(|ends| ends);
            }
        }
    }

    /// The whole grammar, which begins with this.
    pub fn write(&self, start: &Expr) -> String {
        let mut text = format!("start: {}\n", start.text());
        for (rule, body) in self.rules.iter().enumerate() {
            match body {
                Body::Open => {}
                Body::One(expr) => {
                    let _ = writeln!(text, "r{rule}: {}", expr.text());
                }
                Body::All(all) => {
                    let _ = writeln!(text, "r{rule}: all_{rule}::0");
                    let _ = writeln!(text, "all_{rule}::_ : \"\"{}", come(all));
                    for (at, (one, _)) in all.iter().enumerate() {
                        let one = one.part();
                        let _ = writeln!(
                            text,
                            "  | {one} all_{rule}::set_bit({at}) %if bit_clear({at})"
                        );
                    }
                }
            }
        }
        text + &self.terminals()
    }

    pub fn terminals(&self) -> String {
        let mut text = String::new();
        for (at, terminal) in self.terminals.iter().enumerate() {
            let _ = writeln!(text, "T{at}: {terminal}");
        }
        text
    }
}

/// How often something comes, of which so much comes so often, where that is every number from one
/// to another: there is one way to write it then, and not as many as there are to divide it.
fn at_once(
    (least, most): (u32, Option<u32>),
    (fewest, many): (u32, Option<u32>),
) -> Option<(u32, Option<u32>)> {
    let spread = many.map_or(u32::MAX, |many| many - fewest);
    let has_no_gap =
        most == Some(least) || u64::from(least) * u64::from(spread) + 1 >= u64::from(fewest);
    let most = most.zip(many).map(|(most, many)| most.saturating_mul(many).min(MOST_TIMES));
    let least = least.checked_mul(fewest).filter(|least| *least <= MOST_TIMES)?;
    has_no_gap.then_some((least, most))
}

/// That all have come which must.
fn come(all: &[(Expr, bool)]) -> String {
    let must = all.iter().enumerate().filter(|(_, (_, is_optional))| !is_optional);
    let condition = must
        .map(|(at, _)| format!("bit_set({at})"))
        .reduce(|all, next| format!("and({all}, {next})"));
    condition.map(|condition| format!(" %if {condition}")).unwrap_or_default()
}

impl Expr {
    fn depth(&self) -> usize {
        match self {
            Expr::Terminal(_) | Expr::Text(_) | Expr::Rule(_) => 0,
            Expr::Sequence(parts) | Expr::Choice(parts) => {
                1 + parts.iter().map(Expr::depth).max().unwrap_or(0)
            }
            Expr::Repeat(part, ..) => part.depth(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Expr::Terminal(name) => name.len(),
            Expr::Text(text) => text.len(),
            Expr::Rule(_) => 4,
            Expr::Sequence(parts) | Expr::Choice(parts) => parts.iter().map(Expr::size).sum(),
            Expr::Repeat(part, ..) => part.size() + 4,
        }
    }

    fn ends(&self, rules: &[bool]) -> bool {
        match self {
            Expr::Terminal(_) | Expr::Text(_) => true,
            Expr::Rule(rule) => rules[*rule],
            Expr::Sequence(parts) => parts.iter().all(|part| part.ends(rules)),
            Expr::Choice(ways) => ways.iter().any(|way| way.ends(rules)),
            Expr::Repeat(part, least, _) => *least == 0 || part.ends(rules),
        }
    }

    fn text(&self) -> String {
        match self {
            Expr::Terminal(name) => name.clone(),
            Expr::Text(text) => quoted(text),
            Expr::Rule(rule) => format!("r{rule}"),
            Expr::Sequence(parts) if parts.is_empty() => "\"\"".to_owned(),
            Expr::Sequence(parts) => parts.iter().map(Expr::part).collect::<Vec<_>>().join(" "),
            Expr::Choice(ways) => ways.iter().map(Expr::part).collect::<Vec<_>>().join(" | "),
            Expr::Repeat(part, least, most) => {
                let times = match (least, most) {
                    (0, Some(1)) => "?".to_owned(),
                    (0, None) => "*".to_owned(),
                    (1, None) => "+".to_owned(),
                    (least, None) => format!("{{{least},}}"),
                    (least, Some(most)) => format!("{{{least},{most}}}"),
                };
                // The notation counts a part once.
                let part = match **part {
                    Expr::Repeat(..) => format!("({})", part.text()),
                    _ => part.part(),
                };
                part + &times
            }
        }
    }

    /// As a part of another.
    fn part(&self) -> String {
        match self {
            Expr::Sequence(_) | Expr::Choice(_) => format!("({})", self.text()),
            _ => self.text(),
        }
    }
}

/// A text between quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
