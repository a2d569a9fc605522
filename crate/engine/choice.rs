//! The choice of the next token where the logits are: on a device they need not leave it, and the step after a token can begin before
//! anybody here knows the token.

use std::collections::BTreeMap;

use super::Engine;
use crate::backend::Backend;
use crate::error::Result;
use crate::op::{Op, SamplerBuffers, SamplerParams};
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
    /// That token, where it was chosen but not pushed yet; until then `scratch.x` is not the last planned token's.
    pub token: Option<u32>,
    mode: SampleMode,
    /// The choice after it.
    choice: L,
}

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

/// What sampling has come to.
pub(super) struct SamplerState {
    buffers: SamplerBuffers,
    params: SamplerParams,
    seed: u64,
    place: u64,
    seen: BTreeMap<u32, u32>,
    /// Whether the backend's counts are not `seen`: a draw was begun and left.
    stale: bool,
    biased: bool,
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
        self.backend.write(self.scratch.allowed, 0, bytemuck::cast_slice(&allowed))
    }

    /// Says how [`Engine::sample`] draws from now on. Answers whether it can: where it cannot, read the logits and draw from them.
    pub fn begin_sampling(&mut self, options: SampleOptions<'_>) -> Result<bool> {
        if !self.backend.samples() {
            return Ok(false);
        }
        self.forget_ahead();
        let (buffers, was_biased) = match &self.sampler {
            Some(state) => (state.buffers, state.biased),
            None => (self.allocate_sampler()?, false),
        };
        let SampleOptions { params, bias, seen, seed, place } = options;
        let biased = !bias.is_empty();
        if biased || was_biased {
            let values =
                self.by_token(bias.iter().map(|(&token, bias)| (token, bias.clamp(-2.0 * SamplerBuffers::MOST, SamplerBuffers::MOST))));
            self.backend.write(buffers.bias, 0, bytemuck::cast_slice(&values))?;
        }
        self.sampler = Some(SamplerState { buffers, params, seed, place, seen: seen.clone(), stale: true, biased });
        Ok(true)
    }

    fn allocate_sampler(&mut self) -> Result<SamplerBuffers> {
        let width = self.config().vocab_size;
        let mut words = |what: &str, count: u32| self.backend.alloc(what, u64::from(count) * 4);
        Ok(SamplerBuffers {
            seen: words("tokens seen", width)?,
            bias: words("biases", width)?,
            params: words("sampler parameters", (size_of::<SamplerParams>() / 4) as u32)?,
            candidates: words("candidates", width + 256)?,
            logits: self.scratch.logits,
            allowed: self.scratch.allowed,
            out: self.scratch.ids,
            width,
        })
    }

    /// One value for each token: those given, and zeros.
    fn by_token<T: Copy + Default>(&self, given: impl Iterator<Item = (u32, T)>) -> Vec<T> {
        let mut values = vec![T::default(); self.config().vocab_size as usize];
        given.for_each(|(token, value)| {
            if let Some(place) = values.get_mut(token as usize) {
                *place = value;
            }
        });
        values
    }

    /// The token with the largest logit after the last planned one, the first among equals; never a forbidden one. Works through what
    /// is pending first. The logits stay where they are.
    ///
    /// Where the backend works while others wait, the step after this token is begun before the token is known here. Pushing the token
    /// takes that step up; whatever else comes next leaves it.
    pub async fn greedy(&mut self) -> Result<u32> {
        self.choose(SampleMode::Greedy).await
    }

    /// The same with a token drawn as [`Engine::begin_sampling`] was told.
    pub async fn sample(&mut self) -> Result<u32> {
        let token = self.choose(SampleMode::Sampled).await?;
        if let Some(state) = &mut self.sampler {
            state.place += 1;
            *state.seen.entry(token).or_default() += 1;
        }
        Ok(token)
    }

    async fn choose(&mut self, mode: SampleMode) -> Result<u32> {
        let choice = match self.ahead.take_if(|ahead| ahead.token.is_none() && ahead.mode == mode) {
            Some(begun) => begun.choice,
            None => {
                self.forget_ahead();
                while self.pending() > self.chunk {
                    self.advance().await?;
                }
                self.write_params(mode, 0)?; // Before the last ops: to write is to submit what came before.
                while self.advance().await? > 0 {}
                self.run_choice(mode, self.latest - 1).await?
            }
        };
        let next = self.begin_ahead(mode).await?;
        let mut token = 0u32;
        self.backend.fetch(choice, bytemuck::bytes_of_mut(&mut token)).await?;
        self.ahead = next.map(|choice| LookAhead { token: Some(token), mode, choice });
        Ok(token)
    }

    /// Says where the draw `later` than the next one falls.
    fn write_params(&mut self, mode: SampleMode, later: u64) -> Result<()> {
        let Some(state) = self.sampler.as_mut().filter(|_| mode == SampleMode::Sampled) else { return Ok(()) };
        let uniform = random::unit(state.seed, state.place + later) as f32;
        let (buffers, params) = (state.buffers, SamplerParams { uniform, ..state.params });
        let counts = (state.stale && params.look_back()).then(|| state.seen.clone());
        state.stale = false;
        if let Some(counts) = counts {
            let seen = self.by_token(counts.into_iter().map(|(token, times)| (token, SamplerBuffers::SEEN | times)));
            self.backend.write(buffers.seen, 0, bytemuck::cast_slice(&seen))?;
        }
        self.backend.write(buffers.params, 0, bytemuck::bytes_of(&params))
    }

    /// The choice after a row of `scratch.x`; it is also the first of `scratch.ids` then, so that the next step may go on from there.
    async fn run_choice(&mut self, mode: SampleMode, row: usize) -> Result<B::Readback> {
        let kept = if row == 0 { self.programs.choices.remove(&mode) } else { None };
        let program = match kept {
            Some(program) => program,
            None => {
                let mut ops = self.model.record_head(&self.scratch, row, 1);
                ops.push(self.choosing(mode));
                self.make_ready(ops).await?
            }
        };
        self.backend.run(&program)?;
        if row == 0 {
            self.programs.choices.insert(mode, program);
        }
        self.backend.read_later(self.scratch.ids, 0, size_of::<u32>())
    }

    fn choosing(&self, mode: SampleMode) -> Op {
        match (mode, &self.sampler) {
            (SampleMode::Sampled, Some(state)) => Op::Sample(state.buffers),
            _ => {
                Op::Argmax { x: self.scratch.logits, allowed: self.scratch.allowed, out: self.scratch.ids, width: self.config().vocab_size }
            }
        }
    }

    /// Begins the step for the token that was just chosen, where that is worth it and the same factors hold for it.
    async fn begin_ahead(&mut self, mode: SampleMode) -> Result<Option<B::Readback>> {
        let position = self.planned.len();
        let fits = position < self.ctx_len && self.rope.factors(position + 1) == self.factors;
        if !(fits && self.backend.works_ahead()) {
            return Ok(None);
        }
        self.write_position(position, 1)?;
        self.write_params(mode, 1)?;
        self.run_layers(1).await?;
        self.run_choice(mode, 0).await.map(Some)
    }

    /// Makes `scratch.x` the last planned token's again, if a step ahead has it: that token runs once more.
    pub(super) fn forget_ahead(&mut self) {
        if self.ahead.as_ref().is_some_and(|ahead| ahead.token.is_some()) {
            self.cached -= 1;
        }
        self.leave_ahead();
    }

    /// Lets a step ahead be in vain.
    pub(super) fn leave_ahead(&mut self) {
        let left = self.ahead.take();
        if let (Some(LookAhead { mode: SampleMode::Sampled, .. }), Some(state)) = (left, &mut self.sampler) {
            state.stale = true;
        }
    }
}

impl SamplerParams {
    /// Whether they ask for what was seen.
    fn look_back(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }
}
