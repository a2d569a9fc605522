//! The grammar of calls, for answers that have to be some.

use serde_json::Value;

use super::{Dialect, Tools, name_of};

/// Calls of one answer.
const MOST_CALLS: usize = 16;

/// An answer that calls tools, in a model's own form and spelt as it was trained: a Lark grammar as
/// llguidance reads it, in which each tool's arguments are of its JSON Schema. `None` where no tool
/// may be called.
pub fn grammar(tools: &Tools, dialect: Dialect) -> Option<String> {
    let callable = tools.callable();
    let described = tools.offered.iter().filter_map(|tool| Some((name_of(tool)?, tool)));
    let called: Vec<_> = described.filter(|(name, _)| callable.contains(name)).collect();
    if called.is_empty() {
        return None;
    }
    let (open, between, close) = dialect.around();
    let quoted = |text: &str| Value::from(text).to_string();
    let more = match tools.is_single {
        true => String::new(),
        false => format!(" ({} call){{0,{}}}", quoted(between), MOST_CALLS - 1),
    };
    let ways: Vec<String> = (0..called.len()).map(|i| format!("call_{i}")).collect();
    let mut lines = vec![
        format!("start: {} call{more} {}", quoted(open), quoted(close)),
        format!("call: {}", ways.join(" | ")),
    ];
    for (i, (name, tool)) in called.iter().enumerate() {
        let begin = quoted(&format!("{{\"name\": \"{name}\", \"arguments\": "));
        lines.push(format!("call_{i}: {begin} arguments_{i} {}", quoted("}")));
        lines.push(format!("arguments_{i}: %json {}", parameters(tool)));
    }
    Some(lines.join("\n") + "\n")
}

/// The JSON Schema of a tool's arguments, which are an object.
fn parameters(tool: &Value) -> Value {
    let mut schema = match &tool["function"]["parameters"] {
        Value::Object(schema) => schema.clone(),
        _ => serde_json::Map::new(),
    };
    schema.entry("type").or_insert_with(|| "object".into());
    Value::Object(schema)
}
