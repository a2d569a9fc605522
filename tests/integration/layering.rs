//! Who may import whom, and who may name which library. The table is the design; the compiler
//! cannot hold it alone. Below the modules of the table `circles` looks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, and the modules that it may name: all of them stand before it, so that
/// there is no circle.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &[]),
    ("random", &[]),
    ("json", &["error"]),
    ("layout", &["error"]),
    ("text", &["error", "random", "clock", "json"]),
    ("op", &["error", "layout"]),
    ("profile", &[]),
    ("backend", &["error", "op", "profile"]),
    ("timing", &["error", "op", "backend", "clock"]),
    ("weights", &["error", "op", "backend", "json", "layout"]),
    ("model", &["error", "op", "backend", "layout", "weights"]),
    (
        "engine",
        &[
            "error", "op", "profile", "backend", "random", "clock", "timing", "layout", "weights",
            "model",
        ],
    ),
    ("cpu", &["error", "op", "backend", "layout"]),
    ("gpu", &["error", "op", "profile", "backend", "clock", "timing", "layout"]),
    ("text_assets", &["error", "text", "weights"]),
    ("prefix_cache", &["error", "weights", "engine"]),
    (
        "session",
        &[
            "error",
            "op",
            "backend",
            "weights",
            "engine",
            "prefix_cache",
            "text",
            "text_assets",
            "clock",
        ],
    ),
    ("eval", &["error", "backend", "engine", "text", "session"]),
    ("bench", &["error", "profile", "backend", "weights", "engine", "clock"]),
    ("convert", &["error", "op", "json", "weights", "text", "text_assets"]),
    (
        "calibrate",
        &[
            "error",
            "op",
            "backend",
            "random",
            "layout",
            "weights",
            "model",
            "engine",
            "cpu",
            "text",
            "text_assets",
            "convert",
        ],
    ),
    ("model_cache", &["error", "layout", "weights", "convert", "clock"]),
    ("openai", &["error", "text", "session"]),
    ("wire", &["error", "op", "weights", "text", "session"]),
    (
        "web",
        &[
            "error",
            "op",
            "backend",
            "weights",
            "model_cache",
            "engine",
            "prefix_cache",
            "text",
            "text_assets",
            "session",
            "bench",
            "cpu",
            "gpu",
            "openai",
            "wire",
        ],
    ),
];

/// A library, and the only modules that may name it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("wgpu", &["gpu"]),
    ("wasm_bindgen", &["web"]),
    ("js_sys", &["web"]),
    ("serde_wasm_bindgen", &["web"]),
    ("web_sys", &["web"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("csv", &["eval"]),
    ("rand_mt", &["eval"]),
    ("flate2", &["cli"]),
    ("rustyline", &["cli"]),
    ("signal_hook", &["cli"]),
    ("indicatif", &["cli"]),
    ("tokenizers", &["text"]),
    ("llguidance", &["text"]),
    ("minijinja", &["text"]),
    ("roxmltree", &["text"]),
    ("faer", &["calibrate"]),
    ("chrono", &["text", "clock"]),
    ("safetensors", &["weights", "cli"]),
];

/// What lies beside sources: libraries, and what was built.
const NOT_OURS: &[&str] = &["node_modules", "dist", "target"];

/// The files below a folder whose names end so.
pub fn sources(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if NOT_OURS.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            sources(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

/// A source without comments and its own tests.
pub fn code_of(text: &str) -> String {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// Every source file of what is compiled into the library, with the top-level module that it
/// belongs to, comments and its own tests removed. What core/ has the rest calls by the same names.
fn modules() -> Vec<(String, PathBuf, String)> {
    let packages =
        ["crate", "core"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let all: Vec<_> = packages.iter().flat_map(|root| modules_of(root)).collect();
    assert!(all.len() > 20, "the crate's sources were not found");
    all
}

fn modules_of(root: &Path) -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    sources(root, "rs", &mut files);
    files
        .into_iter()
        .map(|path| {
            let first = path.strip_prefix(root).unwrap().components().next().unwrap();
            let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let code = code_of(&fs::read_to_string(&path).unwrap());
            (module, path, code)
        })
        .collect()
}

/// The modules that follow `crate::` in a source.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    code.split("crate::")
        .skip(1)
        .flat_map(|after| match after.strip_prefix('{') {
            Some(list) => list
                .split("};")
                .next()
                .unwrap_or(list)
                .split(',')
                .map(|item| word(item.trim()))
                .collect(),
            None => vec![word(after)],
        })
        .filter(|module| !module.is_empty())
        .collect()
}

#[test]
fn modules_import_only_what_the_design_allows() {
    let mut seen = BTreeSet::new();
    for (module, path, code) in modules() {
        if ["lib", "main", "cli", "typescript"].contains(&module.as_str()) {
            // The crate's face, a test, and the command, which sees only what the crate makes
            // public.
            continue;
        }
        let row = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let (_, allowed) = row.unwrap_or_else(|| {
            panic!("{}: module {module} has no row in MAY_IMPORT", path.display())
        });
        seen.insert(module.clone());
        for imported in imports(&code) {
            if imported == module || ["Code", "Error", "Result"].contains(&imported.as_str()) {
                continue;
            }
            assert!(
                allowed.contains(&imported.as_str()),
                "{}: {module} may not import {imported}",
                path.display()
            );
        }
    }
    let rows: BTreeSet<String> = MAY_IMPORT.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, rows, "MAY_IMPORT lists modules that are gone");
}

#[test]
fn there_is_no_circle() {
    for (at, (module, imported)) in MAY_IMPORT.iter().enumerate() {
        let before = |name: &&str| MAY_IMPORT[..at].iter().any(|(other, _)| other == name);
        let later: Vec<_> = imported.iter().filter(|name| !before(name)).collect();
        assert!(later.is_empty(), "{module} may import {later:?}, which come after it");
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    for (library, homes) in ONLY_IN {
        let mut used = false;
        for (module, path, code) in modules() {
            let named =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library}"));
            let own = code.contains(&format!("crate::{library}"))
                || code.contains(&format!("weights::{library}"));
            if named && !(own && homes.contains(&module.as_str())) {
                assert!(
                    homes.contains(&module.as_str()),
                    "{}: only {homes:?} may name {library}",
                    path.display()
                );
            }
            used |= named;
        }
        assert!(used, "{library} is in the table and nobody names it");
    }
}

#[test]
fn plain_wasi_sees_neither_wgpu_nor_javascript() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--target",
            "wasm32-wasip1",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            "phi-wasm",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("tokenizers"), "the tree is not ours: {tree}");
    for absent in ["wgpu", "wasm-bindgen", "js-sys", "web-sys"] {
        assert!(
            !tree.lines().any(|line| line.split(' ').next() == Some(absent)),
            "wasm32-wasip1 sees {absent}"
        );
    }
}
