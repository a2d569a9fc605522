//! Which schemas have a value that comes to an end: by one that lies in itself wherever it is, none
//! would.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Names of definitions.
type Names = BTreeSet<String>;

/// Leaves out what has no value. Where the whole has none, it is the definition's doing that is
/// named, if one is.
pub fn cut(root: &mut Value, defs: &mut Map<String, Value>) -> Result<(), Option<String>> {
    let ending = ending(defs);
    if !ends(root, &ending) {
        return Err(culprit(root, defs, &ending));
    }
    defs.retain(|name, _| ending.contains(name));
    cut_references(root, &ending);
    defs.values_mut().for_each(|schema| cut_references(schema, &ending));
    Ok(())
}

/// The definitions that have a value.
fn ending(defs: &Map<String, Value>) -> Names {
    let mut ending = Names::new();
    loop {
        let before = ending.len();
        for (name, schema) in defs {
            if !ending.contains(name) && ends(schema, &ending) {
                ending.insert(name.clone());
            }
        }
        if ending.len() == before {
            return ending;
        }
    }
}

fn ends(schema: &Value, ending: &Names) -> bool {
    match (schema, reference(schema), schema["anyOf"].as_array()) {
        (Value::Bool(is_any), ..) => *is_any,
        (_, Some(name), _) => ending.contains(name),
        (_, _, Some(any)) => any.iter().any(|one| ends(one, ending)),
        _ => needs(schema).into_iter().all(|inside| ends(inside, ending)),
    }
}

/// The schemas of what no value of a schema is without.
fn needs(schema: &Value) -> Vec<&Value> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut needs: Vec<&Value> =
        required.filter_map(|name| schema["properties"].get(name)).collect();
    let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
    let first = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
    needs.extend(&first[..least.min(first.len())]);
    needs.extend(schema.get("items").filter(|_| least > first.len()));
    needs
}

/// The definition that a schema stands for.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// From one definition to what it needs of those that have no value, until one comes again or needs
/// no other.
fn culprit(root: &Value, defs: &Map<String, Value>, ending: &Names) -> Option<String> {
    let mut seen = Names::new();
    let mut last = missing(root, ending)?;
    while seen.insert(last.to_owned()) {
        match missing(&defs[last], ending) {
            Some(next) => last = next,
            None => break,
        }
    }
    Some(last.to_owned())
}

/// The first definition that a schema's values need, and that has none.
fn missing<'s>(schema: &'s Value, ending: &Names) -> Option<&'s str> {
    match (reference(schema), schema["anyOf"].as_array()) {
        (Some(name), _) => (!ending.contains(name)).then_some(name),
        (_, Some(any)) => any.iter().find_map(|one| missing(one, ending)),
        _ => needs(schema).into_iter().find_map(|inside| missing(inside, ending)),
    }
}

fn cut_references(schema: &mut Value, ending: &Names) {
    if reference(schema).is_some_and(|name| !ending.contains(name)) {
        *schema = false.into();
        return;
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(|one| cut_references(one, ending)),
        Value::Array(all) => all.iter_mut().for_each(|one| cut_references(one, ending)),
        _ => {}
    }
}
