//! Options as JSON has them, read so that whoever made a mistake is told which option it is, what
//! it is and what it may be.
//!
//! JSON has no infinities: they come as the texts "Infinity" and "-Infinity", as protobuf's JSON
//! has them.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::{Code, Result, fail};

/// Named options. What is null is as good as not there.
pub(crate) struct NamedOptions<'a>(Option<&'a Map<String, Value>>);

impl<'a> NamedOptions<'a> {
    /// What `json` holds under these names.
    ///
    /// # Errors
    /// [`Code::BadOption`] for another name, and for what has no names at all.
    pub fn of(json: &'a Value, what: &str, known: &[&str]) -> Result<NamedOptions<'a>> {
        let fields = match json {
            Value::Null => return Ok(NamedOptions(None)),
            Value::Object(fields) => fields,
            _ => fail!(
                Code::BadOption,
                "{what} takes an object of options, and was given {}",
                short(json)
            ),
        };
        if let Some((name, _)) =
            fields.iter().find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()))
        {
            fail!(
                Code::BadOption,
                "{name} is no option of {what}: check its spelling, or leave it out"
            );
        }
        Ok(NamedOptions(Some(fields)))
    }

    /// What an option is.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    /// A number, of which `needed` says the range in words; keeping to it is somebody else's
    /// matter.
    pub fn number(&self, name: &str, needed: &str, default: f32) -> Result<f32> {
        self.read(name, needed, |value| value.as_f64().map(|number| number as f32))
            .map(|number| number.unwrap_or(default))
    }

    /// A whole number, of which `needed` says the range in words.
    pub fn whole(
        &self,
        name: &str,
        range: RangeInclusive<i128>,
        needed: &str,
    ) -> Result<Option<i128>> {
        self.read(name, needed, |value| whole(value).filter(|number| range.contains(number)))
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.read(name, "true or false", Value::as_bool).map(Option::unwrap_or_default)
    }

    /// What `read` makes of an option; where that is nothing, it is not what is needed.
    pub fn read<T>(
        &self,
        name: &str,
        needed: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => fail!(Code::BadOption, "{name} is {}: it must be {needed}", short(value)),
        }
    }
}

/// JavaScript has one kind of number, and writes large ones with an exponent.
fn whole(value: &Value) -> Option<i128> {
    if value == "Infinity" {
        return Some(i128::MAX);
    }
    let exactly = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    exactly.or_else(|| {
        value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128)
    })
}

/// A value as a message shows it.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 40 => "a long text".to_owned(),
        value => value.to_string(),
    }
}
