#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

pub(super) fn tool(name: &str) -> Value {
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}},
        "required": ["city"],
        "additionalProperties": false,
    });
    json!({
        "type": "function",
        "function": {"name": name, "description": "Tells.", "parameters": parameters},
    })
}

/// What an answer comes to: its text, and its calls with their arguments.
fn read(pieces: impl IntoIterator<Item = Piece>) -> (String, Vec<(String, String)>) {
    let (mut text, mut calls) = (String::new(), Vec::<(String, String)>::new());
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text += &piece,
            Piece::Call { index, id, name } => {
                assert_eq!((index, id), (calls.len(), format!("call_{}", calls.len())));
                calls.push((name, String::new()));
            }
            Piece::Arguments { index, text } => {
                assert!(!text.is_empty());
                calls[index].1 += &text;
            }
        }
    }
    (text, calls)
}

pub(super) fn parsed(cuts: &[&str]) -> (String, Vec<(String, String)>) {
    let mut parser = CallParser::new(&["weather", "now"], "call_");
    let mut pieces: Vec<Piece> = cuts.iter().flat_map(|cut| parser.push(cut)).collect();
    pieces.extend(parser.finish());
    read(pieces)
}

#[test]
fn calls_are_read_in_every_dialect() {
    let paris = ("weather", r#"{"city": "Paris"}"#);
    let call = r#"{"name": "weather", "arguments": {"city": "Paris"}}"#;
    let now = r#"{"arguments": {}, "name": "now"}"#;
    let rows = [
        // Phi-4-mini's four.
        (format!("<|tool_call|>[{call}]<|/tool_call|>"), "", vec![paris]),
        (format!("[{call}, {now}]"), "", vec![paris, ("now", "{}")]),
        (format!("functools[{call},{now}]"), "", vec![paris, ("now", "{}")]),
        (
            r#"{"type": "function", "function": {"name": "now", "arguments": {"z": "Paris"}}}"#
                .to_owned(),
            "",
            vec![("now", r#"{"z": "Paris"}"#)],
        ),
        (
            r#"[{"id": "7", "function": {"arguments": "{\"city\": 1}", "name": "weather"}}]"#
                .to_owned(),
            "",
            vec![("weather", r#"{"city": 1}"#)],
        ),
        // Hermes' and Qwen's, with text around.
        (
            format!("I look.\n<tool_call>\n{call}\n</tool_call>\n<tool_call>\n{now}\n</tool_call>"),
            "I look.",
            vec![paris, ("now", "{}")],
        ),
        (format!("<tool_call>{now}</tool_call> So."), " So.", vec![("now", "{}")]),
        (format!("{call}\n{now}"), "", vec![paris, ("now", "{}")]),
        // Their words for nothing, and for arguments.
        (r#"{"name": "now"}"#.to_owned(), "", vec![("now", "{}")]),
        (r#"{"name": "now", "arguments": null}"#.to_owned(), "", vec![("now", "{}")]),
        (r#"{"name": "weather", "parameters": {"city": "Paris"}}"#.to_owned(), "", vec![paris]),
        // What is in a string is no end.
        (
            r#"<tool_call>{"name": "now", "arguments": {"a": "}</tool_call>\"{"}}</tool_call>"#
                .to_owned(),
            "",
            vec![("now", r#"{"a": "}</tool_call>\"{"}"#)],
        ),
        // Cut off, or broken: what has come, as it is.
        (
            r#"<tool_call>{"name": "weather", "arguments": {"city": "Pa"#.to_owned(),
            "",
            vec![("weather", r#"{"city": "Pa"#)],
        ),
        (
            r#"<tool_call>{"name": "weather", "arguments": {"city"</tool_call>Oh."#.to_owned(),
            "Oh.",
            vec![("weather", r#"{"city""#)],
        ),
        // Tools that were not offered, and what is no call, stay text.
        (
            r#"<tool_call>{"name": "rm", "arguments": {}}</tool_call>"#.to_owned(),
            r#"<tool_call>{"name": "rm", "arguments": {}}</tool_call>"#,
            vec![],
        ),
        (
            format!(r#"[{call}, {{"name": "rm", "arguments": {{}}}}]"#),
            r#"{"name": "rm", "arguments": {}}"#,
            vec![paris],
        ),
        (r#"{"answer": [1, {"a": 2}]}"#.to_owned(), r#"{"answer": [1, {"a": 2}]}"#, vec![]),
        ("[Paris](https://paris.fr) <b>".to_owned(), "[Paris](https://paris.fr) <b>", vec![]),
        ("Say {call} or [1, 2].\n".to_owned(), "Say {call} or [1, 2].\n", vec![]),
        ("func".to_owned(), "func", vec![]),
        ("<|tool_call|>".to_owned(), "<|tool_call|>", vec![]),
        ("\n <tool".to_owned(), "\n <tool", vec![]),
        (format!("{{\"a\": <tool_call>{call}</tool_call>"), "{\"a\":", vec![paris]),
        // A description that the model repeats is no call.
        (
            r#"{"name": "now", "description": "Tells.", "parameters": {"type": "object"}}"#
                .to_owned(),
            r#"{"name": "now", "description": "Tells.", "parameters": {"type": "object"}}"#,
            vec![],
        ),
    ];
    for (said, text, calls) in rows {
        let calls: Vec<_> =
            calls.into_iter().map(|(name, given)| (name.to_owned(), given.to_owned())).collect();
        assert_eq!(parsed(&[&said]), (text.to_owned(), calls.clone()), "{said}");
        let one_by_one: Vec<String> = said.chars().map(String::from).collect();
        let one_by_one: Vec<&str> = one_by_one.iter().map(String::as_str).collect();
        assert_eq!(parsed(&one_by_one), (text.to_owned(), calls), "{said}");
    }
}

#[test]
fn arguments_come_as_they_are_said() {
    let mut parser = CallParser::new(&["now"], "call_");
    assert_eq!(
        parser.push("Well, <tool_call>{\"name\": \"now\", \"arguments\": "),
        [Piece::Text("Well,".to_owned())]
    );
    assert_eq!(
        parser.push("{\"a\""),
        [
            Piece::Call { index: 0, id: "call_0".to_owned(), name: "now".to_owned() },
            Piece::Arguments { index: 0, text: "{\"a\"".to_owned() },
        ]
    );
    assert_eq!((parser.calls(), parser.ended()), (1, 0));
    assert_eq!(
        parser.push(": 1}}</tool_call>"),
        [Piece::Arguments { index: 0, text: ": 1}".to_owned() }]
    );
    assert_eq!((parser.ended(), parser.finish()), (1, Vec::new()));
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod whatever_is_said {
    use proptest::prelude::*;

    use super::*;

    /// What calls are made of, and what is near to it.
    const WORDS: &[&str] = &[
        "<|tool_call|>",
        "<|/tool_call|>",
        "<tool_call>",
        "</tool_call>",
        "functools[",
        "<tool",
        "_call>",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "\"name\"",
        "\"arguments\"",
        "\"parameters\"",
        "\"function\"",
        "\"type\"",
        "\"description\"",
        "\"now\"",
        "\"weather\"",
        "\"rm\"",
        "{\"name\": \"now\", \"arguments\": ",
        "{\"a\": 1}",
        "null",
        "1.5e3",
        "true",
        "Hi é.",
        "\u{7fff}",
    ];

    fn said() -> impl Strategy<Value = Vec<String>> {
        let word = prop_oneof![
            8 => proptest::sample::select(WORDS).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        proptest::collection::vec(word, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_cuts_do_not_matter_and_only_what_is_offered_is_called(words in said()) {
            let cuts: Vec<&str> = words.iter().map(String::as_str).collect();
            let all = words.concat();
            let (text, calls) = parsed(&cuts);
            prop_assert_eq!(&parsed(&[&all]), &(text.clone(), calls.clone()));
            for (name, _) in &calls {
                prop_assert!(["now", "weather"].contains(&name.as_str()));
            }
            // Nothing is made up.
            let is_said = |c: char| all.contains(c);
            prop_assert!(text.chars().all(is_said));
            if calls.is_empty() {
                prop_assert_eq!(text, all);
            }
        }
    }
}

#[test]
fn tools_are_read_as_openai_describes_them() {
    let tools = json!([tool("weather"), {"type": "function", "function": {"name": "now"}}]);
    let read = |choice: Value| Tools::read(Some(&tools), Some(&choice)).unwrap();
    assert_eq!(read(json!("auto")).callable(), ["weather", "now"]);
    assert_eq!(read(json!("none")).told(), &[] as &[Value]);
    assert_eq!(read(json!("required")).choice, ToolChoice::Required);
    let named = read(json!({"type": "function", "function": {"name": "now"}}));
    assert_eq!((named.callable(), named.told().len()), (vec!["now"], 2));
    assert_eq!(Tools::read(None, None).unwrap(), Tools::default());

    let named = |name: Value| json!([{"type": "function", "function": {"name": name}}]);
    let with = |field: &str, value: Value| {
        let function = json!({"name": "a", field: value});
        json!([{"type": "function", "function": function}])
    };
    let rows = [
        (json!({}), "tools is an object: it must be a list of { type: \"function\", function }"),
        (
            json!([{"name": "a"}]),
            "tools[0] is no function: give { type: \"function\", function: { name } }",
        ),
        (
            named(json!("a b")),
            "tools[0].function.name is \"a b\": it must be 1 to 64 of a-z, A-Z, 0-9, _ and -",
        ),
        (
            named(json!(null)),
            "tools[0].function.name is null: it must be 1 to 64 of a-z, A-Z, 0-9, _ and -",
        ),
        (json!([tool("a"), tool("a")]), "tools[1].function.name is \"a\" again: rename one"),
        (with("strict", json!(1)), "tools[0].function.strict is 1: it must be true or false"),
        (with("description", json!(1)), "tools[0].function.description is 1: it must be a text"),
        (
            with("parameters", json!({"type": "string"})),
            "tools[0].function.parameters is an object: it must be a JSON Schema of type \
                \"object\"",
        ),
    ];
    for (tools, sentence) in rows {
        let error = Tools::read(Some(&tools), None).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::BadOption, sentence), "{tools}");
    }
    let rows = [
        (
            json!("any"),
            "tool_choice is \"any\": it must be \"auto\", \"none\", \"required\" or { type: \
                \"function\", function: { name } }",
        ),
        (
            json!({"type": "function", "function": {"name": "rm"}}),
            "tool_choice names \"rm\", which tools has not: offer it",
        ),
    ];
    for (choice, sentence) in rows {
        let error = Tools::read(Some(&tools), Some(&choice)).unwrap_err();
        assert_eq!(error.message, sentence, "{choice}");
    }
    let error = Tools::read(None, Some(&json!("required"))).unwrap_err();
    assert_eq!(error.message, "tool_choice is \"required\", and there are no tools: give some");
}

#[test]
fn templates_show_the_dialect() {
    let rows = [
        ("{{ '<|tool_call|>' }}", Dialect::Phi4),
        ("{{ '<|tool|>' + message['tools'] }}", Dialect::Phi4),
        ("{{ message['tools'] }}", Dialect::Json),
        ("within <tool_call></tool_call> tags", Dialect::Hermes),
        ("functools[", Dialect::Functools),
        ("{{ tools | tojson }}", Dialect::Json),
    ];
    for (template, dialect) in rows {
        assert_eq!(Dialect::of(template), dialect, "{template}");
    }
}

#[test]
fn it_is_known_where_calls_have_begun() {
    let begun = |said: &str| {
        let mut parser = CallParser::new(&["now"], "call_");
        parser.push(said);
        parser.begun().map(|begun| (begun.place, begun.dialect, begun.said.to_owned()))
    };
    let named = "{\"name\": \"now\", \"arguments\": ";
    let rows = [
        ("So.\n<tool_call>\n", Some((1, Dialect::Hermes, "<tool_call>\n".to_owned()))),
        ("<|tool_call|>", Some((1, Dialect::Phi4, "<|tool_call|>".to_owned()))),
        ("<tool_call>{\"name\": \"now\"}</tool_call>", None),
        ("<tool_call> no <tool_call>", Some((2, Dialect::Hermes, "<tool_call>".to_owned()))),
        (&format!("functools[{named}"), None),
        (
            &format!("functools[{named}{{"),
            Some((1, Dialect::Functools, format!("functools[{named}{{"))),
        ),
        (&format!("[{named}{{"), Some((1, Dialect::Json, format!("[{named}{{")))),
        (&format!("{named}{{"), None),
        (&format!("[{named}{{").replace("now", "rm"), None),
        (&format!("[{named}{{}}}}]"), None),
    ];
    for (said, expected) in rows {
        assert_eq!(begun(said), expected, "{said}");
    }
}

#[test]
fn what_was_begun_is_read_and_only_its_calls_are_told() {
    let call = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
    let rows = [
        ("So. ", "It is", "It is", 0),
        ("So. ", call, "", 1),
        ("So.\n<tool", &call["<tool".len()..], "", 1),
        ("So. <tool", "s> are", "s> are", 0),
        (&call[..40], &call[40..], "", 1),
        (&call[..20], "no", "no", 0),
        (call, " So.", " So.", 1),
        ("{\"a\": ", "1}", "1}", 0),
    ];
    for (known, said, text, calls) in rows {
        let mut parser = CallParser::new(&["now"], "call_");
        let mut pieces = parser.begin_with(known);
        pieces.extend(parser.push(said));
        pieces.extend(parser.finish());
        let (told, called) = read(pieces);
        assert_eq!((told.as_str(), called.len()), (text, calls), "{known}|{said}");
    }
}
