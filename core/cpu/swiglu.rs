//! `out[r, i] = silu(gate_up[r, i]) * gate_up[r, width + i]`.

use super::Context;
use super::lanes::{Lanes, exp::silu};
use crate::error::Result;
use crate::op::Swiglu;

pub fn run(context: &Context, op: &Swiglu) -> Result<()> {
    let width = op.width as usize;
    let (gate_up, out) = (context.memory.read::<f32>(op.gate_up)?, context.memory.share(op.out)?);
    context.threads.each(op.rows as usize, |row| {
        let (gate, up) = gate_up[2 * row * width..][..2 * width].split_at(width);
        // SAFETY: the kernel was chosen for this CPU; every task has a row of its own.
        unsafe { (context.kernels.swiglu)(gate, up, out.slice(row * width, width)) }
    });
    Ok(())
}

/// One row; all slices are as long.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub unsafe fn kernel<L: Lanes>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == out.len() && up.len() == out.len());
    let whole = out.len() - out.len() % L::WIDTH;
    for at in (0..whole).step_by(L::WIDTH) {
        // SAFETY: the caller's; the slices are as long.
        unsafe {
            silu(L::load(gate.as_ptr().add(at)))
                .mul(L::load(up.as_ptr().add(at)))
                .store(out.as_mut_ptr().add(at))
        };
    }
    for i in whole..out.len() {
        let mut one = [0.0; 16];
        // SAFETY: the caller's; there is room for a vector.
        unsafe { silu(L::splat(gate[i])).mul(L::splat(up[i])).store(one.as_mut_ptr()) };
        out[i] = one[0];
    }
}
