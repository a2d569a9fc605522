//! What each keyword asks for.

use serde_json::{Map, Value};

use super::super::facts::{
    ALL, ARRAY, AnyOf, ArrayFact, Claim, Clause, Fact, NumberFact, OBJECT, ObjectFact, STRING,
    StringFact, plain,
};
use super::super::multiples::Step;
use super::super::{Result, formats};
use super::{BEYOND, Reader};

const DRAFTS: [&str; 4] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
];

impl Reader<'_> {
    /// What a keyword asks for: all of these.
    pub(super) fn keyword(
        &mut self,
        fields: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        is_watched: bool,
    ) -> Result<Vec<AnyOf>> {
        let one = |fact: Fact| Ok(vec![vec![vec![fact]]]);
        let claims = |all: Vec<Claim>| all.into_iter().map(|claim| vec![vec![Fact::Claim(claim)]]);
        match keyword {
            "type" => {
                let (types, is_whole) = self.types(value)?;
                let mut clause = vec![Fact::Of(types)];
                clause.extend(is_whole.then_some(Fact::Number(NumberFact::Whole)));
                Ok(vec![vec![clause]])
            }
            "const" => Ok(vec![self.values(std::slice::from_ref(value), keyword)?]),
            "enum" => match value.as_array() {
                Some(values) => Ok(vec![self.values(values, keyword)?]),
                None => self.refused(keyword, "is no list"),
            },
            "allOf" => Ok(claims(self.each(keyword, value, true)?).collect()),
            "anyOf" => {
                let all = self.each(keyword, value, true)?;
                if !is_watched {
                    let any = all.into_iter().map(|claim| vec![Fact::Claim(claim)]);
                    return Ok(vec![any.collect()]);
                }
                if all.len() > 6 {
                    return self.refused(
                        keyword,
                        "has more than 6 schemas below one that asks \
                        for what is not evaluated",
                    );
                }
                // Each that holds evaluates something, so that it matters which do.
                let some = (1..1u32 << all.len()).map(|some| {
                    let chosen = all.iter().enumerate().filter(|(i, _)| some >> i & 1 == 1);
                    chosen.map(|(_, claim)| Fact::Claim(*claim)).collect()
                });
                Ok(vec![some.collect()])
            }
            "oneOf" => {
                let all = self.each(keyword, value, true)?;
                Ok(vec![(0..all.len()).map(|i| exactly(&all, i)).collect()])
            }
            "not" => Ok(claims(vec![self.inside(&[keyword], false)?]).collect()),
            "if" => {
                let mut branch = |holds: bool, name: &str| -> Result<Clause> {
                    let mut clause = vec![Fact::Claim(self.inside(&[keyword], holds)?)];
                    if fields.contains_key(name) {
                        clause.push(Fact::Claim(self.inside(&[name], true)?));
                    }
                    Ok(clause)
                };
                if !is_watched && !fields.contains_key("then") && !fields.contains_key("else") {
                    return Ok(Vec::new());
                }
                Ok(vec![vec![branch(true, "then")?, branch(false, "else")?]])
            }
            "$ref" | "$dynamicRef" => {
                let place = self.places.follow(self.at, keyword, self.text(keyword, value)?)?;
                one(Fact::Claim(Claim { place, holds: true }))
            }
            "properties" | "patternProperties" | "additionalProperties" => {
                let is_first = ["properties", "patternProperties", "additionalProperties"]
                    .into_iter()
                    .find(|name| fields.contains_key(*name));
                if is_first != Some(keyword) {
                    return Ok(Vec::new()); // They were read with the first.
                }
                let (named, patterns, others) = self.properties(fields)?;
                one(Fact::Object(ObjectFact::Properties { named, patterns, others }))
            }
            "required" => {
                let names = self.names(keyword, value)?.into_iter();
                Ok(vec![vec![names.map(|name| Fact::Object(ObjectFact::Required(name))).collect()]])
            }
            "minProperties" => one(Fact::Object(ObjectFact::Least(self.count(keyword, value)?))),
            "maxProperties" => one(Fact::Object(ObjectFact::Most(self.count(keyword, value)?))),
            "propertyNames" => one(Fact::Object(ObjectFact::Names(self.inside(&[keyword], true)?))),
            "dependentRequired" | "dependentSchemas" | "dependencies" => {
                let Some(all) = value.as_object() else {
                    return self.refused(keyword, "is no object");
                };
                all.iter().map(|(name, needs)| self.dependent(keyword, name, needs)).collect()
            }
            "prefixItems" | "items" | "additionalItems" => {
                let is_first = ["prefixItems", "items", "additionalItems"]
                    .into_iter()
                    .find(|name| fields.contains_key(*name));
                if is_first != Some(keyword) {
                    return Ok(Vec::new());
                }
                let (first, others) = self.items(fields)?;
                one(Fact::Array(ArrayFact::Items { first, others }))
            }
            "minItems" => one(Fact::Array(ArrayFact::Least(self.count(keyword, value)?))),
            "maxItems" => one(Fact::Array(ArrayFact::Most(self.count(keyword, value)?))),
            "uniqueItems" if value == &Value::Bool(true) => Ok(vec![vec![
                vec![Fact::Of(ALL & !ARRAY)],
                vec![Fact::Of(ARRAY), Fact::Array(ArrayFact::Most(1))],
                vec![
                    Fact::Array(ArrayFact::Least(2)),
                    Fact::Of(ARRAY),
                    self.beyond(ARRAY, keyword, "is not enforced of more than one item"),
                ],
            ]]),
            "contains" => self.contains(fields, value),
            "minLength" => one(Fact::String(StringFact::Least(self.count(keyword, value)?))),
            "maxLength" => one(Fact::String(StringFact::Most(self.count(keyword, value)?))),
            "pattern" => {
                let pattern = self.pattern(keyword, self.text(keyword, value)?)?;
                one(Fact::String(StringFact::Pattern(pattern)))
            }
            "format" => match formats::pattern(self.text(keyword, value)?) {
                Some(pattern) => one(Fact::String(StringFact::Pattern(pattern))),
                None => one(self.beyond(
                    STRING,
                    keyword,
                    &format!("{value} is not enforced, but {}", formats::KNOWN.join(", ")),
                )),
            },
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                let (is_lower, is_open) =
                    (keyword.ends_with("inimum"), keyword.starts_with("exclusive"));
                let Some(to) = self.bound(keyword, value, is_lower)? else { return Ok(Vec::new()) };
                one(Fact::Number(if is_lower {
                    NumberFact::Least(to, is_open)
                } else {
                    NumberFact::Most(to, is_open)
                }))
            }
            "multipleOf" => match self.number(keyword, value)? {
                of if of <= 0.0 => self.refused(keyword, "is no number above 0"),
                of if Step::of(of).is_none() => {
                    self.refused(keyword, format!("{of} has more digits than are counted"))
                }
                of => one(Fact::Number(NumberFact::Multiple(of))),
            },
            "unevaluatedItems" | "unevaluatedProperties" => {
                let claim = self.inside(&[keyword], true)?;
                let is_items = keyword == "unevaluatedItems";
                one(Fact::Unevaluated {
                    place: self.at,
                    items: is_items.then_some(claim),
                    properties: (!is_items).then_some(claim),
                })
            }
            "$schema" => match self.text(keyword, value)? {
                draft if DRAFTS.iter().any(|known| draft.trim_end_matches('#') == *known) => {
                    Ok(Vec::new())
                }
                other => self.refused(keyword, format!("{other:?} is no draft that is known")),
            },
            keyword if BEYOND.contains(&keyword) => self.refused(keyword, "is not enforced"),
            _ => Ok(Vec::new()),
        }
    }

    #[allow(clippy::type_complexity)]
    fn properties(
        &mut self,
        fields: &Map<String, Value>,
    ) -> Result<(Vec<(String, Claim)>, Vec<(String, Claim)>, Option<Claim>)> {
        let named = match fields.get("properties") {
            Some(all) => self.named("properties", all, true)?,
            None => Vec::new(),
        };
        let patterns = match fields.get("patternProperties") {
            Some(all) => self
                .named("patternProperties", all, true)?
                .into_iter()
                .map(|(text, claim)| Ok((self.pattern("patternProperties", &text)?, claim)))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let others = match fields.contains_key("additionalProperties") {
            true => Some(self.inside(&["additionalProperties"], true)?),
            false => None,
        };
        Ok((named, patterns, others))
    }

    pub(super) fn items(
        &mut self,
        fields: &Map<String, Value>,
    ) -> Result<(Vec<Claim>, Option<Claim>)> {
        // Before draft 2020-12 the first items were `items`, too.
        let (first, others) = match (fields.get("prefixItems"), fields.get("items")) {
            (None, Some(items @ Value::Array(_))) => {
                (self.each("items", items, true)?, "additionalItems")
            }
            (Some(first), _) => (self.each("prefixItems", first, true)?, "items"),
            _ => (Vec::new(), "items"),
        };
        let others = match fields.contains_key(others) {
            true => Some(self.inside(&[others], true)?),
            false => None,
        };
        Ok((first, others))
    }

    fn dependent(&mut self, keyword: &str, name: &str, needs: &Value) -> Result<AnyOf> {
        let required = |name: String| Fact::Object(ObjectFact::Required(name));
        let mut clause = vec![Fact::Of(OBJECT), required(name.to_owned())];
        if keyword != "dependentSchemas" && needs.is_array() {
            clause.extend(self.names(keyword, needs)?.into_iter().map(required));
        } else {
            clause.push(Fact::Claim(self.inside(&[keyword, name], true)?));
        }
        Ok(vec![vec![Fact::Object(ObjectFact::Absent(name.to_owned()))], clause])
    }

    /// What `contains` asks for that can be said otherwise.
    fn contains(&mut self, fields: &Map<String, Value>, schema: &Value) -> Result<Vec<AnyOf>> {
        let bound = |name: &str| fields.get(name).map(|value| self.count(name, value)).transpose();
        let (least, most) = (bound("minContains")?.unwrap_or(1), bound("maxContains")?);
        let mut all = Vec::new();
        match plain(schema) {
            Some(true) => {
                all.push(vec![vec![Fact::Array(ArrayFact::Least(least))]]);
                if let Some(most) = most {
                    all.push(vec![vec![Fact::Array(ArrayFact::Most(most))]]);
                }
            }
            Some(false) if least > 0 => all.push(vec![vec![Fact::Of(ALL & !ARRAY)]]),
            Some(false) => {}
            None if least == 0 && most == Some(0) => {
                let others = Some(self.inside(&["contains"], false)?);
                all.push(vec![vec![Fact::Array(ArrayFact::Items { first: Vec::new(), others })]]);
            }
            None if most.is_some_and(|most| most < least) => {
                all.push(vec![vec![Fact::Of(ALL & !ARRAY)]]);
            }
            None if least == 0 && most.is_none() => {}
            None => all.push(vec![vec![self.beyond(ARRAY, "contains", "is not enforced")]]),
        }
        Ok(all)
    }
}

/// That one of some claims holds and no other.
fn exactly(all: &[Claim], one: usize) -> Clause {
    let claim = |(i, claim): (usize, &Claim)| Fact::Claim(Claim { holds: i == one, ..*claim });
    all.iter().enumerate().map(claim).collect()
}
