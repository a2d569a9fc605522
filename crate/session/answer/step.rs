//! One step of an answer on an engine.

use super::{Calls, ChoiceBy, Event, Finish, Generation, Phase};
use crate::backend::Backend;
use crate::clock;
use crate::engine::{Engine, Sequence};
use crate::error::Result;
use crate::session::log_probs::TokenLogprob;
use crate::text::constraint::{allows, complete_json, first_allowed, forbid_others};
use crate::text_assets::TextAssets;

/// One step of an answer on an engine.
pub(in crate::session) struct Step<'a, B: Backend> {
    pub engine: &'a mut Engine<B>,
    pub sequence: &'a mut Sequence,
    pub text_assets: &'a TextAssets,
    pub generation: &'a mut Generation,
}

impl<B: Backend> Step<'_, B> {
    /// Works until there is something to tell.
    pub async fn next(mut self) -> Result<Option<Event>> {
        let has_early = !self.generation.early.is_empty();
        match self.generation.phase {
            Phase::Decode if has_early => {
                let early = std::mem::take(&mut self.generation.early);
                self.generation.tell(early, false);
            }
            // It is the whole answer.
            Phase::Ending(finish) if has_early => {
                let early = std::mem::take(&mut self.generation.early);
                return Ok(Some(self.end_with(early, finish)));
            }
            _ => {}
        }
        if let Some(event) = self.generation.events.pop_front() {
            return Ok(Some(event));
        }
        match self.generation.phase {
            Phase::Prefill => self.prefill().await.map(Some),
            Phase::Echo => Ok(Some(self.echo())),
            Phase::Decode => self.decode().await.map(Some),
            Phase::Ending(finish) => Ok(Some(self.done(finish))),
            Phase::Over => Ok(None),
        }
    }

    async fn prefill(&mut self) -> Result<Event> {
        let pending = self.read().await?;
        if pending == 0 {
            self.generation.is_behind = false;
            let echoes = self.generation.echo.is_some();
            self.generation.phase = if echoes { Phase::Echo } else { Phase::Decode };
        }
        let total = self.generation.tokens.len();
        Ok(Event::Prefill { done: total - pending, total })
    }

    /// Reads more of what the cache does not hold, and answers how much is left. Rows of a prompt
    /// tell at once how probable its tokens are, where that is asked for.
    pub async fn read(&mut self) -> Result<usize> {
        let pending = self.engine.advance(self.sequence).await?;
        while let (Some(top), Some(echo)) = (self.generation.top, &self.generation.echo) {
            let asked = echo.unscored(&self.generation.tokens, self.sequence.cached());
            let Some((before, asked)) = asked else { break };
            let told = self.engine.log_probs_at(self.sequence, before, &asked, top).await?;
            self.generation.note_prompt(&self.text_assets.tokenizer, &told);
        }
        Ok(pending)
    }

    fn echo(&mut self) -> Event {
        // One token alone has no row that tells of it.
        self.generation.note_prompt(&self.text_assets.tokenizer, &[]);
        let text = self.generation.echo.take().map(|echo| echo.text).unwrap_or_default();
        self.generation.phase = Phase::Decode;
        if self.generation.max_tokens == 0 {
            self.generation.prefilled = clock::seconds();
            self.generation.phase = Phase::Ending(Finish::Length);
        }
        self.generation.text(text)
    }

    async fn decode(&mut self) -> Result<Event> {
        loop {
            // Crossing LongRoPE's switch makes the whole sequence pending again; that is told like
            // any prefill.
            if self.sequence.pending() > 1 + self.generation.forced {
                let pending = self.engine.advance(self.sequence).await?;
                let total = self.sequence.tokens().len();
                return Ok(Event::Prefill { done: total - pending, total });
            }
            let token = self.choose().await?;
            self.generation.is_behind = false;
            self.generation.work.note(self.engine.counters());
            if self.generation.prefilled == 0.0 {
                self.generation.prefilled = clock::seconds();
            }
            if self.text_assets.stop_tokens.contains(&token) {
                return Ok(self.end(Finish::Stop));
            }
            if let Some(told) = self.sequence.take_log_probs() {
                let told = TokenLogprob::of(&self.text_assets.tokenizer, &told);
                self.generation.log_probs.push(told);
            }
            let (text, finish) = self.take(token)?;
            if let Some(finish) = finish {
                return Ok(self.end_with(text, finish));
            }
            self.generation.tell(text, false);
            if self.generation.calls.as_ref().is_some_and(Calls::is_enough) {
                return Ok(self.end_with(String::new(), Finish::Stop));
            }
            self.generation.hold_call()?;
            if let Some(event) = self.generation.events.pop_front() {
                return Ok(event);
            }
        }
    }

    /// The next token, of those that may come.
    async fn choose(&mut self) -> Result<u32> {
        let Some(constraint) = &mut self.generation.constraint else {
            self.sequence.allow(None);
            return self.choose_of(None).await;
        };
        // It is found out what may come while that is computed which it is chosen by.
        self.engine.catch_up(self.sequence).await?;
        let mask = constraint.mask()?;
        self.sequence.allow(Some(mask.clone()));
        let token = self.choose_of(Some(&mask)).await?;
        // Where no logit is possible, what is chosen is any.
        Ok(if allows(&mask, token) { token } else { first_allowed(&mask).unwrap_or(token) })
    }

    async fn choose_of(&mut self, mask: Option<&[u32]>) -> Result<u32> {
        let token = match self.generation.choice {
            ChoiceBy::Here => {
                let mut logits = self.engine.logits(self.sequence).await?;
                if let Some(mask) = mask {
                    forbid_others(mask, &mut logits);
                }
                let token = self.generation.sampler.sample(&mut logits);
                self.engine.tell_log_probs(self.sequence, token).await?;
                return Ok(token);
            }
            ChoiceBy::Greedy => self.engine.greedy(self.sequence).await?,
            ChoiceBy::Sampled => self.engine.sample(self.sequence).await?,
        };
        self.generation.sampler.accept(token);
        Ok(token)
    }

    /// Goes on with a token, and with those that follow it without a choice: their text, and the
    /// answer's end where they are that.
    fn take(&mut self, token: u32) -> Result<(String, Option<Finish>)> {
        let room = self.sequence.ctx_len() - self.sequence.tokens().len();
        let before = self.generation.tokens.len();
        let told = self.generation.take(&self.text_assets.tokenizer, Some(token), room)?;
        self.generation.forced = 0;
        if told.1.is_none() {
            self.engine.push(self.sequence, token)?;
            for &forced in &self.generation.tokens[before + 1..] {
                self.engine.push_forced(self.sequence, forced)?;
                self.generation.forced += 1;
            }
        }
        Ok(told)
    }

    fn end(&mut self, finish: Finish) -> Event {
        let rest = self.generation.stream.finish();
        self.end_with(rest, finish)
    }

    fn end_with(&mut self, rest: String, finish: Finish) -> Event {
        self.generation.tell(rest, true);
        if let Some(json) = &self.generation.json {
            let is_whole = finish == Finish::Stop && !self.generation.stream.stopped();
            let json = complete_json(json, is_whole);
            self.generation.events.push_back(Event::Parsed { json });
        }
        let has_called = self.generation.calls.as_ref().is_some_and(Calls::is_any);
        let finish = match finish {
            Finish::Stop if has_called => Finish::ToolCalls,
            finish => finish,
        };
        match self.generation.events.pop_front() {
            Some(event) => {
                self.generation.phase = Phase::Ending(finish);
                event
            }
            None => self.done(finish),
        }
    }

    fn done(&mut self, finish: Finish) -> Event {
        self.generation.phase = Phase::Over;
        Event::Done(self.generation.stats(finish, self.engine.describe_backend()))
    }
}
