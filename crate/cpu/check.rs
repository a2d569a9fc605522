//! What an op needs of its buffers, checked once when a list is prepared, so that kernels may index without surprise.

use super::memory::Memory;
use crate::error::{Code, Result, fail};
use crate::layout::{GROUP, QUAD, planes};
use crate::op::{Buf, Heads, KvPart, Matrix, Op};

/// Checks one op; the error names it.
pub fn op(memory: &Memory, op: &Op) -> Result<()> {
    let check = Check { memory };
    match *op {
        Op::Embed { ref table, ids, out, rows } => {
            check.matrix(table)?;
            check.holds("embed: ids", ids, &[rows], 4)?;
            check.holds("embed: out", out, &[rows, table.cols], 4)?;
            check.apart("embed", out, buffers(table).chain([ids]))
        }
        Op::Norm { x, weight, out, first_row, rows, width, eps_bits: _ } => {
            check.that(width > 0 && width.is_multiple_of(GROUP as u32), || format!("norm: width {width} is no multiple of {GROUP}"))?;
            check.holds("norm: the rows before those wanted", x, &[first_row, width], 4)?;
            check.holds("norm: x", x, &[first_row.saturating_add(rows), width], 4)?;
            check.holds("norm: weight", weight, &[width], 4)?;
            check.holds("norm: out", out, &[rows, width], 4)?;
            check.apart("norm", out, [x, weight])
        }
        Op::Matmul { ref w, x, out, rows, add: _ } => {
            check.matrix(w)?;
            check.holds("matmul: x", x, &[rows, w.cols], 4)?;
            check.holds("matmul: out", out, &[rows, w.rows], 4)?;
            check.apart("matmul", out, buffers(w).chain([x]))
        }
        Op::HeadNorm { qkv, q_weight, k_weight, heads, rows, eps_bits: _ } => {
            check.division("head norm", heads)?;
            let whole = heads.head_dim.is_multiple_of(GROUP as u32);
            check.that(whole, || format!("head norm: heads of {}, no multiple of {GROUP}", heads.head_dim))?;
            check.holds("head norm: qkv", qkv, &[rows, heads.qkv_width()], 4)?;
            check.holds("head norm: q_weight", q_weight, &[heads.head_dim], 4)?;
            check.holds("head norm: k_weight", k_weight, &[heads.head_dim], 4)?;
            check.apart("head norm", qkv, [q_weight, k_weight])
        }
        Op::Rope { qkv, angles, step, cache, heads, rotary_dim, rows } => {
            check.heads("rope", heads, cache)?;
            let even = rotary_dim.is_multiple_of(2) && rotary_dim <= heads.head_dim;
            check.that(even, || format!("rope: {rotary_dim} elements of heads of {} cannot rotate", heads.head_dim))?;
            check.holds("rope: qkv", qkv, &[rows, heads.qkv_width()], 4)?;
            check.holds("rope: angles", angles, &[rows, rotary_dim], 4)?;
            check.holds("rope: step", step, &[2], 4)?;
            check.apart("rope", qkv, [angles, step, cache.keys, cache.values])?;
            check.apart("rope", cache.keys, [angles, step, cache.values])?;
            check.apart("rope", cache.values, [angles, step])
        }
        Op::Attend { qkv, step, cache, out, heads, window, rows } => {
            check.heads("attend", heads, cache)?;
            check.that(window > 0, || "attend: a window of 0 positions".into())?;
            check.holds("attend: qkv", qkv, &[rows, heads.qkv_width()], 4)?;
            check.holds("attend: step", step, &[2], 4)?;
            check.holds("attend: out", out, &[rows, heads.q_width()], 4)?;
            check.apart("attend", out, [qkv, step, cache.keys, cache.values])
        }
        Op::Argmax { x, allowed, out, width } => {
            check.holds("argmax: x", x, &[width], 4)?;
            check.holds("argmax: allowed", allowed, &[width.div_ceil(32)], 4)?;
            check.holds("argmax: out", out, &[1], 4)?;
            check.apart("argmax", out, [x, allowed])
        }
        Op::Sample(_) => check.that(false, || "draw: the CPU leaves draws to who reads the logits".into()),
        Op::Swiglu { gate_up, out, width, rows } => {
            check.holds("swiglu: gate_up", gate_up, &[rows, 2, width], 4)?;
            check.holds("swiglu: out", out, &[rows, width], 4)?;
            check.apart("swiglu", out, [gate_up])
        }
    }
}

/// All buffers of a matrix.
fn buffers(matrix: &Matrix) -> impl Iterator<Item = Buf> + '_ {
    matrix.parts.iter().flat_map(|part| [Some(part.codes), part.scales, part.mins]).flatten()
}

struct Check<'a> {
    memory: &'a Memory,
}

impl Check<'_> {
    fn that(&self, holds: bool, message: impl FnOnce() -> String) -> Result<()> {
        if holds { Ok(()) } else { fail!(Code::Internal, "{}", message()) }
    }

    /// That a buffer holds `shape` elements of `bytes` bytes.
    fn holds(&self, what: &str, buf: Buf, shape: &[u32], bytes: u64) -> Result<()> {
        let needed = shape.iter().fold(bytes, |product, &n| product.saturating_mul(n.into()));
        let held = self.memory.len(buf)?;
        self.that(held >= needed, || format!("{what} holds {held} bytes of the {needed} that {shape:?} needs"))
    }

    /// That what an op writes is nothing that it reads.
    fn apart(&self, what: &str, written: Buf, read: impl IntoIterator<Item = Buf>) -> Result<()> {
        self.that(read.into_iter().all(|buf| buf != written), || format!("{what}: a buffer is both read and written"))
    }

    fn matrix(&self, matrix: &Matrix) -> Result<()> {
        let (kind, cols) = (matrix.kind, matrix.cols);
        self.that(cols > 0 && cols.is_multiple_of(GROUP as u32), || format!("a matrix of {cols} columns, no multiple of {GROUP}"))?;
        let mut rows = 0u32;
        for part in &matrix.parts {
            let follows = part.first_row == rows && rows.is_multiple_of(QUAD as u32) && part.rows > 0;
            self.that(follows, || format!("a part of {} rows at row {} after {rows} rows", part.rows, part.first_row))?;
            rows = rows.saturating_add(part.rows);
            let size = planes(kind, part.rows as usize, cols as usize);
            for (what, buf, needed) in
                [("codes", Some(part.codes), size.codes), ("scales", part.scales, size.scales), ("mins", part.mins, size.mins)]
            {
                let held = buf.map_or(Ok(0), |buf| self.memory.len(buf))?;
                self.that(held >= needed, || format!("{kind:?} {what} hold {held} of {needed} bytes of {} rows", part.rows))?;
            }
        }
        self.that(rows == matrix.rows, || format!("a matrix of {} rows in parts of {rows} together", matrix.rows))
    }

    /// That a row can be divided so.
    fn division(&self, what: &str, Heads { n_heads, n_kv_heads, head_dim }: Heads) -> Result<()> {
        let divide = n_kv_heads > 0 && n_heads > 0 && n_heads.is_multiple_of(n_kv_heads) && head_dim > 0 && head_dim.is_multiple_of(4);
        self.that(divide, || format!("{what}: {n_heads} heads over {n_kv_heads} of {head_dim} elements"))?;
        let width = (u64::from(n_heads) + 2 * u64::from(n_kv_heads)) * u64::from(head_dim);
        self.that(width <= u32::MAX.into(), || format!("{what}: a row of {width} elements"))
    }

    fn heads(&self, what: &str, heads: Heads, cache: KvPart) -> Result<()> {
        self.division(what, heads)?;
        let Heads { n_kv_heads, head_dim, .. } = heads;
        let inside = cache.heads > 0 && cache.first_head < n_kv_heads && cache.heads <= n_kv_heads - cache.first_head;
        self.that(inside, || format!("{what}: {} KV heads from head {} of {n_kv_heads}", cache.heads, cache.first_head))?;
        self.holds("cached keys", cache.keys, &[cache.heads, cache.positions, head_dim], cache.kind.bytes())?;
        self.holds("cached values", cache.values, &[cache.heads, cache.positions, head_dim], cache.kind.bytes())
    }
}
