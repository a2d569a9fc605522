//! Kinds of one product a group: floats, nibbles and bytes.

use super::{Groups, Packed, add_dots, add_mins, lines, share};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{GROUP, Kind};

/// The whole numbers of a group of nibbles, multiplied with each token's.
#[inline(always)]
pub(super) unsafe fn dot_nibbles<D: Dots, const T: usize>(w: &Groups, tile: &Tile) -> [D::Sums; T] {
    // SAFETY: the caller's; low nibbles are columns 0..16, high ones 16..32.
    unsafe {
        let mut sums = [D::none(); T];
        for line in (0..4).step_by(lines::<D::Lanes>(T)) {
            if !w.goes_on::<D::Lanes>(line) {
                break;
            }
            let bits = w.line::<D::Lanes, T>(line);
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = tile.fours::<T>(line, token);
                *sums = if T == 1 { D::dot_lines(*sums, bits, x) } else { D::dot(*sums, bits, x) };
            }
        }
        sums
    }
}

/// [`Kind::Q4`].
pub struct Q4;

impl Packed for Q4 {
    const KIND: Kind = Kind::Q4;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let sums = dot_nibbles::<D, T>(w, tile);
            add_dots(totals, tile, w.scale::<D::Lanes, T>(), |token| {
                D::total(sums[token], share::<D::Lanes>(tile.offset(token), T))
            });
        }
    }
}

/// [`Kind::Q4Min`].
pub struct Q4Min;

impl Packed for Q4Min {
    const KIND: Kind = Kind::Q4Min;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let sums = dot_nibbles::<D, T>(w, tile);
            let scale = w.scale::<D::Lanes, T>();
            add_dots(totals, tile, scale, |token| D::total(sums[token], 0));
            add_mins(totals, tile, w.min::<D::Lanes, T>(0));
        }
    }
}

/// [`Kind::Q8`].
pub struct Q8;

impl Packed for Q8 {
    const KIND: Kind = Kind::Q8;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [D::no_bytes(); T];
            for line in (0..GROUP / 8).step_by(lines::<D::Lanes>(T)) {
                let bits = [w.line::<D::Lanes, T>(line), w.line::<D::Lanes, T>(4 + line)];
                for (token, sums) in sums.iter_mut().enumerate() {
                    let x = tile.fours::<T>(line, token);
                    *sums = if T == 1 {
                        D::dot_lines_of_bytes(*sums, bits, x)
                    } else {
                        D::dot_bytes(*sums, bits, x)
                    };
                }
            }
            let scale = w.scale::<D::Lanes, T>();
            add_dots(totals, tile, scale, |token| D::total_of_bytes(sums[token]));
        }
    }
}

/// A column's activation for every quad, or that of columns `stride` apart for every line.
#[inline(always)]
unsafe fn column<L: Lanes, const T: usize>(
    tile: &Tile,
    column: usize,
    token: usize,
    stride: usize,
) -> L {
    // SAFETY: the caller's; columns of one token lie side by side.
    unsafe { L::quads_of(tile.float::<T>(column, token), if T == 1 { stride } else { 0 }) }
}

/// [`Kind::F16`].
pub struct F16;

impl Packed for F16 {
    const KIND: Kind = Kind::F16;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's; a line has two columns.
        unsafe {
            let mut sums = [D::Lanes::splat(0.0); T];
            for line in (0..GROUP / 2).step_by(lines::<D::Lanes>(T)) {
                let [even, odd] = D::Lanes::halves(w.line::<D::Lanes, T>(line));
                for (token, sum) in sums.iter_mut().enumerate() {
                    *sum = even.mul_add(column::<D::Lanes, T>(tile, 2 * line, token, 2), *sum);
                    *sum = odd.mul_add(column::<D::Lanes, T>(tile, 2 * line + 1, token, 2), *sum);
                }
            }
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total = total.add(sum));
        }
    }
}

/// [`Kind::F32`].
pub struct F32;

impl Packed for F32 {
    const KIND: Kind = Kind::F32;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's; a line is a column.
        unsafe {
            let mut sums = [D::Lanes::splat(0.0); T];
            for line in (0..GROUP).step_by(lines::<D::Lanes>(T)) {
                let weights = D::Lanes::from_bits(w.line::<D::Lanes, T>(line));
                for (token, sum) in sums.iter_mut().enumerate() {
                    *sum = weights.mul_add(column::<D::Lanes, T>(tile, line, token, 1), *sum);
                }
            }
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total = total.add(sum));
        }
    }
}
