//! exp, which attention's weights and silu are made of.

use super::Lanes;

/// e to the power of each lane, within 2 units in the last place; below the normal numbers it loses
/// bits gradually, as they do.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's.
    unsafe {
        // Beyond these it is 0 or infinite anyway. The order of the operands keeps NaN.
        let x = L::splat(89.0).min(L::splat(-104.0).max(x));
        let n = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
        // x - n ln 2, in two steps of which the first is exact.
        let r = n.mul_add(L::splat(2.121_944_4e-4), n.mul_add(L::splat(-0.693_359_4), x));
        let mut p = L::splat(1.987_569_1e-4);
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
            p = p.mul_add(r, L::splat(coefficient));
        }
        let p = p.mul_add(r.mul(r), r).add(L::splat(1.0));
        // In two factors, because 2^n alone may not be a normal number.
        let half = n.mul(L::splat(0.5)).round();
        p.mul(half.exp2()).mul(n.add(half.mul(L::splat(-1.0))).exp2())
    }
}

/// `x / (1 + exp(-x))`.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub unsafe fn silu<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's.
    unsafe { x.div(L::splat(1.0).add(exp(x.mul(L::splat(-1.0))))) }
}
