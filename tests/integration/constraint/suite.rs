//! JSON Schema's own test suite: each of its schemas is refused, by the keyword that cannot be
//! enforced, or kept to, token by token: nothing that the suite calls invalid can be said, and all
//! that it calls valid can, its keys in the schema's order and its whole numbers without a
//! fraction. `docs/structured-output.md` has the table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;

use flate2::read::GzDecoder;
use phi_wasm::text::Tokenizer;
use phi_wasm::text::constraint::{Form, Grammars, Spellings, allows, grammars};
use serde_json::{Map, Value};

use crate::common::tiny_phi::byte_level;

const SUITE: &[u8] = include_bytes!("../../golden/json-schema/draft2020-12.json.gz");
const DOCS: &str = include_str!("../../../docs/structured-output.md");
/// Refused of the 368 schemas that are no option.
const MOST_REFUSED: usize = 80;
/// By the standard `format` says nothing of what is valid, where one does not ask for that. Here it
/// does, as whoever writes it means.
const ANNOTATION: &str = "is only an annotation by default";
/// Valid and not said, besides: formats are enforced more strictly than they could be.
const STRICTER: &str = "optional/format/";

/// A vocabulary of the 256 bytes, each of which is its own id, and an end.
fn bytes() -> (Tokenizer, u32) {
    // Byte-level vocabularies write what cannot be seen as characters from U+0100 on.
    let mut next = 256u32;
    let mut tokens: Vec<String> = (0u32..256)
        .map(|byte| {
            let c = match byte {
                33..=126 | 161..=172 | 174..=255 => byte,
                _ => {
                    next += 1;
                    next - 1
                }
            };
            char::from_u32(c).unwrap().to_string()
        })
        .collect();
    tokens.push("<|end|>".to_owned());
    (byte_level(tokens, |id| id == 256), 256)
}

/// The spellings of a value: its keys in every order, whole numbers without a fraction.
fn spellings(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
            vec![whole.map_or_else(|| value.clone(), |whole| Value::from(whole as i64))]
        }
        Value::Array(items) => {
            let mut all = vec![Vec::new()];
            for item in items {
                all = extended(&all, &spellings(item));
            }
            all.into_iter().map(Value::Array).collect()
        }
        Value::Object(fields) => {
            let mut all: Vec<Vec<(String, Value)>> = vec![Vec::new()];
            for _ in 0..fields.len() {
                let mut longer = Vec::new();
                for begun in &all {
                    let left =
                        fields.iter().filter(|(key, _)| begun.iter().all(|(k, _)| k != *key));
                    for (key, value) in left {
                        let those: Vec<_> =
                            spellings(value).into_iter().map(|one| (key.clone(), one)).collect();
                        longer.extend(extended(std::slice::from_ref(begun), &those));
                    }
                }
                all = longer;
            }
            all.into_iter().map(|fields| Value::Object(Map::from_iter(fields))).collect()
        }
        value => vec![value.clone()],
    }
}

fn extended<T: Clone>(all: &[Vec<T>], by: &[T]) -> Vec<Vec<T>> {
    all.iter()
        .flat_map(|begun| by.iter().map(|one| [&begun[..], std::slice::from_ref(one)].concat()))
        .collect()
}

/// Whether a text can be said from its first token to the end.
pub(super) fn can_be_said(grammars: &dyn Grammars, form: &Form, text: &str, end: u32) -> bool {
    let mut constraint = grammars.constraint(form).unwrap();
    for byte in text.bytes() {
        if constraint.is_over() || !allows(&constraint.mask().unwrap(), byte.into()) {
            return false;
        }
        constraint.accept(byte.into()).unwrap();
    }
    constraint.is_over() || allows(&constraint.mask().unwrap(), end)
}

#[test]
fn the_suite_is_enforced_or_refused() {
    let mut json = String::new();
    GzDecoder::new(SUITE).read_to_string(&mut json).unwrap();
    let suite: Vec<Value> = serde_json::from_str(&json).unwrap();
    let (tokenizer, end) = bytes();
    let grammars = grammars(Spellings::of(&tokenizer, 257, &[end]).unwrap()).unwrap();
    let mut rows: BTreeMap<String, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for group in &suite {
        let (file, about) = (group["file"].as_str().unwrap(), &group["description"]);
        let form = Form::JsonSchema(group["schema"].clone());
        let row = rows.entry(file.to_owned()).or_default();
        if let Err(error) = grammars.constraint(&form) {
            let sentence = error.sentence();
            let keyword = sentence
                .strip_prefix("json_schema at #")
                .and_then(|rest| rest.split_once(": ")?.1.split(' ').next());
            *row.1.entry(keyword.unwrap_or("(the library)").to_owned()).or_default() += 1;
            refused += usize::from(!file.starts_with("optional/"));
            continue;
        }
        row.0 += 1;
        for test in group["tests"].as_array().unwrap() {
            let (name, is_valid) = (test[0].as_str().unwrap(), test[2].as_bool().unwrap());
            let mut spellings = spellings(&test[1]);
            spellings.push(test[1].clone());
            let is_said = spellings
                .iter()
                .any(|value| can_be_said(&*grammars, &form, &value.to_string(), end));
            let is_exception = is_valid && (name.contains(ANNOTATION) || file.contains(STRICTER));
            if is_said != is_valid && !is_exception {
                wrong.push(format!("{file}, {about}: {name}: {}", test[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused <= MOST_REFUSED, "{refused} schemas are refused");
    let mut table = String::new();
    for (file, (enforced, refused)) in &rows {
        let refused: Vec<_> = refused.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(table, "| {file} | {enforced} | {} |", refused.join(", ")).unwrap();
    }
    assert!(DOCS.contains(&table), "docs/structured-output.md has another table than\n{table}");
}
