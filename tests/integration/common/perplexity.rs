//! How well an engine predicts a text.

use phi_wasm::backend::Backend;
use phi_wasm::engine::{Engine, Sequence};

/// Perplexity over all tokens but the first, and the logits after the last.
pub async fn perplexity<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    tokens: &[u32],
) -> (f64, Vec<f32>) {
    engine.plan_rows(sequence, tokens, 0).unwrap();
    let (mut nll, mut last) = (0.0, Vec::new());
    while sequence.pending() > 0 {
        engine.advance(sequence).await.unwrap();
        engine
            .chunk_logits(sequence, &mut |position, logits| {
                if let Some(&next) = tokens.get(position + 1) {
                    nll -= log_softmax(logits, next as usize);
                } else {
                    last = logits.to_vec();
                }
            })
            .await
            .unwrap();
    }
    ((nll / (tokens.len() - 1) as f64).exp(), last)
}

fn log_softmax(logits: &[f32], target: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(logits[target] - max)
        - logits.iter().map(|&l| f64::from(l - max).exp()).sum::<f64>().ln()
}
