//! ARC, easy and challenge: science questions. Its files have an object in JSON on each line.

use serde::Deserialize;

use super::{Item, json_lines, wrong};
use crate::error::Result;

#[derive(Deserialize)]
struct Record {
    question: Question,
    #[serde(rename = "answerKey")]
    answer_key: String,
}

#[derive(Deserialize)]
struct Question {
    stem: String,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    text: String,
    label: String,
}

/// A file's questions.
///
/// # Errors
/// `malformed`, with the file and the line.
pub fn items(file: &str, text: &str) -> Result<Vec<Item>> {
    json_lines(file, text)?
        .into_iter()
        .map(|(line, Record { question: Question { stem, choices }, answer_key })| {
            let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
            let Some(gold) = labels.iter().position(|label| *label == answer_key) else {
                let what = format!(
                    "answerKey is {answer_key:?}, and the choices' labels are {}",
                    labels.join(", ")
                );
                return Err(wrong(file, line, what));
            };
            Ok(Item {
                context: format!("Question: {stem}\nAnswer:"),
                choices: choices.into_iter().map(|choice| choice.text).collect(),
                gold,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LINE: &str = r#"{"id": "1", "question": {"stem": "Why?", "choices": [{"text": "So",
        "label": "1"}, {"text": "No", "label": "2"}]}, "answerKey": "2"}"#;

    #[test]
    fn a_line_is_a_question() {
        let line = LINE.replace('\n', "");
        let item = Item {
            context: "Question: Why?\nAnswer:".to_owned(),
            choices: vec!["So".to_owned(), "No".to_owned()],
            gold: 1,
        };
        let text = format!("\u{feff}{line}\r\n\n{line}");
        assert_eq!(items("arc.jsonl", &text).unwrap(), [item.clone(), item]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let line = LINE.replace('\n', "");
        let rows = [
            (
                line.replace("Key\": \"2\"", "Key\": \"B\""),
                "line 2: answerKey is \"B\", and the choices' labels are 1, 2; give",
            ),
            (line.replace("stem", "text"), "line 2: missing field `stem`; give"),
            ("{\"id\": ".to_owned(), "line 2: EOF while parsing a value; give"),
        ];
        for (bad, sentence) in rows {
            let error = items("arc.jsonl", &format!("{line}\n{bad}\n")).unwrap_err();
            assert!(error.sentence().starts_with(&format!("arc.jsonl, {sentence}")), "{error}");
        }
    }
}
