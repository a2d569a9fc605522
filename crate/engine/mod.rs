//! Token ids in, logits out; knows no text.
//!
//! An engine is told which tokens the sequence should hold ([`Engine::plan`]), works towards that a chunk at a time
//! ([`Engine::advance`]) and then has the logits. Whoever drives it may stop between any two calls: the cache stays true.

mod choice;
mod estimate;
mod room;

use std::collections::BTreeMap;

pub use choice::SampleOptions;
pub use estimate::Tokens;

use crate::backend::{Backend, Counters, Trials};
use crate::error::{Code, Result, fail};
use crate::layout::Kind;
use crate::model::Transformer;
use crate::model::forward::Scratch;
use crate::model::kv::{self, LayerCache};
use crate::model::rope::{Factors, Rope};
use crate::op::{Buf, KvKind, Op};
use crate::profile::{Kernel, Peaks};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::checkpoint::WeightFormat;
use crate::weights::config::Config;
use crate::weights::source::Source;
use choice::{LookAhead, SampleMode, SamplerState};

/// Rows of logits computed at once: a row of Phi-4-mini's is 800 KB.
const HEAD_ROWS: usize = 4;

/// How to hold a model.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// How weights are held.
    pub format: WeightFormat,
    /// Positions to allocate; `None` for the model's own, at most 4096.
    pub ctx_len: Option<usize>,
    /// How keys and values are held; `None` for f16, or f32 with 32-bit weights.
    pub kv: Option<KvKind>,
}

/// A loaded model with one sequence in its cache.
pub struct Engine<B: Backend> {
    backend: B,
    model: Transformer,
    rope: Rope,
    cache: Vec<LayerCache>,
    scratch: Scratch,
    ctx_len: usize,
    chunk: usize,
    head_rows: usize,
    programs: Programs<B::Program>,
    /// What the sequence should hold.
    planned: Vec<u32>,
    /// How many of them the cache holds.
    cached: usize,
    /// What the cache was rotated with.
    factors: Factors,
    /// Rows of the latest chunk, which `scratch.x` still holds.
    latest: usize,
    ahead: Option<LookAhead<B::Readback>>,
    sampler: Option<SamplerState>,
}

/// Programs that come again and again: whole chunks and single tokens.
struct Programs<P> {
    layers: BTreeMap<usize, P>,
    head: Option<P>,
    choices: BTreeMap<SampleMode, P>,
}

impl<B: Backend> Engine<B> {
    /// Reads a checkpoint's weights into a backend. `progress` hears of every few bytes read.
    ///
    /// # Errors
    /// What reading can meet, `bad-option` for a context that the model or device cannot hold, `out-of-memory`.
    pub async fn load<S: Source>(
        checkpoint: &Checkpoint<S>,
        mut backend: B,
        options: &EngineOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Engine<B>> {
        let config = &checkpoint.config;
        let longest = config.max_position_embeddings as usize;
        let ctx_len = options.ctx_len.unwrap_or(longest.min(4096));
        if ctx_len == 0 || ctx_len > longest {
            fail!(Code::BadOption, "a context of {ctx_len} tokens was asked for; this model knows 1 to {longest}");
        }
        let kind = options.kv.unwrap_or(if options.format.floats == Kind::F32 { KvKind::F32 } else { KvKind::F16 });
        let limits = backend.limits();
        let fits = |width: u32| (limits.max_buffer / (u64::from(width) * 4)) as usize;
        let chunk = limits.chunk.min(ctx_len).min(fits(2 * config.intermediate_size));
        let head_rows = HEAD_ROWS.min(chunk).min(fits(config.vocab_size));
        if head_rows == 0 {
            fail!(Code::OutOfMemory, "one row of {} logits is more than this device can bind", config.vocab_size);
        }
        let scratch = Scratch::allocate(&mut backend, config, chunk, head_rows)?;
        // What cannot fit must fail before gigabytes of weights were read.
        room::check(checkpoint, &backend, options.format, (ctx_len, kind))?;
        let cache = kv::allocate(&mut backend, config, ctx_len, kind)?;
        let model = Transformer::load(checkpoint, &mut backend, options.format, (&scratch, &cache, chunk), progress).await?;
        let mut engine = Engine {
            rope: Rope::new(config),
            programs: Programs { layers: BTreeMap::new(), head: None, choices: BTreeMap::new() },
            planned: Vec::new(),
            cached: 0,
            factors: Factors::Short,
            latest: 0,
            ahead: None,
            sampler: None,
            backend,
            model,
            cache,
            scratch,
            ctx_len,
            chunk,
            head_rows,
        };
        engine.forbid(&[])?;
        engine.tune().await?;
        Ok(engine)
    }

    /// Has the backend time what it has variants of: a token through some layers, so many that their weights come from memory, and part
    /// of a prompt through one.
    async fn tune(&mut self) -> Result<()> {
        let one = self.model.record_some_layers(&self.scratch, &self.cache, 1, 4);
        let many = self.model.record_some_layers(&self.scratch, &self.cache, self.chunk.min(64), 1);
        self.backend.tune(Trials { one: &one, many: &many, after: self.scratch.step }).await
    }

    /// Gives the backend back, for another model. It still holds this one's buffers.
    pub fn into_backend(self) -> B {
        self.backend
    }

    /// What the backend found out when the model was loaded, to be kept for the next time.
    pub fn tuned(&self) -> Option<&str> {
        self.backend.tuned()
    }

    /// What the backend has been asked to do so far, where it counts.
    pub fn counters(&self) -> Option<Counters> {
        self.backend.counters()
    }

    /// What the backend's kernels have taken since this was last asked, where it times them.
    pub async fn take_kernels(&mut self) -> Result<Option<Vec<Kernel>>> {
        self.backend.take_kernels().await
    }

    /// What the backend's device does at best, where it times kernels.
    pub async fn peaks(&mut self) -> Result<Option<Peaks>> {
        self.backend.peaks().await
    }

    /// The model's numbers.
    pub fn config(&self) -> &Config {
        &self.model.config
    }

    /// Positions that the cache has room for.
    pub fn ctx_len(&self) -> usize {
        self.ctx_len
    }

    /// What computes.
    pub fn describe_backend(&self) -> String {
        self.backend.describe()
    }

    /// Bytes that decoding a token reads when the cache holds `cached` of them: every matrix but an embedding that is not the head's
    /// too (of that it reads one row), and the keys and values.
    pub fn decode_bytes(&self, cached: usize) -> u64 {
        let kind = self.cache.iter().flatten().next().map_or(KvKind::F16, |part| part.kind);
        self.model.decode_bytes() + kv::cache_bytes(self.config(), cached, kind)
    }

    /// Says which tokens the sequence should hold. What the cache has in common with them stays, the rest is to come.
    ///
    /// Where the new length asks for other LongRoPE factors than the cache was rotated with, nothing of it stays: deeper layers'
    /// keys and values depend on the factors through attention.
    ///
    /// # Errors
    /// `prompt-too-long`, `bad-token`, or `bad-option` for no tokens at all. The sequence is then as it was.
    pub fn plan(&mut self, tokens: &[u32]) -> Result<()> {
        if tokens.is_empty() {
            fail!(Code::BadOption, "there is nothing to compute: the prompt has no tokens");
        }
        if tokens.len() > self.ctx_len {
            fail!(
                Code::PromptTooLong,
                "the prompt has {} tokens and the context holds {}",
                tokens.len(),
                self.ctx_len;
                "shorten it or load with a longer context"
            );
        }
        let vocab_size = self.config().vocab_size;
        if let Some(bad) = tokens.iter().find(|&&id| id >= vocab_size) {
            fail!(Code::BadToken, "token id {bad} is outside the vocabulary of {vocab_size}");
        }
        self.leave_ahead();
        let factors = self.rope.factors(tokens.len());
        let common = self.planned[..self.cached].iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token always runs again: its hidden state is what the logits come from.
        self.cached = if factors == self.factors { common.min(tokens.len() - 1) } else { 0 };
        self.factors = factors;
        self.planned = tokens.to_vec();
        Ok(())
    }

    /// Appends one token to the plan.
    ///
    /// # Errors
    /// `context-full` when there is no room for it, `bad-token`.
    pub fn push(&mut self, token: u32) -> Result<()> {
        if self.planned.len() == self.ctx_len {
            fail!(Code::ContextFull, "the context of {} tokens is full", self.ctx_len; "load with a longer one or start anew");
        }
        if token >= self.config().vocab_size {
            fail!(Code::BadToken, "token id {token} is outside the vocabulary of {}", self.config().vocab_size);
        }
        self.planned.push(token);
        match &mut self.ahead {
            // The step that runs already is this token's.
            Some(ahead) if ahead.token == Some(token) => {
                ahead.token = None;
                self.cached += 1;
                self.latest = 1;
            }
            _ => self.leave_ahead(),
        }
        let factors = self.rope.factors(self.planned.len());
        if factors != self.factors {
            self.factors = factors;
            self.cached = 0;
        }
        Ok(())
    }

    /// The tokens of the plan.
    pub fn tokens(&self) -> &[u32] {
        &self.planned
    }

    /// How many planned tokens the cache does not hold yet.
    pub fn pending(&self) -> usize {
        self.planned.len() - self.cached
    }

    /// Takes the next chunk through the layers and answers how many tokens are still pending.
    pub async fn advance(&mut self) -> Result<usize> {
        let rows = self.pending().min(self.chunk);
        if rows == 0 {
            return Ok(0);
        }
        self.leave_ahead();
        self.write_step(rows)?;
        self.run_layers(rows).await?;
        self.cached += rows;
        self.latest = rows;
        if self.pending() > 0 {
            // Waiting here keeps a GPU's queue short, so that progress is true and stopping takes one chunk.
            self.backend.read(self.scratch.step, 0, &mut [0; 4]).await?;
        }
        Ok(self.pending())
    }

    async fn make_ready(&mut self, ops: Vec<Op>) -> Result<B::Program> {
        let program = self.backend.prepare(&ops)?;
        self.backend.ready().await?;
        Ok(program)
    }

    async fn run_layers(&mut self, rows: usize) -> Result<()> {
        let program = match self.programs.layers.remove(&rows) {
            Some(program) => program,
            None => self.make_ready(self.model.record_layers(&self.scratch, &self.cache, rows)).await?,
        };
        self.backend.run(&program)?;
        if rows == 1 || rows == self.chunk {
            self.programs.layers.insert(rows, program);
        }
        Ok(())
    }

    /// The logits after the last planned token, `[vocab_size]`. Works through what is pending first.
    pub async fn logits(&mut self) -> Result<Vec<f32>> {
        self.forget_ahead();
        while self.advance().await? > 0 {}
        let last = self.latest - 1;
        let program = match self.programs.head.take_if(|_| last == 0) {
            Some(program) => program,
            None => self.make_ready(self.model.record_head(&self.scratch, last, 1)).await?,
        };
        self.backend.run(&program)?;
        if last == 0 {
            self.programs.head = Some(program);
        }
        self.floats(self.scratch.logits, self.config().vocab_size as usize).await
    }

    /// Hands the logits of every row of the latest chunk to `sink`, with the row's position.
    pub async fn chunk_logits(&mut self, sink: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        let vocab = self.config().vocab_size as usize;
        let first_position = self.cached - self.latest;
        for first in (0..self.latest).step_by(self.head_rows) {
            let rows = self.head_rows.min(self.latest - first);
            let program = self.make_ready(self.model.record_head(&self.scratch, first, rows)).await?;
            self.backend.run(&program)?;
            let logits = self.floats(self.scratch.logits, rows * vocab).await?;
            logits.chunks_exact(vocab).enumerate().for_each(|(row, logits)| sink(first_position + first + row, logits));
        }
        Ok(())
    }

    /// The hidden states of a short sequence, `[tokens, hidden_size]` each: the embeddings, after every layer but the last, and
    /// after the final norm, which is what transformers calls `hidden_states`. For finding out where a difference begins.
    pub async fn hidden_states(&mut self, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
        self.plan(tokens)?;
        self.cached = 0;
        let rows = tokens.len();
        if rows > self.chunk {
            fail!(Code::BadOption, "hidden states can be had of {} tokens at once, not {rows}", self.chunk);
        }
        self.write_step(rows)?;
        let size = rows * self.config().hidden_size as usize;
        let mut states = Vec::new();
        for (ops, hidden) in self.model.record_layer_by_layer(&self.scratch, &self.cache, rows) {
            let program = self.make_ready(ops).await?;
            self.backend.run(&program)?;
            states.push(self.floats(hidden, size).await?);
        }
        // transformers shows the last layer's output only after the final norm.
        let after_norm = states.pop();
        states.pop();
        states.extend(after_norm);
        self.cached = rows;
        self.latest = rows;
        Ok(states)
    }

    fn write_step(&mut self, rows: usize) -> Result<()> {
        let pos = self.cached;
        self.backend.write(self.scratch.ids, 0, bytemuck::cast_slice(&self.planned[pos..pos + rows]))?;
        self.write_position(pos, rows)
    }

    fn write_position(&mut self, pos: usize, rows: usize) -> Result<()> {
        let angles = self.rope.angles(self.factors, pos, rows);
        self.backend.write(self.scratch.step, 0, bytemuck::bytes_of(&(pos as u32)))?;
        self.backend.write(self.scratch.angles, 0, bytemuck::cast_slice(&angles))
    }

    async fn floats(&mut self, buf: Buf, len: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0f32; len];
        self.backend.read(buf, 0, bytemuck::cast_slice_mut(&mut values)).await?;
        Ok(values)
    }
}
