//! Kinds whose codes have five or six bits, and K kinds, whose scales are codes of a block.

use super::kinds::dot_nibbles;
use super::{Groups, Packed, add_dots, add_mins, lines, share};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{BLOCK, Kind};

/// What cuts codes out: their nibbles, and what lies above.
type Masks<L> = [<L as Lanes>::Bits; 2];

#[inline(always)]
unsafe fn masks<L: Lanes, K: Packed>() -> Masks<L> {
    // SAFETY: the caller's.
    unsafe {
        let upper = match K::KIND.code_bits() {
            5 => L::mask::<0x1010_1010>(),
            _ => L::mask::<0x3030_3030>(),
        };
        [L::mask::<0x0f0f_0f0f>(), upper]
    }
}

/// A line's codes in bytes, of its low nibbles or of its high ones: the upper bits come from the
/// lines after the fourth.
#[inline(always)]
unsafe fn codes<L: Lanes, K: Packed, const T: usize, const HALF: usize, const LINE: usize>(
    w: &Groups,
    [nibble, upper]: Masks<L>,
) -> L::Bits {
    // Beside one token a vector has several lines, whose upper bits lie side by side.
    let (line, next) = (LINE as i32, if T == 1 { 1 } else { 0 });
    // SAFETY: the caller's.
    unsafe {
        let bits = w.line::<L, T>(LINE);
        let bits = if HALF == 0 { bits } else { L::moved(bits, -4, 0) };
        let above = match K::KIND.code_bits() {
            5 => L::moved(w.line_for_all::<L, T>(4), 4 - line - 4 * HALF as i32, next),
            _ => L::moved(w.line_for_all::<L, T>(4 + HALF), 4 - 2 * line, 2 * next),
        };
        L::or(L::and(bits, nibble), L::and(above, upper))
    }
}

/// `sums` and the products of half a line's codes, or a vector's lines, with each token's
/// activations.
#[inline(always)]
unsafe fn add_line<D: Dots, K: Packed, const T: usize, const HALF: usize, const LINE: usize>(
    w: &Groups,
    masks: Masks<D::Lanes>,
    tile: &Tile,
    sums: &mut [D::CodeSums; T],
) {
    // SAFETY: the caller's.
    let codes = unsafe { codes::<D::Lanes, K, T, HALF, LINE>(w, masks) };
    for (token, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let x = tile.fours::<T>(LINE, token);
            *sums = if T == 1 {
                D::dot_lines_of_codes::<HALF>(*sums, codes, x)
            } else {
                D::dot_codes::<HALF>(*sums, codes, x)
            };
        }
    }
}

/// The same of all lines: one after the other, since how far bits are moved must be known when this
/// is compiled.
macro_rules! each_line {
    ($L:ty, $T:ident, $w:ident, $LINE:ident => $body:expr) => {
        'lines: {
            each_line!(@ 'lines, $L, $T, $w, $LINE = 0, $body);
            each_line!(@ 'lines, $L, $T, $w, $LINE = 1, $body);
            each_line!(@ 'lines, $L, $T, $w, $LINE = 2, $body);
            each_line!(@ 'lines, $L, $T, $w, $LINE = 3, $body);
        }
    };
    (@ $lines:lifetime, $L:ty, $T:ident, $w:ident, $LINE:ident = $line:literal, $body:expr) => {{
        const $LINE: usize = $line;
        if $LINE.is_multiple_of(lines::<$L>($T)) {
            if !$w.goes_on::<$L>($LINE) {
                break $lines;
            }
            $body
        }
    }};
}

/// The whole numbers of a group of codes, multiplied with each token's.
#[inline(always)]
unsafe fn dot_group<D: Dots, K: Packed, const T: usize>(
    w: &Groups,
    tile: &Tile,
) -> [D::CodeSums; T] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [D::no_codes(0); T];
        for (token, sums) in sums.iter_mut().enumerate() {
            // What makes up for codes that are too high.
            *sums = D::no_codes(share::<D::Lanes>(tile.offset(token), T));
        }
        let masks = masks::<D::Lanes, K>();
        each_line!(D::Lanes, T, w, LINE => {
            add_line::<D, K, T, 0, LINE>(w, masks, tile, &mut sums);
            add_line::<D, K, T, 1, LINE>(w, masks, tile, &mut sums)
        });
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
        // SAFETY: the caller's.
        unsafe {
            let sums = dot_group::<D, Q5, T>(w, tile);
            let scale = w.scale::<D::Lanes, T>();
            add_dots(totals, tile, scale, |token| D::total_of_codes(sums[token]));
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
            add_dots(totals, tile, scale, |token| D::total_of_codes(sums[token]));
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

pub(super) use each_group;

/// A kind whose groups have a scale and a minimum each, of a block's two factors.
macro_rules! block_min {
    ($kind:ident, $dot:expr, |$sums:ident| $total:expr) => {
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
                        let [scale, min] = w.bytes::<D::Lanes, T>(false);
                        add_dots(totals, &tile, d.mul(scale), |token| {
                            let $sums = sums[token];
                            $total
                        });
                        add_mins(totals, &tile, minus.mul(min));
                    });
                }
            }
        }
    };
}

block_min!(Q4K, dot_nibbles::<D, T>, |sums| D::total(sums, 0));
block_min!(Q5K, dot_group::<D, Q5K, T>, |sums| D::total_of_codes(sums));

/// `sums` and the products of one half's codes with a token's whole numbers. Token after token, so
/// that WebAssembly's sixteen registers hold the codes of all lines, not sums of all tokens.
#[inline(always)]
pub(super) unsafe fn add_half<D: Dots, const T: usize, const HALF: usize>(
    mut sums: D::CodeSums,
    codes: [<D::Lanes as Lanes>::Bits; 4],
    tile: &Tile,
    token: usize,
) -> D::CodeSums {
    for line in (0..4).step_by(lines::<D::Lanes>(T)) {
        // SAFETY: the caller's.
        unsafe {
            let x = tile.fours::<T>(line, token);
            sums = if T == 1 {
                D::dot_lines_of_codes::<HALF>(sums, codes[line], x)
            } else {
                D::dot_codes::<HALF>(sums, codes[line], x)
            };
        }
    }
    sums
}

/// What one half's codes come to beside a token, and `plus`.
#[inline(always)]
pub(super) unsafe fn dot_half<D: Dots, const T: usize, const HALF: usize>(
    codes: [<D::Lanes as Lanes>::Bits; 4],
    tile: &Tile,
    token: usize,
    plus: i32,
) -> D::Lanes {
    // SAFETY: the caller's.
    unsafe {
        let sums = D::no_codes(share::<D::Lanes>(plus, T));
        D::total_of_codes(add_half::<D, T, HALF>(sums, codes, tile, token))
    }
}

/// Kinds whose groups have a signed scale for either half, of a block's factor.
pub(super) trait Halves: Packed {
    /// The codes of one half of a group in bytes, line by line; those of lines that a vector has
    /// already are left open.
    ///
    /// # Safety
    /// That of [`Packed::multiply`].
    unsafe fn codes<L: Lanes, const T: usize, const HALF: usize>(w: &Groups) -> [L::Bits; 4];

    /// One half of a group, its scale and all.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn multiply_half<D: Dots, const T: usize, const HALF: usize>(
        w: &Groups,
        tile: &Tile,
        scale: D::Lanes,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let codes = Self::codes::<D::Lanes, T, HALF>(w);
            add_dots(totals, tile, scale, |token| {
                dot_half::<D, T, HALF>(codes, tile, token, tile.offset_of_half::<HALF>(token))
            });
        }
    }

    /// A block.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn multiply_block<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let d = w.min::<D::Lanes, T>(0);
            each_group!(D, T, w, tile => {
                let [first, second] = w.bytes::<D::Lanes, T>(true);
                Self::multiply_half::<D, T, 0>(&w, &tile, d.mul(first), totals);
                Self::multiply_half::<D, T, 1>(&w, &tile, d.mul(second), totals);
            });
        }
    }
}

/// [`Kind::Q6K`].
pub struct Q6K;

impl Halves for Q6K {
    #[inline(always)]
    unsafe fn codes<L: Lanes, const T: usize, const HALF: usize>(w: &Groups) -> [L::Bits; 4] {
        // SAFETY: the caller's.
        unsafe {
            let masks = masks::<L, Q6K>();
            let mut all = [codes::<L, Q6K, T, HALF, 0>(w, masks); 4];
            if lines::<L>(T) == 1 {
                all[1] = codes::<L, Q6K, T, HALF, 1>(w, masks);
                all[3] = codes::<L, Q6K, T, HALF, 3>(w, masks);
            }
            if lines::<L>(T) <= 2 {
                all[2] = codes::<L, Q6K, T, HALF, 2>(w, masks);
            }
            all
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
        unsafe { Self::multiply_block::<D, T>(w, tile, totals) }
    }
}
