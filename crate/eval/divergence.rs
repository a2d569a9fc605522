//! How far two models predict a text differently.

use super::row::Row;
use super::rows_at;
use super::text::{Perplexity, SHORTEST};
use crate::backend::Backend;
use crate::engine::{Engine, Sequence};
use crate::error::Result;

/// How far a model's predictions are from another's, over the tokens of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Divergence {
    /// The Kullback-Leibler divergence at each token, of the second model from the first:
    /// Σ p₁ ln(p₁ / p₂), in nats.
    pub each: Vec<f64>,
    /// Tokens for which both models' most probable one is the same.
    pub same_top: usize,
    /// How well each predicts the text.
    pub perplexity: [Perplexity; 2],
}

impl Divergence {
    /// The mean.
    pub fn mean(&self) -> f64 {
        self.each.iter().sum::<f64>() / self.each.len() as f64
    }

    /// What so many of a hundred tokens stay below: between two tokens, as NumPy has it.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.each.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = percent / 100.0 * last as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        sorted[below] + (sorted[above] - sorted[below]) * place.fract()
    }

    /// The share of tokens for which the most probable one is the same.
    pub fn top_agreement(&self) -> f64 {
        self.same_top as f64 / self.each.len() as f64
    }

    fn note(&mut self, first: &Row<'_>, second: &Row<'_>, token: u32) {
        let divergence: f64 = first
            .log_probs()
            .zip(second.log_probs())
            .map(|(p, q)| if p == f64::NEG_INFINITY { 0.0 } else { p.exp() * (p - q) })
            .sum();
        self.each.push(divergence.max(0.0)); // Sums are rounded.
        self.same_top += usize::from(first.top() == second.top());
        self.perplexity[0].note(first, token);
        self.perplexity[1].note(second, token);
    }
}

/// How far the second of two models predicts a text differently, in windows of so many tokens that
/// each reads on its own. Both go through it side by side, a few rows of logits at a time: those of
/// all tokens would be 200 KB a token of SmolLM2's, and 800 KB of Phi-4-mini's. `told` hears of
/// every few tokens read.
///
/// # Errors
/// As [`super::perplexity`].
pub async fn divergence<A: Backend, B: Backend>(
    (one, its): (&mut Engine<A>, &mut Sequence),
    (other, others): (&mut Engine<B>, &mut Sequence),
    (ids, window): (&[u32], usize),
    told: &mut dyn FnMut(usize),
) -> Result<Divergence> {
    let vocab = one.config().vocab_size as usize;
    let mut found = Divergence::default();
    for tokens in ids.chunks(window).filter(|tokens| tokens.len() >= SHORTEST) {
        one.plan_rows(its, tokens, 0)?;
        other.plan_rows(others, tokens, 0)?;
        let mut next = 1;
        while next < tokens.len() {
            let first = rows_at(one, its, next - 1, tokens.len() - next).await?;
            let second = rows_at(other, others, next - 1, first.len() / vocab).await?;
            let pairs = first.chunks_exact(vocab).zip(second.chunks_exact(vocab));
            let begin = next;
            for (first, second) in pairs {
                found.note(&Row::new(first), &Row::new(second), tokens[next]);
                next += 1;
            }
            told(next - begin);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_tokens() {
        let of = |each: &[f64], percent| {
            Divergence { each: each.to_vec(), ..Divergence::default() }.percentile(percent)
        };
        // As numpy.percentile gives them.
        assert_eq!(of(&[3.0, 1.0, 2.0], 50.0), 2.0);
        assert!((of(&[3.0, 1.0, 2.0], 99.0) - 2.98).abs() < 1e-12);
        assert_eq!(of(&[7.0], 99.0), 7.0);
    }

    #[test]
    fn divergence_is_that_of_the_second_from_the_first() {
        let mut found = Divergence::default();
        let (first, second) = ([0.5f32.ln(), 0.5f32.ln()], [0.75f32.ln(), 0.25f32.ln()]);
        found.note(&Row::new(&first), &Row::new(&second), 1);
        let expected = 0.5 * (0.5f64 / 0.75).ln() + 0.5 * (0.5f64 / 0.25).ln();
        assert!((found.mean() - expected).abs() < 1e-7, "{} {expected}", found.mean());
        assert_eq!(found.same_top, 1);
        assert!((found.perplexity[1].value() - 4.0).abs() < 1e-6);
    }
}
