//! Kinds whose codes have five or six bits, and K kinds, whose scales are codes of a block.

use super::kinds::dot_nibbles;
use super::{Groups, Packed, add_dots, add_mins, lines};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{BLOCK, Kind};

/// A line's codes in bytes, of its low nibbles or of its high ones: the upper bits come from the
/// lines after the fourth.
#[inline(always)]
unsafe fn codes<L: Lanes, K: Packed, const T: usize, const HALF: usize>(
    w: &Groups,
    line: usize,
) -> L::Bits {
    // Beside one token a vector has several lines, whose upper bits lie side by side.
    let (line, next) = (line as i32, if T == 1 { 1 } else { 0 });
    // SAFETY: the caller's.
    unsafe {
        let bits = w.line::<L, T>(line as usize);
        let low = L::and(if HALF == 0 { bits } else { L::moved(bits, -4, 0) }, 0x0f0f_0f0f);
        let upper = match K::KIND.code_bits() {
            5 => {
                let place = line + 4 * HALF as i32;
                let bits = L::moved(w.line_for_all::<L, T>(4), 4 - place, next);
                L::and(bits, 0x1010_1010)
            }
            _ => {
                let bits = w.line_for_all::<L, T>(4 + HALF);
                L::and(L::moved(bits, 4 - 2 * line, 2 * next), 0x3030_3030)
            }
        };
        L::or(low, upper)
    }
}

/// `sums` and the products of a line's codes, or a vector's lines, with each token's activations.
#[inline(always)]
unsafe fn add_codes<D: Dots, const T: usize, const HALF: usize>(
    sums: &mut [D::CodeSums; T],
    codes: <D::Lanes as Lanes>::Bits,
    tile: &Tile,
    line: usize,
) {
    for (token, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let x = tile.fours::<T>(line, token);
            *sums = if T == 1 {
                D::dot_lines_of_codes::<HALF>(*sums, codes, x)
            } else {
                D::dot_codes::<HALF>(*sums, codes, x)
            };
        }
    }
}

/// The whole numbers of a group of codes, multiplied with each token's.
#[inline(always)]
unsafe fn dot_group<D: Dots, K: Packed, const T: usize>(
    w: &Groups,
    tile: &Tile,
) -> [D::CodeSums; T] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [D::no_codes(); T];
        for line in (0..4).step_by(lines::<D::Lanes>(T)) {
            let low = codes::<D::Lanes, K, T, 0>(w, line);
            add_codes::<D, T, 0>(&mut sums, low, tile, line);
            let high = codes::<D::Lanes, K, T, 1>(w, line);
            add_codes::<D, T, 1>(&mut sums, high, tile, line);
        }
        sums
    }
}

/// [`Kind::Q5`].
pub struct Q5;

impl Packed for Q5 {
    const KIND: Kind = Kind::Q5;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's. Offsets are those of codes that are 8 too high: these are 16.
        unsafe {
            let sums = dot_group::<D, Q5, T>(w, tile);
            add_dots(totals, tile, w.scale::<D::Lanes, T>(), |token| {
                let offset = 2 * tile.offset(token) / lines::<D::Lanes>(T) as i32;
                D::total_of_codes(sums[token], offset)
            });
        }
    }
}

/// [`Kind::Q5Min`].
pub struct Q5Min;

impl Packed for Q5Min {
    const KIND: Kind = Kind::Q5Min;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let sums = dot_group::<D, Q5Min, T>(w, tile);
            let scale = w.scale::<D::Lanes, T>();
            add_dots(totals, tile, scale, |token| D::total_of_codes(sums[token], 0));
            add_mins(totals, tile, w.min::<D::Lanes, T>(0));
        }
    }
}

/// Each group of a block, with the next one's codes asked for.
macro_rules! each_group {
    ($D:ty, $T:ident, $w:ident, $tile:ident => $body:expr) => {
        let (mut $w, mut $tile) = (*$w, *$tile);
        for _ in 0..BLOCK {
            $w.prefetch::<<$D>::Lanes, $T>(Self::KIND);
            $body;
            ($w, $tile) = ($w.next(Self::KIND), $tile.next(Self::KIND, $T));
        }
    };
}

/// A kind whose groups have a scale and a minimum each, of a block's two factors.
macro_rules! block_min {
    ($kind:ident, $dot:expr, $total:ident) => {
        #[doc = concat!("[`Kind::", stringify!($kind), "`].")]
        pub struct $kind;

        impl Packed for $kind {
            const KIND: Kind = Kind::$kind;
            const GROUPS: usize = BLOCK;

            #[inline(always)]
            unsafe fn multiply<D: Dots, const T: usize>(
                w: &Groups,
                tile: &Tile,
                totals: &mut [D::Lanes; T],
            ) {
                // SAFETY: the caller's.
                unsafe {
                    let (d, dmin) = (w.min::<D::Lanes, T>(0), w.min::<D::Lanes, T>(1));
                    let minus = dmin.mul(D::Lanes::splat(-1.0));
                    each_group!(D, T, w, tile => {
                        let sums = $dot(&w, &tile);
                        let scale = d.mul(w.byte::<D::Lanes, T>(0, false));
                        add_dots(totals, &tile, scale, |token| D::$total(sums[token], 0));
                        add_mins(totals, &tile, minus.mul(w.byte::<D::Lanes, T>(1, false)));
                    });
                }
            }
        }
    };
}

block_min!(Q4K, dot_nibbles::<D, T>, total);
block_min!(Q5K, dot_group::<D, Q5K, T>, total_of_codes);

/// [`Kind::Q6K`].
pub struct Q6K;

impl Q6K {
    /// One half of a group: its scale is its own. Either half reads all lines: the second time they
    /// are near, and sums of both would be more than there are registers.
    #[inline(always)]
    unsafe fn half<D: Dots, const T: usize, const HALF: usize>(
        w: &Groups,
        tile: &Tile,
        scale: D::Lanes,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's. Offsets are those of codes that are 8 too high: these are 32.
        unsafe {
            let mut sums = [D::no_codes(); T];
            for line in (0..4).step_by(lines::<D::Lanes>(T)) {
                let codes = codes::<D::Lanes, Q6K, T, HALF>(w, line);
                add_codes::<D, T, HALF>(&mut sums, codes, tile, line);
            }
            add_dots(totals, tile, scale, |token| {
                let offset = 4 * tile.offset_of_half::<HALF>(token);
                D::total_of_codes(sums[token], offset / lines::<D::Lanes>(T) as i32)
            });
        }
    }
}

impl Packed for Q6K {
    const KIND: Kind = Kind::Q6K;
    const GROUPS: usize = BLOCK;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let d = w.min::<D::Lanes, T>(0);
            each_group!(D, T, w, tile => {
                let scale = d.mul(w.byte::<D::Lanes, T>(0, true));
                Self::half::<D, T, 0>(&w, &tile, scale, totals);
                let scale = d.mul(w.byte::<D::Lanes, T>(1, true));
                Self::half::<D, T, 1>(&w, &tile, scale, totals);
            });
        }
    }
}
