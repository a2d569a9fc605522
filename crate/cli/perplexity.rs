//! `phi perplexity`: how well a model predicts a text.

use std::path::PathBuf;

use clap::Args;
use phi_wasm::backend::Backend;
use phi_wasm::{Code, Error, Result};

use super::cache;
use super::device::{self, Task};
use super::options::{ModelArgs, parse_count, read_text};
use super::{output, progress};

/// Measure how well the model predicts a text: exp of the mean negative log likelihood of tokens 2 to n of every window.
#[derive(Debug, Args)]
pub struct Perplexity {
    #[command(flatten)]
    model: ModelArgs,
    /// Cut the text into windows of this many tokens, each read on its own [default: what the context holds].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    window: Option<usize>,
    /// The text, or - for standard input.
    file: PathBuf,
}

impl Perplexity {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        device::run(&self.model.clone(), self).await
    }
}

impl Task for Perplexity {
    async fn on<B: Backend>(self, backend: B) -> Result<()> {
        let text = read_text(&self.file)?;
        let mut session = progress::open(&self.model, backend, self.window).await?;
        let ids = session.tokenizer().encode(&text, true)?;
        let engine = session.engine();
        cache::keep_tuned(engine);
        let window = self.window.unwrap_or(engine.ctx_len());
        if window < 2 || ids.len() < 2 {
            return Err(Error::new(Code::BadOption, "perplexity needs windows of at least two tokens, and as much text"));
        }
        let bar = progress::tokens("measuring", ids.len());
        let (mut sum, mut scored) = (0.0, 0usize);
        for tokens in ids.chunks(window).filter(|tokens| tokens.len() > 1) {
            engine.plan(tokens)?;
            while engine.pending() > 0 {
                let before = engine.pending();
                engine.advance().await?;
                engine
                    .chunk_logits(&mut |position, logits| {
                        if let Some(&next) = tokens.get(position + 1) {
                            sum += negative_log_likelihood(logits, next as usize);
                            scored += 1;
                        }
                    })
                    .await?;
                bar.inc((before - engine.pending()) as u64);
            }
        }
        bar.finish_and_clear();
        output::line(format_args!("perplexity {:.3} over {scored} tokens", (sum / scored as f64).exp()))
    }
}

/// `-ln softmax(logits)[target]`, in f64.
fn negative_log_likelihood(logits: &[f32], target: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    sum.ln() - f64::from(logits[target] - max)
}
