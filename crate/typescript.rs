//! What crosses to JavaScript, in TypeScript: `web/types.ts`, written from the Rust types that are
//! sent and read. After a change of one, `UPDATE_TYPES=1 cargo test --lib typescript` writes it
//! anew.

use std::{env, fs};

use ts_rs::{Config, TS};

use crate::bench::Figures;
use crate::error::Code;
use crate::model_cache::Checked;
use crate::session::{
    CallDelta, Decision, Event, Finish, GenerateOptions, Score, Stats, TokenLogprob, TopLogprob,
    Wanted,
};
use crate::wire::{LoadProgress, LoadSettings, LoadedModel, TemplateOptions};

const FILE: &str = include_str!("web/types.ts");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crate/web/types.ts");

#[test]
fn types_are_those_of_the_rust_code() {
    let written = [
        "// Written from the Rust types by crate/typescript.rs: do not edit.\n".to_owned(),
        codes(),
        declared::<Wanted>(),
        declared::<LoadSettings>(),
        declared::<LoadProgress>(),
        declared::<LoadedModel>(),
        declared::<Checked>(),
        declared::<TemplateOptions>(),
        declared::<GenerateOptions>(),
        declared::<Finish>(),
        declared::<Stats>(),
        declared::<TopLogprob>(),
        declared::<TokenLogprob>(),
        declared::<CallDelta>(),
        declared::<Event>(),
        declared::<Score>(),
        declared::<Decision>(),
        declared::<Figures>(),
    ]
    .join("\n");
    if env::var_os("UPDATE_TYPES").is_some() {
        fs::write(PATH, written).expect("the file can be written");
        return;
    }
    assert!(
        written == FILE,
        "{PATH} is not as the Rust types say: UPDATE_TYPES=1 cargo test --lib typescript\n{written}"
    );
}

/// The table of codes, which is another package's: it knows nothing of TypeScript.
fn codes() -> String {
    let spellings: Vec<String> =
        Code::ALL.iter().map(|code| format!("\"{}\"", code.as_str())).collect();
    format!(
        "/**\n * What kind of thing went wrong. The names are stable: they are part of the public \
            interface.\n */\nexport type Code = {};\n",
        spellings.join(" | ")
    )
}

/// A type's declaration, a field a line.
fn declared<T: TS>() -> String {
    let config = Config::default().with_large_int("number"); // What crosses stays below 2^53.
    let declaration = T::decl(&config).replace(", }", ",\n}");
    let mut depth = 0;
    let mut text = T::docs().unwrap_or_default() + "export ";
    for line in declaration.lines().map(str::trim) {
        let is_comment = line.starts_with(['/', '*']);
        let braces = |brace| if is_comment { 0 } else { line.matches(brace).count() };
        let closes = usize::from(line.starts_with('}'));
        let indent = if text.ends_with('\n') { "  ".repeat(depth - closes) } else { String::new() };
        depth = depth + braces('{') - braces('}');
        let inner = if line.starts_with('*') { " " } else { "" };
        let (line, end) =
            line.strip_suffix(',').filter(|_| !is_comment).map_or((line, ""), |line| (line, ";"));
        text += &format!("{indent}{inner}{line}{end}\n");
    }
    text
}
