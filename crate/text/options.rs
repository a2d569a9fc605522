//! Options as JavaScript writes them, read so that whoever made a mistake is told which option it is, what it is and what it may be.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::{Code, Result, fail};

/// Named options, in JavaScript's camel case. What is null is as good as not there.
pub(crate) struct Options<'a>(Option<&'a Map<String, Value>>);

impl<'a> Options<'a> {
    /// What `json` holds under these names.
    ///
    /// # Errors
    /// [`Code::BadOption`] for another name, and for what has no names at all.
    pub fn of(json: &'a Value, what: &str, known: &[&str]) -> Result<Options<'a>> {
        let fields = match json {
            Value::Null => return Ok(Options(None)),
            Value::Object(fields) => fields,
            _ => fail!(Code::BadOption, "{what} is {}; it must be an object, of {}", short(json), known.join(", ")),
        };
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            fail!(Code::BadOption, "{name:?} is no option of {what}; there are {}", known.join(", "));
        }
        Ok(Options(Some(fields)))
    }

    /// What an option is.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    /// A number; its range is somebody else's matter.
    pub fn number(&self, name: &str, default: f32) -> Result<f32> {
        self.read(name, "a number", |value| value.as_f64().map(|number| number as f32)).map(|number| number.unwrap_or(default))
    }

    /// A whole number, of which `needed` says the range in words.
    pub fn whole(&self, name: &str, range: RangeInclusive<i128>, needed: &str) -> Result<Option<i128>> {
        self.read(name, needed, |value| whole(value).filter(|number| range.contains(number)))
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.read(name, "true or false", Value::as_bool).map(Option::unwrap_or_default)
    }

    /// Texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let texts = |value: &Value| value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        self.read(name, "a list of texts", texts).map(Option::unwrap_or_default)
    }

    fn read<T>(&self, name: &str, needed: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => fail!(Code::BadOption, "{} is {}; it must be {needed}", told(name), short(value)),
        }
    }
}

/// JavaScript has one kind of number, and writes large ones with an exponent.
fn whole(value: &Value) -> Option<i128> {
    let exactly = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    exactly.or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128))
}

/// The name as requests, the command and messages have it: `top_p` for `topP`.
fn told(name: &str) -> String {
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase())).collect()
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
