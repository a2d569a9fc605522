//! How fast a model runs: prefill and decoding, timed on token ids. No words, so that no tokenizer
//! takes memory or time.

#[cfg_attr(target_family = "wasm", path = "memory_wasm.rs")]
mod memory;
pub mod shape;

use serde::Serialize;

use crate::backend::Backend;
use crate::clock;
use crate::engine::{Engine, Sequence};
use crate::error::{Code, Result, fail};
use crate::profile::{Kernel, Profile};
use crate::weights::config::Config;

/// Tokens of the prompt that warms caches, pools and pages up: enough to compile a GPU's kernels
/// for many.
const WARM_UP: usize = 16;
/// Positions that are allocated unless the run needs more: what the engines that we compare with
/// are given.
const CTX_LEN: usize = 2048;

/// What to time.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Tokens before the prompt that count as read: their keys and values are whatever the cache
    /// has.
    pub depth: usize,
    /// Tokens to prefill.
    pub prompt: usize,
    /// Tokens to generate after them, whatever they are: nothing stops.
    pub generate: usize,
}

/// What was measured, named as the benchmark's JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "BenchFigures"))]
pub struct Figures {
    /// What computed, in one line.
    pub device: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens that were generated.
    pub generated_tokens: usize,
    /// Tokens of the prompt a second, up to and with the logits that choose the first token.
    pub prefill_tps: f64,
    /// Tokens generated a second: choosing each, and computing the logits that follow.
    pub decode_tps: f64,
    /// The most memory that this process has had, or the module's memory under wasm; unknown on
    /// some systems.
    pub peak_bytes: Option<u64>,
    /// Bytes of weights, keys and values that a token reads half-way through decoding.
    pub bytes_per_token: u64,
    /// What the kernels took, where the backend times them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(skip))]
    pub profile: Option<Profile>,
}

impl Plan {
    /// Positions that the run needs; more, where the model has them, since others allocate more
    /// too.
    pub fn ctx_len(&self, config: &Config) -> usize {
        let longest = config.max_position_embeddings as usize;
        self.depth
            .saturating_add(self.prompt)
            .saturating_add(self.generate)
            .max(CTX_LEN.min(longest))
    }
}

/// Times a loaded model.
///
/// # Errors
/// `bad-option` for a plan that reads or generates nothing; `prompt-too-long` and `context-full`
/// for one that does not fit.
pub async fn measure<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    plan: Plan,
) -> Result<Figures> {
    if plan.prompt == 0 || plan.generate == 0 {
        fail!(Code::BadOption, "a benchmark needs a token to read and one to generate, at least");
    }
    let warm_up = Plan { prompt: WARM_UP.min(plan.prompt), generate: 1, ..plan };
    time(engine, sequence, warm_up, 1).await?;
    let times = time(engine, sequence, plan, 2).await?;
    let peak_bytes = memory::peak();
    Ok(Figures {
        device: engine.describe_backend(),
        prompt_tokens: plan.prompt,
        generated_tokens: plan.generate,
        prefill_tps: plan.prompt as f64 / times.prefill,
        decode_tps: plan.generate as f64 / times.decode,
        peak_bytes,
        bytes_per_token: engine.decode_bytes(plan.depth + plan.prompt + plan.generate / 2),
        profile: match (times.prefill_kernels, times.decode_kernels, engine.peaks().await?) {
            (Some(prefill), Some(decode), Some(peaks)) => Some(Profile { prefill, decode, peaks }),
            _ => None,
        },
    })
}

/// Tokens that mean nothing, from this one on: as many as are read and count as read.
pub fn prompt(plan: Plan, vocab_size: u32, first: u32) -> Vec<u32> {
    (0..(plan.depth + plan.prompt) as u32)
        .map(|i| first.wrapping_add(i.wrapping_mul(31)) % vocab_size)
        .collect()
}

/// Seconds, and kernels where they are timed.
struct Times {
    prefill: f64,
    prefill_kernels: Option<Vec<Kernel>>,
    decode: f64,
    decode_kernels: Option<Vec<Kernel>>,
}

/// Times prefill and decoding. What was read before, in another run perhaps, is forgotten; prompts
/// of different `first` ids share nothing that the sequence could keep.
async fn time<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    plan: Plan,
    first: u32,
) -> Result<Times> {
    let prompt = prompt(plan, engine.config().vocab_size, first);
    engine.forget();
    engine.take_kernels().await?; // Those of what came before.
    let start = clock::seconds();
    engine.plan(sequence, &prompt)?;
    engine.assume_read(sequence, plan.depth)?;
    let mut token = engine.greedy(sequence).await?;
    let prefill = seconds_since(start);
    let prefill_kernels = engine.take_kernels().await?;
    let start = clock::seconds();
    for _ in 0..plan.generate {
        engine.push(sequence, token)?;
        token = engine.greedy(sequence).await?;
    }
    let decode = seconds_since(start);
    Ok(Times { prefill, prefill_kernels, decode, decode_kernels: engine.take_kernels().await? })
}

/// A clock as coarse as a browser's may not have moved.
fn seconds_since(start: f64) -> f64 {
    (clock::seconds() - start).max(1e-6)
}
