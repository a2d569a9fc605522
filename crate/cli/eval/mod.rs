//! `phi eval`: how good a model is.

mod choices;
mod generated;
mod kl;
mod perplexity;
mod report;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flate2::read::GzDecoder;
use phi_wasm::eval::SHORTEST;
use phi_wasm::weights::format::Bits;
use phi_wasm::{Error, Result};

use super::options::{
    ComputeArgs, ModelArgs, is_stdin, named, parse_bits, parse_count, range, read_text,
};
pub use perplexity::Perplexity;

/// Measure how good the model is.
#[derive(Debug, Args)]
pub struct Eval {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measure how well the model predicts a text.
    Perplexity(Perplexity),
    /// Measure how far a model, or one format of it, predicts a text differently from another.
    ///
    /// That is the Kullback-Leibler divergence of B from A, in nats, at every token but each
    /// window's first. Both models are open at once, and take memory for both.
    Kl(kl::Kl),
    /// Ask MMLU's questions: 57 subjects, after 5 examples.
    ///
    /// Scored is which of " A" to " D" is most probable (acc).
    Mmlu(choices::Mmlu),
    /// Ask ARC's questions, easy ones or the challenge.
    ///
    /// Scored is which choice is most probable (acc), and which for each of its characters
    /// (acc_norm).
    Arc(choices::Arc),
    /// Have HellaSwag's scenes go on.
    ///
    /// Scored is which ending is most probable (acc), and which for each of its characters
    /// (acc_norm).
    Hellaswag(choices::Hellaswag),
    /// Have GSM8K's word problems solved, each after 5 examples.
    ///
    /// Compared are the answers' numbers: the one after #### (strict), and the last one (flexible).
    Gsm8k(generated::Gsm8k),
    /// Have HumanEval's functions completed, and run their tests in a sandbox.
    ///
    /// The sandbox is bubblewrap's: no network, nothing of the user's files, nothing written.
    /// Where there is none, nothing is run.
    Humaneval(generated::Humaneval),
}

impl Eval {
    /// Measures and prints.
    pub async fn run(self) -> Result<()> {
        match self.what {
            What::Perplexity(perplexity) => perplexity.run().await,
            What::Kl(kl) => kl.run().await,
            What::Mmlu(mmlu) => mmlu.run().await,
            What::Arc(arc) => arc.run().await,
            What::Hellaswag(hellaswag) => hellaswag.run().await,
            What::Gsm8k(gsm8k) => gsm8k.run().await,
            What::Humaneval(humaneval) => humaneval.run().await,
        }
    }
}

/// Which models, each in which formats.
#[derive(Debug, Args)]
struct ModelsArgs {
    /// A Hugging Face directory, a GGUF file, or a directory that `phi convert` wrote; given
    /// several times, each is measured.
    #[arg(short, long = "model", value_name = "PATH", required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
    /// In place of --bits: each of these, one after another.
    #[arg(long, value_name = "BITS,…", value_delimiter = ',', value_parser = parse_bits)]
    #[arg(conflicts_with = "bits")]
    formats: Vec<Bits>,
}

impl ModelsArgs {
    /// Each model in each format.
    fn each(&self) -> Vec<ModelArgs> {
        let compute = &self.compute;
        let formats =
            if self.formats.is_empty() { vec![compute.bits] } else { self.formats.clone() };
        let in_each = |model: &PathBuf| {
            let in_one = |&bits| ModelArgs {
                model: model.clone(),
                compute: ComputeArgs { bits, ..compute.clone() },
            };
            formats.iter().map(in_one).collect::<Vec<_>>()
        };
        self.models.iter().flat_map(in_each).collect()
    }
}

/// Whom to ask in a test, and how much.
#[derive(Debug, Args)]
struct Asking {
    #[command(flatten)]
    models: ModelsArgs,
    /// Take the first items of each file only.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
    limit: Option<usize>,
    #[command(flatten)]
    report: report::ReportArgs,
}

impl Asking {
    /// Items of a file at the most.
    fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// A file of a test's data, its name and its text, which may be in gzip.
fn read_data(path: &Path) -> Result<(String, String)> {
    if is_stdin(path) {
        return Ok((named(path), read_text(path)?));
    }
    let reading = |error| Error::reading(path, &error);
    let bytes = std::fs::read(path).map_err(reading)?;
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        std::io::read_to_string(GzDecoder::new(&*bytes))
    } else {
        String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into())
    };
    Ok((named(path), text.map_err(reading)?))
}

/// Reads how many examples come before an item.
fn parse_shots(text: &str) -> std::result::Result<usize, String> {
    at_least(0, text)
}

/// How a text is read, and where the report goes.
#[derive(Debug, Clone, Args)]
struct TextArgs {
    /// Cut the text into windows of this many tokens, each read on its own [default: what the
    /// context holds].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_window)]
    window: Option<usize>,
    #[command(flatten)]
    report: report::ReportArgs,
    /// The text, or - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn parse_window(text: &str) -> std::result::Result<usize, String> {
    at_least(SHORTEST, text)
}

fn parse_limit(text: &str) -> std::result::Result<usize, String> {
    at_least(1, text)
}

fn at_least(least: usize, text: &str) -> std::result::Result<usize, String> {
    parse_count(text).ok().filter(|&count| count >= least).ok_or_else(|| range(least))
}
