//! How probable each of some continuations of a context is.

use super::row::Row;
use super::rows_at;
use crate::backend::Backend;
use crate::engine::{Engine, Sequence};
use crate::error::{Code, Result, fail};

/// One continuation, and what is known of it.
struct Asked {
    /// The context, as much as there is room for, and the continuation.
    tokens: Vec<u32>,
    /// Where that begins.
    begin: usize,
    /// The log-probability of each of its tokens, once it is known.
    log_probs: Vec<Option<f64>>,
}

impl Asked {
    /// With no more of a context, from its left, than leaves the last token just outside.
    fn new(context: &[u32], continuation: &[u32], ctx_len: usize) -> Asked {
        let all = [context, continuation].concat();
        let left_out = all.len().saturating_sub(ctx_len + 1);
        Asked {
            tokens: all[left_out..].to_vec(),
            begin: context.len().saturating_sub(left_out),
            log_probs: vec![None; continuation.len()],
        }
    }

    /// What the model reads: all but the last, which is only predicted.
    fn read(&self) -> &[u32] {
        &self.tokens[..self.tokens.len().saturating_sub(1)]
    }

    /// The first row that predicts something yet unknown.
    fn first(&self) -> Option<usize> {
        let unknown = self.log_probs.iter().position(Option::is_none)?;
        (self.begin + unknown).checked_sub(1)
    }

    /// Takes what the row after a position says.
    fn note(&mut self, position: usize, row: &Row<'_>) {
        let at = (position + 1).checked_sub(self.begin);
        if let Some(log_prob) = at.and_then(|at| self.log_probs.get_mut(at)) {
            *log_prob = Some(row.log_prob(self.tokens[position + 1]));
        }
    }
}

/// The log-probability of each continuation of a context. The tokens that several begin with are
/// read once, and what the sequence's cache holds of the context is not read again. Where there is
/// no room for both, the context's beginning is left out, as lm-evaluation-harness does.
///
/// # Errors
/// What running meets, and `prompt-too-long` for a continuation that has no room alone.
pub async fn log_probs<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    context: &[u32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>> {
    let (vocab, ctx_len) = (engine.config().vocab_size as usize, sequence.ctx_len());
    if let Some(long) = continuations.iter().find(|tokens| tokens.len() > ctx_len) {
        fail!(
            Code::PromptTooLong,
            "a choice has {} tokens and the context holds {ctx_len}",
            long.len();
            "load with a longer context"
        );
    }
    let mut all: Vec<Asked> =
        continuations.iter().map(|tokens| Asked::new(context, tokens, ctx_len)).collect();
    for at in 0..all.len() {
        let Some(mut position) = all[at].first() else { continue };
        let read = all[at].read().to_vec();
        engine.plan_rows(sequence, &read, position)?;
        while position < read.len() {
            let logits = rows_at(engine, sequence, position, read.len() - position).await?;
            for row in logits.chunks_exact(vocab) {
                let row = Row::new(row);
                // It speaks for all that begin as this one does.
                all.iter_mut()
                    .filter(|other| other.tokens.get(..=position) == read.get(..=position))
                    .for_each(|other| other.note(position, &row));
                position += 1;
            }
        }
    }
    Ok(all.iter().map(|asked| asked.log_probs.iter().flatten().sum()).collect())
}
