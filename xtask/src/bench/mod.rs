//! Our figures and the peers', or an earlier build's, side by side, from one run on one machine: as
//! a table, as JSON and as a picture.

mod against;
mod bars;
mod earlier;
mod gpu;
mod machine;
mod plot;
pub mod record;
mod report;
mod runs;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::place::Place;
use crate::{build, setup, sh};
use against::Comparison;
use bars::Standing;
use machine::Machine;
use record::Record;
use runs::{MODELS, Model, Run, Who};

/// What to time beside the native engine.
#[derive(Args)]
pub struct Options {
    /// Our modules in headless Chromium
    #[arg(long)]
    browser: bool,
    /// The WASI module under wasmtime
    #[arg(long)]
    wasi: bool,
    /// The GPU in place of all that, first as it is, then kernel by kernel
    #[arg(long, conflicts_with_all = ["browser", "wasi", "repeat"])]
    gpu: bool,
    /// With --gpu: measure nothing here, but gather in a new folder what it takes; copied to
    /// another machine, ./run measures there
    #[arg(long, value_name = "DIR", requires = "gpu")]
    pack: Option<PathBuf>,
    /// With --gpu: measure nothing here, but tell what ./run measured in such a folder
    #[arg(long, value_name = "DIR", requires = "gpu")]
    #[arg(conflicts_with_all = ["pack", "peers", "only"])]
    read: Option<PathBuf>,
    /// wllama in headless Chromium and native llama.cpp, which takes ten minutes to install into
    /// the cache; with --gpu its Vulkan build
    #[arg(long)]
    peers: bool,
    /// Builds an earlier commit too, measures it and this checkout in turn, and tells how many
    /// times as fast this checkout is
    #[arg(long, value_name = "COMMIT", conflicts_with_all = ["gpu", "peers"])]
    against: Option<String>,
    /// One model only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Times that each measurement is repeated; 3 for the small model and 1 for the large one
    /// unless given
    #[arg(long, value_name = "N")]
    repeat: Option<usize>,
    /// Numbers of threads
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Print measurements as JSON, one a line, in place of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Only {
    Smollm2,
    #[value(name = "phi-4-mini")]
    Phi4Mini,
    #[value(name = "phi-4-mini-q4km")]
    Phi4MiniQ4KM,
}

impl Only {
    fn name(self) -> &'static str {
        match self {
            Only::Smollm2 => MODELS[0].name,
            Only::Phi4Mini => MODELS[1].name,
            Only::Phi4MiniQ4KM => MODELS[2].name,
        }
    }
}

impl Options {
    fn models(&self) -> impl Iterator<Item = &'static Model> {
        let only = self.only;
        MODELS.iter().filter(move |model| only.is_none_or(|only| only.name() == model.name))
    }

    /// Only modules for threads have them in the browser; plain WASI has none.
    fn threads_of(&self, who: &Who) -> impl Iterator<Item = usize> {
        let several = match who {
            Who::Native | Who::Wllama { .. } | Who::LlamaCpp { .. } => true,
            Who::Chromium { variant } => variant.starts_with("threads"),
            Who::Wasmtime => false,
        };
        self.threads.iter().copied().filter(move |&threads| threads == 1 || several)
    }
}

/// Builds what is timed, times it, and writes `bench.json` and `bench.svg` into target/bench.
pub fn all(place: &Place, options: &Options) -> Result<()> {
    match (&options.pack, &options.read, &options.against) {
        (Some(folder), _, _) => gpu::pack(place, folder, options.peers),
        (_, Some(folder), _) => gpu::tell(folder, options.json),
        _ if options.gpu => {
            gpu::all(place, options.peers, options.only.map(Only::name), options.json)
        }
        (_, _, Some(commit)) => against::all(place, options, commit),
        _ => beside_peers(place, options),
    }
}

fn beside_peers(place: &Place, options: &Options) -> Result<()> {
    let everybody = prepare(place, options)?;
    let mut records = Vec::new();
    for model in options.models() {
        // Our native run comes first: it writes the model and says where it lies.
        let mut file: Option<PathBuf> = None;
        for who in &everybody {
            for threads in options.threads_of(who) {
                let run = Run { who, model, threads, file: file.as_deref() };
                match run.measure(place, options.repeat.unwrap_or(model.repeat)) {
                    Ok(record) => records.push(record),
                    // One that fails must not take the others' figures along, an hour's work
                    // perhaps.
                    Err(error) => eprintln!("not measured: {error:#}"),
                }
                file = file.or_else(|| records.last().map(|record| PathBuf::from(&record.file)));
            }
        }
    }
    record::complete(&mut records);
    let (machine, standings) = (Machine::describe(place), bars::standings(&records));
    keep(place, &machine, &records, &standings, &[])?;
    if options.json {
        return lines(&records);
    }
    println!("{}\n", machine.sentence());
    print!("{}", report::table(&records, &standings));
    Ok(())
}

/// Cargo, about to build the `phi` that is timed.
fn phi(place: &Place) -> Command {
    let mut cargo = place.cargo();
    cargo.args(["build", "--release", "--bin=phi", "--no-default-features", "--features=cli"]);
    cargo
}

fn prepare(place: &Place, options: &Options) -> Result<Vec<Who>> {
    sh::run(&mut phi(place))?;
    let mut everybody = vec![Who::Native];
    if options.peers {
        everybody.push(Who::LlamaCpp { python: setup::peers::llama_cpp(place)? });
    }
    if options.wasi {
        setup::wasmtime(place)?;
        sh::run(phi(place).arg("--target=wasm32-wasip1"))?;
        everybody.push(Who::Wasmtime);
    }
    if options.browser || options.peers {
        setup::for_build(place)?;
        setup::chromium()?;
    }
    if options.browser {
        build::all(place)?;
        everybody
            .extend(build::variants(place)?.into_iter().map(|variant| Who::Chromium { variant }));
    }
    if options.peers {
        everybody.push(Who::Wllama { modules: setup::peers::wllama(place)? });
    }
    Ok(everybody)
}

/// Writes all of it into target/bench; the bars and the picture are about this checkout.
fn keep(
    place: &Place,
    machine: &Machine,
    records: &[Record],
    standings: &[Standing],
    comparisons: &[Comparison],
) -> Result<()> {
    let folder = place.target.join("bench");
    fs::create_dir_all(&folder).context("the target directory cannot be written")?;
    let mut all = serde_json::json!({ "machine": machine, "records": records, "bars": standings });
    if !comparisons.is_empty() {
        all["against"] = serde_json::to_value(comparisons)?;
    }
    fs::write(folder.join("bench.json"), format!("{all:#}\n"))
        .context("bench.json cannot be written")?;
    fs::write(folder.join("bench.svg"), plot::svg(records, machine))
        .context("bench.svg cannot be written")?;
    eprintln!("{} and bench.svg beside it", folder.join("bench.json").display());
    Ok(())
}

fn lines(all: &[impl Serialize]) -> Result<()> {
    for one in all {
        println!("{}", serde_json::to_string(one)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Bench {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn an_earlier_commit_goes_with_what_can_be_built_of_it() {
        for (options, fine) in [
            ("", true),
            ("--browser --wasi --only smollm2 --threads 1 --repeat 2 --json", true),
            ("--peers", false),
            ("--gpu", false),
            ("--gpu --pack folder", false),
            ("--gpu --read folder", false),
        ] {
            let words =
                ["bench", "--against", "HEAD"].into_iter().chain(options.split_whitespace());
            let parsed = Bench::try_parse_from(words).map(|bench| bench.options.against);
            assert_eq!(
                parsed.is_ok_and(|commit| commit.as_deref() == Some("HEAD")),
                fine,
                "{options}"
            );
        }
    }
}
