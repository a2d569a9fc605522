//! How probable the model finds what is said, and what might be said instead. Log-probabilities are
//! natural logarithms by the model's own distribution: before temperature, filters, penalties,
//! biases and masks.

use serde::Serialize;

use crate::engine::LogProbs;
use crate::error::{Code, Result, fail};
use crate::text::Tokenizer;

/// A token, and how probable the model found it, in OpenAI's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenLogprob {
    /// Its text: control tokens as they are written, parts of characters as U+FFFD.
    pub token: String,
    /// The natural logarithm of its probability; null for a text's first token, before which there
    /// is nothing.
    pub logprob: Option<f64>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The most probable tokens in its place, as many as were asked for.
    pub top_logprobs: Vec<TopLogprob>,
}

/// One of the most probable tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TopLogprob {
    /// As of [`TokenLogprob`].
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How probable a text is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Score {
    /// The sum over its tokens, but one that has none.
    pub logprob: f64,
    /// Its tokens.
    pub tokens: Vec<TokenLogprob>,
}

/// How probable it is that an answer is one of some choices, and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Decision {
    /// The choice.
    pub choice: String,
    /// The natural logarithm of the probability that the model gives its tokens and then one that
    /// ends the answer.
    pub logprob: f64,
    /// The probability among the choices: all together have 1.
    pub probability: f64,
}

impl TokenLogprob {
    /// What is told of a token that was asked for.
    pub(super) fn of(tokenizer: &Tokenizer, told: &LogProbs) -> TokenLogprob {
        let top = told.top.iter().map(|&(id, logprob)| {
            let (token, bytes) = written(tokenizer, id);
            TopLogprob { token, logprob, bytes }
        });
        let asked = told.asked.first();
        let (token, bytes) = asked.map(|&(id, _)| written(tokenizer, id)).unwrap_or_default();
        let logprob = asked.map(|&(_, logprob)| logprob);
        TokenLogprob { token, logprob, bytes, top_logprobs: top.collect() }
    }

    /// Any of the tokens that were asked for.
    pub(super) fn end(told: &LogProbs) -> TokenLogprob {
        let any: f64 = told.asked.iter().map(|(_, logprob)| logprob.exp()).sum();
        TokenLogprob { logprob: Some(any.ln()), ..TokenLogprob::default() }
    }

    /// A token that nothing comes before.
    pub(super) fn first(tokenizer: &Tokenizer, id: u32) -> TokenLogprob {
        let (token, bytes) = written(tokenizer, id);
        TokenLogprob { token, logprob: None, bytes, top_logprobs: Vec::new() }
    }
}

/// A token's text and bytes; what no token has is empty.
fn written(tokenizer: &Tokenizer, id: u32) -> (String, Vec<u8>) {
    let bytes = tokenizer.token_bytes(id).unwrap_or_default();
    (String::from_utf8_lossy(bytes).into_owned(), bytes.to_vec())
}

/// Whether there is something to decide between.
///
/// # Errors
/// `bad-option`.
pub fn check_choices(choices: &[String]) -> Result<()> {
    if choices.is_empty() {
        fail!(Code::BadOption, "choices is empty: give the texts to decide between");
    }
    for (at, choice) in choices.iter().enumerate() {
        if choice.is_empty() {
            fail!(Code::BadOption, "choices[{at}] is empty: give a text");
        }
        if let Some(before) = choices[..at].iter().position(|other| other == choice) {
            fail!(
                Code::BadOption,
                "choices[{at}] is the same as choices[{before}]: give each once"
            );
        }
    }
    Ok(())
}

/// Probabilities among the choices. Where all are impossible none is likelier than another.
pub(super) fn decisions(choices: &[String], scores: &[Score]) -> Vec<Decision> {
    let log_probs: Vec<f64> = scores.iter().map(|score| score.logprob).collect();
    let largest = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |log_prob: f64| if largest.is_finite() { (log_prob - largest).exp() } else { 1.0 };
    let sum: f64 = log_probs.iter().copied().map(weight).sum();
    let decision = |(choice, &logprob): (&String, &f64)| Decision {
        choice: choice.clone(),
        logprob,
        probability: weight(logprob) / sum,
    };
    choices.iter().zip(&log_probs).map(decision).collect()
}
