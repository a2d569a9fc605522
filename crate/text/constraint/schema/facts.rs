//! What is known of a value: of each type that it may have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pattern::is_in;

/// Types, a bit each. Whether a number is whole is another matter.
pub type Types = u8;
pub const NULL: Types = 1;
pub const BOOLEAN: Types = 2;
pub const NUMBER: Types = 4;
pub const STRING: Types = 8;
pub const ARRAY: Types = 16;
pub const OBJECT: Types = 32;
pub const ALL: Types = 63;

/// That a place's schema holds of a value, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    pub place: usize,
    pub holds: bool,
}

/// All that is claimed of one value.
pub type Goal = BTreeSet<Claim>;

/// One thing that is known. What is about a type holds of values of that type alone.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Of the same value.
    Claim(Claim),
    /// It has one of these types.
    Of(Types),
    NotBoolean(bool),
    Number(NumberFact),
    String(StringFact),
    Array(ArrayFact),
    Object(ObjectFact),
    /// What nobody evaluated below this place is held to these.
    Unevaluated {
        place: usize,
        items: Option<Claim>,
        properties: Option<Claim>,
    },
    /// That of values of these types cannot be enforced.
    Beyond {
        types: Types,
        refused: super::Refused,
    },
}

#[derive(Clone, Debug)]
pub enum NumberFact {
    Least(f64, bool),
    Most(f64, bool),
    Multiple(f64),
    Whole,
    Fractional,
    OneOf(Vec<f64>),
    NoneOf(Vec<f64>),
}

#[derive(Clone, Debug)]
pub enum StringFact {
    Least(u64),
    Most(u64),
    /// Found somewhere in it.
    Pattern(String),
    NotPattern(String),
    OneOf(BTreeSet<String>),
    NoneOf(BTreeSet<String>),
}

#[derive(Clone, Debug)]
pub enum ArrayFact {
    /// The first items, and all others.
    Items {
        first: Vec<Claim>,
        others: Option<Claim>,
    },
    Least(u64),
    Most(u64),
}

#[derive(Clone, Debug)]
pub enum ObjectFact {
    /// Properties by name, by patterns, and all others.
    Properties {
        named: Vec<(String, Claim)>,
        patterns: Vec<(String, Claim)>,
        others: Option<Claim>,
    },
    Required(String),
    Absent(String),
    Least(u64),
    Most(u64),
    Names(Claim),
}

/// Ways for one value at the most.
pub const MOST_CASES: usize = 300;

/// Facts that hold together, and of several such the one or the other.
pub type Clause = Vec<Fact>;
pub type AnyOf = Vec<Clause>;

/// Places in whose sight something was evaluated.
pub type Watchers = BTreeSet<usize>;

/// One way for a value to be: all facts of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub types: Types,
    pub booleans: [bool; 2],
    pub number: NumberCase,
    pub string: StringCase,
    pub array: ArrayCase,
    pub object: ObjectCase,
    pub beyond: Vec<(Types, super::Refused)>,
}

#[derive(Clone, Debug, Default)]
pub struct NumberCase {
    pub least: Option<(f64, bool)>,
    pub most: Option<(f64, bool)>,
    pub multiples: Vec<f64>,
    pub whole: bool,
    pub fractional: bool,
    pub one_of: Option<Vec<f64>>,
    pub none_of: Vec<f64>,
}

#[derive(Clone, Debug, Default)]
pub struct StringCase {
    pub least: u64,
    pub most: Option<u64>,
    pub patterns: BTreeSet<String>,
    pub not_patterns: BTreeSet<String>,
    pub one_of: Option<BTreeSet<String>>,
    pub none_of: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub struct ArrayCase {
    pub items: Vec<(Vec<Claim>, Option<Claim>, Watchers)>,
    pub least: u64,
    pub most: Option<u64>,
    pub unevaluated: BTreeMap<usize, (Claim, Watchers)>,
}

#[derive(Clone, Debug, Default)]
pub struct ObjectCase {
    pub properties: Vec<Properties>,
    pub required: Vec<String>,
    pub absent: BTreeSet<String>,
    pub least: u64,
    pub most: Option<u64>,
    pub names: Goal,
    pub unevaluated: BTreeMap<usize, (Claim, Watchers)>,
}

#[derive(Clone, Debug)]
pub struct Properties {
    pub named: Vec<(String, Claim)>,
    pub patterns: Vec<(String, Claim)>,
    pub others: Option<Claim>,
    pub watchers: Watchers,
}

impl Default for Case {
    fn default() -> Case {
        Case {
            types: ALL,
            booleans: [true; 2],
            number: NumberCase::default(),
            string: StringCase::default(),
            array: ArrayCase::default(),
            object: ObjectCase::default(),
            beyond: Vec::new(),
        }
    }
}

impl Case {
    /// Takes note of a fact that is no claim. Whether anything can still be so.
    pub fn note(&mut self, fact: Fact, watchers: &Watchers) -> bool {
        match fact {
            Fact::Claim(_) => {}
            Fact::Of(types) => self.types &= types,
            Fact::NotBoolean(value) => self.booleans[usize::from(value)] = false,
            Fact::Number(fact) => self.number.note(fact),
            Fact::String(fact) => self.string.note(fact),
            Fact::Array(fact) => self.array.note(fact, watchers),
            Fact::Object(fact) => self.object.note(fact, watchers),
            Fact::Unevaluated { place, items, properties } => {
                // Of two that come by way of each other, the first is the outer.
                let seen = |claim| (claim, watchers.clone());
                if let Some(claim) = items {
                    self.array.unevaluated.entry(place).or_insert_with(|| seen(claim));
                }
                if let Some(claim) = properties {
                    self.object.unevaluated.entry(place).or_insert_with(|| seen(claim));
                }
            }
            Fact::Beyond { types, refused } => self.beyond.push((types, refused)),
        }
        if self.booleans == [false; 2] {
            self.types &= !BOOLEAN;
        }
        if self.number.is_none() {
            self.types &= !NUMBER;
        }
        if self.string.is_none() {
            self.types &= !STRING;
        }
        if self.array.most.is_some_and(|most| most < self.array.least) {
            self.types &= !ARRAY;
        }
        if self.object.is_none() {
            self.types &= !OBJECT;
        }
        self.types != 0
    }
}

impl NumberCase {
    fn note(&mut self, fact: NumberFact) {
        match fact {
            NumberFact::Least(to, open) => {
                let is_tighter = self.least.is_none_or(|(now, _)| to > now)
                    || self.least.is_some_and(|(now, _)| to == now && open);
                if is_tighter {
                    self.least = Some((to, open));
                }
            }
            NumberFact::Most(to, open) => {
                let is_tighter = self.most.is_none_or(|(now, _)| to < now)
                    || self.most.is_some_and(|(now, _)| to == now && open);
                if is_tighter {
                    self.most = Some((to, open));
                }
            }
            NumberFact::Multiple(of) => self.multiples.push(of),
            NumberFact::Whole => self.whole = true,
            NumberFact::Fractional => self.fractional = true,
            NumberFact::OneOf(values) => match &mut self.one_of {
                Some(before) => before.retain(|value| values.contains(value)),
                None => self.one_of = Some(values),
            },
            NumberFact::NoneOf(values) => self.none_of.extend(values),
        }
        let within = |value: &f64| {
            self.least.is_none_or(|(to, open)| *value > to || (!open && *value == to))
                && self.most.is_none_or(|(to, open)| *value < to || (!open && *value == to))
                && (!self.whole || value.fract() == 0.0)
                && (!self.fractional || value.fract() != 0.0)
                && !self.none_of.contains(value)
                && self.multiples.iter().all(|of| (value / of).fract() == 0.0)
        };
        if let Some(values) = self.one_of.take() {
            self.one_of = Some(values.into_iter().filter(within).collect());
        }
    }

    fn is_none(&self) -> bool {
        let is_empty = match (self.least, self.most) {
            (Some((least, open)), Some((most, shut))) => {
                least > most || (least == most && (open || shut))
            }
            _ => false,
        };
        is_empty
            || (self.whole && self.fractional)
            || self.one_of.as_ref().is_some_and(Vec::is_empty)
    }
}

impl StringCase {
    fn note(&mut self, fact: StringFact) {
        match fact {
            StringFact::Least(to) => self.least = self.least.max(to),
            StringFact::Most(to) => self.most = Some(self.most.map_or(to, |most| most.min(to))),
            StringFact::Pattern(pattern) => _ = self.patterns.insert(pattern),
            StringFact::NotPattern(pattern) => _ = self.not_patterns.insert(pattern),
            StringFact::OneOf(texts) => match &mut self.one_of {
                Some(before) => before.retain(|text| texts.contains(text)),
                None => self.one_of = Some(texts),
            },
            StringFact::NoneOf(texts) => self.none_of.extend(texts),
        }
        if let Some(texts) = &mut self.one_of {
            texts.retain(|text| {
                let length = text.chars().count() as u64;
                length >= self.least
                    && self.most.is_none_or(|most| length <= most)
                    && !self.none_of.contains(text)
                    && self.patterns.iter().all(|one| is_in(one, text) == Some(true))
                    && self.not_patterns.iter().all(|one| is_in(one, text) == Some(false))
            });
        }
    }

    fn is_none(&self) -> bool {
        self.most.is_some_and(|most| most < self.least)
            || self.one_of.as_ref().is_some_and(BTreeSet::is_empty)
            || self.patterns.intersection(&self.not_patterns).next().is_some()
    }
}

impl ArrayCase {
    fn note(&mut self, fact: ArrayFact, watchers: &Watchers) {
        match fact {
            ArrayFact::Items { first, others } => {
                self.items.push((first, others, watchers.clone()));
            }
            ArrayFact::Least(to) => self.least = self.least.max(to),
            ArrayFact::Most(to) => self.most = Some(self.most.map_or(to, |most| most.min(to))),
        }
    }
}

impl ObjectCase {
    fn note(&mut self, fact: ObjectFact, watchers: &Watchers) {
        match fact {
            ObjectFact::Properties { named, patterns, others } => {
                self.properties.push(Properties {
                    named,
                    patterns,
                    others,
                    watchers: watchers.clone(),
                });
            }
            ObjectFact::Required(name) if self.required.contains(&name) => {}
            ObjectFact::Required(name) => self.required.push(name),
            ObjectFact::Absent(name) => _ = self.absent.insert(name),
            ObjectFact::Least(to) => self.least = self.least.max(to),
            ObjectFact::Most(to) => self.most = Some(self.most.map_or(to, |most| most.min(to))),
            ObjectFact::Names(claim) => _ = self.names.insert(claim),
        }
    }

    fn is_none(&self) -> bool {
        let least = self.least.max(self.required.len() as u64);
        self.most.is_some_and(|most| most < least)
            || self.required.iter().any(|name| self.absent.contains(name))
    }
}

/// Whether a schema asks for nothing, or for what nothing is.
pub fn plain(schema: &Value) -> Option<bool> {
    match schema {
        Value::Bool(holds) => Some(*holds),
        Value::Object(fields) if fields.is_empty() => Some(true),
        _ => None,
    }
}
