//! What the formatters leave to us: lines that a window holds, and files that a reader does.

use std::fs;
use std::path::{Path, PathBuf};

use crate::layering::sources;

/// Characters of a line.
const WIDEST: usize = 100;
/// Lines of a file, unless its first comment says why.
const LONGEST: usize = 400;

fn files(folders: &[&str], ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), ending, &mut files);
    }
    assert!(files.len() > 20, "the sources of {folders:?} were not found");
    files
}

#[test]
fn lines_are_at_most_100_columns() {
    // Rows of a table in a comment cannot be broken.
    let is_row = |line: &str| ["//! |", "/// |"].iter().any(|row| line.trim().starts_with(row));
    let rust = files(&["crate", "core", "module", "xtask", "tests"], "rs");
    for file in rust.into_iter().chain(files(&["shaders"], "wgsl")) {
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
    for file in files(&["crate", "core", "xtask"], "rs") {
        let text = fs::read_to_string(&file).unwrap();
        let first: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST || first.contains("lines"),
            "{}: {lines} lines: split it by subject, or say in its first comment why it has so \
                many lines",
            file.display()
        );
    }
}
