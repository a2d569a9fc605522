//! What a row of logits says of the token after it.

/// A row of logits, and what makes log-probabilities of them. Sums are in f64.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    logits: &'a [f32],
    max: f32,
    /// Of all `exp(logit - max)`.
    log_sum: f64,
}

impl<'a> Row<'a> {
    pub fn new(logits: &'a [f32]) -> Row<'a> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
        Row { logits, max, log_sum: sum.ln() }
    }

    /// The natural logarithm of a token's probability. One that the model does not know has none.
    pub fn log_prob(&self, token: u32) -> f64 {
        self.logits.get(token as usize).map_or(f64::NEG_INFINITY, |&logit| self.of(logit))
    }

    /// Of all tokens.
    pub fn log_probs(&self) -> impl Iterator<Item = f64> {
        self.logits.iter().map(|&logit| self.of(logit))
    }

    /// The most probable token, the first among equals.
    pub fn top(&self) -> Option<usize> {
        self.logits.iter().position(|&logit| logit == self.max)
    }

    fn of(&self, logit: f32) -> f64 {
        f64::from(logit - self.max) - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax() {
        let logits = [1.0, 3.0, 3.0, -200.0];
        let row = Row::new(&logits);
        let sum: f64 = row.log_probs().map(f64::exp).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let expected = -((2.0 + (-2.0f64).exp()).ln());
        assert!((row.log_prob(1) - expected).abs() < 1e-12);
        assert_eq!((row.top(), row.log_prob(4)), (Some(1), f64::NEG_INFINITY));
    }
}
