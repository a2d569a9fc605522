//! The engines that we are timed beside. They stay in the cache; nothing of ours needs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{node, packages, say};
use crate::place::Place;
use crate::sh;

/// llama.cpp in WebAssembly, from npm.
const WLLAMA: &str = "3.13.0";
/// llama.cpp for Vulkan, from npm.
const NODE_LLAMA_CPP: &str = "3.22.1";
/// llama.cpp behind a Python package, which pip builds for this very CPU.
const LLAMA_CPP_PYTHON: &str = "0.3.36";

/// The folder of wllama's modules.
pub fn wllama(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("wllama", WLLAMA);
    let modules = folder.join("node_modules/@wllama/wllama/esm");
    if !modules.join("index.js").is_file() {
        node()?;
        say(&format!("wllama {WLLAMA}"), "it is timed in the browser beside us");
        npm(&folder, &[format!("@wllama/wllama@{WLLAMA}")])?;
    }
    Ok(modules)
}

/// The `node_modules` that has llama.cpp's Vulkan build for Linux on x86-64.
pub fn node_llama_cpp(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("node-llama-cpp", NODE_LLAMA_CPP);
    let modules = folder.join("node_modules");
    if !modules.join("@node-llama-cpp/linux-x64-vulkan/package.json").is_file() {
        node()?;
        say(
            &format!("node-llama-cpp {NODE_LLAMA_CPP}"),
            "llama.cpp's Vulkan build is timed beside us",
        );
        npm(
            &folder,
            &["node-llama-cpp", "@node-llama-cpp/linux-x64-vulkan"]
                .map(|package| format!("{package}@{NODE_LLAMA_CPP}")),
        )?;
    }
    Ok(modules)
}

/// Installs these packages, what they need, and nothing optional.
fn npm(folder: &Path, packages: &[String]) -> Result<()> {
    fs::create_dir_all(folder).context("the cache cannot be written")?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--ignore-scripts",
        "--omit=optional",
        "--no-fund",
        "--no-audit",
        "--no-package-lock",
        "--prefix",
    ])
    .arg(folder);
    sh::run(npm.args(packages).current_dir(folder))
}

/// The Python that has llama.cpp.
pub fn llama_cpp(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("llama-cpp-python", LLAMA_CPP_PYTHON);
    let python = folder.join("bin/python");
    if !sh::succeeds(Command::new(&python).args(["-c", "import llama_cpp"])) {
        packages::python()?;
        packages::compiler()?;
        say(
            &format!("llama-cpp-python {LLAMA_CPP_PYTHON}"),
            "llama.cpp's native build is timed beside us; building it takes ten minutes",
        );
        sh::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let package = format!("llama-cpp-python=={LLAMA_CPP_PYTHON}");
        sh::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    }
    Ok(python)
}
