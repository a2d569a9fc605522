//! The engines that we are timed beside. They stay in the cache; nothing of ours needs them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{node, packages, say};
use crate::place::Place;
use crate::sh;

/// llama.cpp in WebAssembly, from npm.
const WLLAMA: &str = "3.13.0";
/// llama.cpp behind a Python package, which pip builds for this very CPU.
const LLAMA_CPP_PYTHON: &str = "0.3.36";

/// The folder of wllama's modules.
pub fn wllama(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("wllama", WLLAMA);
    let modules = folder.join("node_modules/@wllama/wllama/esm");
    if !modules.join("index.js").is_file() {
        node()?;
        say(&format!("wllama {WLLAMA}"), "it is timed in the browser beside us");
        fs::create_dir_all(&folder).context("the cache cannot be written")?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-fund", "--no-audit", "--no-package-lock", "--prefix"]).arg(&folder);
        sh::run(npm.arg(format!("@wllama/wllama@{WLLAMA}")).current_dir(&folder))?;
    }
    Ok(modules)
}

/// The Python that has llama.cpp.
pub fn llama_cpp(place: &Place) -> Result<PathBuf> {
    let folder = place.tool("llama-cpp-python", LLAMA_CPP_PYTHON);
    let python = folder.join("bin/python");
    if !sh::succeeds(Command::new(&python).args(["-c", "import llama_cpp"])) {
        packages::python()?;
        packages::compiler()?;
        say(&format!("llama-cpp-python {LLAMA_CPP_PYTHON}"), "llama.cpp's native build is timed beside us; building it takes ten minutes");
        sh::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let package = format!("llama-cpp-python=={LLAMA_CPP_PYTHON}");
        sh::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    }
    Ok(python)
}
