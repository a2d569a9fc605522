//! JSON from strangers' files: parsed whole, in memory that the file is worth.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Code, Error, Result, fail};

/// Values that a file may hold: each takes up to a hundred bytes as a tree, and two in the file.
/// Those in use have fifty thousand.
pub const MOST_VALUES: usize = 1 << 19;

/// Parses a JSON file.
///
/// # Errors
/// `truncated` when it just ends, `malformed` otherwise.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T> {
    let bytes = without_mark(bytes);
    if has_too_many_values(bytes) {
        fail!(
            Code::Malformed,
            "{file}: it holds more than {MOST_VALUES} values, the most that we read; fetch it again"
        );
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(file, bytes, &error))
}

/// Why a JSON file cannot be read, and what to do about it.
pub(crate) fn unreadable(file: &str, bytes: &[u8], error: &serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    match (stand_in(bytes), error.classify()) {
        (Some(what), _) => Error::new(Code::Malformed, format!("{file}: {what}")),
        (None, Category::Eof) => Error::new(
            Code::Truncated,
            format!(
                "{file}: the JSON ends after {} bytes; the file was cut short, fetch it again",
                bytes.len()
            ),
        ),
        (None, Category::Data) => Error::new(
            Code::Malformed,
            format!("{file}: {error}; the file is not as such files are, fetch it again"),
        ),
        (None, _) => Error::new(
            Code::Malformed,
            format!("{file}: no JSON from {place} on; the file is damaged, fetch it again"),
        ),
    }
}

/// What lies in the place of a model's file, where that is one of the things that people end up
/// with instead.
pub(crate) fn stand_in(begin: &[u8]) -> Option<&'static str> {
    let begin = without_mark(begin).trim_ascii_start();
    if begin.starts_with(b"version https://git-lfs") {
        Some("a pointer of Git LFS in the file's place; git lfs pull fetches the file")
    } else if begin.starts_with(b"<") {
        Some("a page of the web in the file's place; download the file itself")
    } else {
        None
    }
}

/// What stands in the place of a text, which may begin with a `<` that is its own: only what HTML
/// begins with is a page.
pub(crate) fn stand_in_of_text(begin: &[u8]) -> Option<&'static str> {
    let text = without_mark(begin).trim_ascii_start();
    let is = |start: &[u8]| {
        text.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    stand_in(text).filter(|_| !is(b"<") || is(b"<!doctype html") || is(b"<html"))
}

/// Without the mark that some editors put before UTF-8.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether JSON would be much larger as a tree than it is as a text.
pub fn has_too_many_values(json: &[u8]) -> bool {
    let (mut in_text, mut is_escaped, mut values) = (false, false, 1_usize);
    for byte in json {
        match byte {
            b'"' if !is_escaped => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
        is_escaped = in_text && !is_escaped && *byte == b'\\';
    }
    values > MOST_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_page_where_it_begins_as_html_does() {
        for page in ["<!DOCTYPE html>", "\u{feff} <!doctype HTML><html>", "\n<html lang=\"en\">"] {
            assert_eq!(stand_in_of_text(page.as_bytes()), stand_in(b"<"), "{page}");
        }
        assert!(stand_in_of_text(b"version https://git-lfs.github.com/spec/v1").is_some());
        for template in ["<|im_start|>", "<s>", "<", "<htm", "{{ messages }}", ""] {
            assert_eq!(stand_in_of_text(template.as_bytes()), None, "{template}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        let of = |item: &str, times: usize| format!("[{}1]", item.repeat(times));
        assert!(!has_too_many_values(of("1,", MOST_VALUES - 2).as_bytes()));
        assert!(has_too_many_values(of("1,", MOST_VALUES - 1).as_bytes()));
        assert!(has_too_many_values(of("{},", MOST_VALUES / 2).as_bytes()));
        let text = of(r#"\\\",["#, MOST_VALUES);
        assert!(!has_too_many_values(format!("[\"{text}\"]").as_bytes()), "of a text");
    }
}
