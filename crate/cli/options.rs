//! Options that several commands take.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};
use phi_wasm::op::KvKind;
use phi_wasm::session::{GenerateOptions, LoadOptions};
use phi_wasm::text::{Message, Sampling};
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::source::DirSource;
use phi_wasm::{Error, Result};

use super::output;

/// Which model, and what computes it.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// A Hugging Face directory, a GGUF file, or a directory that `phi convert` wrote.
    #[arg(short, long, value_name = "PATH")]
    pub model: PathBuf,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// What computes a model, and how it is held.
#[derive(Debug, Clone, Args)]
pub struct ComputeArgs {
    /// What computes. `auto` takes a hardware GPU that passes its check, else the CPU; `run` and
    /// `chat` the faster of both.
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
    pub backend: BackendChoice,
    /// CPU threads, at most as many as there are cores; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_amount)]
    pub threads: usize,
    /// Positions of context to allocate [default: the model's own, at most 4096].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub ctx: Option<usize>,
    /// Bits of weights that come unquantised: 4 (4.5 with scales), 5 (8 for queries, keys and
    /// values, offsets in the down projections), 8, 16 or 32, which keeps them exactly.
    #[arg(long, value_name = "BITS", default_value = "4", value_parser = parse_bits)]
    pub bits: Bits,
    /// How keys and values are cached [default: int8; f32 with --bits 32].
    #[arg(long, value_enum, value_name = "KIND")]
    pub kv: Option<Kv>,
    /// Time again what is timed once for each GPU with its driver: which of its kernels are
    /// fastest, until phi has others; and whether the CPU is faster, also for each number of
    /// threads, size of the model and version of phi.
    #[arg(long)]
    pub retune: bool,
    /// For tests: `auto` measures a GPU that is a program on the CPU, too.
    #[arg(long, hide = true)]
    pub software_gpu: bool,
    /// Whether the GPU times each kernel: an option of `bench` alone.
    #[arg(skip)]
    pub profile: bool,
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// A hardware GPU that passes its check, else the CPU.
    Auto,
    /// The GPU, or an error.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Element type of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kv {
    /// 8 bits, with a page of 64 tokens and the first one in half precision.
    Int8,
    /// 4 bits, likewise.
    Int4,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

/// Reads `--bits`.
pub fn parse_bits(text: &str) -> std::result::Result<Bits, String> {
    Bits::parse(text).ok_or_else(|| format!("it must be {}", Bits::WANTED))
}

/// Reads how many there are to be of something. What zero would be is for the engine to say.
pub fn parse_count(text: &str) -> std::result::Result<usize, String> {
    text.parse().map_err(|_| range(1))
}

/// Reads how many there are to be of something that may be missing.
pub fn parse_amount(text: &str) -> std::result::Result<usize, String> {
    text.parse().map_err(|_| range(0))
}

/// What a count must be.
pub fn range(least: usize) -> String {
    format!("it must be a whole number from {least} to 2^{} - 1", usize::BITS)
}

fn parse_number(text: &str) -> std::result::Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number: &f32| number.is_finite())
        .ok_or_else(|| "it must be a number, such as 0.7".to_owned())
}

impl ComputeArgs {
    /// Threads of the CPU, 0 for all cores: those that share a core wait for one another at every
    /// step.
    pub fn threads(&self) -> usize {
        self.threads.min(cores().unwrap_or(usize::MAX))
    }

    /// Says that fewer threads compute than were asked for, where that is so.
    pub fn tell_fewer_threads(&self) {
        let (asked, threads) = (self.threads, self.threads());
        if self.backend != BackendChoice::Gpu && threads < asked {
            output::note(format_args!(
                "phi: {asked} threads were asked for, and there are cores for {threads}"
            ));
        }
    }
}

/// Cores that this process may use, where the system says.
pub fn cores() -> Option<usize> {
    available_parallelism().ok().map(usize::from)
}

impl ModelArgs {
    /// Opens the model's files.
    pub fn source(&self) -> Result<DirSource> {
        DirSource::open(&self.model)
    }

    /// How to load, with a context of `ctx` where the user named none.
    pub fn load_options(&self, ctx: Option<usize>) -> LoadOptions {
        let kv = self.compute.kv.map(|kv| match kv {
            Kv::Int8 => KvKind::Int8,
            Kv::Int4 => KvKind::Int4,
            Kv::F16 => KvKind::F16,
            Kv::F32 => KvKind::F32,
        });
        LoadOptions { format: self.compute.bits.into(), ctx_len: self.compute.ctx.or(ctx), kv }
    }
}

/// How tokens are chosen.
#[derive(Debug, Clone, Args)]
pub struct SamplingArgs {
    /// Tokens at the most.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    #[arg(allow_hyphen_values = true, value_parser = parse_count)]
    pub max_tokens: usize,
    /// Randomness; 0 is greedy, and always takes the most probable token.
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub temperature: f32,
    /// Sample from the most probable tokens that together reach this probability; 0 for the most
    /// probable alone, 1 for all.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub top_p: f32,
    /// Sample from the K most probable tokens; 0 or -1 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    #[arg(allow_hyphen_values = true, value_parser = Sampling::parse_top_k)]
    pub top_k: usize,
    /// Sample from tokens at least this fraction as probable as the most probable.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub min_p: f32,
    /// Sample from the tokens that surprise about as much as is to be expected, until they reach
    /// this probability; 1 for all.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub typical_p: f32,
    /// Divide the logits of tokens that were already used; 1 for none.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub repetition_penalty: f32,
    /// Subtract from the logits of tokens that the answer already has.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub presence_penalty: f32,
    /// Subtract from a token's logit for every time that the answer has it.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    pub frequency_penalty: f32,
    /// Seed, which may be negative: the same one gives the same text on the same backend [default:
    /// random].
    #[arg(long, value_name = "S", allow_hyphen_values = true, value_parser = Sampling::parse_seed)]
    pub seed: Option<u64>,
    /// A text that ends the answer; may be given several times.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<String>,
}

impl SamplingArgs {
    /// The engine's options, whose numbers are in their ranges: nobody waits for a model to be told
    /// that they are not.
    ///
    /// # Errors
    /// `bad-option`.
    pub fn options(&self) -> Result<GenerateOptions> {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed,
            ..Sampling::default()
        };
        let options = GenerateOptions {
            max_tokens: self.max_tokens,
            sampling,
            stop: self.stop.clone(),
            ..GenerateOptions::default()
        };
        let as_option = |error: Error| {
            let (name, rest) = error.message.split_once(' ').unwrap_or((&error.message, ""));
            Error::new(error.code, format!("--{} {rest}", name.replace('_', "-")))
        };
        options.validate().map_err(as_option).map(|()| options)
    }

    /// Says which options change nothing, where some do.
    pub fn tell_idle(&self) {
        let given = [
            ("--top-p", self.top_p != 1.0),
            ("--top-k", self.top_k != 0),
            ("--min-p", self.min_p != 0.0),
            ("--typical-p", self.typical_p != 1.0),
            ("--seed", self.seed.is_some()),
        ];
        let idle: Vec<_> =
            given.into_iter().filter(|(_, is_given)| *is_given).map(|(option, _)| option).collect();
        if self.temperature == 0.0 && !idle.is_empty() {
            let idle = idle.join(", ");
            output::note(format_args!(
                "phi: at temperature 0 the most probable token is taken, so that nothing comes of \
                    {idle}"
            ));
        }
    }
}

/// A prompt, and what the model is told before it.
pub fn conversation(system: Option<String>, prompt: String) -> Vec<Message> {
    system.into_iter().map(Message::system).chain([Message::user(prompt)]).collect()
}

/// What `-` stands for.
pub const STDIN: &str = "standard input";

/// Whether standard input is meant.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file of the user's in messages.
pub fn named(path: &Path) -> String {
    if is_stdin(path) { STDIN.to_owned() } else { path.display().to_string() }
}

/// A text file of the user's, or standard input for `-`.
pub fn read_text(path: &Path) -> Result<String> {
    if is_stdin(path) {
        return read_stdin();
    }
    std::fs::read_to_string(path).map_err(|error| Error::reading(path, &error))
}

/// Standard input as text.
pub fn read_stdin() -> Result<String> {
    std::io::read_to_string(std::io::stdin())
        .map_err(|error| Error::reading(Path::new(STDIN), &error))
}
