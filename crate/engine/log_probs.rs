//! How probable tokens are: by the model's own distribution, before any temperature, filter,
//! penalty, bias or mask.

/// Of so many of the most probable tokens can be told at the most.
pub const MOST_PROBABLE: u32 = 20;

/// What a row of logits says of the token after it: tokens, each with the natural logarithm of its
/// probability.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogProbs {
    /// Those that were asked for.
    pub asked: Vec<(u32, f64)>,
    /// The most probable ones, the first among equals first.
    pub top: Vec<(u32, f64)>,
}

impl LogProbs {
    /// From a row of what [`crate::op::LogProbs`] writes.
    pub(super) fn of(row: &[f32], asked: usize) -> LogProbs {
        let [largest, sum, pairs @ ..] = row else { return LogProbs::default() };
        let log_sum = f64::from(*sum).ln();
        // Where no logit is a number, all are impossible.
        let log_prob = |logit: f32| match f64::from(logit - largest) - log_sum {
            log_prob if logit.is_finite() => log_prob,
            _ => f64::NEG_INFINITY,
        };
        let mut told = pairs.as_chunks().0.iter().map(|&[id, logit]| (id as u32, log_prob(logit)));
        LogProbs { asked: told.by_ref().take(asked).collect(), top: told.collect() }
    }

    /// The token that was asked for first.
    pub(super) fn token(&self) -> u32 {
        self.asked.first().map_or(0, |&(id, _)| id)
    }
}
