//! What a layer does besides attention: rows of activations in, rows of activations out.

use std::sync::Arc;

use super::{Access, Buf, Matrix, Operand, Operation};
use crate::error::{Code, Result, fail};
use crate::layout::GROUP;

/// `out[r] = table[ids[r]]`, for f32 `out: [rows, table.cols]` and u32 `ids: [rows]`. Ids are below
/// `table.rows`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Embed {
    /// The embedding, the same tensor as the head when they are tied.
    pub table: Arc<Matrix>,
    /// Token ids.
    pub ids: Buf,
    /// Embedded rows.
    pub out: Buf,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Embed {
    fn check(&self) -> Result<()> {
        self.table.check()
    }

    fn operands(&self) -> Vec<Operand> {
        let ids = Operand::words("ids", self.ids, Access::Read, &[self.rows]);
        let out = Operand::words("out", self.out, Access::Write, &[self.rows, self.table.cols]);
        self.table.operands().chain([ids, out]).collect()
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        Arc::make_mut(&mut self.table).buffers().chain([&mut self.ids, &mut self.out]).collect()
    }
}

/// `out[r] = x[first_row + r] / sqrt(mean(x²) + eps) * weight`: RMS norm over `width` elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Norm {
    /// `[at least first_row + rows, width]`.
    pub x: Buf,
    /// `[width]`, f32.
    pub weight: Buf,
    /// `[rows, width]`; never the same buffer as `x`.
    pub out: Buf,
    /// The first row of `x` that is wanted.
    pub first_row: u32,
    /// Rows wanted.
    pub rows: u32,
    /// Elements of a row, a multiple of 32.
    pub width: u32,
    /// Bits of the f32 epsilon, so that ops can be compared and hashed.
    pub eps_bits: u32,
}

impl Operation for Norm {
    fn check(&self) -> Result<()> {
        if self.width == 0 || !self.width.is_multiple_of(GROUP as u32) {
            fail!(Code::Internal, "width {} is no multiple of {GROUP}", self.width);
        }
        if self.first_row.checked_add(self.rows).is_none() {
            fail!(Code::Internal, "{} rows from row {}", self.rows, self.first_row);
        }
        Ok(())
    }

    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::words(
                "x",
                self.x,
                Access::Read,
                &[self.first_row.saturating_add(self.rows), self.width],
            ),
            Operand::words("weight", self.weight, Access::Read, &[self.width]),
            Operand::words("out", self.out, Access::Write, &[self.rows, self.width]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.x, &mut self.weight, &mut self.out]
    }
}

/// `out[r] = w · x[r]`, or `out[r] += w · x[r]` when `add` is set (the residual).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matmul {
    /// `[w.rows, w.cols]`.
    pub w: Arc<Matrix>,
    /// `[rows, w.cols]`.
    pub x: Buf,
    /// `[rows, w.rows]`; never the same buffer as `x`.
    pub out: Buf,
    /// Tokens.
    pub rows: u32,
    /// Whether to add to what `out` holds.
    pub add: bool,
}

impl Operation for Matmul {
    fn check(&self) -> Result<()> {
        self.w.check()
    }

    fn operands(&self) -> Vec<Operand> {
        let access = if self.add { Access::Update } else { Access::Write };
        let x = Operand::words("x", self.x, Access::Read, &[self.rows, self.w.cols]);
        let out = Operand::words("out", self.out, access, &[self.rows, self.w.rows]);
        self.w.operands().chain([x, out]).collect()
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        Arc::make_mut(&mut self.w).buffers().chain([&mut self.x, &mut self.out]).collect()
    }
}

/// `out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Swiglu {
    /// `[rows, 2 * width]`: gate, then up.
    pub gate_up: Buf,
    /// `[rows, width]`.
    pub out: Buf,
    /// Elements of an output row.
    pub width: u32,
    /// Tokens.
    pub rows: u32,
}

impl Operation for Swiglu {
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::words("gate_up", self.gate_up, Access::Read, &[self.rows, 2, self.width]),
            Operand::words("out", self.out, Access::Write, &[self.rows, self.width]),
        ]
    }

    fn buffers(&mut self) -> Vec<&mut Buf> {
        vec![&mut self.gate_up, &mut self.out]
    }
}
