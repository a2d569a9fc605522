//! The choice of the next token where the logits are: on a device they need not leave it, and the
//! step after a token can begin before anybody here knows the token.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::Engine;
use super::log_probs::LogProbs;
use super::sequence::{SamplerState, Sequence, SequenceId};
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::op::{self, Op, SamplerParams};
use crate::random;

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SampleMode {
    /// The largest logit.
    Greedy,
    /// One drawn by its probability.
    Sampled,
}

/// A step that was begun before anybody knew which token it is for.
pub(super) struct LookAhead<L> {
    of: SequenceId,
    /// That token, where it was chosen but not pushed yet; until then `scratch.x` is not the last
    /// planned token's.
    token: Option<u32>,
    mode: Mode,
    /// The choice after it, where that waits for nobody to say what may be chosen.
    choice: Option<L>,
}

/// How a token is chosen, and of how many of the most probable ones is told with it, where
/// log-probabilities are asked for.
pub(super) type Mode = (SampleMode, Option<u32>);

/// Which tokens may be chosen, a bit each.
#[derive(Default)]
pub(super) struct Masks {
    /// By any sequence.
    possible: Vec<u32>,
    /// By the one that chose last: what the backend holds.
    written: Vec<u32>,
}

/// Words of a mask that are written again rather than that a further write is begun.
const GAP: usize = 64;

/// How to sample the tokens of an answer.
#[derive(Clone, Copy, Debug)]
pub struct SampleOptions<'a> {
    /// The rules; where a draw falls comes from the seed.
    pub params: SamplerParams,
    /// What is added to the logits of tokens.
    pub bias: &'a BTreeMap<u32, f32>,
    /// The tokens seen so far, and how often each was generated.
    pub seen: &'a BTreeMap<u32, u32>,
    /// The seed of its draws.
    pub seed: u64,
    /// How many of them were made.
    pub place: u64,
}

/// What a device samples with, and for whom.
pub(super) struct Sampler {
    buffers: op::Sample,
    /// The biases that are there.
    bias: Arc<BTreeMap<u32, f32>>,
    /// Whose counts are there. Nobody's once a draw was begun and left.
    seen_of: Option<SequenceId>,
}

impl<B: Backend> Engine<B> {
    /// Says which tokens must never be chosen here, instead of those it was told before.
    pub fn forbid(&mut self, tokens: &[u32]) -> Result<()> {
        let mut allowed = vec![u32::MAX; self.config().vocab_size.div_ceil(32) as usize];
        for &token in tokens {
            if let Some(word) = allowed.get_mut(token as usize / 32) {
                *word &= !(1 << (token % 32));
            }
        }
        self.backend.write(self.scratch.allowed, 0, bytemuck::cast_slice(&allowed))?;
        self.masks = Masks { written: allowed.clone(), possible: allowed };
        Ok(())
    }

    /// Tells the backend which tokens a sequence may choose, where it does not know yet.
    fn write_mask(&mut self, sequence: &Sequence) -> Result<()> {
        let Masks { possible, written } = &mut self.masks;
        let wanted = sequence.allowed.as_ref().unwrap_or(possible);
        if wanted.len() != possible.len() {
            fail!(
                Code::Internal,
                "{} words say which tokens are allowed, and the vocabulary takes {}",
                wanted.len(),
                possible.len()
            );
        }
        let mut from = 0;
        while let Some(run) = changed(written, wanted, from) {
            from = run.end;
            let bytes = bytemuck::cast_slice(&wanted[run.clone()]);
            self.backend.write(self.scratch.allowed, run.start as u64 * 4, bytes)?;
        }
        written.copy_from_slice(wanted);
        Ok(())
    }

    /// Says how [`Engine::sample`] draws for a sequence from now on. Answers whether it can: where
    /// it cannot, read the logits and draw from them.
    pub fn begin_sampling(
        &mut self,
        sequence: &mut Sequence,
        options: SampleOptions<'_>,
    ) -> Result<bool> {
        if !self.backend.samples() {
            return Ok(false);
        }
        self.leave_ahead();
        match &mut self.sampler {
            Some(sampler) => {
                sampler.seen_of.take_if(|id| sequence.is(id));
            }
            None => {
                self.sampler = Some(Sampler {
                    buffers: self.allocate_sampler()?,
                    bias: Arc::default(),
                    seen_of: None,
                })
            }
        }
        let SampleOptions { params, bias, seen, seed, place } = options;
        sequence.sampler = Some(SamplerState {
            params,
            bias: Arc::new(bias.clone()),
            seen: seen.clone(),
            seed,
            place,
        });
        Ok(true)
    }

    fn allocate_sampler(&mut self) -> Result<op::Sample> {
        let width = self.config().vocab_size;
        let mut words = |what: &str, count: u32| self.backend.alloc(what, u64::from(count) * 4);
        Ok(op::Sample {
            seen: words("tokens seen", width)?,
            bias: words("biases", width)?,
            params: words("sampler parameters", (size_of::<SamplerParams>() / 4) as u32)?,
            candidates: words("candidates", width + 256)?,
            processed: words("logits to sample from", width)?,
            logits: self.scratch.logits,
            allowed: self.scratch.allowed,
            out: self.scratch.ids,
            width,
        })
    }

    /// The token with the largest logit after a sequence's last planned one, the first among
    /// equals; never a forbidden one. Works through what is pending first. The logits stay where
    /// they are.
    ///
    /// Where the backend works while others wait, the step after this token is begun before the
    /// token is known here. Pushing the token takes that step up; whatever else comes next leaves
    /// it.
    pub async fn greedy(&mut self, sequence: &mut Sequence) -> Result<u32> {
        self.choose(sequence, SampleMode::Greedy).await
    }

    /// As [`Engine::greedy`], with a token drawn as [`Engine::begin_sampling`] was told; the
    /// largest logit's where it was told nothing.
    pub async fn sample(&mut self, sequence: &mut Sequence) -> Result<u32> {
        let mode =
            if sequence.sampler.is_some() { SampleMode::Sampled } else { SampleMode::Greedy };
        let token = self.choose(sequence, mode).await?;
        if let Some(state) = &mut sequence.sampler {
            state.place += 1;
            *state.seen.entry(token).or_default() += 1;
        }
        Ok(token)
    }

    async fn choose(&mut self, sequence: &mut Sequence, mode: SampleMode) -> Result<u32> {
        self.check_own(sequence)?;
        let mode = (mode, sequence.log_probs);
        // Of sequences that take turns, each would leave the step that another has begun.
        let is_alone = self.latest.as_ref().is_none_or(|latest| sequence.is(&latest.of));
        let choice = match self
            .ahead
            .take_if(|ahead| {
                ahead.token.is_none()
                    && ahead.mode == mode
                    && sequence.is(&ahead.of)
                    && sequence.allowed.is_none()
            })
            .and_then(|begun| begun.choice)
        {
            Some(choice) => choice,
            None => {
                self.leave_ahead();
                while sequence.pending() > self.chunk {
                    self.advance(sequence).await?;
                }
                // Before the last ops: to write is to submit what came before.
                self.write_params(sequence, mode.0, 0)?;
                self.write_mask(sequence)?;
                let row = self.reach_end(sequence).await?;
                self.run_choice(mode, row).await?
            }
        };
        let mut next = if is_alone { self.begin_ahead(sequence, mode).await? } else { None };
        let token = match mode.1 {
            None => {
                let mut token = 0u32;
                self.backend.fetch(choice, bytemuck::bytes_of_mut(&mut token)).await?;
                token
            }
            Some(top) => {
                let mut row = vec![0.0f32; self.log_probs_width(1, top)];
                self.backend.fetch(choice, bytemuck::cast_slice_mut(&mut row)).await?;
                sequence.told.insert(LogProbs::of(&row, 1)).token()
            }
        };
        if let Some(ahead) = &mut next {
            ahead.token = Some(token);
        }
        self.ahead = next;
        Ok(token)
    }

    /// Tells a device which rules hold, and where the draw `later` than the next one falls.
    fn write_params(&mut self, sequence: &Sequence, mode: SampleMode, later: u64) -> Result<()> {
        let (SampleMode::Sampled, Some(state)) = (mode, &sequence.sampler) else { return Ok(()) };
        let Some(sampler) = &mut self.sampler else { return Ok(()) };
        let (buffers, vocab_size) = (sampler.buffers, self.model.config.vocab_size);
        if !Arc::ptr_eq(&sampler.bias, &state.bias) {
            if sampler.bias != state.bias {
                let most = 2.0 * op::Sample::MOST;
                let values = by_token(
                    vocab_size,
                    state.bias.iter().map(|(&token, bias)| (token, bias.clamp(-most, most))),
                );
                self.backend.write(buffers.bias, 0, bytemuck::cast_slice(&values))?;
            }
            sampler.bias = state.bias.clone();
        }
        if state.params.look_back() && !sampler.seen_of.as_ref().is_some_and(|id| sequence.is(id)) {
            let seen = by_token(
                vocab_size,
                state.seen.iter().map(|(&token, times)| (token, op::Sample::SEEN | times)),
            );
            self.backend.write(buffers.seen, 0, bytemuck::cast_slice(&seen))?;
            sampler.seen_of = Some(sequence.id());
        }
        let params = SamplerParams {
            uniform: random::unit(state.seed, state.place + later) as f32,
            ..state.params
        };
        self.backend.write(buffers.params, 0, bytemuck::bytes_of(&params))
    }

    /// The choice after a row of `scratch.x`; it is also the first of `scratch.ids` then, so that
    /// the next step may go on from there.
    async fn run_choice(&mut self, mode: Mode, row: usize) -> Result<B::Readback> {
        let kept = if row == 0 { self.programs.choices.remove(&mode) } else { None };
        let program = match kept {
            Some(program) => program,
            None => {
                let mut ops = self.model.record_head(&self.scratch, row, 1);
                ops.push(self.choosing(mode.0));
                if let Some(top) = mode.1 {
                    ops.push(self.telling(self.scratch.ids, (1, 1), top)?.into());
                }
                self.make_ready(ops).await?
            }
        };
        self.backend.run(&program)?;
        if row == 0 {
            self.programs.choices.insert(mode, program);
        }
        match (mode.1, &self.told) {
            (Some(top), Some(told)) => {
                self.backend.read_later(told.out, 0, self.log_probs_width(1, top) * 4)
            }
            _ => self.backend.read_later(self.scratch.ids, 0, size_of::<u32>()),
        }
    }

    fn choosing(&self, mode: SampleMode) -> Op {
        match (mode, &self.sampler) {
            (SampleMode::Sampled, Some(sampler)) => Op::Sample(sampler.buffers),
            _ => Op::Argmax(op::Argmax {
                x: self.scratch.logits,
                allowed: self.scratch.allowed,
                out: self.scratch.ids,
                width: self.config().vocab_size,
            }),
        }
    }

    /// Begins the step for the token that was just chosen, where that is worth it and the same
    /// factors hold for it: all of it, or, where it is not known yet what may be chosen after it,
    /// its layers.
    async fn begin_ahead(
        &mut self,
        sequence: &mut Sequence,
        mode: Mode,
    ) -> Result<Option<LookAhead<B::Readback>>> {
        let position = sequence.planned.len();
        let fits =
            position < sequence.ctx_len() && self.rope.factors(position + 1) == sequence.factors;
        if !(fits && self.backend.works_ahead()) {
            return Ok(None);
        }
        let is_open = sequence.allowed.is_none();
        self.write_start(sequence, position, 1)?;
        if is_open {
            self.write_params(sequence, mode.0, 1)?;
        }
        self.run_layers(1).await?;
        self.note_latest(sequence, 1, position + 1);
        let choice = if is_open {
            Some(self.run_choice(mode, 0).await?)
        } else {
            self.backend.submit();
            None
        };
        Ok(Some(LookAhead { of: sequence.id(), token: None, mode, choice }))
    }

    /// Takes a step ahead up, if it is that of the token that a sequence has just got; leaves it if
    /// not.
    pub(super) fn take_up_ahead(&mut self, sequence: &mut Sequence, token: u32) {
        match &mut self.ahead {
            Some(ahead) if ahead.token == Some(token) && sequence.is(&ahead.of) => {
                ahead.token = None;
                self.note_cached(sequence, 1);
                // Of layers alone nothing is left to take up.
                self.ahead.take_if(|ahead| ahead.choice.is_none());
            }
            _ => self.leave_ahead(),
        }
    }

    /// Lets a step ahead be in vain.
    pub(super) fn leave_ahead(&mut self) {
        let left = self.ahead.take();
        if let Some(LookAhead { mode: (SampleMode::Sampled, _), choice: Some(_), .. }) = left {
            self.forget_seen();
        }
    }

    /// What a device has counted is not what was generated.
    pub(super) fn forget_seen(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            sampler.seen_of = None;
        }
    }
}

/// The next words from a place on that differ, with what lies between them where that is little.
fn changed(written: &[u32], wanted: &[u32], from: usize) -> Option<Range<usize>> {
    let differs = |at: &usize| written[*at] != wanted[*at];
    let start = (from..wanted.len()).find(differs)?;
    let mut end = start + 1;
    while let Some(next) = (end..wanted.len().min(end + GAP)).find(differs) {
        end = next + 1;
    }
    Some(start..end)
}

/// One value for each token: those given, and zeros.
fn by_token<T: Copy + Default>(vocab_size: u32, given: impl Iterator<Item = (u32, T)>) -> Vec<T> {
    let mut values = vec![T::default(); vocab_size as usize];
    given.for_each(|(token, value)| {
        if let Some(place) = values.get_mut(token as usize) {
            *place = value;
        }
    });
    values
}
