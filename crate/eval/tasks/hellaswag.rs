//! HellaSwag: how a scene goes on. Its files have an object in JSON on each line.

use serde::Deserialize;
use serde_json::Value;

use super::{Item, json_lines, wrong};
use crate::error::Result;

#[derive(Deserialize)]
struct Record {
    activity_label: String,
    ctx_a: String,
    ctx_b: String,
    endings: Vec<String>,
    /// A number; copies of the files have it as a text. The test split has none.
    label: Option<Value>,
}

/// A file's scenes.
///
/// # Errors
/// `malformed`, with the file and the line.
pub fn items(file: &str, text: &str) -> Result<Vec<Item>> {
    json_lines(file, text)?
        .into_iter()
        .map(|(line, record)| {
            let Record { activity_label, ctx_a, ctx_b, endings, label } = record;
            let gold = match &label {
                Some(Value::String(label)) => label.parse().ok(),
                Some(label) => label.as_u64().map(|label| label as usize),
                None => None,
            };
            let Some(gold) = gold.filter(|&gold| gold < endings.len()) else {
                let told = label.map_or("missing".to_owned(), |label| label.to_string());
                let what = format!("label is {told}, and there are {} endings", endings.len());
                return Err(wrong(file, line, what));
            };
            let context = format!("{activity_label}: {ctx_a} {}", capitalized(&ctx_b));
            Ok(Item {
                context: without_brackets(&context),
                choices: endings.iter().map(|ending| without_brackets(ending)).collect(),
                gold,
            })
        })
        .collect()
}

/// As Python's `capitalize` has it: the first letter large, the others small.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters.as_str().to_lowercase().chars()).collect()
}

/// What WikiHow's headings have left in a text, taken out.
fn without_brackets(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let (mut kept, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once('[') {
        kept += before;
        match after.split_once(']') {
            Some((inside, after)) if !inside.contains('\n') => rest = after,
            _ => {
                kept.push('[');
                rest = after;
            }
        }
    }
    (kept + rest).replace("  ", " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LINE: &str = r#"{"ind": 4, "activity_label": "Ice", "ctx_a": "A man [step] sits.",
        "ctx_b": "he IS", "endings": ["up [a].", "[b] down"], "label": 1}"#;

    #[test]
    fn a_line_is_a_scene() {
        let line = LINE.replace('\n', "");
        let item = Item {
            context: "Ice: A man sits. He is".to_owned(),
            choices: vec!["up .".to_owned(), " down".to_owned()],
            gold: 1,
        };
        for line in [line.clone(), line.replace("\": 1}", "\": \"1\"}")] {
            assert_eq!(items("h.jsonl", &line).unwrap(), std::slice::from_ref(&item));
        }
        for label in ["2", "\"\"", "null", "-1"] {
            let bad = line.replace("\": 1}", &format!("\": {label}}}"));
            let error = items("h.jsonl", &bad).unwrap_err();
            assert!(error.sentence().starts_with("h.jsonl, line 1: label is "), "{error}");
        }
    }

    /// As Python's `re.sub("\\[.*?\\]", "", …)` and `capitalize` do.
    #[test]
    fn texts_are_cleaned_as_in_python() {
        let rows = [
            ("a [x[y] z]", "a  z]"),
            ("a [x", "a [x"),
            ("a [x\n] [y] b", "a [x\n] b"),
            ("Do [title] Then", "Do.  Then"),
        ];
        for (text, clean) in rows {
            assert_eq!(without_brackets(text), clean.replace("  ", " "), "{text}");
        }
        assert_eq!(capitalized("éCOLE No"), "École no");
        assert_eq!(capitalized(""), "");
    }
}
