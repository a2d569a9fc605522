//! The steps: what each is about, what it needs, and how it is done.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Extent;
use super::fetched::{calibration, mixes, qwen, templates};
use crate::bench::record::Record;
use crate::place::Place;
use crate::setup::coder;
use crate::{audit, build, release, setup, sh};

/// One step.
pub struct Step {
    pub name: &'static str,
    pub about: &'static str,
    /// Steps without which it cannot be done.
    pub needs: &'static [&'static str],
    pub extent: Extent,
    pub run: fn(&Place, Extent) -> Result<()>,
}

/// In the order in which they begin where there is a choice: what much else waits for, and what is
/// long, comes early.
pub const STEPS: &[Step] = &[
    step("format", "rustfmt changes nothing", &[], Extent::Quick, |place, _| {
        cargo(place, &["fmt", "--all", "--check"])
    }),
    step(
        "set-up",
        "browsers, packages and the model are installed",
        &[],
        Extent::Usual,
        |place, _| setup::for_tests(place),
    ),
    step(
        "web",
        "Biome finds nothing in the page's sources; tests of those that need no browser",
        &["set-up"],
        Extent::Quick,
        web,
    ),
    step("tools", "wasm-bindgen's commands are installed", &[], Extent::Usual, |place, _| {
        setup::wasm_bindgen(place)
    }),
    step("modules", "the wasm modules", &["set-up", "tools"], Extent::Usual, |place, _| {
        build::modules(place)
    }),
    step(
        "audit",
        "licences, and holes that are known, of what is shipped",
        &["set-up"],
        Extent::Usual,
        |place, _| audit::check(place),
    ),
    step("native", "native tests, and clippy finds nothing", &["set-up"], Extent::Quick, native),
    step(
        "site",
        "the app, its markup too, and the lab: type-checked and bundled",
        &["modules"],
        Extent::Usual,
        |place, _| build::site(place),
    ),
    step("page", "the page in Chromium, Firefox and WebKit", &["site"], Extent::Usual, page),
    step(
        "chromium",
        "kernels and models in headless Chromium, and clippy finds nothing for browsers",
        &["set-up", "tools"],
        Extent::Usual,
        chromium,
    ),
    step(
        "firefox",
        "models on Firefox's GPU, which has f16",
        &["set-up", "tools"],
        Extent::Usual,
        firefox,
    ),
    step("package", "the npm package is packed", &["modules"], Extent::Usual, |place, _| {
        build::package(place)
    }),
    step(
        "package-tests",
        "the package as its users have it",
        &["package"],
        Extent::Usual,
        package_tests,
    ),
    step(
        "release",
        "a release, unpacked and served elsewhere, answers",
        &["package"],
        Extent::Long,
        |place, _| release::test(place),
    ),
    step(
        "clippy",
        "clippy finds nothing in what no tests compile",
        &["set-up"],
        Extent::Usual,
        |place, _| {
            cargo(place, &["clippy", "--package=phi-wasm-grammars", BROWSER, "--", "-Dwarnings"])
        },
    ),
    step(
        "wasi",
        "the crate's tests under WASI, and clippy finds nothing for it",
        &["set-up"],
        Extent::Usual,
        wasi,
    ),
    step(
        "relaxed",
        "the crate's own tests with relaxed SIMD, under wasmtime",
        &["set-up"],
        Extent::Usual,
        relaxed,
    ),
    step("wasi-module", "the WASI module answers", &["set-up"], Extent::Usual, wasi_module),
    step(
        "templates",
        "real chat templates, as transformers renders them",
        &["set-up"],
        Extent::Long,
        templates,
    ),
    step(
        "qwen",
        "a real Qwen chooses the reference's tokens, natively and in Chromium",
        &["site"],
        Extent::Long,
        |place, extent| qwen(place, extent, &coder::SMALL),
    ),
    step("qwen-1.5b", "a larger one does, of 1.1 GB", &["site"], Extent::Named, |place, extent| {
        qwen(place, extent, &coder::LARGE)
    }),
    step(
        "mixes",
        "weights in the mixes of types that llama.cpp makes keep their values and sizes",
        &["set-up"],
        Extent::Long,
        mixes,
    ),
    step(
        "calibration",
        "rounding that was calibrated loses no more than it did",
        &["set-up"],
        Extent::Long,
        calibration,
    ),
    step("wasm-pack", "wasm-pack builds and tests", &["set-up", "tools"], Extent::Long, wasm_pack),
];

const fn step(
    name: &'static str,
    about: &'static str,
    needs: &'static [&'static str],
    extent: Extent,
    run: fn(&Place, Extent) -> Result<()>,
) -> Step {
    Step { name, about, needs, extent, run }
}

impl Step {
    /// Whether it is run where no steps are named.
    pub fn is_part_of(&self, extent: Extent) -> bool {
        self.extent <= extent
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Step { name, about, needs, .. } = self;
        write!(f, "{name:14}{about}")?;
        if needs.is_empty() { Ok(()) } else { write!(f, "; needs {}", needs.join(", ")) }
    }
}

/// The step of this name.
pub fn named(name: &str) -> Result<&'static Step> {
    STEPS.iter().find(|step| step.name == name).with_context(|| {
        format!("there is no step \"{name}\": `cargo xtask test --list` names them")
    })
}

const BROWSER: &str = "--target=wasm32-unknown-unknown";
const WASI: &str = "--target=wasm32-wasip1";

/// Its packages are there once the set-up is done; the quick extent has none.
fn web(place: &Place, _: Extent) -> Result<()> {
    setup::for_site(place)?;
    let npm = |script| {
        sh::show(place.command("npm").args(["run", "--silent", script]).current_dir(place.web()))
    };
    npm("lint")?;
    npm("test")
}

/// With a GPU and the real model, except in the quick extent.
fn native(place: &Place, extent: Extent) -> Result<()> {
    let features: &[&str] = if extent == Extent::Quick { &[] } else { &[FEATURES] };
    let mut cargo = cargo_test(place, extent, "X86_64_UNKNOWN_LINUX_GNU", "");
    sh::show(cargo.arg("--workspace").args(features).args(TIMED))
}

pub const FEATURES: &str = "--features=gpu-tests,real-model-tests";

fn wasi(place: &Place, extent: Extent) -> Result<()> {
    let runner = format!("node --no-warnings {}", place.root.join("tests/wasi/run.mjs").display());
    let mut cargo = cargo_test(place, extent, "WASM32_WASIP1", &runner);
    sh::show(cargo.args(["--lib", "--bins", "--tests", WASI]).args(TIMED))
}

/// For Rust's harness: what each test takes. The option is unstable, and the test's own process
/// must be told that it may have it.
const TIMED: [&str; 3] = ["--", "-Zunstable-options", "--report-time"];

/// `cargo test`, in which clippy compiles our own code, and warns as it does. On its own it would
/// have every library compiled once more, and that takes minutes for each target. It leaves MIR
/// unoptimised; LLVM has its own way with that.
fn linted(place: &Place) -> Command {
    let mut command = place.command("cargo");
    command.arg("test").env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    command.env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    command
}

/// `cargo test` with what tests look for, for a target whose programs start so.
pub fn cargo_test(place: &Place, extent: Extent, target: &str, runner: &str) -> Command {
    let mut command = linted(place);
    command.env("PHI_SMOLLM2", place.model()).env("PHI_ROTATED", place.rotated_model());
    with_extent(&mut command, extent);
    command.env(format!("CARGO_TARGET_{target}_RUNNER"), format!("env RUSTC_BOOTSTRAP=1 {runner}"));
    command
}

/// Tests that count on PHI_LONG do all that they can.
fn with_extent(command: &mut Command, extent: Extent) {
    if extent == Extent::Long {
        command.env("PHI_LONG", "1");
    }
}

/// What cargo says of a file that it made.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// The kernels' own tests with relaxed SIMD. Wasmtime knows it; node 20 does not.
fn relaxed(place: &Place, _: Extent) -> Result<()> {
    let mut cargo = place.command("cargo");
    cargo.args(["rustc", "--package=phi-wasm-core", "--lib", "--profile=test", WASI]);
    cargo.args(["--message-format=json", "--", "-Ctarget-feature=+relaxed-simd"]);
    let said = sh::output(&mut cargo)?;
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let tests = artifacts
        .filter_map(|artifact| artifact.executable)
        .next_back()
        .context("cargo names no test module")?;
    sh::show(place.command(place.python()).arg("tests/wasi/run.py").arg(tests))
}

fn wasi_module(place: &Place, extent: Extent) -> Result<()> {
    command_for_tests(place, &[WASI])?;
    let mut node = node_tests(place, "tests/wasi", extent)?;
    sh::show(
        node.env("PHI_WASI", place.target.join("wasm32-wasip1/debug/phi.wasm"))
            .env("PHI_PYTHON", place.python()),
    )
}

fn chromium(place: &Place, _: Extent) -> Result<()> {
    in_browser(place, "chromium", &[])
}

/// The golden tests on Firefox's GPU, lavapipe, which has the f16 that Chromium's SwiftShader
/// lacks: tests that are ignored for its sake run here. They take every kernel through whole
/// models; each alone is tested on lavapipe natively.
fn firefox(place: &Place, _: Extent) -> Result<()> {
    in_browser(place, "firefox", &["--", "--include-ignored", "golden::gpu"])
}

/// The crate's wasm-bindgen tests. The command's libraries have no part in them.
fn in_browser(place: &Place, browser: &str, arguments: &[&str]) -> Result<()> {
    let runner = format!("node {} {browser}", place.root.join("tests/browser/run.mjs").display());
    let mut cargo = linted(place);
    cargo
        .args(["--test=integration", "--no-default-features", "--features=gpu,web", BROWSER])
        .args(arguments)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    sh::show(&mut cargo)
}

/// A build, unoptimised: that it works is the question; and a few tests, which its own way drives
/// Chromium through.
fn wasm_pack(place: &Place, _: Extent) -> Result<()> {
    setup::wasm_pack(place)?;
    let out = place.target.join("wasm-pack");
    sh::show(
        place
            .command("wasm-pack")
            .args(["build", "module", "--dev", "--mode=no-install", "--out-dir"])
            .arg(out),
    )?;
    let mut test = place.command("wasm-pack");
    test.args(["test", "--headless", "--chrome", "--mode=no-install", "--chromedriver"])
        .arg(chromedriver()?);
    sh::show(test.args(["--", "--test=integration", "--", "golden::simd"]))
}

/// The model of full size is in 4 bits; at length it comes in the mix that most people have, too.
fn page(place: &Place, extent: Extent) -> Result<()> {
    let small = full_size(place, "phi-4-mini")?;
    sh::show(node_tests(place, "tests/browser", extent)?.env("PHI_FULL_SIZE", small))?;
    if extent < Extent::Long {
        return Ok(());
    }
    let mixed = full_size(place, "phi-4-mini-q4km")?;
    let mut node = node(place, extent);
    sh::show(node.arg("tests/browser/full-size.test.mjs").env("PHI_FULL_SIZE", mixed))
}

fn package_tests(place: &Place, extent: Extent) -> Result<()> {
    sh::show(&mut node_tests(place, "tests/browser/package", extent)?)
}

/// `phi` as cargo builds it beside tests. Built by itself, with what libraries have where no tests
/// ask for more, our own one would lie at the same path, and each would have cargo build the other
/// anew.
fn command_for_tests(place: &Place, what: &[&str]) -> Result<()> {
    sh::show(linted(place).args(["--no-run", "--test=convert_memory"]).args(what))
}

/// A synthetic model of Phi-4-mini's size, written unless it is there.
fn full_size(place: &Place, shape: &str) -> Result<String> {
    command_for_tests(place, &["--workspace", FEATURES])?;
    let mut phi = place.command(place.target.join("debug/phi"));
    phi.args(["bench", "--shape", shape, "--prompt=1", "--gen=1"]);
    phi.args(["--backend=cpu", "--json", "--cache"]).arg(&place.cache);
    let said = sh::output(&mut phi)?;
    Ok(serde_json::from_str::<Record>(&said).context("phi bench says nothing of its model")?.file)
}

/// Node's test runner over a folder's files.
pub fn node_tests(place: &Place, folder: &str, extent: Extent) -> Result<Command> {
    let mut files = Vec::new();
    for item in
        fs::read_dir(place.root.join(folder)).with_context(|| format!("{folder} cannot be read"))?
    {
        let path = item?.path();
        files.extend(path.to_string_lossy().ends_with(".test.mjs").then_some(path));
    }
    files.sort();
    let mut node = node(place, extent);
    node.args(files);
    Ok(node)
}

/// Node's test runner, two files at a time, with the demo model.
fn node(place: &Place, extent: Extent) -> Command {
    let mut node = place.command("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=2"])
        .env("PHI_SMOLLM2", place.model());
    with_extent(&mut node, extent);
    node
}

fn chromedriver() -> Result<PathBuf> {
    sh::find(&["chromedriver"])
        .context("there is no chromedriver on the PATH: install the one of your Chromium's version")
}

fn cargo(place: &Place, arguments: &[&str]) -> Result<()> {
    sh::show(place.command("cargo").args(arguments))
}
