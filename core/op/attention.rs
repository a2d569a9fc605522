//! Attention: rotation, the cache, and what looks into it.

use super::cache::{Heads, KvPart, step_words};
use super::{Access, Buf, Operand, Operation};
use crate::error::{Code, Result, fail};
use crate::layout::GROUP;

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
    /// The first of the rows of `qkv` and `angles`.
    pub first_row: u32,
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
        self.cache.check_rows(self.rows)?;
        self.cache.check(self.heads)
    }

    fn operands(&self) -> Vec<Operand> {
        let [keys, values] = self.cache.operands(self.heads, Access::Part);
        let rows = self.first_row + self.rows;
        vec![
            Operand::words("qkv", self.qkv, Access::Update, &[rows, self.heads.qkv_width()]),
            Operand::words("angles", self.angles, Access::Read, &[rows, self.rotary_dim]),
            Operand::words(
                "step",
                self.step,
                Access::Read,
                &[step_words(self.cache.kind, self.cache.pages)],
            ),
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
    /// The first of the rows of `qkv` and `out`.
    pub first_row: u32,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Attend {
    fn check(&self) -> Result<()> {
        if self.window == 0 {
            fail!(Code::Internal, "a window of 0 positions");
        }
        self.cache.check_rows(self.rows)?;
        self.cache.check(self.heads)
    }

    fn operands(&self) -> Vec<Operand> {
        let [keys, values] = self.cache.operands(self.heads, Access::Read);
        let rows = self.first_row + self.rows;
        vec![
            Operand::words("qkv", self.qkv, Access::Read, &[rows, self.heads.qkv_width()]),
            Operand::words(
                "step",
                self.step,
                Access::Read,
                &[step_words(self.cache.kind, self.cache.pages)],
            ),
            keys,
            values,
            Operand::words("out", self.out, Access::Part, &[rows, self.heads.q_width()]),
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

/// Seals the page that a step's rows are in, if they fill it and it is not the sequence's first:
/// the open page, as codes, becomes the sequence's page there.
///
/// A minimum is the least of its elements. A scale is the range of them by the largest code, as a
/// half; where it is zero so are the codes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seal {
    /// The position and the pages, see [`step_words`].
    pub step: Buf,
    /// Keys and values, of a kind that has codes.
    pub cache: KvPart,
    /// How a row is divided.
    pub heads: Heads,
    /// The first of the rows.
    pub first_row: u32,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Seal {
    fn check(&self) -> Result<()> {
        if self.cache.kind.code_bits().is_none() {
            fail!(Code::Internal, "{:?} has no codes", self.cache.kind);
        }
        self.cache.check_rows(self.rows)?;
        self.cache.check(self.heads)
    }

    fn operands(&self) -> Vec<Operand> {
        let [keys, values] = self.cache.operands(self.heads, Access::Update);
        let step = step_words(self.cache.kind, self.cache.pages);
        vec![Operand::words("step", self.step, Access::Read, &[step]), keys, values]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.step, &mut self.cache.keys, &mut self.cache.values]
    }
}
