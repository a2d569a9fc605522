//! What the formatters leave to us: lines that a window holds, and files that a reader does.

use std::fs;
use std::path::{Path, PathBuf};

use crate::layering::sources;

/// Characters of a line.
const WIDEST: usize = 100;
/// Lines of a file, unless its first comment says why.
const LONGEST: usize = 400;
/// Where sources lie.
const FOLDERS: &[&str] =
    &["crate", "core", "grammars", "module", "shaders", "tests", "web", "xtask"];
/// How sources end. Data are as programs write them, and prose is as long as its paragraphs.
const ENDINGS: &[&str] =
    &["css", "html", "js", "jsx", "mjs", "py", "rs", "svelte", "toml", "ts", "wgsl"];
/// Sources elsewhere, and those whose names do not say so.
const ALSO: &[&str] =
    &[".cargo/config.toml", ".ci/run", "Cargo.toml", "wasm-pack.toml", "xtask/bench/gpu/run"];
/// What programs write.
const WRITTEN: &[&str] = &["crate/web/types.ts"];

fn sources_of_ours() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = ALSO.iter().map(|path| root.join(path)).collect();
    for ending in ENDINGS {
        let before = files.len();
        for folder in FOLDERS {
            sources(&root.join(folder), ending, &mut files);
        }
        assert!(files.len() > before, "no .{ending} was found");
    }
    files.retain(|file| WRITTEN.iter().all(|path| *file != root.join(path)));
    files
}

#[test]
fn lines_are_at_most_100_columns() {
    // Rows of a table in a comment cannot be broken.
    let is_row = |line: &str| ["//! |", "/// |"].iter().any(|row| line.trim().starts_with(row));
    for file in sources_of_ours() {
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let width = line.chars().count();
            assert!(
                width <= WIDEST || is_row(line),
                "{}:{}: {width} columns",
                file.display(),
                number + 1
            );
        }
    }
}

#[test]
fn files_are_at_most_400_lines() {
    for file in sources_of_ours() {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.split("\n\n").next().unwrap_or_default();
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST || first.contains("lines"),
            "{}: {lines} lines: split it by subject, or say in its first comment why it has so \
                many lines",
            file.display()
        );
    }
}
