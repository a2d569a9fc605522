//! A text to calibrate on: the READMEs of the crates that we depend on, of the versions that
//! Cargo.lock has, but for those that say what the text says on which is measured.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::place::Place;
use crate::sh;

/// Characters that no README has in common with the text that is measured, blanks counted once.
const IN_COMMON: usize = 40;
/// Shorter ones say little.
const LEAST: usize = 500;
/// What 48 windows of 512 tokens take, in bytes.
const NEEDED: usize = 200_000;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    /// None for our own.
    source: Option<String>,
    manifest_path: PathBuf,
    readme: Option<PathBuf>,
}

/// Writes the text into the cache; its path.
pub fn write(place: &Place) -> Result<PathBuf> {
    let mut cargo = place.command("cargo");
    cargo.args(["metadata", "--format-version=1", "--locked", "--all-features"]);
    let Metadata { mut packages } =
        serde_json::from_str(&sh::output(&mut cargo)?).context("cargo says nothing of packages")?;
    packages.sort_by(|one, other| one.manifest_path.cmp(&other.manifest_path));
    let measured = fs::read_to_string(place.root.join("tests/golden/quant/text.txt"))
        .context("the text that is measured cannot be read")?;
    let measured = words(&measured);
    let measured: HashSet<&[u8]> = measured.as_bytes().windows(IN_COMMON).collect();
    let (mut texts, mut seen) = (Vec::new(), HashSet::new());
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let readme = package.readme.as_ref().map(|file| package.manifest_path.with_file_name(file));
        let Some(text) = readme.and_then(|file| fs::read_to_string(file).ok()) else { continue };
        let words = words(&text);
        let is_told = words.as_bytes().windows(IN_COMMON).any(|some| measured.contains(some));
        // Crates of one repository share theirs.
        if words.len() >= LEAST && !is_told && seen.insert(words) {
            texts.push(text);
        }
    }
    let all = texts.join("\n\n");
    if all.len() < NEEDED {
        bail!("the crates' READMEs have {} bytes; calibrating takes {NEEDED}", all.len());
    }
    let file = place.cache.join("readmes.txt");
    fs::write(&file, all).context("the cache cannot be written")?;
    Ok(file)
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
