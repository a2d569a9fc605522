//! Kinds whose codes are places in a table of signed bytes.

use super::{Groups, Packed, add_dots, lines};
use crate::cpu::activations::Tile;
use crate::cpu::dots::Dots;
use crate::cpu::lanes::Lanes;
use crate::layout::{BLOCK, HALVES, Kind, NON_LINEAR};

/// What the codes of a group stand for, multiplied with each token's whole numbers, and that added
/// to the totals.
#[inline(always)]
unsafe fn add_group<D: Dots, const T: usize>(
    table: &'static [i8; 16],
    w: &Groups,
    tile: &Tile,
    scale: D::Lanes,
    totals: &mut [D::Lanes; T],
) {
    // SAFETY: the caller's; low nibbles are columns 0..16, high ones 16..32.
    unsafe {
        let (mut sums, nibble) = ([D::no_bytes(); T], D::Lanes::mask::<0x0f0f_0f0f>());
        for line in (0..4).step_by(lines::<D::Lanes>(T)) {
            let bits = w.line::<D::Lanes, T>(line);
            let high = D::Lanes::moved(bits, -4, 0);
            let bytes = [
                D::Lanes::looked_up(table, D::Lanes::and(bits, nibble)),
                D::Lanes::looked_up(table, D::Lanes::and(high, nibble)),
            ];
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = tile.fours::<T>(line, token);
                *sums = if T == 1 {
                    D::dot_lines_of_bytes(*sums, bytes, x)
                } else {
                    D::dot_bytes(*sums, bytes, x)
                };
            }
        }
        add_dots(totals, tile, scale, |token| D::total_of_bytes(sums[token]));
    }
}

/// [`Kind::IQ4NL`].
pub struct IQ4NL;

impl Packed for IQ4NL {
    const KIND: Kind = Kind::IQ4NL;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe { add_group::<D, T>(&NON_LINEAR, w, tile, w.scale::<D::Lanes, T>(), totals) }
    }
}

/// [`Kind::FP4`].
pub struct FP4;

impl Packed for FP4 {
    const KIND: Kind = Kind::FP4;

    #[inline(always)]
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    ) {
        // SAFETY: the caller's.
        unsafe { add_group::<D, T>(&HALVES, w, tile, w.scale::<D::Lanes, T>(), totals) }
    }
}

/// [`Kind::IQ4XS`].
pub struct IQ4XS;

impl Packed for IQ4XS {
    const KIND: Kind = Kind::IQ4XS;
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
            let (mut w, mut tile) = (*w, *tile);
            for _ in 0..BLOCK / 2 {
                // Two groups' scales lie where other kinds have a group's two.
                for scale in w.bytes::<D::Lanes, T>(true) {
                    w.prefetch::<D::Lanes, T>(Self::KIND);
                    add_group::<D, T>(&NON_LINEAR, &w, &tile, d.mul(scale), totals);
                    (w, tile) = (w.next(Self::KIND), tile.next(Self::KIND, T));
                }
            }
        }
    }
}
