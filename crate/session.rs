//! Messages in, text out: template, prefill, sampling, stop, cancel.
//!
//! An [`Answer`] is driven by whoever asked for it, one [`Answer::next`] at a time; each call does at most a chunk of prefill or
//! a few tokens. To stop, drop it: there is nothing to undo, and what the cache holds serves the next question.

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Counters};
use crate::clock;
use crate::engine::{Engine, EngineOptions};
use crate::error::{Code, Error, Result, fail};
use crate::op::KvKind;
use crate::text::Tokenizer;
use crate::text::sampler::{Sampler, Sampling};
use crate::text::stream::TextStream;
use crate::text::template::{ChatTemplate, Message};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::checkpoint::{Bits, Hold};
use crate::weights::source::Source;
use crate::words::Words;

/// How to load a model.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// How weights are held: unquantised ones in 4 bits unless said otherwise.
    pub hold: Hold,
    /// Positions to allocate; `None` for the model's own, at most 4096.
    pub ctx_len: Option<usize>,
    /// How keys and values are held; `None` for f16, or f32 with 32-bit weights.
    pub kv: Option<KvKind>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { hold: Bits::default().into(), ctx_len: None, kv: None }
    }
}

/// How far loading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes of weights read so far.
    pub done: u64,
    /// Bytes of weights in all.
    pub total: u64,
}

/// How to answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerateOptions {
    /// Tokens at the most.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions { max_tokens: 1024, sampling: Sampling::default(), stop: Vec::new() }
    }
}

/// What happened since the last [`Answer::next`].
#[derive(Clone, Debug, PartialEq, Serialize)]
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
        /// The piece, not empty.
        text: String,
    },
    /// The answer is complete.
    Done(Stats),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// Whoever asked had heard enough.
    Cancelled,
}

/// Figures of one answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// What a device was asked to do for it; `None` on the CPU, and for answers too short to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<WorkPerToken>,
}

/// What a device was asked to do for each token, from the third one on: the first comes out of the prefill, and with the second all is
/// made that decoding needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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

/// What was loaded.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The source's name.
    pub model: String,
    /// Weights, counted singly.
    pub parameters: u64,
    /// What computes, in one line.
    pub backend: String,
    /// Positions that the cache has room for.
    pub ctx_len: usize,
}

/// A loaded model and one conversation.
pub struct Session<B: Backend> {
    engine: Engine<B>,
    words: Words,
    /// Ids that must never be chosen.
    padding: Vec<u32>,
    model: String,
    parameters: u64,
}

impl<B: Backend> Session<B> {
    /// Reads a model from a source into a backend.
    ///
    /// # Errors
    /// Everything that a missing, cut, foreign or contradictory model can cause, each with its own code.
    pub async fn open<S: Source>(source: S, backend: B, options: &LoadOptions, progress: &mut dyn FnMut(Progress)) -> Result<Session<B>> {
        let model = source.name();
        let checkpoint = Checkpoint::open(source).await?;
        let words = Words::of(&checkpoint)?;
        let total = checkpoint.weight_bytes();
        let mut done = 0;
        let engine_options = EngineOptions { hold: options.hold, ctx_len: options.ctx_len, kv: options.kv };
        let mut engine = Engine::load(&checkpoint, backend, &engine_options, &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        })
        .await?;
        let padding: Vec<u32> = words.tokenizer.padding(engine.config().vocab_size as usize).collect();
        engine.forbid(&padding)?;
        Ok(Session { engine, words, padding, model, parameters: checkpoint.parameters() })
    }

    /// What was loaded.
    pub fn describe(&self) -> Description {
        Description {
            model: self.model.clone(),
            parameters: self.parameters,
            backend: self.engine.describe_backend(),
            ctx_len: self.engine.ctx_len(),
        }
    }

    /// The engine, for whoever speaks in token ids.
    pub fn engine(&mut self) -> &mut Engine<B> {
        &mut self.engine
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.words.tokenizer
    }

    /// The chat template.
    ///
    /// # Errors
    /// `bad-template` where the model has none, or one that does not compile.
    pub fn template(&self) -> Result<&ChatTemplate> {
        self.words.template.as_ref().map_err(Clone::clone)
    }

    /// Begins the answer to a conversation.
    pub fn chat(&mut self, messages: &[Message], options: &GenerateOptions) -> Result<Answer<'_, B>> {
        let prompt = self.template()?.render(messages, true)?;
        // The template writes its own BOS where the model wants one.
        let ids = self.words.tokenizer.encode(&prompt, false)?;
        let stream = TextStream::new(&self.words.tokenizer, &options.stop);
        self.begin(ids, stream, options)
    }

    /// Begins the continuation of a plain text.
    pub fn complete(&mut self, prompt: &str, options: &GenerateOptions) -> Result<Answer<'_, B>> {
        let ids = self.words.tokenizer.encode(prompt, true)?;
        self.begin(ids, TextStream::continuing(&options.stop), options)
    }

    fn begin(&mut self, prompt: Vec<u32>, stream: TextStream, options: &GenerateOptions) -> Result<Answer<'_, B>> {
        if options.max_tokens == 0 {
            fail!(Code::BadOption, "max_tokens is 0; ask for at least one token");
        }
        let fresh_seed = getrandom::u64().map_err(|e| Error::new(Code::Io, format!("there is no randomness for a seed: {e}")))?;
        let mut sampler = Sampler::new(&options.sampling, self.padding.iter().copied(), fresh_seed)?;
        sampler.prompt(&prompt);
        self.engine.plan(&prompt)?;
        let cached = prompt.len() - self.engine.pending();
        let course = Course {
            sampler,
            greedy: options.sampling.is_plain_argmax(),
            work: Work::default(),
            stream,
            phase: Phase::Prefill,
            max_tokens: options.max_tokens,
            prompt: prompt.len(),
            cached,
            generated: 0,
            started: clock::seconds(),
            prefilled: 0.0,
        };
        Ok(Answer { engine: &mut self.engine, words: &self.words, course })
    }

    /// Goes on with an answer that another session of the same model began, whatever computed it there: reads its tokens, of which
    /// prefill events tell, and then says what comes next.
    ///
    /// # Errors
    /// `prompt-too-long` where this session's context is too short for it.
    pub fn resume(&mut self, paused: Paused) -> Result<Answer<'_, B>> {
        let Paused { mut course, tokens } = paused;
        self.engine.plan(&tokens)?;
        course.work = Work::default();
        Ok(Answer { engine: &mut self.engine, words: &self.words, course })
    }
}

/// What a device did since decoding was warm.
#[derive(Clone, Copy, Default)]
struct Work {
    tokens: u64,
    warm: Counters,
    now: Counters,
}

impl Work {
    /// Takes note after each token.
    fn note(&mut self, counters: Option<Counters>) {
        if let Some(now) = counters {
            self.tokens += 1;
            self.now = now;
            if self.tokens <= 2 {
                self.warm = now;
            }
        }
    }

    fn per_token(&self) -> Option<WorkPerToken> {
        let (warm, now, tokens) = (self.warm, self.now, self.tokens.checked_sub(2).filter(|&tokens| tokens > 0)?);
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

/// An answer in the making.
pub struct Answer<'s, B: Backend> {
    engine: &'s mut Engine<B>,
    words: &'s Words,
    course: Course,
}

/// What an answer knows of itself.
struct Course {
    sampler: Sampler,
    greedy: bool,
    work: Work,
    stream: TextStream,
    phase: Phase,
    max_tokens: usize,
    prompt: usize,
    cached: usize,
    generated: usize,
    started: f64,
    prefilled: f64,
}

/// An answer without what computes it; [`Session::resume`] goes on with it.
pub struct Paused {
    course: Course,
    /// The prompt, and what has been generated.
    tokens: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Prefill,
    Decode,
    /// The last piece of text is out; the figures are to come.
    Ending(Finish),
    Over,
}

impl<B: Backend> Answer<'_, B> {
    /// Works until there is something to tell; `None` after [`Event::Done`].
    pub async fn next(&mut self) -> Result<Option<Event>> {
        match self.course.phase {
            Phase::Prefill => self.prefill().await.map(Some),
            Phase::Decode => self.decode().await.map(Some),
            Phase::Ending(finish) => {
                self.course.phase = Phase::Over;
                Ok(Some(Event::Done(self.stats(finish))))
            }
            Phase::Over => Ok(None),
        }
    }

    /// Ends the answer here; its figures up to now.
    pub fn cancel(mut self) -> Stats {
        if self.course.generated == 0 {
            self.course.prefilled = clock::seconds();
        }
        self.stats(Finish::Cancelled)
    }

    /// Takes the answer from its session. After an error of a device this is how it goes on elsewhere: nothing that it has said is said again.
    pub fn pause(self) -> Paused {
        Paused { tokens: self.engine.tokens().to_vec(), course: self.course }
    }

    async fn prefill(&mut self) -> Result<Event> {
        let pending = self.engine.advance().await?;
        if pending == 0 {
            self.course.phase = Phase::Decode;
        }
        Ok(Event::Prefill { done: self.course.prompt - pending, total: self.course.prompt })
    }

    async fn decode(&mut self) -> Result<Event> {
        loop {
            // Crossing LongRoPE's switch makes the whole sequence pending again; that is told like any prefill.
            if self.engine.pending() > 1 {
                let pending = self.engine.advance().await?;
                let total = self.engine.tokens().len();
                return Ok(Event::Prefill { done: total - pending, total });
            }
            let token = self.choose().await?;
            self.course.work.note(self.engine.counters());
            if self.course.generated == 0 {
                self.course.prefilled = clock::seconds();
            }
            if self.words.stop_tokens.contains(&token) {
                return Ok(self.end(Finish::Stop));
            }
            self.course.generated += 1;
            let text = self.course.stream.push(&self.words.tokenizer, token);
            if self.course.stream.stopped() {
                return Ok(self.end_with(text, Finish::Stop));
            }
            if self.course.generated == self.course.max_tokens || self.engine.tokens().len() == self.engine.ctx_len() {
                let rest = text + &self.course.stream.finish();
                return Ok(self.end_with(rest, Finish::Length));
            }
            self.engine.push(token)?;
            if !text.is_empty() {
                return Ok(Event::Text { text });
            }
        }
    }

    /// The next token. Where its logit alone decides, the logits need not leave the device.
    async fn choose(&mut self) -> Result<u32> {
        if self.course.greedy {
            let token = self.engine.likeliest().await?;
            self.course.sampler.accept(token);
            return Ok(token);
        }
        Ok(self.course.sampler.sample(&mut self.engine.logits().await?))
    }

    fn end(&mut self, finish: Finish) -> Event {
        let rest = self.course.stream.finish();
        self.end_with(rest, finish)
    }

    fn end_with(&mut self, rest: String, finish: Finish) -> Event {
        if rest.is_empty() {
            self.course.phase = Phase::Over;
            return Event::Done(self.stats(finish));
        }
        self.course.phase = Phase::Ending(finish);
        Event::Text { text: rest }
    }

    fn stats(&self, finish: Finish) -> Stats {
        let prefill_seconds = self.course.prefilled - self.course.started;
        let decode_seconds = clock::seconds() - self.course.prefilled;
        let rate = |tokens: usize, seconds: f64| if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
        Stats {
            finish,
            prompt_tokens: self.course.prompt,
            cached_tokens: self.course.cached,
            generated_tokens: self.course.generated,
            prefill_seconds,
            decode_seconds,
            prefill_tps: rate(self.course.prompt - self.course.cached, prefill_seconds),
            // The first token comes out of the prefill.
            decode_tps: rate(self.course.generated.saturating_sub(1), decode_seconds),
            work: self.course.work.per_token(),
        }
    }
}
