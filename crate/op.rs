//! The words that a model and a backend share.
//!
//! A step of the model *records* a list of [`Op`]s, which are plain data: handles of buffers, and sizes. A backend runs the list.
//! There are few ops and they are coarse; each has one CPU file and one shader of its name. All activations are f32.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::layout::{Kind, planes};

/// A handle of a backend's buffer. The backend that gave it out owns the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buf(pub u32);

/// A weight matrix, `[rows, cols]` (output, input), in the packed layout of [`crate::layout`].
///
/// It lies in one or several parts, each a range of rows that begins at a multiple of four, because a device may bind only
/// 128 MiB at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matrix {
    /// How the elements are held.
    pub kind: Kind,
    /// Output width.
    pub rows: u32,
    /// Input width, a multiple of 32.
    pub cols: u32,
    /// The rows, in order, without gaps.
    pub parts: Vec<Part>,
}

impl Matrix {
    /// Bytes of its planes.
    pub fn bytes(&self) -> u64 {
        planes(self.kind, self.rows as usize, self.cols as usize).bytes()
    }
}

/// Some rows of a [`Matrix`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Where in the matrix the part begins, a multiple of 4.
    pub first_row: u32,
    /// How many rows it has. Its buffers are padded to a multiple of 4 rows.
    pub rows: u32,
    /// The elements: nibbles, bytes, halves or floats, four rows interleaved.
    pub codes: Buf,
    /// f16 scales of the groups, for `Q4`, `Q4Min` and `Q8`.
    pub scales: Option<Buf>,
    /// f16 minima of the groups, for `Q4Min`.
    pub mins: Option<Buf>,
}

/// How cached keys and values are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvKind {
    /// Half precision, two to a u32.
    F16,
    /// Single precision.
    F32,
}

impl KvKind {
    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            KvKind::F16 => 2,
            KvKind::F32 => 4,
        }
    }
}

/// The cached keys and values of some KV heads of one layer: each buffer is `[heads, ctx_len, head_dim]`.
///
/// Head-major, so that a head's keys lie together; split by heads where a device cannot bind a whole layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvPart {
    /// The rotated keys.
    pub keys: Buf,
    /// The values.
    pub values: Buf,
    /// The first KV head held here.
    pub first_head: u32,
    /// How many KV heads are held here.
    pub heads: u32,
    /// Positions that the buffers have room for.
    pub ctx_len: u32,
    /// Element type.
    pub kind: KvKind,
}

/// How a row of fused projections is divided: `n_heads` queries, then `n_kv_heads` keys, then as many values, each `head_dim` wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heads {
    /// Query heads.
    pub n_heads: u32,
    /// Key and value heads; `n_heads` is a multiple.
    pub n_kv_heads: u32,
    /// Width of a head, a multiple of 4.
    pub head_dim: u32,
}

impl Heads {
    /// Width of a fused row: `(n_heads + 2 * n_kv_heads) * head_dim`.
    pub fn qkv_width(self) -> u32 {
        (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
    }

    /// Width of the queries, and of attention's output.
    pub fn q_width(self) -> u32 {
        self.n_heads * self.head_dim
    }

    /// Width of the keys, and of the values.
    pub fn kv_width(self) -> u32 {
        self.n_kv_heads * self.head_dim
    }
}

/// How [`Op::Sample`] state. What each number means is told where they are chosen, in `text::sampler::Sampling`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SamplerParams {
    /// Logits are divided by it; 0 for argmax.
    pub temperature: f32,
    /// So many of the most probable; 0 for all.
    pub top_k: u32,
    /// The fewest of the most probable whose probabilities reach it; 1 for all.
    pub top_p: f32,
    /// Those at least so probable, relative to the most probable; 0 for all.
    pub min_p: f32,
    /// Divides a positive logit and multiplies another, of tokens that were seen.
    pub repetition_penalty: f32,
    /// Taken off the logit of tokens that were generated.
    pub presence_penalty: f32,
    /// The same, each time that they were.
    pub frequency_penalty: f32,
    /// Where among those that are kept, by their ids, the draw falls: 0 to 1.
    pub uniform: f32,
}

/// What a token is drawn from, and by which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SamplerBuffers {
    /// `[width]`, f32. Not worth anything afterwards.
    pub logits: Buf,
    /// `[width / 32]`, rounded up, as for [`Op::Argmax`].
    pub allowed: Buf,
    /// `[width]`, u32: 0 for a token that was not seen, else [`SamplerBuffers::SEEN`] and how often it was generated. The draw is counted.
    pub seen: Buf,
    /// `[width]`, f32 of magnitudes up to [`SamplerBuffers::MOST`], added to the logits.
    pub bias: Buf,
    /// One [`SamplerParams`].
    pub params: Buf,
    /// `[width + 256]`, u32: room to work in.
    pub candidates: Buf,
    /// `[1]`, u32: the token.
    pub out: Buf,
    /// Tokens of the vocabulary.
    pub width: u32,
}

impl SamplerBuffers {
    /// Set for tokens of the prompt and of the answer.
    pub const SEEN: u32 = 1 << 31;
    /// What a bias may be at most. Less than its negative forbids a token.
    pub const MOST: f32 = 1e38;
}

/// One step of work. Shapes are row-major; `rows` counts tokens.
///
/// Ops of a list run in order and see the results of those before them. A backend may compute some together: what a norm writes for the
/// matmul after it, a matmul for the swiglu after it, and a rope into its queries for the attention after it need not be in memory once
/// no op of the list reads it any more. Another list must not count on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `out[r] = table[ids[r]]`, for f32 `out: [rows, table.cols]` and u32 `ids: [rows]`. Ids are below `table.rows`.
    Embed {
        /// The embedding, the same tensor as the head when they are tied.
        table: Arc<Matrix>,
        /// Token ids.
        ids: Buf,
        /// Embedded rows.
        out: Buf,
        /// Tokens.
        rows: u32,
    },
    /// `out[r] = x[first_row + r] / sqrt(mean(x²) + eps) * weight`: RMS norm over `width` elements.
    Norm {
        /// `[at least first_row + rows, width]`.
        x: Buf,
        /// `[width]`, f32.
        weight: Buf,
        /// `[rows, width]`; never the same buffer as `x`.
        out: Buf,
        /// The first row of `x` that is wanted.
        first_row: u32,
        /// Rows wanted.
        rows: u32,
        /// Elements of a row, a multiple of 32.
        width: u32,
        /// Bits of the f32 epsilon, so that ops can be compared and hashed.
        eps_bits: u32,
    },
    /// `out[r] = w · x[r]`, or `out[r] += w · x[r]` when `add` is set (the residual).
    Matmul {
        /// `[w.rows, w.cols]`.
        w: Arc<Matrix>,
        /// `[rows, w.cols]`.
        x: Buf,
        /// `[rows, w.rows]`; never the same buffer as `x`.
        out: Buf,
        /// Tokens.
        rows: u32,
        /// Whether to add to what `out` holds.
        add: bool,
    },
    /// Makes each query head and each key head of `qkv` its RMS norm, in place: `head / sqrt(mean(head²) + eps) * weight`.
    HeadNorm {
        /// `[rows, heads.qkv_width()]`.
        qkv: Buf,
        /// `[head_dim]`, f32: of the queries.
        q_weight: Buf,
        /// `[head_dim]`, f32: of the keys.
        k_weight: Buf,
        /// How a row is divided; heads are a multiple of 32 wide.
        heads: Heads,
        /// Tokens.
        rows: u32,
        /// Bits of the f32 epsilon.
        eps_bits: u32,
    },
    /// Rotates the queries of `qkv` in place and appends the rotated keys and the values to the cache, at positions
    /// `pos .. pos + rows`, where `pos` is the u32 that `step` holds.
    ///
    /// Rotate-half inside the first `rotary_dim` elements of a head: element i pairs with i + rotary_dim / 2. Only the part's
    /// own KV heads are appended, and only the query heads that they serve are rotated (heads `g * h .. g * (h + 1)` for KV
    /// head h, with g = n_heads / n_kv_heads), so that several parts together do everything exactly once.
    Rope {
        /// `[rows, heads.qkv_width()]`.
        qkv: Buf,
        /// `[rows, rotary_dim]`: each row the cosines, then the sines, of its `rotary_dim / 2` pairs, already scaled.
        angles: Buf,
        /// One u32: the position of row 0.
        step: Buf,
        /// Where keys and values go.
        cache: KvPart,
        /// How a row is divided.
        heads: Heads,
        /// Elements of a head that rotate, even, at most `head_dim`; 0 for none.
        rotary_dim: u32,
        /// Tokens.
        rows: u32,
    },
    /// Causal attention of `rows` queries at positions `pos + r` over the cached positions `0 ..= pos + r`, or only the last
    /// `window` of them; scores are scaled by `1 / sqrt(head_dim)`. Writes the part's query heads' slices of `out`.
    Attend {
        /// `[rows, heads.qkv_width()]`, queries rotated.
        qkv: Buf,
        /// One u32: the position of row 0.
        step: Buf,
        /// Keys and values, up to and including these rows'.
        cache: KvPart,
        /// `[rows, heads.q_width()]`.
        out: Buf,
        /// How a row is divided.
        heads: Heads,
        /// Positions that a query sees, itself included; `u32::MAX` for all.
        window: u32,
        /// Tokens.
        rows: u32,
    },
    /// `out[0]`, a u32, is where the largest of `x` is whose bit in `allowed` is set: the first among equals. NaN is below all others;
    /// 0 where nothing is allowed.
    Argmax {
        /// `[width]`, f32.
        x: Buf,
        /// `[width / 32]`, rounded up: bit `i % 32` of u32 `i / 32` is element i's.
        allowed: Buf,
        /// `[1]`, u32.
        out: Buf,
        /// Elements.
        width: u32,
    },
    /// A token, drawn from what its logit comes to. For backends that draw: others leave that to who reads the logits.
    Sample(SamplerBuffers),
    /// `out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i]`.
    Swiglu {
        /// `[rows, 2 * width]`: gate, then up.
        gate_up: Buf,
        /// `[rows, width]`.
        out: Buf,
        /// Elements of an output row.
        width: u32,
        /// Tokens.
        rows: u32,
    },
}
