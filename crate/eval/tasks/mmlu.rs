//! MMLU: questions of 57 subjects, four choices each, asked after five examples. Its files are
//! tables of six columns without a head: the question, the choices A to D, the right letter.

use csv::ReaderBuilder;

use super::{Item, empty, wrong};
use crate::error::{Code, Result, fail};

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

/// Examples that a question comes after.
pub const SHOTS: usize = 5;

/// A table's rows.
struct Row {
    question: String,
    choices: Vec<String>,
    gold: usize,
}

/// A subject's questions, each after the first examples of its other file. Both files come with
/// their names.
///
/// # Errors
/// `malformed`, with the file and the line; `bad-option` for more examples than there are.
pub fn items(
    subject: &str,
    examples: (&str, &str),
    questions: (&str, &str),
    shots: usize,
) -> Result<Vec<Item>> {
    let subject = subject.replace('_', " ");
    let mut before =
        format!("The following are multiple choice questions (with answers) about {subject}.\n\n");
    if shots > 0 {
        let rows = rows(examples)?;
        if rows.len() < shots {
            fail!(
                Code::BadOption,
                "{} has {} examples, and {shots} are to come before each question",
                examples.0,
                rows.len()
            );
        }
        for row in &rows[..shots] {
            before += &format!("{} {}\n\n", row.asked(), LETTERS[row.gold]);
        }
    }
    let item = |row: Row| Item {
        context: format!("{before}{}", row.asked()),
        choices: LETTERS.map(str::to_owned).to_vec(),
        gold: row.gold,
    };
    Ok(rows(questions)?.into_iter().map(item).collect())
}

impl Row {
    fn asked(&self) -> String {
        let lettered = LETTERS.iter().zip(&self.choices);
        let choices: String =
            lettered.map(|(letter, choice)| format!("{letter}. {choice}\n")).collect();
        format!("{}\n{choices}Answer:", self.question.trim())
    }
}

fn rows((file, text): (&str, &str)) -> Result<Vec<Row>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, |position| position.line());
            wrong(file, line, error)
        })?;
        let line = record.position().map_or(0, |position| position.line());
        let fields: Vec<&str> = record.iter().collect();
        let [question, a, b, c, d, letter] = fields[..] else {
            let what = format!("{} columns, not 6", fields.len());
            return Err(wrong(file, line, what));
        };
        let Some(gold) = LETTERS.iter().position(|known| *known == letter.trim()) else {
            let what = format!("the right choice is {letter:?}, and there are A, B, C and D");
            return Err(wrong(file, line, what));
        };
        let choices = [a, b, c, d].map(str::to_owned).to_vec();
        rows.push(Row { question: question.to_owned(), choices, gold });
    }
    if rows.is_empty() { Err(empty(file)) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DEV: (&str, &str) = ("dev.csv", "1 + 1?,1,2,3,4,B\n2 + 2?,1,2,3,4,D\n");

    #[test]
    fn a_question_comes_after_examples() {
        let test = ("test.csv", "\" \"\"Why\"\",\nhe asked \",x,\"y, z\",,w,A\n");
        let [item] = &items("made_up_things", DEV, test, 1).unwrap()[..] else { panic!("one") };
        let expected = "The following are multiple choice questions (with answers) about made up \
                        things.\n\n1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n\"Why\",\nhe \
                        asked\nA. x\nB. y, z\nC. \nD. w\nAnswer:";
        assert_eq!((item.context.as_str(), item.gold), (expected, 0));
        let [item] = &items("made_up_things", DEV, test, 0).unwrap()[..] else { panic!("one") };
        assert!(item.context.contains("things.\n\n\"Why\""), "{}", item.context);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let rows = [
            ("a,b,c,d,e,A\n\"a\nb\",c,d\n", "t.csv, line 2: 3 columns, not 6; "),
            ("a,b,c,d,e,F", "t.csv, line 1: the right choice is \"F\", and there are A, B"),
            ("", "t.csv: there are no items in it"),
        ];
        for (text, sentence) in rows {
            let error = items("s", DEV, ("t.csv", text), 2).unwrap_err();
            assert!(error.sentence().starts_with(sentence), "{error}");
        }
        let error = items("s", DEV, ("t.csv", "a,b,c,d,e,A"), 3).unwrap_err();
        assert_eq!(error.code, Code::BadOption, "{error}");
    }
}
