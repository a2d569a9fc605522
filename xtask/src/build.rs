//! pkg/ and web/dist: cargo, wasm-bindgen, wasm-opt, vite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::place::Place;
use crate::{setup, sh};

/// `wasm-pack.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    build: Vec<Variant>,
}

/// One of its builds: a folder in pkg/.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Variant {
    name: String,
    target_features: String,
    wasm_opt: Vec<String>,
}

/// The names of the wasm modules.
pub fn variants(place: &Place) -> Result<Vec<String>> {
    Ok(plan(place)?.build.into_iter().map(|variant| variant.name).collect())
}

fn plan(place: &Place) -> Result<Plan> {
    let text = fs::read_to_string(place.root.join("wasm-pack.toml")).context("wasm-pack.toml cannot be read")?;
    toml::from_str(&text).context("wasm-pack.toml")
}

/// Builds everything that the page needs.
pub fn all(place: &Place) -> Result<()> {
    setup::for_build(place)?;
    let plan = plan(place)?;
    for variant in &plan.build {
        package(place, variant)?;
    }
    sh::run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(place.web()))?;
    for variant in &plan.build {
        let wasm = wasm_of(place, variant);
        eprintln!("{}: {:.2} MB", wasm.strip_prefix(&place.root).unwrap_or(&wasm).display(), fs::metadata(&wasm)?.len() as f64 / 1e6);
    }
    eprintln!("web/dist: {:.2} MB in all", size_of_tree(&place.web().join("dist"))? as f64 / 1e6);
    Ok(())
}

/// One wasm module with its JavaScript and types.
fn package(place: &Place, variant: &Variant) -> Result<()> {
    let out = place.root.join("pkg").join(&variant.name);
    let mut cargo = place.command("cargo");
    cargo.args(["build", "--release", "--lib", "--target=wasm32-unknown-unknown", "--no-default-features", "--features=gpu,web"]);
    sh::run(cargo.env("RUSTFLAGS", format!("-Ctarget-feature={}", variant.target_features)))?;
    let built = place.target.join("wasm32-unknown-unknown/release/phi_wasm.wasm");

    // The slow last step is left out when cargo gave the same module as last time.
    let module = fs::read(&built).context("cargo's wasm module cannot be read")?;
    let stamp = place.target.join(format!("pkg-{}.made-from", variant.name));
    let made_from = [&module[..], variant.wasm_opt.join(" ").as_bytes()].concat();
    let wasm = wasm_of(place, variant);
    if wasm.is_file() && fs::read(&stamp).is_ok_and(|last| last == made_from) {
        return Ok(());
    }
    let mut bindgen = place.command("wasm-bindgen");
    sh::run(bindgen.args(["--target=web", "--out-name=phi_wasm", "--out-dir"]).arg(&out).arg(&built))?;
    let smaller = out.join("optimised.wasm");
    let wasm_opt = place.web().join("node_modules/.bin/wasm-opt");
    sh::run(place.command(wasm_opt).args(&variant.wasm_opt).arg(&wasm).arg("--output").arg(&smaller))?;
    fs::rename(&smaller, &wasm).context("the optimised module cannot be moved into place")?;
    fs::write(&stamp, made_from).context("the target directory cannot be written")
}

fn wasm_of(place: &Place, variant: &Variant) -> PathBuf {
    place.root.join("pkg").join(&variant.name).join("phi_wasm_bg.wasm")
}

fn size_of_tree(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for item in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let item = item?;
        let about = item.metadata()?;
        size += if about.is_dir() { size_of_tree(&item.path())? } else { about.len() };
    }
    Ok(size)
}
