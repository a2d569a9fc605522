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
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Plan {
    /// For every build.
    wasm_opt: Vec<String>,
    build: Vec<Variant>,
}

/// One of its builds: a folder in pkg/.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Variant {
    name: String,
    /// For all crates.
    target_features: String,
    /// For our own crate, besides.
    #[serde(default)]
    own_target_features: String,
    #[serde(default)]
    threads: bool,
    #[serde(default)]
    wasm_opt: Vec<String>,
}

/// What wasm-bindgen asks of a module with threads: a memory that comes from outside and is shared, and the linker's names for what each
/// thread has of its own. A shared memory must say how far it may grow; other memories grow to 4 GiB without being told.
const THREADS: [&str; 7] = [
    "--shared-memory",
    "--import-memory",
    "--max-memory=4294967296",
    "--export=__wasm_init_tls",
    "--export=__tls_size",
    "--export=__tls_align",
    "--export=__tls_base",
];

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
        package(place, &plan, variant)?;
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
fn package(place: &Place, plan: &Plan, variant: &Variant) -> Result<()> {
    let out = place.root.join("pkg").join(&variant.name);
    let built = compile(place, variant)?;

    // The slow last step is left out when cargo gave the same module as last time.
    let module = fs::read(&built).context("cargo's wasm module cannot be read")?;
    let stamp = place.target.join(format!("pkg-{}.made-from", variant.name));
    let options = [&plan.wasm_opt[..], &variant.wasm_opt].concat();
    let made_from = [&module[..], options.join(" ").as_bytes()].concat();
    let wasm = wasm_of(place, variant);
    if wasm.is_file() && fs::read(&stamp).is_ok_and(|last| last == made_from) {
        return Ok(());
    }
    let mut bindgen = place.command("wasm-bindgen");
    sh::run(bindgen.args(["--target=web", "--out-name=phi_wasm", "--out-dir"]).arg(&out).arg(&built))?;
    let smaller = out.join("optimised.wasm");
    let wasm_opt = place.web().join("node_modules/.bin/wasm-opt");
    sh::run(place.command(wasm_opt).args(&options).arg(&wasm).arg("--output").arg(&smaller))?;
    fs::rename(&smaller, &wasm).context("the optimised module cannot be moved into place")?;
    fs::write(&stamp, made_from).context("the target directory cannot be written")
}

/// What cargo makes of a variant.
fn compile(place: &Place, variant: &Variant) -> Result<PathBuf> {
    let mut cargo = place.command("cargo");
    cargo.args(["rustc", "--release", "--lib", "--crate-type=cdylib", "--target=wasm32-unknown-unknown"]);
    cargo.args(["--no-default-features", "--features=gpu,web"]).env("RUSTFLAGS", format!("-Ctarget-feature={}", variant.target_features));
    let mut target = place.target.clone();
    if variant.threads {
        // A directory of its own: build scripts that look for RUSTC_BOOTSTRAP would make cargo compile everything anew at each change.
        target = target.join("threads");
        cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort").arg("--target-dir").arg(&target);
    }
    cargo.arg("--");
    if !variant.own_target_features.is_empty() {
        cargo.arg(format!("-Ctarget-feature={}", variant.own_target_features));
    }
    if variant.threads {
        cargo.args(THREADS.map(|argument| format!("-Clink-arg={argument}")));
    }
    sh::run(&mut cargo)?;
    Ok(target.join("wasm32-unknown-unknown/release/phi_wasm.wasm"))
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
