//! Text that a model writes itself, asked nothing: what it has seen is what it writes of.

use crate::cpu::{Cpu, CpuOptions};
use crate::engine::{Engine, EngineOptions};
use crate::error::{Code, Result, fail};
use crate::text::sampler::Sampler;
use crate::text::sampling::Sampling;
use crate::text_assets::TextAssets;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::format::Bits;
use crate::weights::source::Source;

/// What the model that writes may take of memory.
const ROOM: u64 = 3 << 30;

/// So many windows of so many tokens. Each begins as any text does, and has a seed of its own.
pub(super) async fn windows<S: Source>(
    checkpoint: &Checkpoint<S>,
    (count, window): (usize, usize),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Vec<u32>>> {
    let TextAssets { tokenizer, stop_tokens, .. } = TextAssets::of(checkpoint)?;
    let first = tokenizer.bos().or(tokenizer.eos()).or(stop_tokens.first().copied());
    let begin = match (tokenizer.prefix(), first) {
        ([], Some(first)) => vec![first],
        ([], None) => fail!(
            Code::BadTokenizer,
            "the vocabulary has no token that a text begins with";
            "give a text to calibrate on"
        ),
        (prefix, _) => prefix[..prefix.len().min(window)].to_vec(),
    };
    // What rounding costs shows in the text, too.
    let has_room = |&bits: &Bits| checkpoint.held_bytes(bits.into()) <= ROOM;
    let bits = [Bits::Eight, Bits::Five].into_iter().find(has_room).unwrap_or(Bits::Four);
    let options = EngineOptions { format: bits.into(), ctx_len: Some(window), kv: None };
    let cpu = Cpu::new(CpuOptions::default())?;
    let mut engine = Engine::load(checkpoint, cpu, &options, &mut |_| {}).await?;
    let mut sequence = engine.sequence(None)?;
    // A text that ended would leave its window short.
    let never: Vec<u32> =
        tokenizer.padding(checkpoint.config.vocab_size as usize).chain(stop_tokens).collect();
    let mut windows = Vec::new();
    for seed in 0..count {
        let drawn = Sampling { temperature: 1.0, seed: Some(seed as u64), ..Sampling::default() };
        let mut sampler = Sampler::new(&drawn, never.iter().copied(), 0)?;
        let mut ids = begin.clone();
        engine.plan(&mut sequence, &ids)?;
        while ids.len() < window {
            let next = sampler.sample(&mut engine.logits(&mut sequence).await?);
            engine.push(&mut sequence, next)?;
            ids.push(next);
            progress(seed * window + ids.len(), count * window);
        }
        windows.push(ids);
    }
    Ok(windows)
}
