//! Attention: rotation, the cache, and what looks into it.

use super::{Access, Buf, Operand, Operation};
use crate::error::{Code, Result, fail};
use crate::layout::GROUP;

/// Positions of a page of the cache.
pub const PAGE: u32 = 64;

/// Words of a *step*: what ops that look into the cache read from a buffer, so that a program knows
/// no sequence. The position of row 0 in its sequence, then the pages that hold the sequence's
/// positions, in their order, as many as the rows need.
pub const fn step_words(pages: u32) -> u32 {
    1 + pages
}

/// How a row of fused projections is divided: `n_heads` queries, then `n_kv_heads` keys, then as
/// many values, each `head_dim` wide.
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

/// The cached keys and values of some KV heads of one layer: each buffer is `[pages, heads, PAGE,
/// head_dim]`. Which page is whose is data, told by a step (see [`step_words`]).
///
/// A page lies together, so that it can be copied at once, and in it a head's keys, so that they
/// are read in one go; split by heads where a device cannot bind a whole layer.
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
    /// Pages that the buffers have room for, of all sequences.
    pub pages: u32,
    /// Element type.
    pub kind: KvKind,
}

impl Heads {
    fn check(self) -> Result<()> {
        let Heads { n_heads, n_kv_heads, head_dim } = self;
        if n_kv_heads == 0
            || n_heads == 0
            || !n_heads.is_multiple_of(n_kv_heads)
            || head_dim == 0
            || !head_dim.is_multiple_of(4)
        {
            fail!(Code::Internal, "{n_heads} heads over {n_kv_heads} of {head_dim} elements");
        }
        let width = (u64::from(n_heads) + 2 * u64::from(n_kv_heads)) * u64::from(head_dim);
        if width > u32::MAX.into() {
            fail!(Code::Internal, "a row of {width} elements");
        }
        Ok(())
    }
}

impl KvPart {
    /// Whether these heads are among a model's.
    fn check(self, heads: Heads) -> Result<()> {
        heads.check()?;
        if self.heads == 0
            || self.first_head >= heads.n_kv_heads
            || self.heads > heads.n_kv_heads - self.first_head
        {
            fail!(
                Code::Internal,
                "{} KV heads from head {} of {}",
                self.heads,
                self.first_head,
                heads.n_kv_heads
            );
        }
        Ok(())
    }

    /// Bytes of a page of the keys, and of the values.
    pub fn page_bytes(self, head_dim: u32) -> u64 {
        u64::from(self.heads) * u64::from(PAGE * head_dim) * self.kind.bytes()
    }

    fn operands(self, heads: Heads, access: Access) -> [Operand; 2] {
        let shape = [self.pages, self.heads, PAGE, heads.head_dim];
        let half = |name, buf| Operand {
            bytes: Operand::bytes(&shape, self.kind.bytes()),
            name,
            buf,
            access,
        };
        [half("cached keys", self.keys), half("cached values", self.values)]
    }
}

/// Makes each query head and each key head of `qkv` its RMS norm, in place: `head /
/// sqrt(mean(head²) + eps) * weight`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadNorm {
    /// `[rows, heads.qkv_width()]`.
    pub qkv: Buf,
    /// `[head_dim]`, f32: of the queries.
    pub q_weight: Buf,
    /// `[head_dim]`, f32: of the keys.
    pub k_weight: Buf,
    /// How a row is divided; heads are a multiple of 32 wide.
    pub heads: Heads,
    /// Tokens.
    pub rows: u32,
    /// Bits of the f32 epsilon.
    pub eps_bits: u32,
}

impl Operation for HeadNorm {
    fn check(&self) -> Result<()> {
        if !self.heads.head_dim.is_multiple_of(GROUP as u32) {
            fail!(Code::Internal, "heads of {}, no multiple of {GROUP}", self.heads.head_dim);
        }
        self.heads.check()
    }

    fn operands(&self) -> Vec<Operand> {
        let dim = self.heads.head_dim;
        vec![
            Operand::words("qkv", self.qkv, Access::Update, &[self.rows, self.heads.qkv_width()]),
            Operand::words("q_weight", self.q_weight, Access::Read, &[dim]),
            Operand::words("k_weight", self.k_weight, Access::Read, &[dim]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.qkv, &mut self.q_weight, &mut self.k_weight]
    }
}

/// Rotates the queries of `qkv` in place and appends the rotated keys and the values to the cache,
/// at the sequence's positions `pos .. pos + rows`, where `pos` is the position in `step`.
///
/// Rotate-half inside the first `rotary_dim` elements of a head: element i pairs with i +
/// rotary_dim / 2. Only the part's own KV heads are appended, and only the query heads that they
/// serve are rotated (heads `g * h .. g * (h + 1)` for KV head h, with g = n_heads / n_kv_heads),
/// so that several parts together do everything exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rope {
    /// `[rows, heads.qkv_width()]`.
    pub qkv: Buf,
    /// `[rows, rotary_dim]`: each row the cosines, then the sines, of its `rotary_dim / 2` pairs,
    /// already scaled.
    pub angles: Buf,
    /// The position and the pages, see [`step_words`].
    pub step: Buf,
    /// Where keys and values go.
    pub cache: KvPart,
    /// How a row is divided.
    pub heads: Heads,
    /// Elements of a head that rotate, even, at most `head_dim`; 0 for none.
    pub rotary_dim: u32,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Rope {
    fn check(&self) -> Result<()> {
        if !self.rotary_dim.is_multiple_of(2) || self.rotary_dim > self.heads.head_dim {
            fail!(
                Code::Internal,
                "{} elements of heads of {} cannot rotate",
                self.rotary_dim,
                self.heads.head_dim
            );
        }
        self.cache.check(self.heads)
    }

    fn operands(&self) -> Vec<Operand> {
        let [keys, values] = self.cache.operands(self.heads, Access::Part);
        vec![
            Operand::words("qkv", self.qkv, Access::Update, &[self.rows, self.heads.qkv_width()]),
            Operand::words("angles", self.angles, Access::Read, &[self.rows, self.rotary_dim]),
            Operand::words("step", self.step, Access::Read, &[step_words(self.cache.pages)]),
            keys,
            values,
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![
            &mut self.qkv,
            &mut self.angles,
            &mut self.step,
            &mut self.cache.keys,
            &mut self.cache.values,
        ]
    }
}

/// Causal attention of `rows` queries at positions `pos + r` over the sequence's cached positions
/// `0 ..= pos + r`, or only the last `window` of them; scores are scaled by `1 / sqrt(head_dim)`.
/// Writes the part's query heads' slices of `out`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attend {
    /// `[rows, heads.qkv_width()]`, queries rotated.
    pub qkv: Buf,
    /// The position and the pages, see [`step_words`].
    pub step: Buf,
    /// Keys and values, up to and including these rows'.
    pub cache: KvPart,
    /// `[rows, heads.q_width()]`.
    pub out: Buf,
    /// How a row is divided.
    pub heads: Heads,
    /// Positions that a query sees, itself included; `u32::MAX` for all.
    pub window: u32,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Attend {
    fn check(&self) -> Result<()> {
        if self.window == 0 {
            fail!(Code::Internal, "a window of 0 positions");
        }
        self.cache.check(self.heads)
    }

    fn operands(&self) -> Vec<Operand> {
        let [keys, values] = self.cache.operands(self.heads, Access::Read);
        vec![
            Operand::words("qkv", self.qkv, Access::Read, &[self.rows, self.heads.qkv_width()]),
            Operand::words("step", self.step, Access::Read, &[step_words(self.cache.pages)]),
            keys,
            values,
            Operand::words("out", self.out, Access::Part, &[self.rows, self.heads.q_width()]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![
            &mut self.qkv,
            &mut self.step,
            &mut self.cache.keys,
            &mut self.cache.values,
            &mut self.out,
        ]
    }
}
