//! Phi-3 and Phi-4-mini's forward pass, which is Llama's too: what a checkpoint's tensors become, and the list of ops that turns
//! token ids into hidden states and hidden states into logits.

use std::sync::Arc;

use super::kv::LayerCache;
use crate::backend::Backend;
use crate::error::Result;
use crate::op::{Buf, Matrix, Op};
use crate::weights::checkpoint::Checkpoint;
use crate::weights::checkpoint::WeightFormat;
use crate::weights::config::{AttentionBias, Config, EMBED_TOKENS, LM_HEAD, NORM, layer_bias, layer_tensor};
use crate::weights::filler;
use crate::weights::load::ONE;
use crate::weights::source::Source;

/// A model's weights, where a backend holds them.
#[derive(Debug)]
pub struct Phi {
    /// The numbers.
    pub config: Config,
    embedding: Arc<Matrix>, // [vocab_size, hidden_size]
    layers: Vec<Layer>,
    norm: Buf,         // [hidden_size]
    head: Arc<Matrix>, // [vocab_size, hidden_size], the embedding itself when they are tied
}

#[derive(Debug)]
struct Layer {
    input_norm: Buf,               // [hidden_size]
    qkv: Arc<Matrix>,              // [(n_heads + 2 * n_kv_heads) * head_dim, hidden_size]
    qkv_bias: Option<Arc<Matrix>>, // [(n_heads + 2 * n_kv_heads) * head_dim, 32]
    o: Arc<Matrix>,                // [hidden_size, n_heads * head_dim]
    o_bias: Option<Arc<Matrix>>,   // [hidden_size, 32]
    post_norm: Buf,                // [hidden_size]
    gate_up: Arc<Matrix>,          // [2 * intermediate_size, hidden_size]
    down: Arc<Matrix>,             // [hidden_size, intermediate_size]
}

impl Layer {
    /// Bytes of its matrices.
    fn bytes(&self) -> u64 {
        [&self.qkv, &self.o, &self.gate_up, &self.down].iter().map(|matrix| matrix.bytes()).sum()
    }
}

/// Buffers that a step works in, each with room for the largest chunk.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// `[rows]`, token ids, u32.
    pub ids: Buf,
    /// One u32: the position of the chunk's first row.
    pub step: Buf,
    /// `[rows, rotary_dim]`.
    pub angles: Buf,
    /// `[rows, hidden_size]`: the residual stream.
    pub x: Buf,
    h: Buf,         // [rows, hidden_size]
    qkv: Buf,       // [rows, qkv_width]
    attended: Buf,  // [rows, q_width]
    gate_up: Buf,   // [rows, 2 * intermediate_size]
    activated: Buf, // [rows, intermediate_size]
    /// `[rows, 32]`, a one and zeros in each row: what biases are multiplied with, where there are any.
    ones: Option<Buf>,
    /// `[head_rows, vocab_size]`.
    pub logits: Buf,
    /// `[vocab_size / 32]`: the tokens that may be chosen.
    pub allowed: Buf,
}

impl Scratch {
    /// Buffers for chunks of up to `rows` tokens, and logits of up to `head_rows` of them at once.
    pub fn allocate<B: Backend>(backend: &mut B, config: &Config, rows: usize, head_rows: usize) -> Result<Scratch> {
        let heads = config.heads();
        let ones = if config.attention_bias == AttentionBias::default() { None } else { Some(ones(backend, rows)?) };
        let mut floats = |what: &str, rows: usize, width: u32| backend.alloc(what, (rows * width as usize * 4) as u64);
        Ok(Scratch {
            ones,
            ids: floats("token ids", rows, 1)?,
            step: floats("position", 1, 1)?,
            angles: floats("rotary angles", rows, config.rotary_dim.max(1))?,
            x: floats("hidden states", rows, config.hidden_size)?,
            h: floats("normed hidden states", rows, config.hidden_size)?,
            qkv: floats("queries, keys and values", rows, heads.qkv_width())?,
            attended: floats("attention output", rows, heads.q_width())?,
            gate_up: floats("gate and up", rows, 2 * config.intermediate_size)?,
            activated: floats("activated gate", rows, config.intermediate_size)?,
            logits: floats("logits", head_rows, config.vocab_size)?,
            allowed: floats("allowed tokens", 1, config.vocab_size.div_ceil(32))?,
        })
    }
}

impl Phi {
    /// Reads the weights, layer by layer, straight into the backend. `progress` hears of every few bytes read from the source.
    ///
    /// Once a layer is there the backend is shown how it is computed, a token and `rows` of them at once: all others are alike, and what has
    /// to be compiled can be while they are read.
    pub async fn load<S: Source, B: Backend>(
        checkpoint: &Checkpoint<S>,
        backend: &mut B,
        format: WeightFormat,
        (scratch, cache, rows): (&Scratch, &[LayerCache], usize),
        progress: &mut dyn FnMut(u64),
    ) -> Result<Phi> {
        let config = checkpoint.config.clone();
        let hidden = config.hidden_size as usize;
        let (vocab, inter) = (config.vocab_size as usize, config.intermediate_size as usize);
        let (qkv_width, q_width) = (config.heads().qkv_width() as usize, config.heads().q_width() as usize);

        let embedding = checkpoint.matrix(backend, EMBED_TOKENS, [vocab, hidden], format, progress).await?;
        let mut layers = Vec::new();
        for index in 0..config.num_hidden_layers {
            let name = |tensor: &str| layer_tensor(index, tensor);
            let has = config.attention_bias;
            let qkv_bias = has.qkv.then_some(("self_attn.qkv_proj", qkv_width));
            let o_bias = has.o.then_some(("self_attn.o_proj", hidden));
            layers.push(Layer {
                input_norm: vector(checkpoint, backend, &name("input_layernorm"), hidden).await?,
                qkv: checkpoint.matrix(backend, &name("self_attn.qkv_proj"), [qkv_width, hidden], format, progress).await?,
                qkv_bias: bias(checkpoint, backend, index, qkv_bias).await?,
                o: checkpoint.matrix(backend, &name("self_attn.o_proj"), [hidden, q_width], format, progress).await?,
                o_bias: bias(checkpoint, backend, index, o_bias).await?,
                post_norm: vector(checkpoint, backend, &name("post_attention_layernorm"), hidden).await?,
                gate_up: checkpoint.matrix(backend, &name("mlp.gate_up_proj"), [2 * inter, hidden], format, progress).await?,
                down: checkpoint.matrix(backend, &name("mlp.down_proj"), [hidden, inter], format, progress).await?,
            });
            if let ([layer], Some(cache)) = (&layers[..], cache.first()) {
                for rows in [1, rows] {
                    backend.prepare(&Recorder::new(&config, rows).layer(layer, scratch, cache))?;
                }
            }
        }
        let norm = vector(checkpoint, backend, NORM, hidden).await?;
        let head = if config.tie_word_embeddings {
            embedding.clone()
        } else {
            checkpoint.matrix(backend, LM_HEAD, [vocab, hidden], format, progress).await?
        };
        Ok(Phi { config, embedding, layers, norm, head })
    }

    /// The first so many layers, and the head's first so many rows, on another backend: matrices of the same sizes and kinds, of which the
    /// values mean nothing.
    pub fn alike<B: Backend>(&self, backend: &mut B, layers: usize, vocab_size: u32) -> Result<Phi> {
        let config = Config { num_hidden_layers: layers as u32, vocab_size, ..self.config.clone() };
        let head = filler::matrix(backend, self.head.kind, vocab_size, self.head.cols)?;
        let mut alike = Vec::new();
        for layer in self.layers.iter().take(layers) {
            let mut matrix = |of: &Matrix| filler::matrix(backend, of.kind, of.rows, of.cols);
            alike.push(Layer {
                qkv: matrix(&layer.qkv)?,
                qkv_bias: layer.qkv_bias.as_deref().map(&mut matrix).transpose()?,
                o: matrix(&layer.o)?,
                o_bias: layer.o_bias.as_deref().map(&mut matrix).transpose()?,
                gate_up: matrix(&layer.gate_up)?,
                down: matrix(&layer.down)?,
                input_norm: filler::vector(backend, config.hidden_size)?,
                post_norm: filler::vector(backend, config.hidden_size)?,
            });
        }
        let norm = filler::vector(backend, config.hidden_size)?;
        Ok(Phi { config, embedding: head.clone(), layers: alike, norm, head })
    }

    /// Bytes of a layer's weights, and of a row of the head's.
    pub fn sizes(&self) -> (u64, u64) {
        let layer = self.layers.first().map_or(0, Layer::bytes);
        (layer, self.head.bytes() / u64::from(self.head.rows))
    }

    /// Bytes of the weights that each decoded token reads.
    pub fn decode_bytes(&self) -> u64 {
        self.layers.iter().map(Layer::bytes).sum::<u64>() + self.head.bytes()
    }

    /// The ops that take `rows` token ids through all layers: `scratch.ids` to `scratch.x`.
    pub fn record_layers(&self, scratch: &Scratch, cache: &[LayerCache], rows: usize) -> Vec<Op> {
        self.record_some_layers(scratch, cache, rows, self.layers.len())
    }

    /// The same through the first `count` layers.
    pub fn record_some_layers(&self, scratch: &Scratch, cache: &[LayerCache], rows: usize, count: usize) -> Vec<Op> {
        let mut ops = self.record_embedding(scratch, rows);
        for (layer, cache) in self.layers.iter().zip(cache).take(count) {
            ops.extend(self.recorder(rows).layer(layer, scratch, cache));
        }
        ops
    }

    /// The same and the final norm, cut at the layers' borders: each piece with the buffer that then holds the hidden states.
    pub fn record_layer_by_layer(&self, scratch: &Scratch, cache: &[LayerCache], rows: usize) -> Vec<(Vec<Op>, Buf)> {
        let mut pieces = vec![(self.record_embedding(scratch, rows), scratch.x)];
        for (layer, cache) in self.layers.iter().zip(cache) {
            pieces.push((self.recorder(rows).layer(layer, scratch, cache), scratch.x));
        }
        let mut last = self.recorder(rows);
        let normed = last.norm(scratch.x, self.norm, scratch.h, 0);
        pieces.push((last.ops, normed));
        pieces
    }

    /// The ops that turn rows `first_row ..` of `scratch.x` into `rows` rows of logits.
    pub fn record_head(&self, scratch: &Scratch, first_row: usize, rows: usize) -> Vec<Op> {
        let mut r = self.recorder(rows);
        let h = r.norm(scratch.x, self.norm, scratch.h, first_row); // [rows, hidden_size]
        r.matmul(&self.head, h, scratch.logits); // [rows, vocab_size]
        r.ops
    }

    fn record_embedding(&self, scratch: &Scratch, rows: usize) -> Vec<Op> {
        vec![Op::Embed { table: self.embedding.clone(), ids: scratch.ids, out: scratch.x, rows: rows as u32 }]
    }

    fn recorder(&self, rows: usize) -> Recorder<'_> {
        Recorder::new(&self.config, rows)
    }
}

async fn vector<S: Source, B: Backend>(checkpoint: &Checkpoint<S>, backend: &mut B, name: &str, len: usize) -> Result<Buf> {
    let values = checkpoint.vector(name, len).await?;
    let buf = backend.alloc(name, (len * 4) as u64)?;
    backend.write(buf, 0, bytemuck::cast_slice(&values))?;
    Ok(buf)
}

/// The bias of a layer's tensor of that name and width, if there is one.
async fn bias<S: Source, B: Backend>(
    checkpoint: &Checkpoint<S>,
    backend: &mut B,
    layer: u32,
    of: Option<(&str, usize)>,
) -> Result<Option<Arc<Matrix>>> {
    let Some((tensor, len)) = of else { return Ok(None) };
    checkpoint.bias(backend, &layer_bias(layer, tensor), len).await.map(Some)
}

/// `[rows, 32]`: what biases are multiplied with.
fn ones<B: Backend>(backend: &mut B, rows: usize) -> Result<Buf> {
    let ones = ONE.repeat(rows);
    let buf = backend.alloc("what biases are multiplied with", (ones.len() * 4) as u64)?;
    backend.write(buf, 0, bytemuck::cast_slice(&ones))?;
    Ok(buf)
}

/// Writes ops down; every method answers with the buffer that holds its result.
struct Recorder<'a> {
    config: &'a Config,
    rows: u32,
    ops: Vec<Op>,
}

impl<'a> Recorder<'a> {
    fn new(config: &'a Config, rows: usize) -> Recorder<'a> {
        Recorder { config, rows: rows as u32, ops: Vec::new() }
    }

    fn layer(mut self, layer: &Layer, scratch: &Scratch, cache: &LayerCache) -> Vec<Op> {
        let r = &mut self;
        let x = scratch.x; // [rows, hidden_size]

        let h = r.norm(x, layer.input_norm, scratch.h, 0); // [rows, hidden_size]
        let qkv = r.matmul(&layer.qkv, h, scratch.qkv); // [rows, (n_heads + 2 * n_kv_heads) * head_dim]
        r.add(&layer.qkv_bias, scratch, qkv);
        let attended = r.attend(qkv, scratch, cache); // [rows, n_heads * head_dim]
        r.matmul_add(&layer.o, attended, x); // [rows, hidden_size]
        r.add(&layer.o_bias, scratch, x);

        let h = r.norm(x, layer.post_norm, scratch.h, 0); // [rows, hidden_size]
        let gate_up = r.matmul(&layer.gate_up, h, scratch.gate_up); // [rows, 2 * intermediate_size]
        let activated = r.swiglu(gate_up, scratch.activated); // [rows, intermediate_size]
        r.matmul_add(&layer.down, activated, x); // [rows, hidden_size]
        self.ops
    }

    fn norm(&mut self, x: Buf, weight: Buf, out: Buf, first_row: usize) -> Buf {
        let (width, eps_bits) = (self.config.hidden_size, self.config.rms_norm_eps.to_bits());
        self.ops.push(Op::Norm { x, weight, out, first_row: first_row as u32, rows: self.rows, width, eps_bits });
        out
    }

    fn matmul(&mut self, w: &Arc<Matrix>, x: Buf, out: Buf) -> Buf {
        self.ops.push(Op::Matmul { w: w.clone(), x, out, rows: self.rows, add: false });
        out
    }

    fn matmul_add(&mut self, w: &Arc<Matrix>, x: Buf, out: Buf) {
        self.ops.push(Op::Matmul { w: w.clone(), x, out, rows: self.rows, add: true });
    }

    /// Adds a bias, where there is one, to every row.
    fn add(&mut self, bias: &Option<Arc<Matrix>>, scratch: &Scratch, out: Buf) {
        if let (Some(bias), Some(ones)) = (bias, scratch.ones) {
            self.matmul_add(bias, ones, out);
        }
    }

    /// Rotates and remembers, then attends: every part of the cache serves its own heads.
    fn attend(&mut self, qkv: Buf, scratch: &Scratch, cache: &LayerCache) -> Buf {
        let (heads, rows, step) = (self.config.heads(), self.rows, scratch.step);
        let rotary_dim = self.config.rotary_dim;
        let window = self.config.sliding_window.unwrap_or(u32::MAX);
        for &cache in cache {
            self.ops.push(Op::Rope { qkv, angles: scratch.angles, step, cache, heads, rotary_dim, rows });
            self.ops.push(Op::Attend { qkv, step, cache, out: scratch.attended, heads, window, rows });
        }
        scratch.attended
    }

    fn swiglu(&mut self, gate_up: Buf, out: Buf) -> Buf {
        self.ops.push(Op::Swiglu { gate_up, out, width: self.config.intermediate_size, rows: self.rows });
        out
    }
}
