//! What is told of an answer: its events, and its figures in the end.

use serde::Serialize;

use super::log_probs::TokenLogprob;
use crate::backend::Counters;

/// What happened since the last one: what [`Answer::next`] gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Event {
    /// Part of the prompt has been read.
    Prefill {
        /// Tokens in the cache.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A piece of the answer: whole characters, and never a piece of a stop text.
    Text {
        /// The piece, not empty unless log-probabilities are told of tokens after it.
        text: String,
        /// The tokens that were chosen up to here since the last piece, where log-probabilities are
        /// asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        logprobs: Option<Vec<TokenLogprob>>,
    },
    /// A piece of a call of a tool: its first, which names it, or more of its arguments.
    Call(CallDelta),
    /// What computes has changed or is about to; the answer goes on.
    Notice {
        /// Why, and what comes of it, in a sentence.
        message: String,
    },
    /// What is complete of an answer in JSON, where that was asked for: last before its end.
    Parsed {
        /// Itself JSON. Of an answer that was cut, the members and items whose values have ended;
        /// nothing where none has.
        json: Option<String>,
    },
    /// The answer is complete.
    Done(Stats),
}

/// A piece of a call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct CallDelta {
    /// Calls before it in the answer.
    pub index: usize,
    /// What the tool's answer names it by; with the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool; with the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments, which are JSON, if the model keeps to it.
    pub arguments: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// The model called tools, and waits for what they give.
    #[serde(rename = "tool_calls")]
    ToolCalls,
    /// Whoever asked had heard enough.
    Cancelled,
}

/// Figures of one answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those that the cache already held.
    pub cached_tokens: usize,
    /// Tokens that were sampled, the stop token not counted.
    pub generated_tokens: usize,
    /// Seconds until the prompt was read.
    pub prefill_seconds: f64,
    /// Seconds from then on.
    pub decode_seconds: f64,
    /// Tokens of the prompt read a second.
    pub prefill_tps: f64,
    /// Tokens generated a second.
    pub decode_tps: f64,
    /// What computed its last token, in one line.
    pub backend: String,
    /// What a device was asked to do for it; not on the CPU, nor for answers too short to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(inline))]
    pub work: Option<WorkPerToken>,
}

/// What a device was asked to do for each token, from the third one on: the first comes out of the
/// prefill, and with the second all is made that decoding needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct WorkPerToken {
    /// Runs of a kernel.
    pub dispatches_per_token: f64,
    /// Lists of commands.
    pub submits_per_token: f64,
    /// Compute passes.
    pub passes_per_token: f64,
    /// Bytes written to the device.
    pub upload_bytes_per_token: f64,
    /// Bytes read from it.
    pub readback_bytes_per_token: f64,
    /// Buffers, bind groups and pipelines made in all these tokens.
    pub created_after_warmup: u64,
}

/// What a device did since decoding was warm.
#[derive(Clone, Copy, Default)]
pub(super) struct Work {
    tokens: u64,
    warm: Counters,
    now: Counters,
}

impl Work {
    /// Takes note after each token.
    pub fn note(&mut self, counters: Option<Counters>) {
        if let Some(now) = counters {
            self.tokens += 1;
            self.now = now;
            if self.tokens <= 2 {
                self.warm = now;
            }
        }
    }

    pub fn per_token(&self) -> Option<WorkPerToken> {
        let (warm, now, tokens) =
            (self.warm, self.now, self.tokens.checked_sub(2).filter(|&tokens| tokens > 0)?);
        let rate = |now: u64, warm: u64| (now - warm) as f64 / tokens as f64;
        Some(WorkPerToken {
            dispatches_per_token: rate(now.dispatches, warm.dispatches),
            submits_per_token: rate(now.submits, warm.submits),
            passes_per_token: rate(now.passes, warm.passes),
            upload_bytes_per_token: rate(now.uploaded, warm.uploaded),
            readback_bytes_per_token: rate(now.read_back, warm.read_back),
            created_after_warmup: now.created - warm.created,
        })
    }
}
