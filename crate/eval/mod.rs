//! How good a model is: how well it predicts a text, how far two predict differently, and how it
//! does in the field's tests.
//!
//! Prompts and scoring of the tests are those of lm-evaluation-harness 0.4, as its tasks' YAML has
//! them: `tests/golden/make/eval.py` holds both side by side.

mod choices;
mod divergence;
mod row;
pub mod sandbox;
pub mod tasks;
mod text;

pub use choices::log_probs;
pub use divergence::{Divergence, divergence};
pub use text::{Perplexity, SHORTEST, perplexity};

use crate::backend::Backend;
use crate::engine::{Engine, Sequence};
use crate::error::Result;

/// The logits of some rows from a position on, which is among those to come or was just reached; at
/// most so many.
async fn rows_at<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    position: usize,
    most: usize,
) -> Result<Vec<f32>> {
    while sequence.cached() <= position {
        engine.advance(sequence).await?;
    }
    engine.logits_from(sequence, position, most).await
}
