//! `out[0]` is where the largest allowed element of `x` is.

use super::Context;
use crate::error::Result;
use crate::op::Argmax;

pub fn run(context: &Context, op: &Argmax) -> Result<()> {
    let (x, allowed) = (
        &context.memory.read::<f32>(op.x)?[..op.width as usize],
        context.memory.read::<u32>(op.allowed)?,
    );
    let mut best = None;
    for (i, &value) in x.iter().enumerate() {
        if allowed[i / 32] >> (i % 32) & 1 == 1
            && best
                .is_none_or(|(_, largest)| value > largest || (largest.is_nan() && !value.is_nan()))
        {
            best = Some((i as u32, value));
        }
    }
    // SAFETY: nobody else computes meanwhile.
    unsafe { context.memory.share::<u32>(op.out)?.slice(0, 1)[0] = best.map_or(0, |(i, _)| i) };
    Ok(())
}
