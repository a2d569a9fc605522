//! RMS norm: `out[r] = x[first_row + r] / sqrt(mean(x²) + eps) * weight`.

use super::Context;
use super::lanes::Lanes;
use crate::error::Result;
use crate::op::Norm;

pub fn run(context: &Context, op: &Norm) -> Result<()> {
    let (width, eps) = (op.width as usize, f32::from_bits(op.eps_bits));
    let (x, weight) =
        (context.memory.read::<f32>(op.x)?, &context.memory.read::<f32>(op.weight)?[..width]);
    let out = context.memory.share(op.out)?;
    context.threads.each(op.rows as usize, |row| {
        let x = &x[(op.first_row as usize + row) * width..][..width];
        // SAFETY: the kernel was chosen for this CPU; every task has a row of its own.
        unsafe { (context.kernels.norm)(x, weight, out.slice(row * width, width), eps) }
    });
    Ok(())
}

/// One row; all slices are as long, a multiple of 32.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub unsafe fn kernel<L: Lanes>(x: &[f32], weight: &[f32], out: &mut [f32], eps: f32) {
    assert!(
        x.len() == out.len() && weight.len() == out.len() && out.len().is_multiple_of(L::WIDTH * 2)
    );
    // SAFETY: the caller's; the slices are as long.
    unsafe {
        let mut squares = [L::splat(0.0); 2];
        for at in (0..x.len()).step_by(2 * L::WIDTH) {
            for (i, sum) in squares.iter_mut().enumerate() {
                let v = L::load(x.as_ptr().add(at + i * L::WIDTH));
                *sum = v.mul_add(v, *sum);
            }
        }
        let mean = L::sums([squares[0].add(squares[1]); 4])[0] / x.len() as f32;
        let factor = L::splat(1.0 / (mean + eps).sqrt());
        for at in (0..x.len()).step_by(L::WIDTH) {
            let v = L::load(x.as_ptr().add(at)).mul(factor).mul(L::load(weight.as_ptr().add(at)));
            v.store(out.as_mut_ptr().add(at));
        }
    }
}
