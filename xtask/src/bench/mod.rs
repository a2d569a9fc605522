//! Our figures and the peers', side by side, from one run on one machine: as a table, as JSON and as a picture.

mod bars;
mod gpu;
mod machine;
mod plot;
pub mod record;
mod report;
mod runs;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::place::Place;
use crate::{build, setup, sh};
use machine::Machine;
use record::Record;
use runs::{MODELS, Run, Who};

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
    /// With --gpu: measure nothing here, but gather in a new folder what it takes; copied to another machine, ./run measures there
    #[arg(long, value_name = "DIR", requires = "gpu")]
    pack: Option<PathBuf>,
    /// With --gpu: measure nothing here, but tell what ./run measured in such a folder
    #[arg(long, value_name = "DIR", requires = "gpu", conflicts_with_all = ["pack", "peers", "only"])]
    read: Option<PathBuf>,
    /// wllama in headless Chromium and native llama.cpp, which takes ten minutes to install into the cache; with --gpu its Vulkan build
    #[arg(long)]
    peers: bool,
    /// One model only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Times that each measurement is repeated; 3 for the small model and 1 for the large one unless given
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
}

impl Only {
    fn name(self) -> &'static str {
        match self {
            Only::Smollm2 => MODELS[0].name,
            Only::Phi4Mini => MODELS[1].name,
        }
    }
}

/// Builds what is timed, times it, and writes `bench.json` and `bench.svg` into target/bench.
pub fn all(place: &Place, options: &Options) -> Result<()> {
    match (&options.pack, &options.read) {
        (Some(folder), _) => return gpu::pack(place, folder, options.peers),
        (_, Some(folder)) => return gpu::tell(folder, options.json),
        _ if options.gpu => return gpu::all(place, options.peers, options.only.map(Only::name), options.json),
        _ => {}
    }
    let everybody = prepare(place, options)?;
    let mut records = Vec::new();
    for model in MODELS.iter().filter(|model| options.only.is_none_or(|only| only.name() == model.name)) {
        // Our native run comes first: it writes the model and says where it lies.
        let mut file: Option<PathBuf> = None;
        for who in &everybody {
            for &threads in options.threads.iter().filter(|&&threads| threads == 1 || has_threads(who)) {
                let run = Run { who, model, threads, file: file.as_deref() };
                match run.measure(place, options.repeat.unwrap_or(model.repeat)) {
                    Ok(record) => records.push(record),
                    // One that fails must not take the others' figures along, an hour's work perhaps.
                    Err(error) => eprintln!("not measured: {error:#}"),
                }
                file = file.or_else(|| records.last().map(|record| PathBuf::from(&record.file)));
            }
        }
    }
    record::complete(&mut records);
    tell(place, &records, options.json)
}

/// Only modules for threads have them in the browser; plain WASI has none.
fn has_threads(who: &Who) -> bool {
    match who {
        Who::Native | Who::Wllama { .. } | Who::LlamaCpp { .. } => true,
        Who::Chromium { variant } => variant.starts_with("threads"),
        Who::Wasmtime => false,
    }
}

fn prepare(place: &Place, options: &Options) -> Result<Vec<Who>> {
    let phi = ["build", "--release", "--bin=phi", "--no-default-features", "--features=cli"];
    sh::run(place.command("cargo").args(phi))?;
    let mut everybody = vec![Who::Native];
    if options.peers {
        everybody.push(Who::LlamaCpp { python: setup::peers::llama_cpp(place)? });
    }
    if options.wasi {
        setup::wasmtime(place)?;
        sh::run(place.command("cargo").args(phi).arg("--target=wasm32-wasip1"))?;
        everybody.push(Who::Wasmtime);
    }
    if options.browser || options.peers {
        setup::for_build(place)?;
        setup::chromium()?;
    }
    if options.browser {
        build::all(place)?;
        everybody.extend(build::variants(place)?.into_iter().map(|variant| Who::Chromium { variant }));
    }
    if options.peers {
        everybody.push(Who::Wllama { modules: setup::peers::wllama(place)? });
    }
    Ok(everybody)
}

fn tell(place: &Place, records: &[Record], as_json: bool) -> Result<()> {
    let (machine, standings) = (Machine::describe(place), bars::standings(records));
    let folder = place.target.join("bench");
    fs::create_dir_all(&folder).context("the target directory cannot be written")?;
    let all = serde_json::json!({ "machine": machine, "records": records, "bars": standings });
    fs::write(folder.join("bench.json"), format!("{all:#}\n")).context("bench.json cannot be written")?;
    fs::write(folder.join("bench.svg"), plot::svg(records, &machine)).context("bench.svg cannot be written")?;
    if as_json {
        for record in records {
            println!("{}", serde_json::to_string(record)?);
        }
    } else {
        println!("{}\n", machine.sentence());
        print!("{}", report::table(records, &standings));
    }
    eprintln!("{} and bench.svg beside it", folder.join("bench.json").display());
    Ok(())
}
