//! The vector that the kernels are written over: a handful of one-line methods, once for every instruction set.
//!
//! Weights are interleaved four rows to a 16-byte line (see [`crate::weights::layout`]), so a vector is thought of as *quads* of four
//! lanes: the lanes of a quad are four rows, the quads are successive lines. [`portable`] is always compiled: it is what the others
//! are tested against.

pub mod exp;
pub mod portable;

#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod simd128;
#[cfg(target_arch = "x86_64")]
pub mod x86;

#[cfg(test)]
mod tests;

/// `WIDTH` floats.
///
/// # Safety
/// Of every method: the CPU has the instructions, and pointers lead to as many elements as are named. No alignment is asked for.
pub trait Lanes: Copy {
    /// How many floats, a multiple of 4.
    const WIDTH: usize;
    /// How many tokens a tile of a product takes, so that its sums stay in registers: 4 or 8.
    const TOKENS: usize;
    /// As many u32.
    type Bits: Copy;

    /// The same number everywhere.
    unsafe fn splat(x: f32) -> Self;
    /// `WIDTH` floats.
    unsafe fn load(from: *const f32) -> Self;
    /// `WIDTH` halves.
    unsafe fn load_halves(from: *const u16) -> Self;
    /// Four halves, repeated in every quad.
    unsafe fn quad_of_halves(from: *const u16) -> Self;
    /// `WIDTH` floats.
    unsafe fn store(self, to: *mut f32);
    /// Every quad, `stride` floats apart.
    unsafe fn store_quads(self, to: *mut f32, stride: usize);

    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self * other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self / other`.
    unsafe fn div(self, other: Self) -> Self;
    /// `self * by + plus`, rounded once or twice.
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self;
    /// The larger; `other` where one of them is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller; `other` where one of them is not a number.
    unsafe fn min(self, other: Self) -> Self;
    /// To the nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// 2 to the power of each lane, an integer from −126 to 127.
    unsafe fn exp2(self) -> Self;

    /// In every quad its lane `j < 4`, four times.
    unsafe fn lane_of_quad(self, j: usize) -> Self;
    /// The sum of the quads.
    unsafe fn sum_of_quads(self) -> [f32; 4];
    /// The sum of each vector's lanes.
    unsafe fn sums(of: [Self; 4]) -> [f32; 4];

    /// `4 * WIDTH` bytes.
    unsafe fn load_bits(from: *const u8) -> Self::Bits;
    /// `bits & mask` as numbers; the mask leaves the sign bit out.
    unsafe fn masked(bits: Self::Bits, mask: u32) -> Self;
    /// `bits >> by` as numbers, `by > 0`.
    unsafe fn shifted(bits: Self::Bits, by: u32) -> Self;
    /// Byte `j < 4` as a number, two's complement.
    unsafe fn signed_byte(bits: Self::Bits, j: u32) -> Self;
    /// The lower and the upper half-precision number.
    unsafe fn halves(bits: Self::Bits) -> [Self; 2];
}

/// Writes the methods of an implementation: one expression each.
macro_rules! methods {
    ($(fn $name:ident($($args:tt)*) $(-> $ret:ty)? = $body:expr;)*) => {$(
        #[inline(always)]
        #[allow(unused_unsafe)] // Some instruction sets have safe intrinsics.
        unsafe fn $name($($args)*) $(-> $ret)? {
            // SAFETY: the trait's contract: the CPU has the instructions, pointers lead to as many elements as are named.
            unsafe { $body }
        }
    )*};
}
pub(crate) use methods;
