//! The kinds of weights, group by group: how a group is multiplied with a tile of activations.
//!
//! For several tokens a vector has the same line of neighbouring quads, so that a line's
//! activations serve all of it. For one token it has neighbouring lines of one quad: memory, which
//! bounds it then, is read in one stream, and the lines' sums are added up in the end.

mod codes;
mod kinds;
mod low;
mod table;
mod unpack;

use super::activations::Tile;
use super::dots::Dots;
use super::lanes::Lanes;
use super::memory::Memory;
use crate::error::Result;
use crate::layout::panel::LINE;
use crate::layout::{BLOCK, GROUP, Kind, QUAD};
use crate::op::{Buf, Matrix, Part};
pub use codes::{Q4K, Q5, Q5K, Q5Min, Q6K};
pub use kinds::{F16, F32, Q4, Q4Min, Q8};
pub use low::{Q2K, Q3, Q3K};
pub use table::{FP4, IQ4NL, IQ4XS};

/// Bytes that memory hands over at once.
const CACHE_LINE: usize = 64;
/// How far ahead codes are asked for: what memory can bring while they are waited for.
const AHEAD: usize = 4096;

/// Lines of a quad that a vector has, beside `tokens` tokens.
pub const fn lines<L: Lanes>(tokens: usize) -> usize {
    if tokens == 1 { L::WIDTH / QUAD } else { 1 }
}

/// What each of a vector's lines has of an offset: a multiple of every kind's zero, which is one of
/// four.
#[inline(always)]
const fn share<L: Lanes>(offset: i32, tokens: usize) -> i32 {
    offset >> lines::<L>(tokens).ilog2()
}

/// A part of a matrix in memory.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// How the elements are held.
    pub kind: Kind,
    /// Rows of the part.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    codes: &'a [u8],
    scales: &'a [u16],
    mins: &'a [u16],
}

impl<'a> Weights<'a> {
    /// A part's buffers; `check` has seen that they hold all of it.
    pub fn of(memory: &'a Memory, matrix: &Matrix, part: &Part) -> Result<Weights<'a>> {
        let plane = |buf: Option<Buf>| buf.map_or(Ok(&[][..]), |buf| memory.read(buf));
        let (rows, cols) = (part.rows as usize, matrix.cols as usize);
        Ok(Weights {
            kind: part.kind,
            rows,
            cols,
            codes: memory.read(part.codes)?,
            scales: plane(part.scales)?,
            mins: plane(part.mins)?,
        })
    }

    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.cols / GROUP
    }

    /// Quads of four rows, the last one padded.
    pub fn quads(&self) -> usize {
        self.rows.div_ceil(QUAD)
    }

    /// The first group of a quad and of those beside it: `together` quads that differ, or one,
    /// repeated.
    pub fn at(&self, quad: usize, together: usize) -> Groups {
        let block = quad * self.groups();
        let stride = if together > 1 { self.groups() } else { 0 };
        let mins = |groups: usize| match self.kind.factors() {
            0 => groups * QUAD,
            factors => groups / BLOCK * factors * QUAD,
        };
        let scales = self.kind.scales_per_group() / 2;
        Groups {
            codes: self.codes[block * self.kind.codes_per_group()..].as_ptr(),
            scales: self.scales.as_ptr().wrapping_add(block * scales),
            mins: self.mins.as_ptr().wrapping_add(mins(block)),
            lines: self.kind.codes_per_group() / LINE,
            codes_stride: stride * self.kind.codes_per_group(),
            halves_stride: stride * scales,
            mins_stride: mins(stride),
        }
    }
}

/// One group of the quads of a vector; beside one token there is one quad.
#[derive(Clone, Copy)]
pub struct Groups {
    codes: *const u8,
    scales: *const u16,
    mins: *const u16,
    /// Lines of a group.
    lines: usize,
    /// Bytes from a quad's codes to the next one's.
    codes_stride: usize,
    /// Halves from a quad's scales to the next one's.
    halves_stride: usize,
    /// Halves from a quad's minima, or factors, to the next one's.
    mins_stride: usize,
}

impl Groups {
    /// The next group of the same rows.
    #[inline(always)]
    pub fn next(self, kind: Kind) -> Groups {
        Groups {
            codes: self.codes.wrapping_add(kind.codes_per_group()),
            scales: self.scales.wrapping_add(kind.scales_per_group() / 2),
            mins: if kind.has_blocks() { self.mins } else { self.mins.wrapping_add(QUAD) },
            ..self
        }
    }

    /// The first group of the next block, of a kind that has some.
    #[inline(always)]
    fn next_block(self, kind: Kind) -> Groups {
        Groups {
            codes: self.codes.wrapping_add(BLOCK * kind.codes_per_group()),
            scales: self.scales.wrapping_add(BLOCK * kind.scales_per_group() / 2),
            mins: self.mins.wrapping_add(kind.factors() * QUAD),
            ..self
        }
    }

    /// Asks for the codes that come a while later. What hardware foresees by itself ends with every
    /// few rows.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`.
    #[inline(always)]
    pub unsafe fn prefetch<L: Lanes, const T: usize>(&self, kind: Kind) {
        for quad in 0..L::WIDTH / QUAD / lines::<L>(T) {
            for line in (0..kind.codes_per_group()).step_by(CACHE_LINE) {
                // SAFETY: the caller's.
                unsafe {
                    L::prefetch(self.codes.wrapping_add(quad * self.codes_stride + line + AHEAD))
                };
            }
        }
    }

    /// Whether there is a line: [`Lanes::goes_on`].
    #[inline(always)]
    fn goes_on<L: Lanes>(&self, line: usize) -> bool {
        L::goes_on(line < self.lines)
    }

    /// A line of each quad, or lines from this one on.
    #[inline(always)]
    unsafe fn line<L: Lanes, const T: usize>(&self, line: usize) -> L::Bits {
        let stride = if T == 1 { LINE } else { self.codes_stride };
        // SAFETY: the caller's.
        unsafe { L::load_quads(self.codes.add(line * LINE), stride) }
    }

    /// A line of each quad, which serves all lines of one.
    #[inline(always)]
    unsafe fn line_for_all<L: Lanes, const T: usize>(&self, line: usize) -> L::Bits {
        let stride = if T == 1 { 0 } else { self.codes_stride };
        // SAFETY: the caller's.
        unsafe { L::load_quads(self.codes.add(line * LINE), stride) }
    }

    #[inline(always)]
    unsafe fn scale<L: Lanes, const T: usize>(&self) -> L {
        // SAFETY: the caller's.
        unsafe { L::quads_of_halves(self.scales, if T == 1 { 0 } else { self.halves_stride }) }
    }

    /// Of a K kind: the groups' first bytes, and the second.
    #[inline(always)]
    unsafe fn bytes<L: Lanes, const T: usize>(&self, signed: bool) -> [L; 2] {
        let (from, stride) =
            (self.scales.cast::<u8>(), if T == 1 { 0 } else { 2 * self.halves_stride });
        // SAFETY: the caller's.
        unsafe {
            if signed {
                L::quads_of_signed_bytes(from, stride)
            } else {
                L::quads_of_bytes(from, stride)
            }
        }
    }

    /// The minima, or a block's first factors, or the second.
    #[inline(always)]
    unsafe fn min<L: Lanes, const T: usize>(&self, which: usize) -> L {
        let stride = if T == 1 { 0 } else { self.mins_stride };
        // SAFETY: the caller's.
        unsafe { L::quads_of_halves(self.mins.add(which * QUAD), stride) }
    }
}

/// `with_kind!(kind, K => f::<K>())`: the expression with the type of the kind.
macro_rules! with_kind {
    ($kind:expr, $K:ident => $body:expr) => {
        match $kind {
            $crate::layout::Kind::F32 => {
                type $K = $crate::cpu::packed::F32;
                $body
            }
            $crate::layout::Kind::F16 => {
                type $K = $crate::cpu::packed::F16;
                $body
            }
            $crate::layout::Kind::Q8 => {
                type $K = $crate::cpu::packed::Q8;
                $body
            }
            $crate::layout::Kind::Q4 => {
                type $K = $crate::cpu::packed::Q4;
                $body
            }
            $crate::layout::Kind::Q4Min => {
                type $K = $crate::cpu::packed::Q4Min;
                $body
            }
            $crate::layout::Kind::Q3 => {
                type $K = $crate::cpu::packed::Q3;
                $body
            }
            $crate::layout::Kind::Q5 => {
                type $K = $crate::cpu::packed::Q5;
                $body
            }
            $crate::layout::Kind::Q5Min => {
                type $K = $crate::cpu::packed::Q5Min;
                $body
            }
            $crate::layout::Kind::Q4K => {
                type $K = $crate::cpu::packed::Q4K;
                $body
            }
            $crate::layout::Kind::Q5K => {
                type $K = $crate::cpu::packed::Q5K;
                $body
            }
            $crate::layout::Kind::Q6K => {
                type $K = $crate::cpu::packed::Q6K;
                $body
            }
            $crate::layout::Kind::Q3K => {
                type $K = $crate::cpu::packed::Q3K;
                $body
            }
            $crate::layout::Kind::Q2K => {
                type $K = $crate::cpu::packed::Q2K;
                $body
            }
            $crate::layout::Kind::IQ4NL => {
                type $K = $crate::cpu::packed::IQ4NL;
                $body
            }
            $crate::layout::Kind::IQ4XS => {
                type $K = $crate::cpu::packed::IQ4XS;
                $body
            }
            $crate::layout::Kind::FP4 => {
                type $K = $crate::cpu::packed::FP4;
                $body
            }
        }
    };
}
pub(crate) use with_kind;

/// How a group is multiplied, or a block of groups.
pub trait Packed {
    /// Which kind this is.
    const KIND: Kind;
    /// How many groups at once.
    const GROUPS: usize = 1;

    /// Adds the groups' products with `T` tokens' activations to their totals, row by row; one
    /// token's total is that of all lanes' quads. `tile` is at the first group.
    ///
    /// # Safety
    /// The CPU has the instructions of `D`; `w` and `tile` lead to `GROUPS` groups, of this kind
    /// and packed for it.
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    );

    /// What comes after them.
    #[inline(always)]
    fn after(w: Groups) -> Groups {
        if Self::GROUPS == 1 { w.next(Self::KIND) } else { w.next_block(Self::KIND) }
    }
}

/// Adds each token's dots of a group, times scales.
#[inline(always)]
unsafe fn add_dots<L: Lanes, const T: usize>(
    totals: &mut [L; T],
    tile: &Tile,
    scale: L,
    dot: impl Fn(usize) -> L,
) {
    for (token, total) in totals.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            *total = dot(token).mul_add(scale.mul(L::splat(tile.scale(token))), *total);
        }
    }
}

/// Adds what a group's minima come to. One token's are added by every line.
#[inline(always)]
unsafe fn add_mins<L: Lanes, const T: usize>(totals: &mut [L; T], tile: &Tile, min: L) {
    for (token, total) in totals.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            *total = min.mul_add(L::splat(tile.sum(token) / lines::<L>(T) as f32), *total);
        }
    }
}
