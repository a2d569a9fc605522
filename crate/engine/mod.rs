//! Token ids in, logits out; knows no text.
//!
//! An engine is told which tokens a [`Sequence`] should hold ([`Engine::plan`]), works towards that
//! a chunk at a time ([`Engine::advance`]) and then has the logits. Whoever drives it may stop
//! between any two calls, or go on with another sequence: the cache stays true.

mod choice;
mod estimate;
mod hidden;
mod log_probs;
mod paging;
mod prefix_store;
mod room;
mod scoring;
mod sequence;

use std::collections::BTreeMap;

pub use choice::SampleOptions;
pub use estimate::Tokens;
pub use log_probs::{LogProbs, MOST_PROBABLE};
pub use prefix_store::{Doing, Key, NewPage, PrefixStore};
pub use sequence::Sequence;

use crate::backend::{Backend, Counters, Trials};
use crate::error::{Code, Result, fail};
use crate::layout::Kind;
use crate::model::Transformer;
use crate::model::forward::Scratch;
use crate::model::kv::{self, LayerCache, Placed};
use crate::model::pages::Pages;
use crate::model::rope::RopeFrequencies;
use crate::op::{KvKind, Op, PAGE, step_words};
use crate::profile::{Kernel, Peaks};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::config::Config;
use crate::weights::format::WeightFormat;
use crate::weights::source::Source;
use choice::{LookAhead, Masks, Mode, Sampler};
use scoring::Told;
use sequence::SequenceId;

/// Rows of logits computed at once: a row of Phi-4-mini's is 800 KB.
const HEAD_ROWS: usize = 4;

/// How to hold a model.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// How weights are held.
    pub format: WeightFormat,
    /// Positions to allocate; `None` for the model's own, at most 4096.
    pub ctx_len: Option<usize>,
    /// How keys and values are held; `None` for int8, or f32 with 32-bit weights.
    pub kv: Option<KvKind>,
}

/// A loaded model, and a cache for sequences.
pub struct Engine<B: Backend> {
    backend: B,
    model: Transformer,
    rope: RopeFrequencies,
    cache: Vec<LayerCache>,
    kind: KvKind,
    pages: Pages,
    scratch: Scratch,
    ctx_len: usize,
    chunk: usize,
    head_rows: usize,
    programs: Programs<B::Program>,
    latest: Option<Latest>,
    ahead: Option<LookAhead<B::Readback>>,
    sampler: Option<Sampler>,
    told: Option<Told>,
    masks: Masks,
}

/// The latest rows, of one sequence, that went through the layers, which `scratch.x` still holds.
struct Latest {
    of: SequenceId,
    rows: usize,
    /// The position after them.
    end: usize,
}

/// Programs that come again and again: whole chunks and single tokens.
struct Programs<P> {
    layers: BTreeMap<usize, P>,
    head: Option<P>,
    choices: BTreeMap<Mode, P>,
}

impl<B: Backend> Engine<B> {
    /// Reads a checkpoint's weights into a backend. `progress` hears of every few bytes read.
    ///
    /// # Errors
    /// What reading can meet, `bad-option` for a context that the model or device cannot hold,
    /// `out-of-memory`.
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
            fail!(
                Code::BadOption,
                "a context of {ctx_len} tokens was asked for; this model knows 1 to {longest}"
            );
        }
        let kind = options.kv.unwrap_or(if options.format.floats == Kind::F32 {
            KvKind::F32
        } else {
            KvKind::Int8
        });
        let limits = backend.limits();
        let fits = |width: u32| (limits.max_buffer / (u64::from(width) * 4)) as usize;
        let chunk = limits.chunk.min(ctx_len).min(fits(2 * config.intermediate_size));
        let head_rows = HEAD_ROWS.min(chunk).min(fits(config.vocab_size));
        if head_rows == 0 {
            fail!(
                Code::OutOfMemory,
                "one row of {} logits is more than this device can bind",
                config.vocab_size
            );
        }
        let pages = kv::pages(kind, ctx_len);
        let step = step_words(kind, pages as u32);
        let scratch = Scratch::allocate(&mut backend, config, (chunk, head_rows), step)?;
        // What cannot fit must fail before gigabytes of weights were read.
        room::check(checkpoint, &backend, options.format, (ctx_len, kind))?;
        let cache = kv::allocate(&mut backend, config, pages, kind)?;
        let model = Transformer::load(
            checkpoint,
            &mut backend,
            options.format,
            (&scratch, &cache, chunk),
            progress,
        )
        .await?;
        let mut engine = Engine {
            rope: RopeFrequencies::new(config),
            programs: Programs { layers: BTreeMap::new(), head: None, choices: BTreeMap::new() },
            pages: Pages::new(kind, ctx_len),
            latest: None,
            ahead: None,
            sampler: None,
            told: None,
            masks: Masks::default(),
            backend,
            model,
            cache,
            kind,
            scratch,
            ctx_len,
            chunk,
            head_rows,
        };
        engine.forbid(&[])?;
        let alone = Placed::alone(kind, ctx_len);
        engine.scratch.write_step(&mut engine.backend, 0, &alone)?;
        engine.tune().await?;
        Ok(engine)
    }

    /// Has the backend time what it has variants of: a token through some layers, so many that
    /// their weights come from memory, and part of a prompt through one.
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

    /// Tokens of the longest sequence; of all of them, in whole pages, the cache has no more.
    pub fn ctx_len(&self) -> usize {
        self.ctx_len
    }

    /// What computes.
    pub fn describe_backend(&self) -> String {
        self.backend.describe()
    }

    /// Bytes that decoding a token reads when the cache holds `cached` of them: every matrix but an
    /// embedding that is not the head's too (of that it reads one row), and the keys and values.
    pub fn decode_bytes(&self, cached: usize) -> u64 {
        self.model.decode_bytes() + kv::cache_bytes(self.config(), cached, self.kind)
    }

    /// Takes a sequence's next chunk through the layers and answers how many tokens are still
    /// pending.
    pub async fn advance(&mut self, sequence: &mut Sequence) -> Result<usize> {
        self.check_own(sequence)?;
        let rows = self.rows_at_once(sequence);
        if rows == 0 {
            return Ok(0);
        }
        self.leave_ahead();
        self.write_step(sequence, rows)?;
        self.run_layers(rows).await?;
        self.note_cached(sequence, rows);
        self.note_latest(sequence, rows, sequence.cached);
        if sequence.pending() > 0 {
            // Waiting here keeps a GPU's queue short, so that progress is true and stopping takes
            // one chunk.
            self.backend.read(self.scratch.step, 0, &mut [0; 4]).await?;
        }
        Ok(sequence.pending())
    }

    /// As many pending tokens as a chunk has. Where pages are sealed, it does not begin in the
    /// middle of one and go on in the next.
    fn rows_at_once(&self, sequence: &Sequence) -> usize {
        let (page, rows) = (PAGE as usize, sequence.pending().min(self.chunk));
        let in_page = sequence.cached % page;
        let is_apart = in_page > 0 || self.chunk < page;
        if self.kind.code_bits().is_some() && is_apart { rows.min(page - in_page) } else { rows }
    }

    /// Takes all that is pending through the layers, and does not wait for the last of it.
    pub async fn catch_up(&mut self, sequence: &mut Sequence) -> Result<()> {
        while self.advance(sequence).await? > 0 {}
        self.backend.submit();
        Ok(())
    }

    fn note_latest(&mut self, sequence: &Sequence, rows: usize, end: usize) {
        self.latest = Some(Latest { of: sequence.id(), rows, end });
    }

    /// The rows of `scratch.x`, if they end with the last that the cache holds of a sequence.
    fn latest_rows(&self, sequence: &Sequence) -> Option<usize> {
        let latest = self.latest.as_ref()?;
        (latest.end == sequence.cached && sequence.is(&latest.of)).then_some(latest.rows)
    }

    /// Works through what is pending, so that `scratch.x` ends with the last planned token; the row
    /// that is its.
    async fn reach_end(&mut self, sequence: &mut Sequence) -> Result<usize> {
        if sequence.planned.is_empty() {
            fail!(Code::BadOption, "there is nothing to compute: the sequence has no tokens");
        }
        // What another sequence, or a step ahead that was left, has overwritten is computed again.
        if sequence.pending() == 0 && self.latest_rows(sequence).is_none() {
            let last = sequence.cached - 1;
            sequence.go_back(self.kind, last);
        }
        while self.advance(sequence).await? > 0 {}
        Ok(self.latest_rows(sequence).unwrap_or(1) - 1)
    }

    async fn make_ready(&mut self, ops: Vec<Op>) -> Result<B::Program> {
        let program = self.backend.prepare(&ops)?;
        self.backend.ready().await?;
        Ok(program)
    }

    async fn run_layers(&mut self, rows: usize) -> Result<()> {
        let program = match self.programs.layers.remove(&rows) {
            Some(program) => program,
            None => {
                self.make_ready(self.model.record_layers(&self.scratch, &self.cache, rows)).await?
            }
        };
        self.backend.run(&program)?;
        if rows == 1 || rows == self.chunk {
            self.programs.layers.insert(rows, program);
        }
        Ok(())
    }

    /// The logits after a sequence's last planned token, `[vocab_size]`. Works through what is
    /// pending first.
    pub async fn logits(&mut self, sequence: &mut Sequence) -> Result<Vec<f32>> {
        self.leave_ahead();
        let last = self.reach_end(sequence).await?;
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

    /// Hands the logits of every row of the chunk that [`Engine::advance`] has just taken to
    /// `sink`, with the row's position.
    pub async fn chunk_logits(
        &mut self,
        sequence: &Sequence,
        sink: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        let vocab = self.config().vocab_size as usize;
        let mut position = sequence.cached - self.latest_rows(sequence).unwrap_or(0);
        while position < sequence.cached {
            let logits = self.logits_from(sequence, position, usize::MAX).await?;
            for row in logits.chunks_exact(vocab) {
                sink(position, row);
                position += 1;
            }
        }
        Ok(())
    }

    /// The logits of some rows from a position on, `[rows, vocab_size]`: as many as are computed at
    /// once, and at most so many. None where the chunk that [`Engine::advance`] has just taken does
    /// not have that position.
    pub async fn logits_from(
        &mut self,
        sequence: &Sequence,
        position: usize,
        most: usize,
    ) -> Result<Vec<f32>> {
        let (begin, rows) = self.rows_from(sequence, position, most);
        if rows == 0 {
            return Ok(Vec::new());
        }
        let program = self.make_ready(self.model.record_head(&self.scratch, begin, rows)).await?;
        self.backend.run(&program)?;
        self.floats(self.scratch.logits, rows * self.config().vocab_size as usize).await
    }

    /// Which row of `scratch.x` is a position's, and how many from it on can be computed at once.
    fn rows_from(&self, sequence: &Sequence, position: usize, most: usize) -> (usize, usize) {
        let begin = sequence.cached - self.latest_rows(sequence).unwrap_or(0);
        let rows = self.head_rows.min(most).min(sequence.cached.saturating_sub(position));
        position.checked_sub(begin).map_or((0, 0), |row| (row, rows))
    }

    fn write_step(&mut self, sequence: &mut Sequence, rows: usize) -> Result<()> {
        let position = sequence.cached;
        self.backend.write(
            self.scratch.ids,
            0,
            bytemuck::cast_slice(&sequence.planned[position..position + rows]),
        )?;
        self.write_start(sequence, position, rows)
    }

    /// Says where some rows are, in pages that the sequence may write to.
    fn write_start(&mut self, sequence: &mut Sequence, position: usize, rows: usize) -> Result<()> {
        self.make_writable(sequence, position, rows)?;
        let angles = self.rope.angles(sequence.factors, position, rows);
        self.scratch.write_step(&mut self.backend, position, &sequence.placed())?;
        self.backend.write(self.scratch.angles, 0, bytemuck::cast_slice(&angles))
    }
}
