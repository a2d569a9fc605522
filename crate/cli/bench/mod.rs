//! `phi bench`: how fast a model runs here.

mod bandwidth;
mod held;
mod synthetic;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use phi_wasm::backend::Backend;
use phi_wasm::bench::shape::Shape;
use phi_wasm::bench::{Figures, Plan, measure};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::text_assets::TextAssets;
use phi_wasm::weights::Checkpoint;
use phi_wasm::{Code, Error, Result};
use serde::Serialize;

use super::cache;
use super::device::{self, Task};
use super::options::{BackendChoice, ComputeArgs, ModelArgs, cores, parse_amount, parse_count};
use super::{output, progress};
use held::{Held, Holder};

/// Time prefill and decoding, and say how much of this machine's memory bandwidth decoding uses.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Tokens of the prompt.
    #[arg(long, value_name = "N", default_value_t = 251)]
    #[arg(allow_hyphen_values = true, value_parser = parse_count)]
    prompt: usize,
    /// Tokens before the prompt that count as read, without being it: their keys and values are
    /// made up. For the speed at some depth.
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_amount)]
    depth: usize,
    /// Tokens to generate.
    #[arg(long = "gen", value_name = "N", default_value_t = 48)]
    #[arg(allow_hyphen_values = true, value_parser = parse_count)]
    generate: usize,
    /// Time each kernel of the GPU, which makes the whole slower, and hold it against what the
    /// device does at best.
    #[arg(long)]
    profile: bool,
    /// Time an answer that the JSON Schema in this file holds, too, beside the same tokens without
    /// it.
    #[arg(long, value_name = "FILE")]
    json_schema: Option<PathBuf>,
    /// Print the figures as one line of JSON; a profile's table then goes to stderr.
    #[arg(long)]
    json: bool,
    /// Where synthetic models are kept [default: PHI_WASM_CACHE, or ~/.cache/phi-wasm].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A Hugging Face directory, a GGUF file, or a directory that `phi convert` wrote.
    #[arg(short, long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Synthetic weights of a model's sizes, written once and kept: phi-4-mini, phi-4-mini-q4km,
    /// smollm2 or tiny.
    #[arg(long, value_parser = parse_shape)]
    shape: Option<Shape>,
}

fn parse_shape(name: &str) -> std::result::Result<Shape, String> {
    let known = Shape::ALL.map(|shape| shape.name).join(", ");
    Shape::ALL
        .into_iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| format!("there are {known}"))
}

impl Bench {
    /// Times and prints.
    pub async fn run(self) -> Result<()> {
        let compute = ComputeArgs { profile: self.profile, ..self.compute.clone() };
        if compute.profile && compute.backend != BackendChoice::Gpu {
            return Err(Error::new(
                Code::BadOption,
                "--profile times the kernels of the GPU; add --backend gpu",
            ));
        }
        let model = match (&self.what.model, &self.what.shape) {
            (_, Some(shape)) => synthetic::ensure(shape, self.cache.as_deref())?,
            (model, None) => model.clone().unwrap_or_default(),
        };
        let args = ModelArgs { model, compute };
        device::run(&args.clone(), Timing { args, bench: self }).await
    }
}

struct Timing {
    args: ModelArgs,
    bench: Bench,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Record<'a> {
    engine: &'static str,
    version: &'static str,
    host: String,
    variant: String,
    backend: &'static str,
    threads: usize,
    model: &'a str,
    file: Cow<'a, str>,
    #[serde(flatten)]
    figures: &'a Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// Milliseconds from opening the model to a loaded engine.
    load_ms: f64,
    /// Bytes a second that as many threads read from memory, or a profiled GPU from its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_bandwidth: Option<f64>,
    /// How much of it decoding uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    bandwidth_share: Option<f64>,
}

impl Task for Timing {
    type Output = ();

    async fn on<B: Backend>(self, backend: B) -> Result<()> {
        let Timing { args, bench: Bench { what, depth, prompt, generate, json, json_schema, .. } } =
            self;
        let plan = Plan { depth, prompt, generate };
        let opening = Instant::now();
        let checkpoint = Checkpoint::open(args.source()?).await?;
        let opened = opening.elapsed();
        let holder = match &json_schema {
            Some(schema) => {
                let vocab_size = checkpoint.config.vocab_size;
                Some(Holder::new(schema, &TextAssets::of(&checkpoint)?, vocab_size)?)
            }
            None => None,
        };
        let start = Instant::now();
        let load = args.load_options(Some(plan.ctx_len(&checkpoint.config)));
        let options = EngineOptions { format: load.format, ctx_len: load.ctx_len, kv: load.kv };
        let bar = progress::bytes("loading");
        bar.set_length(checkpoint.weight_bytes());
        let mut engine =
            Engine::load(&checkpoint, backend, &options, &mut |bytes| bar.inc(bytes)).await?;
        bar.finish_and_clear();
        cache::keep_tuned(&engine);
        drop(checkpoint);
        let load_ms = (opened + start.elapsed()).as_secs_f64() * 1e3;
        let mut sequence = engine.sequence(None)?;
        let figures = measure(&mut engine, &mut sequence, plan).await?;
        let held = match holder {
            Some(holder) => Some(holder.measure(&mut engine, &mut sequence, plan).await?),
            None => None,
        };
        drop(engine);
        let threads = match args.compute.threads() {
            0 => cores().unwrap_or(1),
            threads => threads,
        };
        let file = args.model.file_stem().unwrap_or_default().to_string_lossy();
        let (on_cpu, variant) = described(&figures.device);
        let read_bandwidth = if on_cpu {
            Some(bandwidth::measure(threads))
        } else {
            figures.profile.as_ref().map(|profile| profile.peaks.bandwidth)
        };
        let record = Record {
            engine: "phi-wasm",
            version: env!("CARGO_PKG_VERSION"),
            host: host(),
            variant,
            backend: if on_cpu { "cpu" } else { "gpu" },
            threads,
            model: what.shape.as_ref().map_or(&file, |shape| shape.name),
            file: args.model.to_string_lossy(),
            bandwidth_share: read_bandwidth
                .map(|most| figures.decode_tps * figures.bytes_per_token as f64 / most),
            load_ms,
            read_bandwidth,
            figures: &figures,
            held,
        };
        let table = figures.profile.as_ref().map(|profile| format!("\n{profile}"));
        if json {
            output::line(serde_json::json!(record))?;
            table.iter().for_each(|table| output::note(table.trim()));
        } else {
            print(&record)?;
            table.iter().try_for_each(output::piece)?;
        }
        Ok(())
    }
}

/// Whether the CPU computed, and with which instructions: `CPU, AVX2, 2 threads`. A GPU is its own
/// variant.
fn described(device: &str) -> (bool, String) {
    match device.strip_prefix("CPU, ").and_then(|rest| rest.split(',').next()) {
        Some(instructions) => (true, instructions.to_lowercase()),
        None => (false, device.to_owned()),
    }
}

/// What runs us. A WASI module cannot know, but whoever starts it can say.
fn host() -> String {
    if cfg!(target_os = "wasi") {
        std::env::var("PHI_HOST").unwrap_or_else(|_| "wasi".to_owned())
    } else {
        "native".to_owned()
    }
}

fn of_the_bandwidth(record: &Record<'_>) -> String {
    let (Some(share), Some(most)) = (record.bandwidth_share, record.read_bandwidth) else {
        return String::new();
    };
    let reader = match (record.backend, record.threads) {
        ("gpu", _) => "the GPU reads".to_owned(),
        (_, 1) => "this machine reads with 1 thread".to_owned(),
        (_, threads) => format!("this machine reads with {threads} threads"),
    };
    format!(": {:.0} % of the {:.1} GB/s that {reader}", share * 100.0, most / 1e9)
}

fn print(record: &Record<'_>) -> Result<()> {
    let figures = record.figures;
    let (read, generated) =
        (HumanCount(figures.prompt_tokens as u64), HumanCount(figures.generated_tokens as u64));
    let peak =
        figures.peak_bytes.map_or("unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
    output::line(format_args!("{} on {} ({})", record.model, figures.device, record.host))?;
    output::line(format_args!("prefill  {:8.2} tok/s over {read} tokens", figures.prefill_tps))?;
    output::line(format_args!(
        "decode   {:8.2} tok/s over {generated} tokens",
        figures.decode_tps
    ))?;
    output::line(format_args!(
        "reads    {} a token{}",
        HumanBytes(figures.bytes_per_token),
        of_the_bandwidth(record)
    ))?;
    if let Some(held) = &record.held {
        output::line(format_args!(
            "masks    {:.2} ms each, {:.1} % of a token, for {} tokens of {}; the first of a form \
                after {:.1} ms, the vocabulary's tree {:.2} s",
            held.mask_ms,
            held.mask_share * 100.0,
            held.chosen,
            held.tokens,
            held.first_mask_ms,
            held.tree_ms / 1e3
        ))?;
        output::line(format_args!(
            "held     in {:.2} of the time that the same tokens take without the form",
            held.time_ratio
        ))?;
    }
    output::line(format_args!("loaded   in {:.2} s; peak memory {peak}", record.load_ms / 1e3))
}
