//! In which form a model calls tools, and is told of them.

use serde_json::Value;

/// How a model writes calls, which its chat template shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `<|tool_call|>[{"name": …, "arguments": …}]<|/tool_call|>`: Phi-4-mini.
    Phi4,
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, as often as there are calls: Hermes,
    /// Qwen.
    Hermes,
    /// `functools[{"name": …, "arguments": …}]`: Phi-4-mini's elder sisters.
    Functools,
    /// `[{"name": …, "arguments": …}]`, as any model may be told.
    Json,
}

impl Dialect {
    /// That of a model whose chat template this is.
    pub fn of(template: &str) -> Dialect {
        if template.contains("<|tool_call|>") || takes_tools_in_message(template) {
            Dialect::Phi4
        } else if template.contains("<tool_call>") {
            Dialect::Hermes
        } else if template.contains("functools") {
            Dialect::Functools
        } else {
            Dialect::Json
        }
    }

    /// What stands before the first call, between two, and after the last.
    pub fn around(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Dialect::Phi4 => ("<|tool_call|>[", ", ", "]<|/tool_call|>"),
            Dialect::Hermes => ("<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"),
            Dialect::Functools => ("functools[", ", ", "]"),
            Dialect::Json => ("[", ", ", "]"),
        }
    }
}

/// Whether a template wants to find the tools in the system's message, as JSON: Phi-4-mini's.
pub fn takes_tools_in_message(template: &str) -> bool {
    template.contains("<|tool|>") && template.contains("message['tools']")
}

/// JSON as Python's `json.dumps` writes it, which models were trained on.
pub fn as_python_writes(json: &Value) -> String {
    match json {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(as_python_writes).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), as_python_writes(value))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
