//! The fields of a JSON object, read by type.

use serde_json::{Map, Value};

use crate::error::{Code, Result, fail};

/// Typed access to an object. `null` is as good as nothing.
pub(super) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn typed<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Some(value) = read(value) else {
            fail!(Code::BadConfig, "{name} must be {what}");
        };
        Ok(Some(value))
    }

    pub fn u32(&self, name: &str) -> Result<Option<u32>> {
        self.typed(name, "a whole number below 2^32", |value| {
            value.as_u64().and_then(|n| u32::try_from(n).ok())
        })
    }

    pub fn need(&self, name: &str) -> Result<u32> {
        let Some(value) = self.u32(name)? else {
            fail!(Code::BadConfig, "{name} is missing");
        };
        Ok(value)
    }

    pub fn f64(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub fn need_f32(&self, name: &str) -> Result<f32> {
        let Some(value) = self.f64(name)? else {
            fail!(Code::BadConfig, "{name} is missing");
        };
        Ok(value as f32)
    }

    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let list = self.typed(name, "a list of numbers", |value| {
            value
                .as_array()?
                .iter()
                .map(|n| n.as_f64().map(|n| n as f32))
                .collect::<Option<Vec<f32>>>()
        })?;
        let Some(list) = list else {
            fail!(Code::BadConfig, "{name} is missing");
        };
        Ok(list)
    }

    pub fn bool(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>> {
        self.typed(name, "an object", Value::as_object)
    }

    pub fn str(&self, name: &str) -> Result<Option<&'a str>> {
        self.typed(name, "a text", Value::as_str)
    }
}
