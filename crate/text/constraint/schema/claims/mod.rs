//! What a schema's keywords say of a value, and what it means that one does not hold.

mod fails;
mod holds;
mod values;

use serde_json::{Map, Value};

use super::facts::{ARRAY, AnyOf, BOOLEAN, Claim, Fact, NULL, NUMBER, OBJECT, STRING, Types};
use super::places::{Place, Places};
use super::{Refused, Result, pattern, refuse};
use crate::text::brief;

/// Numbers up to here are counted one by one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Keywords that ask for something and that are not known here.
const BEYOND: [&str; 2] = ["$recursiveRef", "$vocabulary"];

/// A schema that is looked at.
pub struct Reader<'p> {
    places: &'p mut Places,
    at: usize,
    place: Place,
}

impl<'p> Reader<'p> {
    pub fn new(places: &'p mut Places, at: usize) -> Reader<'p> {
        let place = places.place(at).clone();
        Reader { places, at, place }
    }

    /// What holds together where the schema does. `is_watched` where somebody asks what it
    /// evaluates.
    pub fn holds(mut self, is_watched: bool) -> Result<Vec<AnyOf>> {
        let Some(fields) = self.fields()? else {
            let holds = *self.place.schema == Value::Bool(true);
            return Ok(if holds { Vec::new() } else { vec![Vec::new()] });
        };
        let mut all = Vec::new();
        for (keyword, value) in &fields {
            all.extend(self.keyword(&fields, keyword, value, is_watched)?);
        }
        Ok(all)
    }

    /// What is so where the schema does not hold: one of these.
    pub fn fails(mut self) -> Result<AnyOf> {
        let Some(fields) = self.fields()? else {
            let holds = *self.place.schema == Value::Bool(true);
            return Ok(if holds { Vec::new() } else { vec![Vec::new()] });
        };
        let mut any = Vec::new();
        for (keyword, value) in &fields {
            any.extend(self.not_keyword(&fields, keyword, value)?);
        }
        Ok(any)
    }

    /// The keywords; nothing where the schema is true or false.
    fn fields(&self) -> Result<Option<Map<String, Value>>> {
        match (self.places.fields(self.at), &*self.place.schema) {
            (None, Value::Bool(_)) => Ok(None),
            (None, _) => self.refused("schema", "is no object"),
            fields => Ok(fields.0),
        }
    }

    fn refused<T>(&self, keyword: &str, why: impl Into<String>) -> Result<T> {
        refuse(&self.place.path, keyword, why)
    }

    fn beyond(&self, types: Types, keyword: &str, why: &str) -> Fact {
        let refused = Refused {
            path: self.place.path.to_string(),
            keyword: keyword.to_owned(),
            why: why.to_owned(),
        };
        Fact::Beyond { types, refused }
    }

    fn inside(&mut self, steps: &[&str], holds: bool) -> Result<Claim> {
        Ok(Claim { place: self.places.inside(self.at, steps)?, holds })
    }

    /// Claims of a list's schemas.
    fn each(&mut self, keyword: &str, value: &Value, holds: bool) -> Result<Vec<Claim>> {
        match value.as_array() {
            Some(all) => {
                (0..all.len()).map(|i| self.inside(&[keyword, &i.to_string()], holds)).collect()
            }
            None => self.refused(keyword, "is no list of schemas"),
        }
    }

    /// Claims of an object's schemas, by name.
    fn named(&mut self, keyword: &str, value: &Value, holds: bool) -> Result<Vec<(String, Claim)>> {
        match value.as_object() {
            Some(all) => all
                .keys()
                .map(|name| Ok((name.clone(), self.inside(&[keyword, name], holds)?)))
                .collect(),
            None => self.refused(keyword, "is no object of schemas"),
        }
    }

    fn names(&self, keyword: &str, value: &Value) -> Result<Vec<String>> {
        let names = value
            .as_array()
            .and_then(|all| all.iter().map(|one| one.as_str().map(str::to_owned)).collect());
        match names {
            Some(names) => Ok(names),
            None => self.refused(keyword, "is no list of texts"),
        }
    }

    fn count(&self, keyword: &str, value: &Value) -> Result<u64> {
        let whole = value.as_f64().filter(|count| count.fract() == 0.0);
        match whole.filter(|count| (0.0..EXACT).contains(count)) {
            Some(count) => Ok(count as u64),
            None => self.refused(keyword, "is no whole number, 0 or more"),
        }
    }

    fn number(&self, keyword: &str, value: &Value) -> Result<f64> {
        match value.as_f64() {
            Some(number) => Ok(number),
            None => self.refused(keyword, "is no number"),
        }
    }

    fn text<'v>(&self, keyword: &str, value: &'v Value) -> Result<&'v str> {
        match value.as_str() {
            Some(text) => Ok(text),
            None => self.refused(keyword, "is no text"),
        }
    }

    fn pattern(&self, keyword: &str, text: &str) -> Result<String> {
        pattern::translated(text).or_else(|why| {
            self.refused(keyword, format!("{:?} cannot be enforced: {why}", brief(text, 40)))
        })
    }

    /// The types that are named, and whether numbers among them must be whole.
    fn types(&self, value: &Value) -> Result<(Types, bool)> {
        let names = match value {
            Value::String(name) => vec![name.clone()],
            value => self.names("type", value)?,
        };
        let (mut types, mut is_whole) = (0, false);
        for name in &names {
            types |= match name.as_str() {
                "null" => NULL,
                "boolean" => BOOLEAN,
                "number" => NUMBER,
                "integer" => {
                    is_whole = true;
                    NUMBER
                }
                "string" => STRING,
                "array" => ARRAY,
                "object" => OBJECT,
                name => return self.refused("type", format!("has {name:?}, which is no type")),
            };
        }
        Ok((types, is_whole && !names.iter().any(|name| name == "number")))
    }

    /// A bound that nothing is lost of.
    fn bound(&self, keyword: &str, value: &Value, is_lower: bool) -> Result<Option<f64>> {
        let to = self.number(keyword, value)?;
        if to.abs() < EXACT {
            return Ok(Some(to));
        }
        // What is farther out than numbers are counted is as good as that, or as nothing.
        match is_lower == (to < 0.0) {
            true => Ok(Some(EXACT.copysign(to))),
            false => self.refused(keyword, "lies beyond 2^53, where not every number is one"),
        }
    }
}
