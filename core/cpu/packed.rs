//! The kinds of weights, group by group: how a group is multiplied with a tile of activations.
//!
//! For several tokens a vector has the same line of neighbouring quads, so that a line's
//! activations serve all of it. For one token it has neighbouring lines of one quad: memory, which
//! bounds it then, is read in one stream, and the lines' sums are added up in the end.

use half::f16;

use super::activations::Tile;
use super::dots::Dots;
use super::lanes::Lanes;
use super::memory::Memory;
use crate::error::Result;
use crate::layout::panel::LINE;
use crate::layout::{GROUP, Kind, QUAD};
use crate::op::{Buf, Matrix, Part};

/// Bytes that memory hands over at once.
const CACHE_LINE: usize = 64;
/// How far ahead codes are asked for: what memory can bring while they are waited for.
const AHEAD: usize = 4096;

/// Lines of a quad that a vector has, beside `tokens` tokens.
pub const fn lines<L: Lanes>(tokens: usize) -> usize {
    if tokens == 1 { L::WIDTH / QUAD } else { 1 }
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
            kind: matrix.kind,
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
        Groups {
            codes: self.codes[block * self.kind.codes_per_group()..].as_ptr(),
            scales: self.scales.as_ptr().wrapping_add(block * QUAD),
            mins: self.mins.as_ptr().wrapping_add(block * QUAD),
            codes_stride: stride * self.kind.codes_per_group(),
            halves_stride: stride * QUAD,
        }
    }

    /// The values of a row.
    pub fn unpack(&self, row: usize, out: &mut [f32]) {
        let (lane, first) = (row % QUAD, row / QUAD * self.groups());
        let lines = self.kind.codes_per_group() / LINE;
        for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
            let half = |plane: &[u16]| {
                plane
                    .get((first + group) * QUAD + lane)
                    .map_or(0.0, |&bits| f16::from_bits(bits).to_f32())
            };
            let (scale, min) = (half(self.scales), half(self.mins));
            for (line, four) in self.codes[(first + group) * self.kind.codes_per_group()..]
                .chunks_exact(LINE)
                .take(lines)
                .enumerate()
            {
                let bytes: [u8; 4] = std::array::from_fn(|j| four[4 * lane + j]);
                match self.kind {
                    Kind::Q4 | Kind::Q4Min => {
                        let zero = if self.kind == Kind::Q4 { 8.0 } else { 0.0 };
                        for (j, byte) in bytes.into_iter().enumerate() {
                            out[4 * line + j] = scale * (f32::from(byte & 15) - zero) + min;
                            out[GROUP / 2 + 4 * line + j] =
                                scale * (f32::from(byte >> 4) - zero) + min;
                        }
                    }
                    Kind::Q8 => bytes
                        .into_iter()
                        .zip(&mut out[4 * line..])
                        .for_each(|(byte, out)| *out = scale * f32::from(byte as i8)),
                    Kind::F16 => {
                        let [a, b, c, d] = bytes;
                        out[2 * line] = f16::from_le_bytes([a, b]).to_f32();
                        out[2 * line + 1] = f16::from_le_bytes([c, d]).to_f32();
                    }
                    Kind::F32 => out[line] = f32::from_le_bytes(bytes),
                }
            }
        }
    }
}

/// One group of the quads of a vector; beside one token there is one quad.
#[derive(Clone, Copy)]
pub struct Groups {
    codes: *const u8,
    scales: *const u16,
    mins: *const u16,
    /// Bytes from a quad's codes to the next one's.
    codes_stride: usize,
    /// Halves from a quad's scales to the next one's.
    halves_stride: usize,
}

impl Groups {
    /// The next group of the same rows.
    #[inline(always)]
    pub fn next(self, kind: Kind) -> Groups {
        Groups {
            codes: self.codes.wrapping_add(kind.codes_per_group()),
            scales: self.scales.wrapping_add(QUAD),
            mins: self.mins.wrapping_add(QUAD),
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

    /// A line of each quad, or lines from this one on.
    #[inline(always)]
    unsafe fn line<L: Lanes, const T: usize>(&self, line: usize) -> L::Bits {
        let stride = if T == 1 { LINE } else { self.codes_stride };
        // SAFETY: the caller's.
        unsafe { L::load_quads(self.codes.add(line * LINE), stride) }
    }

    #[inline(always)]
    unsafe fn scale<L: Lanes, const T: usize>(&self) -> L {
        // SAFETY: the caller's.
        unsafe { L::quads_of_halves(self.scales, if T == 1 { 0 } else { self.halves_stride }) }
    }

    #[inline(always)]
    unsafe fn min<L: Lanes, const T: usize>(&self) -> L {
        // SAFETY: the caller's.
        unsafe { L::quads_of_halves(self.mins, if T == 1 { 0 } else { self.halves_stride }) }
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
        }
    };
}
pub(crate) use with_kind;

/// How a group is multiplied.
pub trait Packed {
    /// Which kind this is.
    const KIND: Kind;

    /// Adds a group's products with `T` tokens' activations to their totals, row by row; one
    /// token's total is that of all lanes' quads. `tile` is at the group.
    ///
    /// # Safety
    /// The CPU has the instructions of `D`; `w` and `tile` lead to a group, of this kind and packed
    /// for it.
    unsafe fn multiply<D: Dots, const T: usize>(
        w: &Groups,
        tile: &Tile,
        totals: &mut [D::Lanes; T],
    );
}

/// The whole numbers of a group of nibbles, multiplied with each token's.
#[inline(always)]
unsafe fn dot_nibbles<D: Dots, const T: usize>(w: &Groups, tile: &Tile) -> [D::Sums; T] {
    // SAFETY: the caller's; low nibbles are columns 0..16, high ones 16..32.
    unsafe {
        let mut sums = [D::none(); T];
        for line in (0..4).step_by(lines::<D::Lanes>(T)) {
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
            let (sums, scale) = (dot_nibbles::<D, T>(w, tile), w.scale::<D::Lanes, T>());
            for (token, total) in totals.iter_mut().enumerate() {
                let dot = D::total(sums[token], tile.offset(token) / lines::<D::Lanes>(T) as i32);
                *total = dot.mul_add(scale.mul(D::Lanes::splat(tile.scale(token))), *total);
            }
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
            let (sums, scale, min) =
                (dot_nibbles::<D, T>(w, tile), w.scale::<D::Lanes, T>(), w.min::<D::Lanes, T>());
            for (token, total) in totals.iter_mut().enumerate() {
                let dot = D::total(sums[token], 0);
                *total = dot.mul_add(scale.mul(D::Lanes::splat(tile.scale(token))), *total);
                *total = min.mul_add(
                    D::Lanes::splat(tile.sum(token) / lines::<D::Lanes>(T) as f32),
                    *total,
                );
            }
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
            for (token, total) in totals.iter_mut().enumerate() {
                *total = D::total_of_bytes(sums[token])
                    .mul_add(scale.mul(D::Lanes::splat(tile.scale(token))), *total);
            }
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
