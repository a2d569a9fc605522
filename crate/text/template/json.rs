//! `tojson` as Hugging Face's environment has it: Python's `json.dumps`, with its spaces and its
//! options.

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, ValueOrKwargs, from_args};
use minijinja::{ErrorKind, State, Value};
use serde_json::Value as Json;

use super::limits::{BYTES_PER_FUEL, charge};

type Result<T> = std::result::Result<T, minijinja::Error>;

/// The widest indentation that is written.
const WIDEST: usize = 80;

/// How values are written.
struct Style {
    /// What stands before each value, once a level; `None` writes everything on one line.
    indent: Option<String>,
    between_items: String,
    after_key: String,
    ascii: bool,
    /// What is no letter of anybody's, and stays as it is.
    mark: Option<char>,
    sorted: bool,
}

/// `tojson(value, ensure_ascii=false, indent=none, separators=none, sort_keys=false)`, of texts
/// with this mark in them.
pub(super) fn tojson(
    state: &State,
    args: Rest<ValueOrKwargs>,
    mark: Option<char>,
) -> Result<String> {
    let args = args.into_values();
    let (args, named): (&[Value], Kwargs) = from_args(&args)?;
    let argument = |place: usize, name: &str| -> Result<Option<Value>> {
        let given = match args.get(place) {
            Some(value) => Some(value.clone()),
            None => named.get::<Option<Value>>(name)?,
        };
        Ok(given.filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let value = args.first().ok_or_else(|| invalid("there is no value"))?;
    let flag = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let ascii = flag(argument(1, "ensure_ascii")?);
    let indent = argument(2, "indent")?.map(indentation).transpose()?;
    let separators = argument(3, "separators")?.map(separators).transpose()?;
    let sorted = flag(argument(4, "sort_keys")?);
    named.assert_all_used()?;
    let between_items = if indent.is_some() { "," } else { ", " };
    let (between_items, after_key) =
        separators.unwrap_or_else(|| (between_items.to_owned(), ": ".to_owned()));
    charge(state, [value])?;
    let json = serde_json::to_value(value).map_err(|e| invalid(&e.to_string()))?;
    let mut out = String::new();
    Style { indent, between_items, after_key, ascii, mark, sorted }
        .value(state, &mut out, &json, 0)?;
    Ok(out)
}

fn invalid(what: &str) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"))
}

fn indentation(value: Value) -> Result<String> {
    match value.as_str() {
        Some(text) => Ok(text.chars().take(WIDEST).collect()),
        None => {
            let width =
                value.as_i64().ok_or_else(|| invalid("indent is neither a number nor a text"))?;
            Ok(" ".repeat(usize::try_from(width).unwrap_or(0).min(WIDEST)))
        }
    }
}

fn separators(value: Value) -> Result<(String, String)> {
    let both: Vec<Value> = value.try_iter()?.collect();
    match both.as_slice() {
        [items, keys] => match (items.as_str(), keys.as_str()) {
            (Some(items), Some(keys)) => Ok((items.to_owned(), keys.to_owned())),
            _ => Err(invalid("separators are not texts")),
        },
        _ => Err(invalid("separators are not two")),
    }
}

impl Style {
    fn value(&self, state: &State, out: &mut String, json: &Json, level: usize) -> Result<()> {
        match json {
            Json::String(text) => self.text(out, text),
            Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => out.push_str(&python_float(float)),
                None => out.push_str(&number.to_string()),
            },
            Json::Array(items) => {
                return self.many(state, out, ('[', ']'), items.iter(), level, |out, item| {
                    self.value(state, out, item, level + 1)
                });
            }
            Json::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                if self.sorted {
                    fields.sort_by_key(|(name, _)| *name);
                }
                return self.many(
                    state,
                    out,
                    ('{', '}'),
                    fields.into_iter(),
                    level,
                    |out, (name, value)| {
                        self.text(out, name);
                        out.push_str(&self.after_key);
                        self.value(state, out, value, level + 1)
                    },
                );
            }
            Json::Null | Json::Bool(_) => out.push_str(&json.to_string()),
        }
        Ok(())
    }

    fn many<T>(
        &self,
        state: &State,
        out: &mut String,
        (open, close): (char, char),
        items: impl ExactSizeIterator<Item = T>,
        level: usize,
        write: impl Fn(&mut String, T) -> Result<()>,
    ) -> Result<()> {
        // What stands between values may be longer than they are.
        let indented = self.indent.as_ref().map_or(0, |indent| indent.len() * (level + 1));
        let between = self.between_items.len() + self.after_key.len() + indented;
        state.consume_fuel(
            ((items.len() + 1) as u64).saturating_mul(between as u64 / BYTES_PER_FUEL),
        )?;
        let is_empty = items.len() == 0;
        out.push(open);
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push_str(&self.between_items);
            }
            self.new_line(out, level + 1);
            write(out, item)?;
        }
        if !is_empty {
            self.new_line(out, level);
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, out: &mut String, level: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    }

    fn text(&self, out: &mut String, text: &str) {
        let quoted = Json::from(text).to_string();
        if !self.ascii {
            out.push_str(&quoted);
            return;
        }
        for c in quoted.chars() {
            if c.is_ascii() || self.mark == Some(c) {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

/// A number as Python's `repr` writes it.
fn python_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}
