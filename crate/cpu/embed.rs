//! Rows of the embedding: `out[r] = table[ids[r]]`.

use super::Context;
use super::packed::Weights;
use crate::error::{Code, Result, fail};
use crate::op::{Buf, Matrix};

pub fn run(context: &Context, table: &Matrix, ids: Buf, out: Buf, rows: usize) -> Result<()> {
    let (ids, out) = (&context.memory.read::<u32>(ids)?[..rows], context.memory.share(out)?);
    if let Some(id) = ids.iter().find(|&&id| id >= table.rows) {
        fail!(Code::BadToken, "token {id} is outside the vocabulary of {}", table.rows);
    }
    for part in &table.parts {
        let (weights, width) = (Weights::of(context.memory, table, part)?, table.cols as usize);
        context.threads.each(rows, |row| {
            if let Some(row_of_part) = ids[row].checked_sub(part.first_row).filter(|&row| row < part.rows) {
                // SAFETY: every task has a row of its own.
                weights.unpack(row_of_part as usize, unsafe { out.slice(row * width, width) });
            }
        });
    }
    Ok(())
}
