//! A target directory that checkouts share: `CARGO_TARGET_DIR` in the cache. Compiled libraries in
//! it serve every checkout; what was compiled of the project's own code serves only the one that it
//! lies in, and would pile up.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::place::Place;
use crate::sh;

/// Where cargo puts what it compiles, below the target directory: `[FOLDER/][TRIPLE/]PROFILE`.
const DEPTH: usize = 3;
/// Folders of a profile.
const KINDS: [&str; 4] = ["deps", ".fingerprint", "build", "incremental"];

/// Takes everything but libraries out of a target directory in the cache; leaves any other as it
/// is.
pub fn keep_only(place: &Place) -> Result<()> {
    if place.target.starts_with(&place.cache) {
        sweep(&place.target, DEPTH, &own_targets(place)?)
    } else {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

/// What cargo compiles of a package: its library, a command, a crate of tests.
#[derive(Deserialize)]
struct Target {
    name: String,
}

/// What cargo makes of this workspace's own code, by the names of packages and their parts.
fn own_targets(place: &Place) -> Result<Vec<String>> {
    let metadata =
        sh::output(place.command("cargo").args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("cargo metadata gave something unexpected")?;
    let names = metadata.packages.into_iter().flat_map(|Package { name, targets }| {
        targets.into_iter().map(|target| target.name).chain([name])
    });
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

fn sweep(folder: &Path, depth: usize, own: &[String]) -> Result<()> {
    for item in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let path = item?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.is_dir() {
            continue;
        }
        if KINDS.contains(&&*name) {
            remove(&path, own)?;
        } else if depth > 0 {
            sweep(&path, depth - 1, own)?;
        }
    }
    Ok(())
}

/// Removes what cargo named after one of these targets.
fn remove(folder: &Path, own: &[String]) -> Result<()> {
    for item in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let path = item?.path();
        if is_own(&path.file_name().unwrap_or_default().to_string_lossy(), own) {
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether a name is `[lib]TARGET-HASH[.ending]` for one of these targets.
fn is_own(name: &str, own: &[String]) -> bool {
    let Some((stem, _)) = name.rsplit_once('-') else { return false };
    let stem = stem.replace('-', "_");
    own.iter().any(|target| stem == *target || stem.strip_prefix("lib") == Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_code_goes_and_libraries_stay() -> Result<()> {
        let own = ["phi_wasm", "phi", "xtask"].map(str::to_owned);
        let root = std::env::temp_dir().join(format!("phi-libraries-{}", std::process::id()));
        let rows = [
            ("debug/deps/libphi_wasm-0a1b.rlib", false),
            ("debug/deps/phi_wasm-0a1b.d", false),
            ("debug/deps/phi-0a1b", false),
            ("debug/deps/libserde-0a1b.rlib", true),
            ("debug/deps/libphi_other-0a1b.rlib", true),
            ("debug/.fingerprint/phi-wasm-0a1b/lib", false),
            ("debug/.fingerprint/serde-0a1b/lib", true),
            ("debug/phi", true),
            ("threads/wasm32-unknown-unknown/browser/deps/phi_wasm-0a1b.wasm", false),
            ("threads/wasm32-unknown-unknown/browser/deps/libstd-0a1b.rlib", true),
        ];
        for (file, _) in rows {
            let file = root.join(file);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, "")?;
        }
        let outcome = sweep(&root, DEPTH, &own);
        let stay: Vec<bool> = rows.iter().map(|(file, _)| root.join(file).exists()).collect();
        fs::remove_dir_all(&root)?;
        outcome?;
        assert_eq!(stay, rows.map(|(_, stays)| stays));
        Ok(())
    }
}
