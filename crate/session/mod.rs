//! Messages in, text out: template, prefill, sampling, stop, cancel.
//!
//! A [`Session`] is a model on one backend and one conversation; a [`ResilientSession`] one goes on
//! when its device does not.

mod answer;
mod asked;
mod echo;
mod event;
mod forms;
mod host;
mod log_probs;
mod options;
mod prefixes;
mod resilient;
mod scoring;
mod verdict;

use std::rc::Rc;

use serde::Serialize;

pub use answer::{Answer, Generation, sampler_params};
pub use event::{CallDelta, Event, Finish, Stats, WorkPerToken};
pub use host::{Host, Wanted};
pub use log_probs::{Decision, Score, TokenLogprob, TopLogprob, check_choices};
pub use options::GenerateOptions;
pub use resilient::{Device, ResilientAnswer, ResilientSession};
pub use verdict::{Rivals, Verdict};

use crate::backend::Backend;
pub use crate::engine::MOST_PROBABLE;
use crate::engine::{Engine, EngineOptions, PrefixStore, Sequence};
use crate::error::{Code, Result, fail};
use crate::op::KvKind;
use crate::text::Tokenizer;
use crate::text::constraint::{Constraint, Grammars};
use crate::text::template::{ChatTemplate, Message};
use crate::text_assets::TextAssets;
use crate::weights::checkpoint::{Checkpoint, TextFiles};
use crate::weights::format::{Bits, WeightFormat};
use crate::weights::source::Source;
use answer::Step;
use asked::Told;
use forms::Kept;

/// How to load a model.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// How weights are held: unquantised ones in 4 bits unless said otherwise.
    pub format: WeightFormat,
    /// Positions to allocate; `None` for the model's own, at most 4096.
    pub ctx_len: Option<usize>,
    /// How keys and values are held; `None` for int8, or f32 with 32-bit weights.
    pub kv: Option<KvKind>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { format: Bits::default().into(), ctx_len: None, kv: None }
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

/// What was loaded.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Where the model came from.
    pub model: String,
    /// Weights, counted singly.
    pub parameters: u64,
    /// What computes, in one line.
    pub backend: String,
    /// Positions that the cache has room for.
    pub ctx_len: usize,
    /// What the choice between GPU and CPU rests on, where both were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(inline))]
    pub measured: Option<Verdict>,
}

/// A loaded model, and a sequence in its cache.
pub struct Session<B: Backend> {
    engine: Engine<B>,
    sequence: Sequence,
    /// The id of the generation whose tokens the sequence has, where that is known.
    current: Option<usize>,
    text_assets: TextAssets,
    /// What keeps answers to forms, once one was asked for.
    grammars: Option<Rc<dyn Grammars>>,
    /// Where pages of the cache outlive the program.
    prefixes: Option<Rc<dyn PrefixStore>>,
    /// Ids that must never be chosen.
    padding: Vec<u32>,
    model: String,
    parameters: u64,
}

impl<B: Backend> Session<B> {
    /// Reads a model from a source into a backend.
    ///
    /// # Errors
    /// Everything that a missing, cut, foreign or contradictory model can cause, each with its own
    /// code.
    pub async fn open<S: Source>(
        source: S,
        backend: B,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Session<B>> {
        let checkpoint = Checkpoint::open(source).await?;
        let text_assets = TextAssets::of(&checkpoint)?;
        Session::load(checkpoint, text_assets, backend, options, progress).await
    }

    /// Reads a model whose header and text were read already into a backend.
    async fn load<S: Source>(
        mut checkpoint: Checkpoint<S>,
        text_assets: TextAssets,
        backend: B,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Session<B>> {
        // They take tens of megabytes, which the weights can have.
        checkpoint.files = TextFiles::default();
        let total = checkpoint.weight_bytes();
        let mut done = 0;
        let engine_options =
            EngineOptions { format: options.format, ctx_len: options.ctx_len, kv: options.kv };
        let mut engine = Engine::load(&checkpoint, backend, &engine_options, &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        })
        .await?;
        let padding: Vec<u32> =
            text_assets.tokenizer.padding(engine.config().vocab_size as usize).collect();
        engine.forbid(&padding)?;
        let sequence = engine.sequence(None)?;
        Ok(Session {
            engine,
            sequence,
            current: None,
            text_assets,
            grammars: None,
            prefixes: None,
            padding,
            model: checkpoint.source().name(),
            parameters: checkpoint.parameters(),
        })
    }

    /// What was loaded.
    pub fn describe(&self) -> Description {
        Description {
            model: self.model.clone(),
            parameters: self.parameters,
            backend: self.engine.describe_backend(),
            ctx_len: self.engine.ctx_len(),
            measured: None,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine<B> {
        &self.engine
    }

    /// The engine and the session's sequence, for whoever speaks in token ids.
    pub fn engine_and_sequence(&mut self) -> (&mut Engine<B>, &mut Sequence) {
        self.current = None;
        self.sequence.tell_log_probs(None);
        self.sequence.allow(None);
        (&mut self.engine, &mut self.sequence)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.text_assets.tokenizer
    }

    /// The tokenizer, the template and the tokens that end an answer.
    pub fn text_assets(&self) -> &TextAssets {
        &self.text_assets
    }

    /// The chat template.
    ///
    /// # Errors
    /// `bad-template` where the model has none, or one that does not compile.
    pub fn template(&self) -> Result<&ChatTemplate> {
        self.text_assets.template.as_ref().map_err(Clone::clone)
    }

    /// Begins the answer to a conversation.
    pub fn chat(
        &mut self,
        messages: &[Message],
        options: &GenerateOptions,
    ) -> Result<Answer<'_, B>> {
        let generation = self.begin_chat(messages, options)?;
        Ok(Answer::new(self, generation))
    }

    /// Begins the continuation of a plain text.
    pub fn complete(&mut self, prompt: &str, options: &GenerateOptions) -> Result<Answer<'_, B>> {
        let generation = self.begin_completion(prompt, options)?;
        Ok(Answer::new(self, generation))
    }

    /// Begins the answer to a conversation, for [`Session::next`] to go on with.
    ///
    /// # Errors
    /// `bad-template`, `bad-option`, `bad-constraint`, `prompt-too-long`.
    pub fn begin_chat(
        &mut self,
        messages: &[Message],
        options: &GenerateOptions,
    ) -> Result<Generation> {
        let (ids, told) = asked::chat(&self.text_assets, self.engine.ctx_len(), messages, options)?;
        let Kept { whole, calls } = self.kept(messages, options)?;
        let mut generation = self.begin(&ids, told, options, whole)?;
        let begun = messages.last().filter(|_| options.continue_final).map(Message::text);
        let begun = begun.unwrap_or_default();
        generation.json.iter_mut().for_each(|json| json.push_str(&begun));
        generation.listen_for_calls(&options.tools, &begun, calls)?;
        Ok(generation)
    }

    /// Begins the continuation of a plain text, for [`Session::next`] to go on with.
    ///
    /// # Errors
    /// `bad-option`, `prompt-too-long`.
    pub fn begin_completion(
        &mut self,
        prompt: &str,
        options: &GenerateOptions,
    ) -> Result<Generation> {
        let (ids, told) =
            asked::completion(&self.text_assets, self.engine.ctx_len(), prompt, options)?;
        let constraint = self.constraint(options)?;
        self.begin(&ids, told, options, constraint)
    }

    /// Begins answers that are only scored.
    fn begin_choices(
        &mut self,
        messages: &[Message],
        choices: &[String],
    ) -> Result<Vec<Generation>> {
        scoring::choices(&self.text_assets, self.engine.ctx_len(), messages, choices)?
            .into_iter()
            .map(|(ids, told)| self.begin(&ids, told, &scoring::reading(), None))
            .collect()
    }

    fn begin(
        &mut self,
        prompt: &[u32],
        told: Told,
        options: &GenerateOptions,
        constraint: Option<Box<dyn Constraint>>,
    ) -> Result<Generation> {
        let vocab_size = self.engine.config().vocab_size;
        if let Some((id, _)) = options.sampling.logit_bias.range(vocab_size..).next() {
            fail!(
                Code::BadOption,
                "logit_bias names token {id}; this model's tokens are 0 to {}",
                vocab_size - 1
            );
        }
        let mut generation = Generation::new(prompt, told, options, &self.padding, constraint)?;
        let room = self.engine.ctx_len().saturating_sub(prompt.len());
        generation.take_early(&self.text_assets.tokenizer, room)?;
        self.take_up(&mut generation)?;
        generation.cached = self.sequence.cached().min(prompt.len());
        Ok(generation)
    }

    /// Works at an answer until there is something to tell of it; nothing after [`Event::Done`].
    /// One that this session has not worked at last, or another session of the same model has
    /// begun, goes on where it was: what the cache does not hold of it is read again.
    ///
    /// # Errors
    /// What running meets; `prompt-too-long` where this session's context is too short for it.
    pub async fn next(&mut self, generation: &mut Generation) -> Result<Option<Event>> {
        if generation.is_under_way() && self.current != Some(generation.id()) {
            // Of two that take turns, none would ever come to a token if it gave way after each
            // chunk.
            let is_hurried = generation.is_behind && self.current.is_some();
            self.take_up(generation)?;
            while is_hurried && self.sequence.pending() > 1 {
                self.step(generation).read().await?;
            }
        }
        self.recall(generation).await?;
        let told = self.step(generation).next().await?;
        match told {
            Some(end @ Event::Done(_)) => self.keep(generation, end).await,
            told => Ok(told),
        }
    }

    fn step<'a>(&'a mut self, generation: &'a mut Generation) -> Step<'a, B> {
        let Session { engine, sequence, text_assets, .. } = self;
        Step { engine, sequence, text_assets, generation }
    }

    /// Ends an answer where it is; its figures up to now.
    pub fn cancel(&self, generation: Generation) -> Stats {
        generation.cancelled(self.engine.describe_backend())
    }

    fn take_up(&mut self, generation: &mut Generation) -> Result<()> {
        self.current = None;
        generation.go_on(&mut self.engine, &mut self.sequence)?;
        self.current = Some(generation.id());
        Ok(())
    }
}
