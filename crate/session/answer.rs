//! One answer: its way from the prompt to the last token.

mod calls;
mod step;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Session;
use super::echo::Echo;
use super::event::{Event, Finish, Stats, Work};
use super::log_probs::TokenLogprob;
use super::options::GenerateOptions;
use crate::backend::Backend;
use crate::clock;
use crate::engine::{Engine, LogProbs, SampleOptions, Sequence};
use crate::error::{Code, Error, Result};
use crate::op::SamplerParams;
use crate::text::constraint::Constraint;
use crate::text::stream::TextStream;
use crate::text::{Sampler, Sampling, Tokenizer};
use calls::Calls;
pub(super) use step::Step;

/// An answer in the making, driven by whoever asked for it, one [`Answer::next`] at a time: each
/// call does at most a chunk of prefill or a few tokens. To stop, drop it: there is nothing to
/// undo, and what the cache holds serves the next question.
pub struct Answer<'s, B: Backend> {
    session: &'s mut Session<B>,
    generation: Generation,
}

/// An answer in the making that borrows nothing: whoever asked for it keeps it, and has its
/// session, which may work at others in between, go on with it ([`Session::next`]). To stop, drop
/// it.
pub struct Generation {
    /// Tells whose sequence an engine holds.
    id: usize,
    /// The prompt, and what was chosen after it.
    tokens: Vec<u32>,
    /// Whether an engine has begun to read it and has not come to a new token yet.
    pub(super) is_behind: bool,
    is_recalled: bool,
    owner: String,
    sampler: Sampler,
    choice: ChoiceBy,
    work: Work,
    stream: TextStream,
    /// Where tools may be called.
    calls: Option<Calls>,
    /// What was said up to now, where that is JSON, and what it goes on from.
    pub(super) json: Option<String>,
    /// What is still to be told.
    events: VecDeque<Event>,
    /// What keeps it to the form that was asked for, or a call to its tool.
    constraint: Option<Box<dyn Constraint>>,
    /// Whether it is a call that it keeps, after which the answer goes on.
    is_call_held: bool,
    /// Text that was certain before anything was chosen.
    early: String,
    /// Tokens after the last chosen one that nobody had to choose.
    forced: usize,
    phase: Phase,
    max_tokens: usize,
    prompt: usize,
    pub(super) cached: usize,
    generated: usize,
    /// How many of the most probable tokens are told with each, where log-probabilities are asked
    /// for.
    top: Option<u32>,
    /// Those of tokens whose text is not out.
    log_probs: Vec<TokenLogprob>,
    /// The prompt, where that is told first.
    echo: Option<Echo>,
    started: f64,
    prefilled: f64,
}

/// Tokens that are taken at once where none has a choice: reading them is one step, and somebody
/// may want to stop.
const MOST_FORCED: usize = 64;

/// The number that the next generation gets.
static NEXT_ID: AtomicUsize = AtomicUsize::new(1);

/// Where the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ChoiceBy {
    /// Here, from logits that are read.
    Here,
    /// Where the logits are: the largest.
    Greedy,
    /// Where the logits are: by the sampler's rules.
    Sampled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Prefill,
    /// The prompt is read, and to be told.
    Echo,
    Decode,
    /// The last piece of text is out; the figures are to come.
    Ending(Finish),
    Over,
}

impl<'s, B: Backend> Answer<'s, B> {
    pub(super) fn new(session: &'s mut Session<B>, generation: Generation) -> Answer<'s, B> {
        Answer { session, generation }
    }

    /// Works until there is something to tell; `None` after [`Event::Done`].
    pub async fn next(&mut self) -> Result<Option<Event>> {
        self.session.next(&mut self.generation).await
    }

    /// Ends the answer here; its figures up to now.
    pub fn cancel(self) -> Stats {
        self.session.cancel(self.generation)
    }
}

impl Generation {
    /// An answer to a prompt, in which the tokens of `never` do not come up.
    pub(super) fn new(
        prompt: &[u32],
        (stream, echo): (TextStream, Option<Echo>),
        options: &GenerateOptions,
        never: &[u32],
        constraint: Option<Box<dyn Constraint>>,
    ) -> Result<Generation> {
        options.validate()?;
        let mut sampler = Sampler::new(&options.sampling, never.iter().copied(), fresh_seed()?)?;
        sampler.prompt(prompt);
        Ok(Generation {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            tokens: prompt.to_vec(),
            is_behind: false,
            is_recalled: false,
            owner: options.prompt_cache_key.clone(),
            sampler,
            choice: ChoiceBy::Here,
            work: Work::default(),
            stream,
            calls: None,
            json: options.is_for_json().then(String::new),
            events: VecDeque::new(),
            constraint,
            is_call_held: false,
            early: String::new(),
            forced: 0,
            phase: Phase::Prefill,
            max_tokens: options.max_tokens,
            prompt: prompt.len(),
            cached: 0,
            generated: 0,
            top: options.log_probs,
            log_probs: Vec::new(),
            echo,
            started: clock::seconds(),
            prefilled: 0.0,
        })
    }

    /// A piece of text, with what is known of the tokens up to its end.
    fn text(&mut self, text: String) -> Event {
        let log_probs = std::mem::take(&mut self.log_probs);
        Event::Text { text, logprobs: self.top.map(|_| log_probs) }
    }

    /// Whether nobody has looked for what outlived the program of its prompt yet.
    pub(super) fn is_new(&self) -> bool {
        !self.is_recalled && self.phase == Phase::Prefill
    }

    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Takes note that this has been looked for, and how much of it the cache has now.
    pub(super) fn note_recalled(&mut self, cached: usize) {
        self.is_recalled = true;
        self.cached = cached.min(self.prompt);
    }

    /// Has an event told after all that is still to be told.
    pub(super) fn tell_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The first of what is still to be told.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whose the pages are that it leaves.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn id(&self) -> usize {
        self.id
    }

    /// Whether tokens are still to come, which the engine must have the sequence for.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Prefill | Phase::Echo | Phase::Decode)
    }

    /// Goes on, or begins, on an engine: what its cache does not have of the sequence is read, of
    /// which prefill events tell.
    ///
    /// # Errors
    /// `prompt-too-long` where the engine's context is too short for the sequence.
    pub(super) fn go_on<B: Backend>(
        &mut self,
        engine: &mut Engine<B>,
        sequence: &mut Sequence,
    ) -> Result<()> {
        match &self.echo {
            // The row before the first token that is not known tells of it.
            Some(echo) if self.top.is_some() => {
                engine.plan_rows(sequence, &self.tokens, echo.first_row())?;
            }
            _ => engine.plan(sequence, &self.tokens)?,
        }
        sequence.tell_log_probs(self.top);
        sequence.allow(None);
        self.is_behind = true;
        self.work = Work::default();
        let sampling = self.sampler.sampling();
        self.choice = if sampling.is_plain_argmax() {
            ChoiceBy::Greedy
        } else if !sampling.is_for_devices() {
            ChoiceBy::Here
        } else {
            let options = SampleOptions {
                params: sampler_params(sampling),
                bias: &sampling.logit_bias,
                seen: self.sampler.seen(),
                seed: self.sampler.seed(),
                place: self.sampler.chosen(),
            };
            if engine.begin_sampling(sequence, options)? {
                ChoiceBy::Sampled
            } else {
                ChoiceBy::Here
            }
        };
        Ok(())
    }

    /// Takes what rows tell of an echoed prompt; with none of them, of a first token all the same.
    fn note_prompt(&mut self, tokenizer: &Tokenizer, told: &[LogProbs]) {
        if let (Some(_), Some(echo)) = (self.top, &mut self.echo) {
            self.log_probs.extend(echo.note(tokenizer, &self.tokens, told));
        }
    }

    /// Begins with what has no choice, where the answer's form asks for that: in a context with so
    /// much room after the prompt.
    pub(super) fn take_early(&mut self, tokenizer: &Tokenizer, room: usize) -> Result<()> {
        // What is told of a prompt comes first.
        if self.constraint.is_none() || self.echo.is_some() {
            return Ok(());
        }
        let (text, finish) = self.take(tokenizer, None, room)?;
        self.early = text;
        if let Some(finish) = finish {
            self.prefilled = clock::seconds();
            self.phase = Phase::Ending(finish);
        }
        Ok(())
    }

    /// Takes note of the token that was chosen, if one was, and of those that follow without a
    /// choice, as many as there is room for: their text, and why they are the last, if they are.
    fn take(
        &mut self,
        tokenizer: &Tokenizer,
        chosen: Option<u32>,
        room: usize,
    ) -> Result<(String, Option<Finish>)> {
        let left = (self.max_tokens - self.generated).min(room + usize::from(chosen.is_some()));
        let most = match chosen {
            // Each token has a row that tells of it.
            _ if self.top.is_some() => usize::from(chosen.is_some()),
            Some(_) => left.min(MOST_FORCED + 1),
            None => left,
        };
        let mut run: Vec<_> = chosen.into_iter().collect();
        if let Some(constraint) = &mut self.constraint {
            run.iter().try_for_each(|&token| constraint.accept(token))?;
            run.extend(constraint.take_forced(most - run.len())?);
        }
        let mut text = String::new();
        for (at, &token) in run.iter().enumerate() {
            if chosen.is_none() || at > 0 {
                self.sampler.accept(token);
            }
            self.generated += 1;
            text += &self.stream.push(tokenizer, token);
            if self.stream.stopped() {
                return Ok((text, Some(Finish::Stop)));
            }
            if chosen.is_none() || at < room {
                self.tokens.push(token);
            }
        }
        self.let_go_of_call();
        let is_over = self.constraint.as_ref().is_some_and(|constraint| constraint.is_over());
        if is_over || self.generated == self.max_tokens || run.len() > room {
            text += &self.stream.finish();
            return Ok((text, Some(if is_over { Finish::Stop } else { Finish::Length })));
        }
        Ok((text, None))
    }

    /// The figures of an answer that ends here.
    pub(super) fn cancelled(mut self, backend: String) -> Stats {
        if self.prefilled == 0.0 {
            self.prefilled = clock::seconds();
        }
        self.stats(Finish::Cancelled, backend)
    }

    fn stats(&self, finish: Finish, backend: String) -> Stats {
        let prefill_seconds = self.prefilled - self.started;
        let decode_seconds = clock::seconds() - self.prefilled;
        let rate =
            |tokens: usize, seconds: f64| if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
        Stats {
            finish,
            prompt_tokens: self.prompt,
            cached_tokens: self.cached,
            generated_tokens: self.generated,
            prefill_seconds,
            decode_seconds,
            prefill_tps: rate(self.prompt - self.cached, prefill_seconds),
            // The first token comes out of the prefill.
            decode_tps: rate(self.generated.saturating_sub(1), decode_seconds),
            backend,
            work: self.work.per_token(),
        }
    }
}

fn fresh_seed() -> Result<u64> {
    getrandom::u64()
        .map_err(|e| Error::new(Code::Io, format!("there is no randomness for a seed: {e}")))
}

/// Sampling in the words of [`crate::op::Op::Sample`].
pub fn sampler_params(sampling: &Sampling) -> SamplerParams {
    SamplerParams {
        temperature: sampling.temperature,
        top_k: u32::try_from(sampling.top_k).unwrap_or(u32::MAX),
        // There, a sum of nothing would be reached before the first token.
        top_p: sampling.top_p.max(f32::MIN_POSITIVE),
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        uniform: 0.0,
    }
}
