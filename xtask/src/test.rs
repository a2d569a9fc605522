//! Everything that must hold, the quick checks first.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::bench::record::Record;
use crate::place::Place;
use crate::{build, setup, sh};

type Step = (&'static str, fn(&Place) -> Result<()>);

const STEPS: &[Step] = &[
    ("format", |place| cargo(place, &["fmt", "--all", "--check"])),
    ("set-up", setup::everything),
    ("clippy, native", |place| cargo(place, &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-Dwarnings"])),
    ("clippy, browser", |place| cargo(place, &["clippy", "--lib", "--tests", BROWSER, "--", "-Dwarnings"])),
    ("clippy, WASI", |place| cargo(place, &["clippy", "--lib", "--bins", "--tests", WASI, "--", "-Dwarnings"])),
    ("native tests", native),
    ("WASI tests", wasi),
    ("relaxed SIMD under wasmtime", relaxed),
    ("the WASI module", wasi_module),
    ("browser tests", browser),
    ("the package and the page", build::all),
    ("wasm-pack build", wasm_pack_build),
    ("the page in Chromium, Firefox and WebKit", page),
    ("the npm package", |place| sh::show(place.command("npm").args(["run", "--silent", "pack"]).current_dir(place.web()))),
    ("the package as its users have it", |place| sh::show(&mut node_tests(place, "tests/browser/package")?)),
];

const BROWSER: &str = "--target=wasm32-unknown-unknown";
const WASI: &str = "--target=wasm32-wasip1";

/// Runs the steps in order and stops at the first that fails.
pub fn all(place: &Place) -> Result<()> {
    let mut times = Vec::new();
    for (number, (name, step)) in STEPS.iter().enumerate() {
        println!("\n== {}/{}: {name}", number + 1, STEPS.len());
        let start = Instant::now();
        step(place).with_context(|| format!("step \"{name}\" failed after {:.0} s", start.elapsed().as_secs_f64()))?;
        times.push((name, start.elapsed().as_secs_f64()));
    }
    println!();
    for (name, seconds) in &times {
        println!("{seconds:7.1} s  {name}");
    }
    println!("{:7.1} s  in all; everything passed", times.iter().map(|(_, seconds)| seconds).sum::<f64>());
    Ok(())
}

fn native(place: &Place) -> Result<()> {
    sh::show(cargo_with_model(place).args(["test", "--workspace"]))
}

fn wasi(place: &Place) -> Result<()> {
    let runner = format!("node --no-warnings {}", place.root.join("tests/wasi/run.mjs").display());
    sh::show(cargo_with_model(place).args(["test", "--lib", "--bins", "--tests", WASI]).env("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner))
}

/// What cargo says of a file that it made.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// The crate's own tests with relaxed SIMD, which is for our crate alone, as in the browser's modules. Wasmtime knows it; node 20 does not.
fn relaxed(place: &Place) -> Result<()> {
    let mut cargo = place.command("cargo");
    cargo.args(["rustc", "--lib", "--profile=test", WASI, "--message-format=json", "--", "-Ctarget-feature=+relaxed-simd"]);
    let said = sh::output(&mut cargo)?;
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let tests = artifacts.filter_map(|artifact| artifact.executable).next_back().context("cargo names no test module")?;
    sh::show(place.command(place.python()).arg("tests/wasi/run.py").arg(tests))
}

fn wasi_module(place: &Place) -> Result<()> {
    cargo(place, &["build", "--bin=phi", WASI])?;
    let mut node = node_tests(place, "tests/wasi")?;
    sh::show(node.env("PHI_WASI", place.target.join("wasm32-wasip1/debug/phi.wasm")).env("PHI_PYTHON", place.python()))
}

/// wasm-bindgen-test in headless browsers, by way of wasm-pack: that way works, too, then. The golden tests beside all others.
fn browser(place: &Place) -> Result<()> {
    let golden = || in_chromium(place, "g*").and_then(|()| golden_in_firefox(place));
    sh::both(|| in_chromium(place, "[!g]*"), golden)
}

/// The tests whose files' names are so.
fn in_chromium(place: &Place, names: &str) -> Result<()> {
    let mut wasm_pack = place.command("wasm-pack");
    wasm_pack.args(["test", "--headless", "--chrome", "--mode=no-install", "--chromedriver"]).arg(chromedriver()?);
    sh::show(wasm_pack.args(["--", "--lib", "--bins", "--test"]).arg(names))
}

/// The golden tests on Firefox's GPU, lavapipe, which has the f16 that Chromium's SwiftShader lacks: tests that are ignored for its sake run
/// here. They take every kernel through whole models; each alone is tested on lavapipe natively.
fn golden_in_firefox(place: &Place) -> Result<()> {
    let mut wasm_pack = place.command("wasm-pack");
    wasm_pack.args(["test", "--headless", "--firefox", "--mode=no-install", "--geckodriver"]).arg(place.geckodriver());
    sh::show(wasm_pack.args(["--", "--test=golden", "--", "--include-ignored", "gpu"]))
}

/// Unoptimised: that it works is the question, and the libraries are compiled for the tests anyway.
fn wasm_pack_build(place: &Place) -> Result<()> {
    let out = place.target.join("wasm-pack");
    sh::show(place.command("wasm-pack").args(["build", "--dev", "--mode=no-install", "--out-dir"]).arg(out))
}

fn page(place: &Place) -> Result<()> {
    sh::show(node_tests(place, "tests/browser")?.env("PHI_FULL_SIZE", full_size(place)?))
}

/// A synthetic model of Phi-4-mini's size, written unless it is there.
fn full_size(place: &Place) -> Result<String> {
    let mut cargo = place.command("cargo");
    cargo
        .args(["run", "--bin=phi", "--", "bench", "--shape=phi-4-mini", "--prompt=1", "--gen=1", "--backend=cpu", "--json", "--cache"])
        .arg(&place.cache);
    let said = sh::output(&mut cargo)?;
    Ok(serde_json::from_str::<Record>(&said).context("phi bench says nothing of its model")?.file)
}

/// Node's test runner over a folder's files, two at a time, with the demo model.
fn node_tests(place: &Place, folder: &str) -> Result<Command> {
    let mut files = Vec::new();
    for item in fs::read_dir(place.root.join(folder)).with_context(|| format!("{folder} cannot be read"))? {
        let path = item?.path();
        files.extend(path.to_string_lossy().ends_with(".test.mjs").then_some(path));
    }
    files.sort();
    let mut node = place.command("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=2"]).args(files).env("PHI_SMOLLM2", place.model());
    Ok(node)
}

fn chromedriver() -> Result<PathBuf> {
    sh::find(&["chromedriver"]).context("there is no chromedriver on the PATH: install the one of your Chromium's version")
}

fn cargo(place: &Place, arguments: &[&str]) -> Result<()> {
    sh::show(place.command("cargo").args(arguments))
}

/// Cargo, with what tests of a real model look for.
fn cargo_with_model(place: &Place) -> Command {
    let mut command = place.command("cargo");
    command.env("PHI_SMOLLM2", place.model()).env("PHI_ROTATED", place.rotated_model());
    command
}
