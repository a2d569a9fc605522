//! What log-probabilities are made of: `out` has the largest logit of each row, what all weigh
//! beside it, and the logits of tokens. Sums are in f64.

use super::Context;
use crate::error::Result;
use crate::op::LogProbs;

pub fn run(context: &Context, op: &LogProbs) -> Result<()> {
    let (width, asked) = (op.width as usize, op.asked as usize);
    let (logits, ids) =
        (context.memory.read::<f32>(op.logits)?, context.memory.read::<u32>(op.ids)?);
    let out = context.memory.share::<f32>(op.out)?;
    for row in 0..op.rows as usize {
        let logits = &logits[row * width..(row + 1) * width];
        let finite = || logits.iter().copied().filter(|logit| logit.is_finite());
        let largest = finite().reduce(f32::max).unwrap_or(0.0);
        let sum: f64 = finite().map(|logit| f64::from(logit - largest).exp()).sum();
        let asked = ids[row * asked..(row + 1) * asked].iter().map(|&id| id as usize);
        let told = asked.chain(most_probable(logits, op.top as usize));
        let told = told.flat_map(|id| [id as f32, logits.get(id).copied().unwrap_or(f32::NAN)]);
        let out_width = op.out_width() as usize;
        // SAFETY: nobody else computes meanwhile.
        let out = unsafe { out.slice(row * out_width, out_width) };
        out.iter_mut()
            .zip([largest, sum as f32].into_iter().chain(told))
            .for_each(|(out, value)| *out = value);
    }
    Ok(())
}

/// The places of the largest logits in order, the first among equals first.
fn most_probable(logits: &[f32], top: usize) -> Vec<usize> {
    let value = |id: usize| if logits[id].is_finite() { logits[id] } else { f32::NEG_INFINITY };
    let mut found: Vec<usize> = Vec::new();
    for _ in 0..top {
        let is_left = |id: &usize| {
            found.last().is_none_or(|&last| {
                value(*id) < value(last) || (value(*id) == value(last) && *id > last)
            })
        };
        let left = (0..logits.len()).filter(is_left);
        found.extend(left.reduce(|best, id| if value(id) > value(best) { id } else { best }));
    }
    found
}
