//! The measurements, each a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::machine;
use super::record::Record;
use crate::place::Place;
use crate::{setup, sh};

/// A text of 251 tokens for SmolLM2's tokenizer, ten a sentence; of one token a letter for
/// synthetic models.
const SENTENCE: &str = "The quick brown fox jumps over the lazy dog. ";

/// A model, and how much of it is worth timing.
#[derive(Clone, Copy)]
pub struct Model {
    pub name: &'static str,
    /// A synthetic one's shape, else it is SmolLM2.
    pub shape: Option<&'static str>,
    pub prompt: usize,
    pub generate: usize,
    /// How often a measurement is repeated unless the user says.
    pub repeat: usize,
}

pub const MODELS: [Model; 3] = [
    Model { name: "smollm2", shape: None, prompt: 251, generate: 48, repeat: 3 },
    Model::large("phi-4-mini"),
    // In the types that most people have it in.
    Model::large("phi-4-mini-q4km"),
];

impl Model {
    /// A synthetic one. The slowest peer needs a second for a token.
    const fn large(name: &'static str) -> Model {
        Model { name, shape: Some(name), prompt: 64, generate: 16, repeat: 1 }
    }

    /// The peers' prompt, of as many tokens as ours.
    fn text(&self) -> String {
        match self.shape {
            Some(_) => SENTENCE.chars().cycle().take(self.prompt).collect(),
            None => SENTENCE.repeat(self.prompt / 10),
        }
    }

    fn sizes(&self) -> [String; 4] {
        [
            "--prompt".to_owned(),
            self.prompt.to_string(),
            "--gen".to_owned(),
            self.generate.to_string(),
        ]
    }
}

/// Who is timed.
pub enum Who {
    /// `phi bench`.
    Native,
    /// `phi bench` under wasmtime.
    Wasmtime,
    /// One of our browser modules, in Chromium.
    Chromium { variant: String },
    /// wllama, in Chromium.
    Wllama { modules: PathBuf },
    /// llama.cpp, by way of Python.
    LlamaCpp { python: PathBuf },
}

/// One thing to measure.
pub struct Run<'a> {
    pub who: &'a Who,
    pub model: &'a Model,
    pub threads: usize,
    /// The model's file, or the first of its parts.
    pub file: Option<&'a Path>,
}

impl Run<'_> {
    /// Measures several times and takes the median.
    pub fn measure(&self, place: &Place, repeat: usize) -> Result<Record> {
        let runs: Result<Vec<Record>> = (0..repeat.max(1)).map(|_| self.once(place, "")).collect();
        Record::median(runs?).context("nothing was measured")
    }

    /// One measurement, when the machine has come to rest; `whose` is said beside it.
    pub fn once(&self, place: &Place, whose: &str) -> Result<Record> {
        let idle_before = machine::settle();
        let said = sh::output(&mut self.command(place)?)?;
        let line = said.lines().last().unwrap_or_default();
        let record: Record =
            serde_json::from_str(line).with_context(|| format!("no figures, but {said:?}"))?;
        let record = Record { idle_before, ..self.complete(record) };
        eprintln!(
            "{}{whose}: {:.2} prefill, {:.2} decode",
            self.title(&record),
            record.prefill_tps,
            record.decode_tps
        );
        if let Some(idle) = idle_before.filter(|&idle| idle < 0.9) {
            eprintln!(
                "  {:.0} % of the machine was busy with other things: the figures are too low",
                (1.0 - idle) * 100.0
            );
        }
        Ok(record)
    }

    fn title(&self, record: &Record) -> String {
        format!("{}, {}", record.model, record.title())
    }

    /// What the tools do not know.
    fn complete(&self, said: Record) -> Record {
        let (engine, host, variant) = match self.who {
            Who::Native => ("phi-wasm", "native", None),
            Who::Wasmtime => ("phi-wasm", "wasmtime", None),
            Who::Chromium { variant } => ("phi-wasm", "chromium", Some(variant.clone())),
            Who::Wllama { .. } => ("wllama", "chromium", Some(String::new())),
            Who::LlamaCpp { .. } => ("llama.cpp", "native", Some(String::new())),
        };
        Record {
            engine: engine.to_owned(),
            host: host.to_owned(),
            variant: variant.unwrap_or_else(|| said.variant.clone()),
            backend: "cpu".to_owned(),
            threads: self.threads,
            model: self.model.name.to_owned(),
            ..said
        }
    }

    fn command(&self, place: &Place) -> Result<Command> {
        let file = || self.file.context("the model's file is not known yet");
        let threads = ["--threads".to_owned(), self.threads.to_string()];
        let generate = ["--gen".to_owned(), self.model.generate.to_string()];
        Ok(match self.who {
            Who::Native => {
                let mut command = place.command(place.target.join("release/phi"));
                self.phi_bench(place, &mut command)?;
                command
            }
            Who::Wasmtime => {
                let mut command = place.command(place.python());
                command
                    .arg("tests/wasi/run.py")
                    .arg(place.target.join("wasm32-wasip1/release/phi.wasm"));
                self.phi_bench(place, &mut command)?;
                command
            }
            Who::Chromium { variant } => {
                let mut command = place.command("node");
                command.arg("web/tools/bench/ours.mjs").args(served(place, &[file()?.to_owned()])?);
                command.args(threads).args(self.model.sizes()).args(["--variant", variant]);
                command
            }
            Who::Wllama { modules } => {
                let mut command = place.command("node");
                command.arg("web/tools/bench/wllama.mjs").args(served(place, &parts(file()?)?)?);
                command
                    .args(threads)
                    .args(generate)
                    .args(["--text", &self.model.text()])
                    .arg("--modules")
                    .arg(modules);
                command
            }
            Who::LlamaCpp { python } => {
                let mut command = place.command(python);
                command.arg("xtask/bench/time_llama_cpp.py").arg(file()?);
                command.args(threads).args(generate).args(["--text", &self.model.text()]);
                command
            }
        })
    }

    fn phi_bench(&self, place: &Place, command: &mut Command) -> Result<()> {
        command
            .args(["bench", "--json", "--backend", "cpu", "--threads", &self.threads.to_string()])
            .args(self.model.sizes());
        match (self.file, self.model.shape) {
            // An earlier build need not know its shape.
            (Some(file), _) => command.arg("--model").arg(file),
            (None, Some(shape)) => command.args(["--shape", shape, "--cache"]).arg(&place.cache),
            (None, None) => command.arg("--model").arg(setup::model::requantise(place)?),
        };
        Ok(())
    }
}

/// The folder to serve, and the files in it as a browser asks for them.
fn served(place: &Place, files: &[PathBuf]) -> Result<Vec<String>> {
    let cache = place.cache.to_str().context("the cache's path is not Unicode")?;
    let below = |file: &PathBuf| {
        file.strip_prefix(&place.cache).ok().and_then(Path::to_str).map(str::to_owned)
    };
    let files: Option<Vec<String>> = files.iter().map(below).collect();
    let mut all = vec![cache.to_owned()];
    all.extend(files.context("the model is not in the cache")?);
    Ok(all)
}

/// A model's files, given its first.
fn parts(first: &Path) -> Result<Vec<PathBuf>> {
    let name = first.to_str().context("the model's path is not Unicode")?;
    let Some((stem, count)) =
        name.strip_suffix(".gguf").and_then(|stem| stem.rsplit_once("-00001-of-"))
    else {
        return Ok(vec![first.to_owned()]);
    };
    let of: usize = count.parse().context("the model's name counts its parts")?;
    Ok((1..=of)
        .map(|number| PathBuf::from(format!("{stem}-{number:05}-of-{count}.gguf")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_have_as_many_tokens_as_ours() {
        let [small, large, _] = &MODELS;
        assert_eq!(small.text().split_whitespace().count(), 25 * 9);
        assert_eq!(large.text().len(), 64);
    }

    #[test]
    fn parts_are_named_after_the_first() -> Result<()> {
        assert_eq!(parts(Path::new("a/b.gguf"))?, [PathBuf::from("a/b.gguf")]);
        assert_eq!(
            parts(Path::new("b-00001-of-00002.gguf"))?,
            ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"].map(PathBuf::from)
        );
        Ok(())
    }
}
