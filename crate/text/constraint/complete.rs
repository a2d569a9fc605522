//! What is complete of an answer in JSON that was cut.

use serde::de::IgnoredAny;

/// What is complete of the beginning of a JSON text, as JSON: the values that have come to their
/// ends, within what they stand in; nothing where none has. Where the text is not whole, a number
/// at its end may have more digits to come.
pub fn complete_json(text: &str, is_whole: bool) -> Option<String> {
    let bytes = text.as_bytes();
    // What closes each bracket that is open.
    let mut open = Vec::new();
    let mut complete = None;
    let mut before = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (end, is_value) = match byte {
            b'{' | b'[' => {
                open.push(byte + 2);
                (at + 1, false)
            }
            b'}' | b']' => {
                open.pop();
                (at + 1, true)
            }
            b'"' => match end_of_string(&bytes[at + 1..]) {
                Some(length) => (at + 1 + length, before == b':' || open.last() != Some(&b'}')),
                None => break,
            },
            _ if is_between(byte) => (at + 1, false),
            _ => {
                let end = bytes[at..].iter().position(|&byte| is_between(byte));
                let end = end.map_or(bytes.len(), |length| at + length);
                let is_word = matches!(&text[at..end], "true" | "false" | "null");
                (end, is_word || is_whole || end < bytes.len())
            }
        };
        if is_value {
            complete = Some((end, open.len()));
        }
        if b"{[:,".contains(&byte) {
            before = byte;
        }
        at = end;
    }
    let (end, depth) = complete?;
    let closing = open[..depth].iter().rev().map(|&byte| char::from(byte));
    let json: String = text[..end].chars().chain(closing).collect();
    // Whatever the text was, this is JSON.
    serde_json::from_slice::<IgnoredAny>(json.as_bytes()).is_ok().then_some(json)
}

/// How many bytes of the rest of a string belong to it, its closing quote included.
fn end_of_string(rest: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    let is_end = |&byte: &u8| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    };
    Some(rest.iter().position(is_end)? + 1)
}

/// Whether a byte is of no number and no word.
fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"{}[]:,\"".contains(&byte)
}

#[cfg(all(test, not(all(target_family = "wasm", target_os = "unknown"))))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn what_has_come_to_its_end_is_kept() {
        for (text, complete) in [
            ("", None),
            (" ", None),
            ("{", None),
            ("[[", None),
            (r#"{"a""#, None),
            (r#"{"a": [{"#, None),
            (r#"{"a": tru"#, None),
            (r#""ab"#, None),
            ("-", None),
            ("12", None),
            (r#""ab\""#, None),
            (r#""ab""#, Some(r#""ab""#)),
            ("true", Some("true")),
            ("12\n", Some("12")),
            ("{}", Some("{}")),
            (r#"{"a": null"#, Some(r#"{"a": null}"#)),
            (r#"{"a": 1"#, None),
            (r#"{"a": 1,"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b": 2."#, Some(r#"{"a": 1}"#)),
            (r#"{"a": "}\\", "b": "x\"#, Some(r#"{"a": "}\\"}"#)),
            (r#"{"a": "é", "b""#, Some(r#"{"a": "é"}"#)),
            (r#"{"a": [], "b": ["#, Some(r#"{"a": []}"#)),
            (r#"{"a": [true, fals"#, Some(r#"{"a": [true]}"#)),
            (r#"[{"a": "b"}, {"c": ["d", "e"#, Some(r#"[{"a": "b"}, {"c": ["d"]}]"#)),
            // A large number stays as it was written.
            ("[1e400, 123456789012345678901,", Some("[1e400, 123456789012345678901]")),
            // No beginnings of JSON.
            ("Hello", None),
            ("[1]]", None),
            (r#"{"a" 1,"#, None),
            ("[1}, 2", None),
        ] {
            assert_eq!(complete_json(text, false).as_deref(), complete, "{text}");
        }
    }

    #[test]
    fn a_number_at_the_end_of_a_whole_text_is_kept() {
        assert_eq!(complete_json("12", true).as_deref(), Some("12"));
        assert_eq!(complete_json("", true), None);
        assert_eq!(complete_json("Hello", true), None);
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(complete_json(&deep, false), None);
        let some = complete_json(&format!("{deep}1,"), false).unwrap();
        assert_eq!(some.len(), 2_000_001);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // Of so few digits that whoever reads them reads them exactly.
            (-1_000_000_000..1_000_000_000i64).prop_map(|n| Value::from(n as f64 / 64.0)),
            "[a\"\\\\{}:é\\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            let member = ("[a-d\"\\\\]{0,3}", inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                proptest::collection::vec(member, 0..4)
                    .prop_map(|all| all.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    /// Whether a value is what another began with: only the last of each may be less than it was.
    fn begins(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Array(part), Value::Array(whole)) => {
                all_but_last(part.iter().zip(whole), part.len(), whole.len())
            }
            (Value::Object(part), Value::Object(whole)) => {
                part.keys().eq(whole.keys().take(part.len()))
                    && all_but_last(part.values().zip(whole.values()), part.len(), whole.len())
            }
            (part, whole) => part == whole,
        }
    }

    fn all_but_last<'a>(
        mut pairs: impl Iterator<Item = (&'a Value, &'a Value)>,
        of_part: usize,
        of_whole: usize,
    ) -> bool {
        let is_last = |at| at + 1 == of_part;
        of_part <= of_whole
            // Nothing stands for what has only begun.
            && (of_part > 0 || of_whole == 0)
            && pairs.by_ref().enumerate().all(|(at, (part, whole))| {
                if is_last(at) { begins(part, whole) } else { part == whole }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_beginning_of_a_text_is_a_beginning_of_its_value(
            value in json(), is_pretty in any::<bool>(),
        ) {
            let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
            let mut length = 0;
            for (cut, _) in text.char_indices() {
                let Some(part) = complete_json(&text[..cut], false) else {
                    prop_assert_eq!(length, 0, "what was complete is lost");
                    continue;
                };
                let part: Value = serde_json::from_str(&part).unwrap();
                prop_assert!(begins(&part, &value), "{} of {}", part, value);
                let now = part.to_string().len();
                prop_assert!(now >= length, "what was complete is lost");
                length = now;
            }
            prop_assert_eq!(complete_json(&text, true), Some(text));
        }

        #[test]
        fn of_any_text_comes_json_or_nothing(text in r#"([\[\]{}:,"\\ 0-9.truefalsn-]|é){0,30}"#) {
            for is_whole in [false, true] {
                if let Some(json) = complete_json(&text, is_whole) {
                    prop_assert!(serde_json::from_str::<IgnoredAny>(&json).is_ok(), "{}", json);
                }
            }
        }
    }
}
