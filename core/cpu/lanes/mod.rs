//! The vector that the kernels are written over: a handful of one-line methods, once for every
//! instruction set.
//!
//! Weights are interleaved four rows to a 16-byte line (see [`crate::layout`]), so a vector is
//! thought of as *quads* of four lanes: a lane is a row, and a vector of 8 or 16 lanes holds a line
//! of two or four neighbouring quads of rows, or as many neighbouring lines of one quad.
//! [`portable`] is always compiled: it is what the others are tested against.

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
/// Of every method: the CPU has the instructions, and pointers lead to as many elements as are
/// named. No alignment is asked for.
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
    /// One float for each quad, `stride` floats apart.
    unsafe fn quads_of(from: *const f32, stride: usize) -> Self;
    /// `WIDTH` halves.
    unsafe fn load_halves(from: *const u16) -> Self;
    /// `WIDTH` bytes, as whole numbers.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Four halves for each quad, `stride` halves apart. They are finite.
    unsafe fn quads_of_halves(from: *const u16, stride: usize) -> Self;
    /// Four bytes for each quad, `stride` bytes apart, as whole numbers, and the four after them.
    unsafe fn quads_of_bytes(from: *const u8, stride: usize) -> [Self; 2];
    /// The same in two's complement.
    unsafe fn quads_of_signed_bytes(from: *const u8, stride: usize) -> [Self; 2];
    /// `WIDTH` floats.
    unsafe fn store(self, to: *mut f32);

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

    /// The sum of each vector's lanes.
    unsafe fn sums(of: [Self; 4]) -> [f32; 4];

    /// Says that this memory, which need not exist, will be read soon.
    unsafe fn prefetch(from: *const u8);
    /// Whether to go on to a line, which exists: a branch, where compilers need one. For a stack
    /// machine they nest what a block computes, all products of one sum, then all of another, and
    /// keep the codes of all lines meanwhile: more than there are registers.
    #[inline(always)]
    fn goes_on(_exists: bool) -> bool {
        true
    }
    /// 16 bytes for each quad, `stride` bytes apart.
    unsafe fn load_quads(from: *const u8, stride: usize) -> Self::Bits;
    /// The same bits everywhere.
    unsafe fn mask<const MASK: u32>() -> Self::Bits;
    /// Those of both.
    unsafe fn and(one: Self::Bits, other: Self::Bits) -> Self::Bits;
    /// Those of either.
    unsafe fn or(one: Self::Bits, other: Self::Bits) -> Self::Bits;
    /// Moved up, by `by - step * q` in quad q, or down where that is negative. What comes from
    /// beyond an end is left open.
    unsafe fn moved(bits: Self::Bits, by: i32, step: i32) -> Self::Bits;
    /// The bytes of a table at the places that bytes name, each below 16.
    unsafe fn looked_up(table: &[i8; 16], places: Self::Bits) -> Self::Bits;
    /// The bits of floats.
    unsafe fn from_bits(bits: Self::Bits) -> Self;
    /// The lower and the upper half-precision number.
    unsafe fn halves(bits: Self::Bits) -> [Self; 2];
}

/// Writes the methods of an implementation: one expression each.
macro_rules! methods {
    ($(
        $(#[$attribute:meta])?
        fn $name:ident$(<const $half:ident: $int:ty>)?($($args:tt)*) $(-> $ret:ty)? = $body:expr;
    )*) => {$(
        $(#[$attribute])?
        #[inline(always)]
        #[allow(unused_unsafe)] // Some instruction sets have safe intrinsics.
        unsafe fn $name$(<const $half: $int>)?($($args)*) $(-> $ret)? {
            // SAFETY: the trait's contract: the CPU has the instructions, pointers lead to as many
            // elements as are named.
            unsafe { $body }
        }
    )*};
}
pub(crate) use methods;
