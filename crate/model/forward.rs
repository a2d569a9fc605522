//! The forward pass: the list of ops that takes hidden states through a layer, and what they work
//! in.

use std::sync::Arc;

use super::kv::{LayerCache, Placed};
use super::layer::Layer;
use crate::backend::Backend;
use crate::error::Result;
use crate::op::{self, Buf, Matrix, Op, PAGE};
use crate::weights::config::{AttentionBias, Config};
use crate::weights::load::ONE;

/// Buffers that a step works in, each with room for the largest chunk.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// `[rows]`, token ids, u32.
    pub ids: Buf,
    /// Where the chunk's rows are, see [`op::step_words`].
    pub step: Buf,
    /// `[rows, rotary_dim]`.
    pub angles: Buf,
    /// `[rows, hidden_size]`: the residual stream.
    pub x: Buf,
    pub(super) h: Buf, // [rows, hidden_size]
    qkv: Buf,          // [rows, qkv_width]
    attended: Buf,     // [rows, q_width]
    gate_up: Buf,      // [rows, 2 * intermediate_size]
    activated: Buf,    // [rows, intermediate_size]
    /// `[rows, 32]`, a one and zeros in each row: what biases are multiplied with, where there are
    /// any.
    ones: Option<Buf>,
    /// `[head_rows, vocab_size]`.
    pub logits: Buf,
    /// `[vocab_size / 32]`: the tokens that may be chosen.
    pub allowed: Buf,
}

impl Scratch {
    /// Buffers for chunks of up to `rows` tokens, and logits of up to `head_rows` of them at once,
    /// and steps of so many words.
    pub fn allocate<B: Backend>(
        backend: &mut B,
        config: &Config,
        (rows, head_rows): (usize, usize),
        step: u32,
    ) -> Result<Scratch> {
        let heads = config.heads();
        let ones = if config.attention_bias == AttentionBias::default() {
            None
        } else {
            Some(ones(backend, rows)?)
        };
        let mut floats = |what: &str, rows: usize, width: u32| {
            backend.alloc(what, (rows * width as usize * 4) as u64)
        };
        Ok(Scratch {
            ones,
            ids: floats("token ids", rows, 1)?,
            step: floats("position and pages", 1, step)?,
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

    /// Says at which position the next chunk's first row is, and where the sequence is.
    pub fn write_step<B: Backend>(
        &self,
        backend: &mut B,
        position: usize,
        placed: &Placed,
    ) -> Result<()> {
        backend.write(self.step, 0, bytemuck::cast_slice(&placed.step(position)))
    }
}

/// `[rows, 32]`: what biases are multiplied with.
fn ones<B: Backend>(backend: &mut B, rows: usize) -> Result<Buf> {
    let ones = ONE.repeat(rows);
    let buf = backend.alloc("what biases are multiplied with", (ones.len() * 4) as u64)?;
    backend.write(buf, 0, bytemuck::cast_slice(&ones))?;
    Ok(buf)
}

/// Writes ops down; every method answers with the buffer that holds its result.
pub(super) struct Recorder<'a> {
    config: &'a Config,
    rows: u32,
    pub ops: Vec<Op>,
}

impl<'a> Recorder<'a> {
    pub fn new(config: &'a Config, rows: usize) -> Recorder<'a> {
        Recorder { config, rows: rows as u32, ops: Vec::new() }
    }

    pub fn layer(mut self, layer: &Layer, scratch: &Scratch, cache: &LayerCache) -> Vec<Op> {
        let r = &mut self;
        let x = scratch.x; // [rows, hidden_size]

        let h = r.norm(x, layer.input_norm, scratch.h, 0); // [rows, hidden_size]
        // [rows, (n_heads + 2 * n_kv_heads) * head_dim]
        let qkv = r.matmul(&layer.qkv, h, scratch.qkv);
        r.add(&layer.qkv_bias, scratch, qkv);
        r.norm_heads(layer.head_norms, qkv);
        let attended = r.attend(qkv, layer.window, scratch, cache); // [rows, n_heads * head_dim]
        r.matmul_add(&layer.output, attended, x); // [rows, hidden_size]
        r.add(&layer.output_bias, scratch, x);

        let h = r.norm(x, layer.post_norm, scratch.h, 0); // [rows, hidden_size]
        let gate_up = r.matmul(&layer.gate_up, h, scratch.gate_up); // [rows, 2 * intermediate_size]
        let activated = r.swiglu(gate_up, scratch.activated); // [rows, intermediate_size]
        r.matmul_add(&layer.down, activated, x); // [rows, hidden_size]
        self.ops
    }

    pub fn norm(&mut self, x: Buf, weight: Buf, out: Buf, first_row: usize) -> Buf {
        let (width, eps_bits) = (self.config.hidden_size, self.config.rms_norm_eps.to_bits());
        self.ops.push(Op::Norm(op::Norm {
            x,
            weight,
            out,
            first_row: first_row as u32,
            rows: self.rows,
            width,
            eps_bits,
        }));
        out
    }

    pub fn matmul(&mut self, w: &Arc<Matrix>, x: Buf, out: Buf) -> Buf {
        self.ops.push(Op::Matmul(op::Matmul { w: w.clone(), x, out, rows: self.rows, add: false }));
        out
    }

    fn matmul_add(&mut self, w: &Arc<Matrix>, x: Buf, out: Buf) {
        self.ops.push(Op::Matmul(op::Matmul { w: w.clone(), x, out, rows: self.rows, add: true }));
    }

    /// Adds a bias, where there is one, to every row.
    fn add(&mut self, bias: &Option<Arc<Matrix>>, scratch: &Scratch, out: Buf) {
        if let (Some(bias), Some(ones)) = (bias, scratch.ones) {
            self.matmul_add(bias, ones, out);
        }
    }

    /// Norms each query and each key, where a model does.
    fn norm_heads(&mut self, norms: Option<[Buf; 2]>, qkv: Buf) {
        if let Some([q_weight, k_weight]) = norms {
            let (heads, eps_bits) = (self.config.heads(), self.config.rms_norm_eps.to_bits());
            self.ops.push(Op::HeadNorm(op::HeadNorm {
                qkv,
                q_weight,
                k_weight,
                heads,
                rows: self.rows,
                eps_bits,
            }));
        }
    }

    /// Rotates and remembers, then attends: every part of the cache serves its own heads. Where
    /// pages are sealed, page by page: rows see those before their own as codes.
    fn attend(&mut self, qkv: Buf, window: u32, scratch: &Scratch, cache: &LayerCache) -> Buf {
        let (heads, step, rotary_dim) = (self.config.heads(), scratch.step, self.config.rotary_dim);
        for &cache in cache {
            let is_sealed = cache.kind.code_bits().is_some();
            let each = if is_sealed { self.rows.min(PAGE) } else { self.rows };
            for first_row in (0..self.rows).step_by(each as usize) {
                let rows = each.min(self.rows - first_row);
                self.ops.push(Op::Rope(op::Rope {
                    qkv,
                    angles: scratch.angles,
                    step,
                    cache,
                    heads,
                    rotary_dim,
                    first_row,
                    rows,
                }));
                self.ops.push(Op::Attend(op::Attend {
                    qkv,
                    step,
                    cache,
                    out: scratch.attended,
                    heads,
                    window,
                    first_row,
                    rows,
                }));
                if is_sealed {
                    self.ops.push(Op::Seal(op::Seal { step, cache, heads, first_row, rows }));
                }
            }
        }
        scratch.attended
    }

    fn swiglu(&mut self, gate_up: Buf, out: Buf) -> Buf {
        self.ops.push(Op::Swiglu(op::Swiglu {
            gate_up,
            out,
            width: self.config.intermediate_size,
            rows: self.rows,
        }));
        out
    }
}
