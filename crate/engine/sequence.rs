//! A sequence of tokens, and what of it lies in an engine's cache. An engine has room for several,
//! which may take turns at every token.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::Engine;
use super::log_probs::LogProbs;
use crate::backend::Backend;
use crate::error::{Code, Result, fail};
use crate::model::pages::{Held, Reservation};
use crate::model::rope::Factors;
use crate::op::SamplerParams;

/// The tokens of one conversation, and how far an engine has come with them. Dropped, it gives its
/// pages of the cache back; what is in those that are full others may yet find.
pub struct Sequence {
    /// What it may take of the cache, which also tells it from others.
    pub(super) reservation: Arc<Reservation>,
    /// The pages of its positions. Others may look into them: it writes to none but its own.
    pub(super) pages: Vec<Held>,
    /// Where pages are sealed, the page that is open, of those after the first, as it is before.
    pub(super) open: Option<(usize, Held)>,
    /// Where the plan ended that was made last: whoever asks again begins there.
    pub(super) asked: usize,
    /// The tokens that it should hold.
    pub(super) planned: Vec<u32>,
    /// How many of them the cache holds.
    pub(super) cached: usize,
    /// What the cache was rotated with.
    pub(super) factors: Factors,
    pub(super) sampler: Option<SamplerState>,
    /// Of how many of the most probable tokens each choice tells, where it tells of any.
    pub(super) log_probs: Option<u32>,
    /// What the latest choice told.
    pub(super) told: Option<LogProbs>,
    /// The tokens that may be chosen next, a bit each, where not all may.
    pub(super) allowed: Option<Vec<u32>>,
}

/// What sampling has come to in a sequence.
pub(super) struct SamplerState {
    pub params: SamplerParams,
    pub bias: Arc<BTreeMap<u32, f32>>,
    pub seen: BTreeMap<u32, u32>,
    pub seed: u64,
    pub place: u64,
}

/// Tells a sequence from all others, those that are gone among them.
pub(super) type SequenceId = Weak<Reservation>;

impl Sequence {
    /// The tokens of the plan.
    pub fn tokens(&self) -> &[u32] {
        &self.planned
    }

    /// How many planned tokens the cache holds.
    pub fn cached(&self) -> usize {
        self.cached
    }

    /// How many planned tokens the cache does not hold yet.
    pub fn pending(&self) -> usize {
        self.planned.len() - self.cached
    }

    /// Has every choice after this tell how probable its token was, and so many of the most
    /// probable ones (up to [`super::MOST_PROBABLE`]); none for nothing.
    pub fn tell_log_probs(&mut self, top: Option<u32>) {
        self.log_probs = top;
        self.told = None;
    }

    /// What the latest choice told.
    pub fn take_log_probs(&mut self) -> Option<LogProbs> {
        self.told.take()
    }

    /// Says which tokens alone may be chosen next, a bit each, 32 to a word, until something else
    /// is said; with `None`, all that the engine was not told to forbid. What is chosen from logits
    /// elsewhere is whoever's matter who chooses.
    pub fn allow(&mut self, allowed: Option<Vec<u32>>) {
        self.allowed = allowed;
    }

    pub(super) fn id(&self) -> SequenceId {
        Arc::downgrade(&self.reservation)
    }

    pub(super) fn is(&self, id: &SequenceId) -> bool {
        id.as_ptr() == Arc::as_ptr(&self.reservation)
    }

    /// Tokens that it has room for.
    pub fn ctx_len(&self) -> usize {
        self.reservation.positions
    }
}

impl<B: Backend> Engine<B> {
    /// A sequence with room for so many tokens; `None` for all that the context holds. It takes
    /// whole pages of [`crate::op::PAGE`] positions.
    ///
    /// # Errors
    /// `bad-option` for room that no context of this engine has, `out-of-memory` where others have
    /// too much of it.
    pub fn sequence(&mut self, ctx_len: Option<usize>) -> Result<Sequence> {
        let ctx_len = ctx_len.unwrap_or(self.ctx_len);
        if ctx_len == 0 || ctx_len > self.ctx_len {
            fail!(
                Code::BadOption,
                "a sequence of {ctx_len} tokens was asked for; the context holds 1 to {}",
                self.ctx_len
            );
        }
        let reservation = self.pages.reserve(ctx_len)?;
        Ok(Sequence {
            reservation,
            pages: Vec::new(),
            open: None,
            asked: 0,
            planned: Vec::new(),
            cached: 0,
            factors: Factors::Short,
            sampler: None,
            log_probs: None,
            told: None,
            allowed: None,
        })
    }

    /// Says which tokens a sequence should hold. What the cache has of their beginning, of this
    /// sequence or of any other, is taken up, the rest is to come.
    ///
    /// Where the new length asks for other LongRoPE factors than a page was rotated with, it is no
    /// use: deeper layers' keys and values depend on the factors through attention.
    ///
    /// # Errors
    /// `prompt-too-long`, `bad-token`, or `bad-option` for no tokens at all. The sequence is then
    /// as it was.
    pub fn plan(&mut self, sequence: &mut Sequence, tokens: &[u32]) -> Result<()> {
        self.check_own(sequence)?;
        if tokens.is_empty() {
            fail!(Code::BadOption, "there is nothing to compute: the prompt has no tokens");
        }
        if tokens.len() > sequence.ctx_len() {
            let is_longest = sequence.ctx_len() >= self.config().max_position_embeddings as usize;
            fail!(
                Code::PromptTooLong,
                "the prompt has {} tokens and the context holds {}",
                tokens.len(),
                sequence.ctx_len();
                "{}",
                if is_longest { "shorten it: the model knows no longer one" } else { "shorten it \
                    or load with a longer context" }
            );
        }
        let vocab_size = self.config().vocab_size;
        if let Some(bad) = tokens.iter().find(|&&id| id >= vocab_size) {
            fail!(Code::BadToken, "token id {bad} is outside the vocabulary of {vocab_size}");
        }
        self.leave_ahead();
        self.take_up_cached(sequence, tokens);
        sequence.planned = tokens.to_vec();
        sequence.asked = tokens.len();
        Ok(())
    }

    /// As [`Engine::plan`], and what the cache holds from a position on is computed again: for
    /// whoever wants the logits of all rows from there.
    ///
    /// # Errors
    /// Those of [`Engine::plan`].
    pub fn plan_rows(
        &mut self,
        sequence: &mut Sequence,
        tokens: &[u32],
        first: usize,
    ) -> Result<()> {
        self.plan(sequence, tokens)?;
        let first = sequence.cached.min(first);
        sequence.go_back(self.kind, first);
        Ok(())
    }

    /// Appends one token to a sequence's plan.
    ///
    /// # Errors
    /// `context-full` when there is no room for it, `bad-token`.
    pub fn push(&mut self, sequence: &mut Sequence, token: u32) -> Result<()> {
        self.check_own(sequence)?;
        if sequence.planned.len() == sequence.ctx_len() {
            fail!(
                Code::ContextFull,
                "the context of {} tokens is full",
                sequence.ctx_len();
                "load with a longer one or start anew"
            );
        }
        if token >= self.config().vocab_size {
            fail!(
                Code::BadToken,
                "token id {token} is outside the vocabulary of {}",
                self.config().vocab_size
            );
        }
        sequence.planned.push(token);
        self.take_up_ahead(sequence, token);
        if self.rope.factors(sequence.planned.len()) != sequence.factors {
            let tokens = sequence.planned.clone();
            self.take_up_cached(sequence, &tokens);
        }
        Ok(())
    }

    /// Appends one token that nobody chose, but that counts as generated.
    ///
    /// # Errors
    /// As [`Engine::push`].
    pub fn push_forced(&mut self, sequence: &mut Sequence, token: u32) -> Result<()> {
        self.push(sequence, token)?;
        if let Some(state) = &mut sequence.sampler {
            state.place += 1;
            *state.seen.entry(token).or_default() += 1;
            // A device counts what it draws.
            self.forget_seen();
        }
        Ok(())
    }

    /// Refuses a sequence of another engine.
    pub(super) fn check_own(&self, sequence: &Sequence) -> Result<()> {
        if !self.pages.has(&sequence.reservation) {
            fail!(
                Code::Internal,
                "a sequence goes on with the engine that gave it out, not with another"
            );
        }
        Ok(())
    }
}
