//! How long a model would take to read and write, from a few of its layers: here, or on a backend
//! that does not hold it.

use super::{Engine, Sequence};
use crate::backend::Backend;
use crate::error::Result;
use crate::model::Transformer;
use crate::model::forward::Scratch;
use crate::model::kv::{self, LayerCache, Placed};
use crate::op::{self, Op, PAGE};
use crate::timing;

/// Tokens of a prompt that are timed at once: what backends multiply together.
const ROWS: usize = 64;
/// Tokens that are timed at once where [`ROWS`] would take too long.
const FEWEST_ROWS: usize = 8;
/// Layers that a token is taken through here.
const LAYERS: usize = 4;
/// Bytes of the layers that stand for a model's elsewhere: so many come from memory, and not from a
/// cache.
const LAYER_BYTES: u64 = 64 << 20;
/// Bytes of the rows that stand for its head's.
const HEAD_BYTES: u64 = 32 << 20;
/// Positions that there is room for there.
const CTX_LEN: usize = 1024;

/// Seconds that part of a prompt may take in one layer.
const LONG: f64 = 0.5;

/// How much to read, and then to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of a prompt.
    pub read: usize,
    /// Tokens of the answer.
    pub written: usize,
}

/// What is timed, and where.
struct Sample<'a, B> {
    backend: &'a mut B,
    model: &'a Transformer,
    scratch: &'a Scratch,
    cache: &'a [LayerCache],
    placed: Placed,
    ctx_len: usize,
    rows: usize,
    layers: usize,
}

impl<B: Backend> Engine<B> {
    /// Seconds that this would take, from a few layers and the head, in pages of a sequence. What
    /// it held is forgotten.
    ///
    /// # Errors
    /// What running can meet.
    pub async fn estimate(&mut self, sequence: &mut Sequence, tokens: Tokens) -> Result<f64> {
        self.check_own(sequence)?;
        self.leave_ahead();
        (self.latest, sequence.cached) = (None, 0);
        let rows = ROWS.min(self.chunk).min(sequence.ctx_len());
        let longest = (tokens.read + tokens.written).max(rows).min(sequence.ctx_len());
        self.make_writable(sequence, 0, longest)?;
        let (placed, ctx_len) = (sequence.placed(), longest);
        let (model, layers) = (&self.model, LAYERS.min(self.cache.len()));
        let (scratch, cache) = (&self.scratch, &self.cache);
        let backend = &mut self.backend;
        Sample { backend, model, scratch, cache, placed, ctx_len, rows, layers }
            .seconds(&self.model, tokens)
            .await
    }

    /// Seconds that this would take if another backend held the model. It gets as much of it as no
    /// cache holds, without its values.
    ///
    /// # Errors
    /// As [`Engine::estimate`], and `out-of-memory`.
    pub async fn estimate_on<C: Backend>(&self, mut backend: C, tokens: Tokens) -> Result<f64> {
        let (layer_bytes, row_bytes) = self.model.sizes();
        let layers = ((LAYER_BYTES + layer_bytes / 2) / layer_bytes.max(1))
            .clamp(1, self.cache.len() as u64) as usize;
        let vocab_size =
            (HEAD_BYTES / row_bytes.max(1)).clamp(1, u64::from(self.config().vocab_size)) as u32;
        let model = self.model.alike(&mut backend, layers, vocab_size)?;
        let (kind, rows) = (self.kind, ROWS.min(self.chunk));
        let ctx_len = CTX_LEN.min(self.ctx_len).max(rows);
        let pages = kv::pages(kind, ctx_len);
        let cache = kv::allocate(&mut backend, &model.config, pages, kind)?;
        let step = op::step_words(kind, pages as u32);
        let scratch = Scratch::allocate(&mut backend, &model.config, (rows, 1), step)?;
        let sample = Sample {
            backend: &mut backend,
            model: &model,
            scratch: &scratch,
            cache: &cache,
            placed: Placed::alone(kind, ctx_len),
            ctx_len,
            rows,
            layers,
        };
        sample.seconds(&self.model, tokens).await
    }
}

impl<B: Backend> Sample<'_, B> {
    /// Seconds that the whole model would take.
    async fn seconds(
        mut self,
        whole: &Transformer,
        Tokens { read, written }: Tokens,
    ) -> Result<f64> {
        let Sample { model, scratch, cache, rows, layers, .. } = self;
        let choice = Op::Argmax(op::Argmax {
            x: scratch.logits,
            allowed: scratch.allowed,
            out: scratch.ids,
            width: model.config.vocab_size,
        });
        let mut head = model.record_head(scratch, 0, 1);
        head.push(choice);
        let one = self
            .time(read + written / 2, 1, &model.record_some_layers(scratch, cache, 1, layers))
            .await?
            / layers as f64;
        let head = self.time(0, 1, &head).await?;
        // At worst, as many take as many times as long: fewer on a slow device.
        let rows = ((LONG / one.max(1e-6)) as usize).clamp(FEWEST_ROWS.min(rows), rows);
        let many =
            self.time(read / 2, rows, &model.record_some_layers(scratch, cache, rows, 1)).await?;
        let all = f64::from(whole.config.num_hidden_layers);
        let head = head * f64::from(whole.config.vocab_size) / f64::from(model.config.vocab_size);
        Ok(read as f64 * many * all / rows as f64 + written as f64 * (one * all + head))
    }

    /// Seconds that a list over `rows` tokens takes at a position, or at the last that there is
    /// room for.
    async fn time(&mut self, position: usize, rows: usize, ops: &[Op]) -> Result<f64> {
        // Many rows are in a page of their own.
        let page = (self.ctx_len - rows).min(position) / PAGE as usize * PAGE as usize;
        self.scratch.write_step(self.backend, page, &self.placed)?;
        timing::seconds(self.backend, ops, self.scratch.step).await
    }
}
