//! `phi perplexity`: how well a model predicts a text.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::weights::Checkpoint;
use phi_wasm::{Code, Error, Result};

use super::cache;
use super::device::{self, Task};
use super::options::{ModelArgs, named, parse_count, range, read_text};
use super::{output, progress};

/// Measure how well the model predicts a text: exp of the mean negative log likelihood of tokens 2
/// to n of every window.
#[derive(Debug, Args)]
pub struct Perplexity {
    #[command(flatten)]
    model: ModelArgs,
    /// Cut the text into windows of this many tokens, each read on its own [default: what the
    /// context holds].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_window)]
    window: Option<usize>,
    /// The text, or - for standard input.
    file: PathBuf,
}

/// Every token but a window's first is predicted.
const SHORTEST: usize = 2;

fn parse_window(text: &str) -> std::result::Result<usize, String> {
    parse_count(text).ok().filter(|&window| window >= SHORTEST).ok_or_else(|| range(SHORTEST))
}

impl Perplexity {
    /// Measures and prints.
    pub async fn run(self) -> Result<()> {
        let text = read_text(&self.file)?;
        let config = Checkpoint::open(self.model.source()?).await?.config;
        let ctx_len = self.model.compute.ctx.unwrap_or(config.max_position_embeddings as usize);
        if let Some(window) = self.window.filter(|&window| window > ctx_len) {
            let too_long =
                format!("--window is {window}, and the context holds {ctx_len} tokens of the text");
            return Err(Error::new(Code::BadOption, too_long).advise("take shorter windows"));
        }
        device::run(&self.model.clone(), Measuring { asked: self, text }).await
    }
}

struct Measuring {
    asked: Perplexity,
    text: String,
}

impl Task for Measuring {
    async fn on<B: Backend>(self, backend: B) -> Result<()> {
        let Measuring { asked: Perplexity { model, window, file }, text } = self;
        let mut session = progress::open(&model, backend, window).await?;
        let ids = session.tokenizer().encode(&text, true)?;
        let (engine, sequence) = session.engine_and_sequence();
        cache::keep_tuned(engine);
        let window = window.unwrap_or(engine.ctx_len());
        if window < SHORTEST {
            return Err(Error::new(Code::BadOption, "a context of one token predicts nothing")
                .advise("--ctx gives a longer one"));
        }
        if ids.len() < SHORTEST {
            let count = if ids.is_empty() { "no token" } else { "one token" };
            let too_short =
                format!("{} has {count}, and the first one is not predicted", named(&file));
            return Err(Error::new(Code::BadOption, too_short).advise("give a longer text"));
        }
        let bar = progress::tokens("measuring", ids.len());
        let (mut sum, mut scored) = (0.0, 0usize);
        for tokens in ids.chunks(window).filter(|tokens| tokens.len() > 1) {
            engine.plan(sequence, tokens)?;
            while sequence.pending() > 0 {
                let before = sequence.pending();
                engine.advance(sequence).await?;
                engine
                    .chunk_logits(sequence, &mut |position, logits| {
                        if let Some(&next) = tokens.get(position + 1) {
                            sum += negative_log_likelihood(logits, next as usize);
                            scored += 1;
                        }
                    })
                    .await?;
                bar.inc((before - sequence.pending()) as u64);
            }
        }
        bar.finish_and_clear();
        output::line(format_args!(
            "perplexity {:.3} over {scored} tokens",
            (sum / scored as f64).exp()
        ))
    }
}

/// `-ln softmax(logits)[target]`, in f64.
fn negative_log_likelihood(logits: &[f32], target: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    sum.ln() - f64::from(logits[target] - max)
}
