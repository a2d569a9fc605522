//! How deep schemas lie within one another.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How deep one comes who goes into each schema where it is first named.
pub fn depth(root: &Map<String, Value>, defs: &Map<String, Value>) -> usize {
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(keyword, value)| {
                match value.as_str().and_then(|to| to.strip_prefix("#/$defs/")) {
                    Some(name) if keyword == "$ref" => found.push(name.to_owned()),
                    _ => names(value, found),
                }
            }),
            Value::Array(all) => all.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let inside = |value: &Value| {
        let mut found = Vec::new();
        names(value, &mut found);
        found.into_iter()
    };
    let mut seen = BTreeSet::new();
    let mut way = vec![inside(&Value::Object(root.clone()))];
    let mut deepest = 0;
    while let Some(next) = way.last_mut() {
        match next.next() {
            Some(name) if seen.insert(name.clone()) => {
                way.push(inside(&defs[&name]));
                deepest = deepest.max(way.len());
            }
            Some(_) => {}
            None => _ = way.pop(),
        }
    }
    deepest
}
