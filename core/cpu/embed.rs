//! Rows of the embedding: `out[r] = table[ids[r]]`.

use super::Context;
use super::packed::Weights;
use crate::error::{Code, Result, fail};
use crate::op::Embed;

pub fn run(context: &Context, op: &Embed) -> Result<()> {
    let (table, rows) = (&*op.table, op.rows as usize);
    let (ids, out) = (&context.memory.read::<u32>(op.ids)?[..rows], context.memory.share(op.out)?);
    if let Some(id) = ids.iter().find(|&&id| id >= table.rows) {
        fail!(Code::BadToken, "token {id} is outside the vocabulary of {}", table.rows);
    }
    for part in &table.parts {
        let (weights, width) = (Weights::of(context.memory, table, part)?, table.cols as usize);
        context.threads.each(rows, |row| {
            if let Some(row_of_part) =
                ids[row].checked_sub(part.first_row).filter(|&row| row < part.rows)
            {
                // SAFETY: every task has a row of its own.
                weights.unpack(row_of_part as usize, unsafe { out.slice(row * width, width) });
            }
        });
    }
    Ok(())
}
