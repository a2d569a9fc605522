//! The kinds of weights, group by group: how to multiply one with activations, and how to unpack it.
//!
//! A vector of codes holds `WIDTH / 4` lines of four rows. So that its every product needs only one broadcast within quads, the
//! activations are first [arranged](arrange): lane 4p + i of a vector is what quad p needs in step i.

use super::lanes::Lanes;
use super::memory::Memory;
use crate::error::Result;
use crate::op::{Buf, Matrix, Part};
use crate::weights::layout::{GROUP, Kind, QUAD};

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
        Ok(Weights { kind: matrix.kind, rows, cols, codes: memory.read(part.codes)?, scales: plane(part.scales)?, mins: plane(part.mins)? })
    }

    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.cols / GROUP
    }

    /// Where a group's codes begin.
    #[inline(always)]
    pub fn codes(&self, quad: usize, group: usize) -> *const u8 {
        self.codes[(quad * self.groups() + group) * self.kind.codes_per_group()..].as_ptr()
    }

    /// The four scales of a quad's group; 1 for kinds that have none.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; the quad and the group exist, and `K` is the kind.
    #[inline(always)]
    pub unsafe fn scale<L: Lanes, K: Packed>(&self, quad: usize, group: usize) -> L {
        let at = (quad * self.groups() + group) * QUAD;
        // SAFETY: the caller's.
        unsafe { if K::KIND.has_scales() { L::quad_of_halves(self.scales.as_ptr().add(at)) } else { L::splat(1.0) } }
    }

    /// The four minima of a quad's group, for kinds that have them.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; the quad and the group exist.
    #[inline(always)]
    pub unsafe fn min<L: Lanes>(&self, quad: usize, group: usize) -> L {
        let at = (quad * self.groups() + group) * QUAD;
        // SAFETY: the caller's.
        unsafe { L::quad_of_halves(self.mins.as_ptr().add(at)) }
    }

    /// Unpacks a quad's group: column c of its four rows to `to + c * stride`.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; the quad and the group exist, `K` is the kind, `to` has room for `GROUP` columns.
    #[inline(always)]
    pub unsafe fn unpack<L: Lanes, K: Packed>(&self, quad: usize, group: usize, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe {
            let scale = self.scale::<L, K>(quad, group);
            let min = if K::KIND.has_mins() { self.min(quad, group) } else { scale.mul(L::splat(K::ZERO)) };
            K::unpack(self.codes(quad, group), scale, min, to, stride);
        }
    }
}

/// `with_kind!(kind, K => f::<K>())`: the expression with the type of the kind.
macro_rules! with_kind {
    ($kind:expr, $K:ident => $body:expr) => {
        match $kind {
            $crate::weights::layout::Kind::F32 => {
                type $K = $crate::cpu::packed::F32;
                $body
            }
            $crate::weights::layout::Kind::F16 => {
                type $K = $crate::cpu::packed::F16;
                $body
            }
            $crate::weights::layout::Kind::Q8 => {
                type $K = $crate::cpu::packed::Q8;
                $body
            }
            $crate::weights::layout::Kind::Q4 => {
                type $K = $crate::cpu::packed::Q4;
                $body
            }
            $crate::weights::layout::Kind::Q4Min => {
                type $K = $crate::cpu::packed::Q4Min;
                $body
            }
        }
    };
}
pub(crate) use with_kind;

/// How a group of a quad of rows is held: `GROUP` columns of four rows.
pub trait Packed {
    /// Which kind this is.
    const KIND: Kind;
    /// What code 0 is worth, in scales, for kinds that have no minima.
    const ZERO: f32 = 0.0;

    /// `plus` and the products of a group's codes with its arranged activations.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; `codes` has a group, `x` has `GROUP` activations.
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L;

    /// Writes a group's weights, `scale * code + min`: column c of the four rows to `to + c * stride`.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; `codes` has a group, `to` has room for `GROUP` columns.
    unsafe fn unpack<L: Lanes>(codes: *const u8, scale: L, min: L, to: *mut f32, stride: usize);
}

/// Where in memory order the activation of a lane lies, and the power of two that undoes the place of its code's bits.
fn place(kind: Kind, width: usize, lane: usize) -> (usize, f32) {
    let columns_a_line = match kind {
        Kind::F32 => 1,
        Kind::F16 => 2,
        Kind::Q8 => 4,
        Kind::Q4 | Kind::Q4Min => {
            // Nibbles are multiplied where they lie in the u32, but for the uppermost, which is shifted down.
            let bits = if lane >= GROUP / 2 && lane % 4 == 3 { 0 } else { lane % 4 * 8 + lane / 16 * 4 };
            return (lane, f32::from_bits((127 - bits as u32) << 23));
        }
    };
    let (vector, quad, step) = (lane / width, lane % width / 4, lane % 4);
    let line = step / columns_a_line * (width / 4) + quad;
    (vector * width + line * columns_a_line + step % columns_a_line, 1.0)
}

/// Arranges a row of activations for [`Packed::dot`] with vectors of `width`, exactly: only the order and exponents change.
///
/// `sums` gets each group's sum, divided among the `width / 4` quads of a vector, which are added in the end.
pub fn arrange(kind: Kind, width: usize, x: &[f32], arranged: &mut [f32], sums: &mut [f32]) {
    let places: [(usize, f32); GROUP] = std::array::from_fn(|lane| place(kind, width, lane));
    for ((group, to), sum) in x.chunks_exact(GROUP).zip(arranged.chunks_exact_mut(GROUP)).zip(sums) {
        for (to, (from, power)) in to.iter_mut().zip(places) {
            *to = group[from] * power;
        }
        *sum = group.iter().sum::<f32>() / (width / 4) as f32;
    }
}

/// Nibbles: low ones columns 0..16, high ones columns 16..32.
#[inline(always)]
unsafe fn dot_nibbles<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
    // SAFETY: the caller's; 4 bytes hold a column of each half of the group.
    unsafe {
        let (mut low, mut high) = (plus, L::splat(0.0));
        for at in (0..GROUP / 2).step_by(L::WIDTH) {
            let bits = L::load_bits(codes.add(4 * at));
            let (x0, x1) = (L::load(x.add(at)), L::load(x.add(GROUP / 2 + at)));
            low = L::masked(bits, 0x0000_000f).mul_add(x0.lane_of_quad(0), low);
            high = L::masked(bits, 0x0000_00f0).mul_add(x1.lane_of_quad(0), high);
            low = L::masked(bits, 0x0000_0f00).mul_add(x0.lane_of_quad(1), low);
            high = L::masked(bits, 0x0000_f000).mul_add(x1.lane_of_quad(1), high);
            low = L::masked(bits, 0x000f_0000).mul_add(x0.lane_of_quad(2), low);
            high = L::masked(bits, 0x00f0_0000).mul_add(x1.lane_of_quad(2), high);
            low = L::masked(bits, 0x0f00_0000).mul_add(x0.lane_of_quad(3), low);
            high = L::shifted(bits, 28).mul_add(x1.lane_of_quad(3), high);
        }
        low.add(high)
    }
}

#[inline(always)]
unsafe fn unpack_nibbles<L: Lanes>(codes: *const u8, scale: L, min: L, to: *mut f32, stride: usize) {
    // SAFETY: the caller's.
    unsafe {
        let power = |bits: u32| scale.mul(L::splat(f32::from_bits((127 - bits) << 23)));
        for at in (0..GROUP / 2).step_by(L::WIDTH) {
            let bits = L::load_bits(codes.add(4 * at));
            for j in 0..4 {
                let (low, high) = (to.add((at + j) * stride), to.add((GROUP / 2 + at + j) * stride));
                let shift = 8 * j as u32;
                L::masked(bits, 0xf << shift).mul_add(power(shift), min).store_quads(low, 4 * stride);
                let code = if j < 3 { L::masked(bits, 0xf0 << shift) } else { L::shifted(bits, 28) };
                code.mul_add(power(if j < 3 { shift + 4 } else { 0 }), min).store_quads(high, 4 * stride);
            }
        }
    }
}

/// [`Kind::Q4`].
pub struct Q4;

impl Packed for Q4 {
    const KIND: Kind = Kind::Q4;
    const ZERO: f32 = -8.0;

    #[inline(always)]
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
        // SAFETY: the caller's.
        unsafe { dot_nibbles(codes, x, plus) }
    }

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(codes: *const u8, scale: L, min: L, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe { unpack_nibbles(codes, scale, min, to, stride) }
    }
}

/// [`Kind::Q4Min`].
pub struct Q4Min;

impl Packed for Q4Min {
    const KIND: Kind = Kind::Q4Min;

    #[inline(always)]
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
        // SAFETY: the caller's.
        unsafe { dot_nibbles(codes, x, plus) }
    }

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(codes: *const u8, scale: L, min: L, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe { unpack_nibbles(codes, scale, min, to, stride) }
    }
}

/// [`Kind::Q8`].
pub struct Q8;

impl Packed for Q8 {
    const KIND: Kind = Kind::Q8;

    #[inline(always)]
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
        // SAFETY: the caller's; 4 bytes hold a column.
        unsafe {
            let (mut even, mut odd) = (plus, L::splat(0.0));
            for at in (0..GROUP).step_by(L::WIDTH) {
                let bits = L::load_bits(codes.add(4 * at));
                let x = L::load(x.add(at));
                even = L::signed_byte(bits, 0).mul_add(x.lane_of_quad(0), even);
                odd = L::signed_byte(bits, 1).mul_add(x.lane_of_quad(1), odd);
                even = L::signed_byte(bits, 2).mul_add(x.lane_of_quad(2), even);
                odd = L::signed_byte(bits, 3).mul_add(x.lane_of_quad(3), odd);
            }
            even.add(odd)
        }
    }

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(codes: *const u8, scale: L, _min: L, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe {
            for at in (0..GROUP).step_by(L::WIDTH) {
                let bits = L::load_bits(codes.add(4 * at));
                for j in 0..4 {
                    L::signed_byte(bits, j as u32).mul(scale).store_quads(to.add((at + j) * stride), 4 * stride);
                }
            }
        }
    }
}

/// [`Kind::F16`].
pub struct F16;

impl Packed for F16 {
    const KIND: Kind = Kind::F16;

    #[inline(always)]
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
        // SAFETY: the caller's; 8 bytes hold a column, and two vectors of codes take one of activations.
        unsafe {
            let (mut even, mut odd) = (plus, L::splat(0.0));
            for at in (0..GROUP).step_by(L::WIDTH) {
                let x = L::load(x.add(at));
                let [h0, h1] = L::halves(L::load_bits(codes.add(8 * at)));
                let [h2, h3] = L::halves(L::load_bits(codes.add(8 * at + 4 * L::WIDTH)));
                even = h0.mul_add(x.lane_of_quad(0), even);
                odd = h1.mul_add(x.lane_of_quad(1), odd);
                even = h2.mul_add(x.lane_of_quad(2), even);
                odd = h3.mul_add(x.lane_of_quad(3), odd);
            }
            even.add(odd)
        }
    }

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(codes: *const u8, _scale: L, _min: L, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe {
            for at in (0..GROUP).step_by(L::WIDTH / 2) {
                let [even, odd] = L::halves(L::load_bits(codes.add(8 * at)));
                even.store_quads(to.add(at * stride), 2 * stride);
                odd.store_quads(to.add((at + 1) * stride), 2 * stride);
            }
        }
    }
}

/// [`Kind::F32`].
pub struct F32;

impl Packed for F32 {
    const KIND: Kind = Kind::F32;

    #[inline(always)]
    unsafe fn dot<L: Lanes>(codes: *const u8, x: *const f32, plus: L) -> L {
        // SAFETY: the caller's; 16 bytes hold a column, and four vectors of weights take one of activations.
        unsafe {
            let (mut even, mut odd) = (plus, L::splat(0.0));
            for at in (0..GROUP).step_by(L::WIDTH) {
                let x = L::load(x.add(at));
                let w = codes.add(16 * at).cast::<f32>();
                even = L::load(w).mul_add(x.lane_of_quad(0), even);
                odd = L::load(w.add(L::WIDTH)).mul_add(x.lane_of_quad(1), odd);
                even = L::load(w.add(2 * L::WIDTH)).mul_add(x.lane_of_quad(2), even);
                odd = L::load(w.add(3 * L::WIDTH)).mul_add(x.lane_of_quad(3), odd);
            }
            even.add(odd)
        }
    }

    #[inline(always)]
    unsafe fn unpack<L: Lanes>(codes: *const u8, _scale: L, _min: L, to: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe {
            for at in (0..GROUP).step_by(L::WIDTH / 4) {
                L::load(codes.add(16 * at).cast()).store_quads(to.add(at * stride), stride);
            }
        }
    }
}
