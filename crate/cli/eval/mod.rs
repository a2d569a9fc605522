//! `phi eval`: how good a model is.

mod choices;
mod kl;
mod perplexity;
mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use phi_wasm::Result;
use phi_wasm::weights::format::Bits;

use super::options::{ComputeArgs, ModelArgs, parse_bits, parse_count, range};
pub use perplexity::Perplexity;
use phi_wasm::eval::SHORTEST;

/// Measure how good the model is: how well it predicts a text, how far that is from what another
/// predicts, how it does in the field's tests. Their prompts and scores are those of
/// lm-evaluation-harness 0.4; their data are files that are downloaded before.
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
    Kl(kl::Kl),
    /// Ask MMLU's questions: 57 subjects, after 5 examples.
    Mmlu(choices::Mmlu),
    /// Ask ARC's questions, easy ones or the challenge.
    Arc(choices::Arc),
    /// Have HellaSwag's scenes go on.
    Hellaswag(choices::Hellaswag),
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
    parse_count(text).ok().filter(|&window| window >= SHORTEST).ok_or_else(|| range(SHORTEST))
}
