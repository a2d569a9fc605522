//! The project's chores: `cargo xtask setup | build | demo | test | release | bench`. Each does the
//! set-up that it needs by itself.

mod audit;
mod bench;
mod build;
mod demo;
mod imports;
mod libraries;
mod own_code;
mod place;
mod release;
mod setup;
mod sh;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use place::Place;

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Installs what is missing: Debian packages, Rust targets, tools, npm packages, the demo model
    Setup,
    /// Builds pkg/ (the wasm modules that wasm-pack.toml lists) and web/dist (the page)
    Build,
    /// Builds and serves the page with a small real model; with --ask, has headless Chromium ask it
    Demo {
        /// Ask this and print the answer instead of serving
        #[arg(long, value_name = "QUESTION", value_parser = question)]
        ask: Option<String>,
        /// What computes: auto, gpu or cpu; the GPU is one that the CPU plays, and takes a minute
        #[arg(long, default_value = "cpu", value_parser = ["auto", "gpu", "cpu"], requires = "ask")]
        backend: String,
        /// Also save a picture of the page with its answer
        #[arg(long, value_name = "FILE.png", requires = "ask")]
        screenshot: Option<PathBuf>,
        /// The port to serve on; a free one unless given
        #[arg(long, default_value_t = 0, conflicts_with = "ask")]
        port: u16,
    },
    /// Runs every check and every test, or those that are named, and tells what they took
    Test(test::Options),
    /// Writes dist/: the npm package, the app for static hosts, the command for Linux and the WASI
    /// module, with licences, checksums and notes
    Release,
    /// Times the engine on this machine, natively; with more options in Chromium, under wasmtime,
    /// beside its peers and an earlier commit
    Bench(bench::Options),
}

/// The page asks nothing that says nothing, and an answer would be waited for.
fn question(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("it is empty: give a question, such as \"What is the capital of France?\"");
    }
    Ok(text.to_owned())
}

fn main() -> ExitCode {
    if let Some(code) = own_code::compile() {
        return code;
    }
    match perform(Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(chore: Chore) -> Result<()> {
    let place = Place::find()?;
    match chore {
        Chore::Setup => setup::everything(&place),
        Chore::Build => build::all(&place),
        Chore::Demo { ask: Some(question), backend, screenshot, .. } => {
            demo::ask(&place, &question, &backend, screenshot.as_deref())
        }
        Chore::Demo { port, .. } => demo::serve(&place, port),
        Chore::Test(options) => test::all(&place, &options),
        Chore::Release => release::make(&place),
        Chore::Bench(options) => bench::all(&place, &options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_something() {
        let asked = |question| Chore::try_parse_from(["cargo xtask", "demo", "--ask", question]);
        for nothing in ["", " ", "\n"] {
            let refused = asked(nothing).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("it is empty: give a question"), "{nothing:?}: {refused}");
        }
        assert!(asked("Why is the sky blue?").is_ok());
    }
}
