//! Kinds whose codes have two or three bits: pairs of bits, and single ones after them, with
//! scales of either half of a group.

use super::codes::{Halves, each_group};
use super::{Groups, Packed, add_dots, lines};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{BLOCK, Kind};

/// `sums` and the products of one half of a group with each token's whole numbers.
#[inline(always)]
unsafe fn add_half<D: Dots, K: Packed, const T: usize, const HALF: usize>(
    w: &Groups,
    tile: &Tile,
    sums: &mut [D::CodeSums; T],
) {
    let together = lines::<D::Lanes>(T);
    // Beside one token a vector has several lines, whose bits lie side by side.
    let (count, next) = (together as i32, if T == 1 { 1 } else { 0 });
    // SAFETY: the caller's. Each line's bits move to where the first one's are.
    unsafe {
        let mut pairs = D::Lanes::moved(w.line_for_all::<D::Lanes, T>(HALF), 0, 2 * next);
        let mut singles = if K::KIND.code_bits() == 3 {
            D::Lanes::moved(w.line_for_all::<D::Lanes, T>(2), 2 - 4 * HALF as i32, next)
        } else {
            pairs
        };
        let (two, one) = (D::Lanes::mask::<0x0303_0303>(), D::Lanes::mask::<0x0404_0404>());
        for line in (0..4).step_by(together) {
            let mut codes = D::Lanes::and(pairs, two);
            if K::KIND.code_bits() == 3 {
                codes = D::Lanes::or(codes, D::Lanes::and(singles, one));
            }
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = tile.fours::<T>(line, token);
                *sums = if T == 1 {
                    D::dot_lines_of_codes::<HALF>(*sums, codes, x)
                } else {
                    D::dot_codes::<HALF>(*sums, codes, x)
                };
            }
            pairs = D::Lanes::moved(pairs, -2 * count, 0);
            singles = D::Lanes::moved(singles, -count, 0);
        }
    }
}

/// [`Kind::Q3K`].
pub struct Q3K;

impl Halves for Q3K {
    #[inline(always)]
    unsafe fn add_half<D: Dots, const T: usize, const HALF: usize>(
        w: &Groups,
        tile: &Tile,
        sums: &mut [D::CodeSums; T],
    ) {
        // SAFETY: the caller's.
        unsafe { add_half::<D, Q3K, T, HALF>(w, tile, sums) }
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
            let mut sums = [D::no_codes(0); T];
            add_half::<D, Q2K, T, HALF>(w, tile, &mut sums);
            // Both nibbles of a byte: its sixteenth rounded down is the high one, exactly.
            let (sixteenth, below) = (D::Lanes::splat(1.0 / 16.0), D::Lanes::splat(-15.0 / 32.0));
            let min = both.mul_add(sixteenth, below).round();
            let scale = min.mul_add(D::Lanes::splat(-16.0), both);
            add_dots(totals, tile, d.mul(scale), |token| D::total_of_codes(sums[token]));
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
