//! Values that are named one by one.

use serde_json::{Map, Value};

use super::super::facts::{
    ALL, ARRAY, AnyOf, ArrayFact, BOOLEAN, Claim, Clause, Fact, NULL, NUMBER, NumberFact, OBJECT,
    ObjectFact, STRING, StringFact,
};
use super::super::{Result, pattern};
use super::{EXACT, Reader};

impl Reader<'_> {
    pub(super) fn values(&mut self, values: &[Value], keyword: &str) -> Result<AnyOf> {
        let (mut any, mut texts, mut numbers) = (AnyOf::new(), Vec::new(), Vec::new());
        for value in values {
            match value {
                Value::Null => any.push(vec![Fact::Of(NULL)]),
                Value::Bool(one) => {
                    any.push(vec![Fact::Of(BOOLEAN), Fact::NotBoolean(!one)]);
                }
                Value::Number(_) => numbers.push(self.exact(keyword, value)?),
                Value::String(text) if text.chars().all(pattern::is_written) => {
                    texts.push(text.clone())
                }
                Value::String(text) => {
                    return self.refused(keyword, format!("{text:?} has a control character"));
                }
                Value::Array(items) => any.push(self.array_of(items)),
                Value::Object(fields) => any.push(self.object_of(fields)),
            }
        }
        if !numbers.is_empty() {
            any.push(vec![Fact::Of(NUMBER), Fact::Number(NumberFact::OneOf(numbers))]);
        }
        if !texts.is_empty() {
            let texts = texts.into_iter().collect();
            any.push(vec![Fact::Of(STRING), Fact::String(StringFact::OneOf(texts))]);
        }
        Ok(any)
    }

    pub(super) fn exact(&self, keyword: &str, value: &Value) -> Result<f64> {
        let number = self.number(keyword, value)?;
        if number.abs() >= EXACT {
            return self.refused(keyword, "has a number beyond 2^53, where not every one is one");
        }
        Ok(number)
    }

    pub(super) fn made(&mut self, value: &Value, holds: bool) -> Claim {
        let schema = serde_json::json!({ "const": value });
        Claim { place: self.places.made(schema, &self.place), holds }
    }

    pub(super) fn array_of(&mut self, items: &[Value]) -> Clause {
        let first = items.iter().map(|item| self.made(item, true)).collect();
        let length = items.len() as u64;
        vec![
            Fact::Of(ARRAY),
            Fact::Array(ArrayFact::Items { first, others: None }),
            Fact::Array(ArrayFact::Least(length)),
            Fact::Array(ArrayFact::Most(length)),
        ]
    }

    pub(super) fn object_of(&mut self, fields: &Map<String, Value>) -> Clause {
        let named = fields.iter().map(|(name, value)| (name.clone(), self.made(value, true)));
        let named = named.collect();
        let mut all = vec![
            Fact::Of(OBJECT),
            Fact::Object(ObjectFact::Properties { named, patterns: Vec::new(), others: None }),
            Fact::Object(ObjectFact::Most(fields.len() as u64)),
        ];
        all.extend(fields.keys().cloned().map(|name| Fact::Object(ObjectFact::Required(name))));
        all
    }

    /// What a value is that is none of these: all of it.
    pub(super) fn no_values(&mut self, values: &[Value], keyword: &str) -> Result<Vec<AnyOf>> {
        let mut all = Vec::new();
        for value in values {
            all.push(match value {
                Value::Null => vec![vec![Fact::Of(ALL & !NULL)]],
                Value::Bool(one) => vec![vec![Fact::NotBoolean(*one)]],
                Value::Number(_) => {
                    let none_of = vec![self.exact(keyword, value)?];
                    vec![vec![Fact::Number(NumberFact::NoneOf(none_of))]]
                }
                Value::String(text) => {
                    let none_of = [text.clone()].into();
                    vec![vec![Fact::String(StringFact::NoneOf(none_of))]]
                }
                Value::Array(items) => {
                    let length = items.len() as u64;
                    let mut any = vec![
                        vec![Fact::Of(ALL & !ARRAY)],
                        vec![Fact::Of(ARRAY), Fact::Array(ArrayFact::Least(length + 1))],
                    ];
                    if length > 0 {
                        let shorter = Fact::Array(ArrayFact::Most(length - 1));
                        any.push(vec![Fact::Of(ARRAY), shorter]);
                    }
                    for (at, item) in items.iter().enumerate() {
                        let mut first: Vec<_> =
                            items[..at].iter().map(|item| self.made(item, true)).collect();
                        first.push(self.made(item, false));
                        any.push(vec![
                            Fact::Of(ARRAY),
                            Fact::Array(ArrayFact::Least(length)),
                            Fact::Array(ArrayFact::Most(length)),
                            Fact::Array(ArrayFact::Items { first, others: None }),
                        ]);
                    }
                    any
                }
                Value::Object(fields) => {
                    let count = fields.len() as u64;
                    let object = |fact| vec![Fact::Of(OBJECT), Fact::Object(fact)];
                    let mut any =
                        vec![vec![Fact::Of(ALL & !OBJECT)], object(ObjectFact::Least(count + 1))];
                    for (name, value) in fields {
                        any.push(object(ObjectFact::Absent(name.clone())));
                        let claim = self.made(value, false);
                        any.push(self.has_property(name, claim));
                    }
                    any
                }
            });
        }
        Ok(all)
    }

    pub(super) fn has_property(&self, name: &str, claim: Claim) -> Clause {
        let named = vec![(name.to_owned(), claim)];
        vec![
            Fact::Of(OBJECT),
            Fact::Object(ObjectFact::Required(name.to_owned())),
            Fact::Object(ObjectFact::Properties { named, patterns: Vec::new(), others: None }),
        ]
    }
}
