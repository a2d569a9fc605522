//! `phi run` with a form.

use std::fs;

use crate::cli::{phi, tiny_chat};

/// Whether what was said has the form.
type IsOne<'a> = &'a dyn Fn(&str) -> bool;

#[test]
fn the_command_holds_answers_to_a_form() {
    let model = tiny_chat("form");
    let schema = format!("{model}/schema.json");
    let grammar = format!("{model}/grammar.lark");
    let sample = format!("{model}/sample.xml");
    fs::write(&schema, r#"{"type": "integer", "minimum": 0, "maximum": 99}"#).unwrap();
    fs::write(&grammar, "start: \"a\" \"b\"").unwrap();
    fs::write(&sample, "<answer><yes>true</yes></answer>").unwrap();
    let is_number = |said: &str| said.parse::<u8>().is_ok_and(|number| number < 100);
    let is_like_it = |said: &str| {
        said.replace(['\n', ' '], "").replace("false", "true") == "<answer><yes>true</yes></answer>"
    };
    let rows: [(&[&str], IsOne); 6] = [
        (&["--json-schema", &schema], &is_number),
        (&["--grammar", &grammar], &|said| said == "ab"),
        (&["--xml-schema", &sample], &is_like_it),
        (&["--regex", "[xy]z"], &|said| ["xz", "yz"].contains(&said)),
        (&["--choice", "yes", "--choice", "no", "--no-hint"], &|said| {
            ["yes", "no"].contains(&said)
        }),
        (&["--json-object", "--max-tokens", "30"], &|said| said.starts_with('{')),
    ];
    for (options, is_one) in rows {
        let begin = ["run", "--model", &model, "--backend", "cpu", "--temperature", "2"];
        let output = phi(&[&begin, options, &["Hi"]].concat(), "");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(is_one(said.trim_end_matches('\n')), "{options:?}: {said}");
    }
}

#[test]
fn a_form_that_cannot_be_is_told_before_a_model_is_looked_for() {
    let model = tiny_chat("no-form");
    let schema = format!("{model}/schema.json");
    fs::write(&schema, r#"{"properties": {"a": {"uniqueItems": true}}}"#).unwrap();
    let xml = format!("{model}/schema.xml");
    fs::write(&xml, "<a>").unwrap();
    let rows: [(&[&str], &str); 5] = [
        (&["--xml-schema", &xml], "schema.xml: xml_schema: it is no XML that is read here: "),
        (
            &["--json-schema", &schema],
            "schema.json: json_schema at #/properties/a: uniqueItems is not enforced of more than \
                one item [bad-constraint]",
        ),
        (&["--regex", "(a"], "regex: it cannot be read: unclosed group [bad-constraint]"),
        (&["--grammar", "/nowhere.lark"], "there is no such file or directory [not-found]"),
        (&["--regex", "a", "--choice", "b"], "cannot be used with"),
    ];
    for (options, part) in rows {
        let output = phi(&[&["run", "--model", "/nowhere"], options, &["Hi"]].concat(), "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(part), "{options:?}: {said}");
    }
}
