//! Rows of the embedding: `out[r] = table[ids[r]]`.

use super::Context;
use super::lanes::Lanes;
use super::packed::{Weights, with_kind};
use crate::error::{Code, Result, fail};
use crate::op::{Buf, Matrix};
use crate::weights::layout::{GROUP, QUAD};

pub fn run(context: &Context, table: &Matrix, ids: Buf, out: Buf, rows: usize) -> Result<()> {
    let (ids, out) = (&context.memory.read::<u32>(ids)?[..rows], context.memory.share(out)?);
    if let Some(id) = ids.iter().find(|&&id| id >= table.rows) {
        fail!(Code::BadToken, "token {id} is outside the vocabulary of {}", table.rows);
    }
    let mut parts = Vec::with_capacity(table.parts.len());
    for part in &table.parts {
        parts.push((part.first_row, Weights::of(context.memory, table, part)?));
    }
    let width = table.cols as usize;
    context.threads.each(rows, |row| {
        let part = parts.partition_point(|&(first_row, _)| first_row <= ids[row]) - 1;
        let (first_row, weights) = &parts[part];
        // SAFETY: the kernel was chosen for this CPU; the id is in range; every task has a row of its own.
        unsafe { (context.kernels.embed)(weights, (ids[row] - first_row) as usize, out.slice(row * width, width)) }
    });
    Ok(())
}

/// One row, unpacked.
///
/// # Safety
/// The CPU has the instructions of `L`; the op was checked and has the row.
#[inline(always)]
pub unsafe fn kernel<L: Lanes>(w: &Weights, row: usize, out: &mut [f32]) {
    let mut four = [0.0; GROUP * QUAD];
    for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let to = four.as_mut_ptr();
        // SAFETY: the caller's; a group has room.
        with_kind!(w.kind, K => unsafe { w.unpack::<L, K>(row / QUAD, group, to, QUAD) });
        for (out, rows) in out.iter_mut().zip(four.chunks_exact(QUAD)) {
            *out = rows[row % QUAD];
        }
    }
}
