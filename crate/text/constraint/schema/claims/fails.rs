//! What is so where a keyword does not hold.

use serde_json::{Map, Value};

use super::super::Result;
use super::super::facts::{
    ALL, ARRAY, AnyOf, ArrayFact, Claim, Clause, Fact, MOST_CASES, NUMBER, NumberFact, OBJECT,
    ObjectFact, STRING, StringFact, Types, plain,
};
use super::{BEYOND, Reader};

impl Reader<'_> {
    /// What is so where a keyword does not hold: one of these.
    pub(super) fn not_keyword(
        &mut self,
        fields: &Map<String, Value>,
        keyword: &str,
        value: &Value,
    ) -> Result<AnyOf> {
        let of = |types: Types, fact: Fact| vec![vec![Fact::Of(types), fact]];
        let claims = |all: &[Claim]| all.iter().copied().map(Fact::Claim).collect::<Clause>();
        let beyond = |reader: &Self, types: Types| {
            let fact = reader.beyond(types, keyword, "is not enforced within \"not\"");
            Ok(vec![vec![Fact::Of(types), fact]])
        };
        Ok(match keyword {
            "type" => {
                let (types, is_whole) = self.types(value)?;
                let mut any = vec![vec![Fact::Of(ALL & !types)]];
                if is_whole {
                    any.extend(of(NUMBER, Fact::Number(NumberFact::Fractional)));
                }
                any
            }
            "const" => product(self.no_values(std::slice::from_ref(value), keyword)?),
            "enum" => match value.as_array() {
                Some(values) => {
                    let all = self.no_values(values, keyword)?;
                    let ways = all.iter().fold(1usize, |ways, any| ways.saturating_mul(any.len()));
                    if ways > MOST_CASES {
                        return self.refused(keyword, "has too much in it for \"not\"");
                    }
                    product(all)
                }
                None => return self.refused(keyword, "is no list"),
            },
            "allOf" => {
                let all = self.each(keyword, value, false)?;
                all.into_iter().map(|claim| vec![Fact::Claim(claim)]).collect()
            }
            "anyOf" => vec![claims(&self.each(keyword, value, false)?)],
            "oneOf" => {
                let fail = self.each(keyword, value, false)?;
                let hold = self.each(keyword, value, true)?;
                let mut any = vec![claims(&fail)];
                for (at, one) in hold.iter().enumerate() {
                    any.extend(hold[..at].iter().map(|other| claims(&[*one, *other])));
                }
                any
            }
            "not" => vec![claims(&[self.inside(&[keyword], true)?])],
            "if" => {
                let mut any = AnyOf::new();
                for (name, holds) in [("then", true), ("else", false)] {
                    if fields.contains_key(name) {
                        let condition = self.inside(&[keyword], holds)?;
                        any.push(claims(&[condition, self.inside(&[name], false)?]));
                    }
                }
                any
            }
            "$ref" | "$dynamicRef" => {
                let place = self.places.follow(self.at, keyword, self.text(keyword, value)?)?;
                vec![claims(&[Claim { place, holds: false }])]
            }
            "properties" => {
                let named = self.named(keyword, value, false)?;
                named.iter().map(|(name, claim)| self.has_property(name, *claim)).collect()
            }
            "required" => {
                let names = self.names(keyword, value)?.into_iter();
                names.flat_map(|name| of(OBJECT, Fact::Object(ObjectFact::Absent(name)))).collect()
            }
            "minProperties" => match self.count(keyword, value)? {
                0 => Vec::new(),
                least => of(OBJECT, Fact::Object(ObjectFact::Most(least - 1))),
            },
            "maxProperties" => {
                of(OBJECT, Fact::Object(ObjectFact::Least(self.count(keyword, value)? + 1)))
            }
            "dependentRequired" | "dependentSchemas" | "dependencies" => {
                let Some(all) = value.as_object() else {
                    return self.refused(keyword, "is no object");
                };
                let mut any = AnyOf::new();
                for (name, needs) in all {
                    let has =
                        || vec![Fact::Of(OBJECT), Fact::Object(ObjectFact::Required(name.clone()))];
                    if keyword != "dependentSchemas" && needs.is_array() {
                        for needed in self.names(keyword, needs)? {
                            let absent = Fact::Object(ObjectFact::Absent(needed));
                            any.push([has(), vec![absent]].concat());
                        }
                    } else {
                        let claim = Fact::Claim(self.inside(&[keyword, name], false)?);
                        any.push([has(), vec![claim]].concat());
                    }
                }
                any
            }
            "prefixItems" | "items" | "additionalItems" => {
                let (first, others) = self.items(fields)?;
                let mut any = AnyOf::new();
                let is_list = keyword == "prefixItems" || value.is_array();
                if is_list {
                    for at in 0..first.len() {
                        let fails = Claim { holds: false, ..first[at] };
                        let first = [&first[..at], &[fails]].concat();
                        any.push(vec![
                            Fact::Of(ARRAY),
                            Fact::Array(ArrayFact::Least(at as u64 + 1)),
                            Fact::Array(ArrayFact::Items { first, others: None }),
                        ]);
                    }
                } else if others.is_some() {
                    match plain(value) {
                        Some(true) => {}
                        Some(false) => any.extend(of(
                            ARRAY,
                            Fact::Array(ArrayFact::Least(first.len() as u64 + 1)),
                        )),
                        None => return beyond(self, ARRAY),
                    }
                }
                any
            }
            "minItems" => match self.count(keyword, value)? {
                0 => Vec::new(),
                least => of(ARRAY, Fact::Array(ArrayFact::Most(least - 1))),
            },
            "maxItems" => of(ARRAY, Fact::Array(ArrayFact::Least(self.count(keyword, value)? + 1))),
            "uniqueItems" if value != &Value::Bool(true) => Vec::new(),
            "contains"
                if !fields.contains_key("minContains") && !fields.contains_key("maxContains") =>
            {
                let others = Some(self.inside(&[keyword], false)?);
                of(ARRAY, Fact::Array(ArrayFact::Items { first: Vec::new(), others }))
            }
            "contains" | "uniqueItems" => return beyond(self, ARRAY),
            "patternProperties" | "additionalProperties" | "propertyNames" => {
                let is_plain = match (keyword, value) {
                    ("patternProperties", Value::Object(all)) => {
                        all.values().all(|schema| plain(schema) == Some(true))
                    }
                    (_, schema) => plain(schema) == Some(true),
                };
                if !is_plain {
                    return beyond(self, OBJECT);
                }
                Vec::new()
            }
            "minLength" => match self.count(keyword, value)? {
                0 => Vec::new(),
                least => of(STRING, Fact::String(StringFact::Most(least - 1))),
            },
            "maxLength" => {
                of(STRING, Fact::String(StringFact::Least(self.count(keyword, value)? + 1)))
            }
            "pattern" => {
                let pattern = self.pattern(keyword, self.text(keyword, value)?)?;
                of(STRING, Fact::String(StringFact::NotPattern(pattern)))
            }
            "format" => return beyond(self, STRING),
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                let is_open = !keyword.starts_with("exclusive");
                let to = self.exact(keyword, value)?;
                of(
                    NUMBER,
                    Fact::Number(if keyword.ends_with("inimum") {
                        NumberFact::Most(to, is_open)
                    } else {
                        NumberFact::Least(to, is_open)
                    }),
                )
            }
            "multipleOf" => return beyond(self, NUMBER),
            "unevaluatedItems" | "unevaluatedProperties" => {
                return self.refused(keyword, "is not enforced within \"not\"");
            }
            keyword if BEYOND.contains(&keyword) => {
                return self.refused(keyword, "is not enforced");
            }
            _ => Vec::new(),
        })
    }
}

/// All of some, each of which is one of several, as one of several.
fn product(all: Vec<AnyOf>) -> AnyOf {
    all.into_iter().fold(vec![Vec::new()], |before: AnyOf, any| {
        let with = |clause: &Clause| {
            let clause = clause.clone();
            any.iter().map(move |more| [&clause[..], more].concat()).collect::<Vec<_>>()
        };
        before.iter().flat_map(with).collect()
    })
}
