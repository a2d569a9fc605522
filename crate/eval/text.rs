//! How well a model predicts a text.

use super::row::Row;
use super::rows_at;
use crate::backend::Backend;
use crate::engine::{Engine, Sequence};
use crate::error::Result;

/// Tokens of the shortest window: all but the first are predicted.
pub const SHORTEST: usize = 2;

/// How well a text was predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perplexity {
    /// Tokens that were predicted: all but each window's first.
    pub tokens: usize,
    /// The sum of their negative log-likelihoods.
    pub negative_log_likelihood: f64,
}

impl Perplexity {
    /// exp of the mean negative log-likelihood.
    pub fn value(&self) -> f64 {
        (self.negative_log_likelihood / self.tokens as f64).exp()
    }

    /// Takes a prediction into account.
    pub(super) fn note(&mut self, row: &Row<'_>, token: u32) {
        self.tokens += 1;
        self.negative_log_likelihood -= row.log_prob(token);
    }
}

/// How well a model predicts a text, in windows of so many tokens that it reads each on its own.
/// `told` hears of every few tokens read.
///
/// # Errors
/// What running meets, and `prompt-too-long` for windows that the sequence has no room for.
pub async fn perplexity<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    (ids, window): (&[u32], usize),
    told: &mut dyn FnMut(usize),
) -> Result<Perplexity> {
    let vocab = engine.config().vocab_size as usize;
    let mut found = Perplexity::default();
    for tokens in ids.chunks(window).filter(|tokens| tokens.len() >= SHORTEST) {
        engine.plan_rows(sequence, tokens, 0)?;
        let mut next = 1;
        while next < tokens.len() {
            let logits = rows_at(engine, sequence, next - 1, tokens.len() - next).await?;
            for row in logits.chunks_exact(vocab) {
                found.note(&Row::new(row), tokens[next]);
                next += 1;
            }
            told(logits.len() / vocab);
        }
    }
    Ok(found)
}
