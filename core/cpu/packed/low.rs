//! Kinds whose codes have two or three bits: pairs of bits, and single ones after them.

use super::codes::{Halves, add_half, dot_half, each_group};
use super::{Groups, Packed, add_dots, lines, share};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{BLOCK, Kind};

/// The codes of one half of a group in bytes, line by line.
#[inline(always)]
unsafe fn codes<L: Lanes, K: Packed, const T: usize, const HALF: usize>(
    w: &Groups,
) -> [L::Bits; 4] {
    let together = lines::<L>(T);
    // Beside one token a vector has several lines, whose bits lie side by side.
    let (count, next) = (together as i32, if T == 1 { 1 } else { 0 });
    // SAFETY: the caller's. Each line's bits move to where the first one's are.
    unsafe {
        let mut pairs = L::moved(w.line_for_all::<L, T>(HALF), 0, 2 * next);
        let mut singles = if K::KIND.code_bits() == 3 {
            L::moved(w.line_for_all::<L, T>(2), 2 - 4 * HALF as i32, next)
        } else {
            pairs
        };
        let (two, one) = (L::mask::<0x0303_0303>(), L::mask::<0x0404_0404>());
        let mut all = [pairs; 4];
        for line in (0..4).step_by(together) {
            all[line] = L::and(pairs, two);
            if K::KIND.code_bits() == 3 {
                all[line] = L::or(all[line], L::and(singles, one));
            }
            pairs = L::moved(pairs, -2 * count, 0);
            singles = L::moved(singles, -count, 0);
        }
        all
    }
}

/// [`Kind::Q3`].
pub struct Q3;

impl Packed for Q3 {
    const KIND: Kind = Kind::Q3;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let first = codes::<D::Lanes, Q3, T, 0>(w);
            let second = codes::<D::Lanes, Q3, T, 1>(w);
            let scale = w.scale::<D::Lanes, T>();
            add_dots(totals, tile, scale, |token| {
                let sums = D::no_codes(share::<D::Lanes>(tile.offset(token), T));
                let sums = add_half::<D, T, 0>(sums, first, tile, token);
                D::total_of_codes(add_half::<D, T, 1>(sums, second, tile, token))
            });
        }
    }
}

/// [`Kind::Q3K`].
pub struct Q3K;

impl Halves for Q3K {
    #[inline(always)]
    unsafe fn codes<L: Lanes, const T: usize, const HALF: usize>(w: &Groups) -> [L::Bits; 4] {
        // SAFETY: the caller's.
        unsafe { codes::<L, Q3K, T, HALF>(w) }
    }
}

impl Packed for Q3K {
    const KIND: Kind = Kind::Q3K;
    const GROUPS: usize = BLOCK;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe { Self::multiply_block::<D, T>(w, tile, totals) }
    }
}

/// [`Kind::Q2K`].
pub struct Q2K;

impl Q2K {
    #[inline(always)]
    unsafe fn half<D: Dots, const T: usize, const HALF: usize>(
        w: &Groups,
        tile: &Tile,
        [d, dmin]: [D::Lanes; 2],
        both: D::Lanes,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let codes = codes::<D::Lanes, Q2K, T, HALF>(w);
            // Both nibbles of a byte: its sixteenth rounded down is the high one, exactly.
            let (sixteenth, below) = (D::Lanes::splat(1.0 / 16.0), D::Lanes::splat(-15.0 / 32.0));
            let min = both.mul_add(sixteenth, below).round();
            let scale = min.mul_add(D::Lanes::splat(-16.0), both);
            add_dots(totals, tile, d.mul(scale), |token| {
                dot_half::<D, T, HALF>(codes, tile, token, 0)
            });
            // What stands for a half's offset is its sum, subtracted; one token's minima are added
            // by every line.
            let (min, each) = (dmin.mul(min), 1.0 / lines::<D::Lanes>(T) as f32);
            for (token, total) in totals.iter_mut().enumerate() {
                let sum = each * tile.scale(token) * tile.offset_of_half::<HALF>(token) as f32;
                *total = min.mul_add(D::Lanes::splat(sum), *total);
            }
        }
    }
}

impl Packed for Q2K {
    const KIND: Kind = Kind::Q2K;
    const GROUPS: usize = BLOCK;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let factors = [w.min::<D::Lanes, T>(0), w.min::<D::Lanes, T>(1)];
            each_group!(D, T, w, tile => {
                let [first, second] = w.bytes::<D::Lanes, T>(false);
                Self::half::<D, T, 0>(&w, &tile, factors, first, totals);
                Self::half::<D, T, 1>(&w, &tile, factors, second, totals);
            });
        }
    }
}
