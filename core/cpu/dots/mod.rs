//! Dots of whole numbers: codes of 4 or 8 bits times activations of 15 bits, exactly.
//!
//! A line of nibbles holds 8 columns of four rows, and a line of bytes 4 (see [`crate::layout`]). A
//! [`Dots`] multiplies one line of nibbles or two of bytes with the activations of these columns,
//! which are the same for all rows. The sums of a group are whole numbers below 2²⁴, however they
//! are grouped, so that every implementation gives the same.

pub mod portable;

#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub mod relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[cfg_attr(target_feature = "relaxed-simd", allow(dead_code))]
// Of it, relaxed SIMD takes only the dots of bytes.
pub mod simd128;
#[cfg(target_arch = "x86_64")]
pub mod x86;

#[cfg(test)]
mod tests;

use super::lanes::Lanes;
use crate::layout::GROUP;

/// The largest magnitude of an activation: 127 in the upper byte, and nothing in the seven bits
/// below.
pub const LARGEST: i16 = 127 << 7;

/// A group's activations, for each line of nibbles those of its low ones and of its high ones.
pub type Spread = [[[u8; 8]; 2]; 4];

/// Exact products of codes and whole-numbered activations.
///
/// # Safety
/// Of every method: the CPU has the instructions, and pointers lead to two times four columns'
/// activations.
pub trait Dots: Copy {
    /// The vectors that lines are loaded as and that sums end in.
    type Lanes: Lanes;
    /// Sums of a group's products with nibbles.
    type Sums: Copy;
    /// Sums of a group's products with bytes.
    type ByteSums: Copy;
    /// Sums of products with codes of up to seven bits.
    type CodeSums: Copy;

    /// A group's activations as [`Dots::dot`] reads them.
    fn spread(group: &[i16; GROUP]) -> Spread;

    /// Nothing yet.
    unsafe fn none() -> Self::Sums;
    /// `sums` and the products of a line's low nibbles with the first four of the spread
    /// activations, of its high ones with the others.
    unsafe fn dot(sums: Self::Sums, line: <Self::Lanes as Lanes>::Bits, x: *const u8)
    -> Self::Sums;
    /// As [`Dots::dot`], where each quad is another line, with its own activations: the next 16
    /// bytes.
    #[inline(always)]
    unsafe fn dot_lines(
        sums: Self::Sums,
        lines: <Self::Lanes as Lanes>::Bits,
        x: *const u8,
    ) -> Self::Sums {
        // SAFETY: the caller's. A vector of one quad has one line.
        unsafe { Self::dot(sums, lines, x) }
    }
    /// `sums + plus`, row by row.
    unsafe fn total(sums: Self::Sums, plus: i32) -> Self::Lanes;

    /// Nothing yet.
    unsafe fn no_bytes() -> Self::ByteSums;
    /// `sums` and the products of two lines of signed bytes with four activations each, as they
    /// are.
    unsafe fn dot_bytes(
        sums: Self::ByteSums,
        lines: [<Self::Lanes as Lanes>::Bits; 2],
        x: *const u8,
    ) -> Self::ByteSums;
    /// As [`Dots::dot_bytes`], where each quad is another line, with its own activations: the next
    /// 16 bytes.
    #[inline(always)]
    unsafe fn dot_lines_of_bytes(
        sums: Self::ByteSums,
        lines: [<Self::Lanes as Lanes>::Bits; 2],
        x: *const u8,
    ) -> Self::ByteSums {
        // SAFETY: the caller's. A vector of one quad has one line.
        unsafe { Self::dot_bytes(sums, lines, x) }
    }
    /// The sums, row by row.
    unsafe fn total_of_bytes(sums: Self::ByteSums) -> Self::Lanes;

    /// Nothing yet but `plus`, row by row.
    unsafe fn no_codes(plus: i32) -> Self::CodeSums;
    /// `sums` and the products of a line of codes in bytes with the first four of the spread
    /// activations, or, of half 1, with the others.
    unsafe fn dot_codes<const HALF: usize>(
        sums: Self::CodeSums,
        line: <Self::Lanes as Lanes>::Bits,
        x: *const u8,
    ) -> Self::CodeSums;
    /// As [`Dots::dot_codes`], where each quad is another line, with its own activations: the next
    /// 16 bytes.
    #[inline(always)]
    unsafe fn dot_lines_of_codes<const HALF: usize>(
        sums: Self::CodeSums,
        lines: <Self::Lanes as Lanes>::Bits,
        x: *const u8,
    ) -> Self::CodeSums {
        // SAFETY: the caller's. A vector of one quad has one line.
        unsafe { Self::dot_codes::<HALF>(sums, lines, x) }
    }
    /// The sums, row by row.
    unsafe fn total_of_codes(sums: Self::CodeSums) -> Self::Lanes;
}

/// Four by four.
#[inline(always)]
pub fn as_they_are(group: &[i16; GROUP]) -> Spread {
    let fours: [[u8; 8]; 8] = bytemuck::cast(*group);
    std::array::from_fn(|line| [fours[line], fours[line + 4]])
}

/// Of every four activations the upper bytes, then the lower seven bits as signed bytes: `128 *
/// upper + lower`.
// Elsewhere vectors multiply 16 bits.
#[cfg_attr(not(any(target_arch = "x86_64", target_feature = "relaxed-simd")), allow(dead_code))]
#[inline(always)]
fn in_bytes(group: &[i16; GROUP]) -> Spread {
    // Loops, for arrays that are mapped are functions of their own, without these instructions.
    let (mut upper, mut lower) = ([0u8; GROUP], [0u8; GROUP]);
    for ((upper, lower), x) in upper.iter_mut().zip(&mut lower).zip(group) {
        *upper = ((x + 64) >> 7) as u8;
        *lower = (x - ((x + 64) & !127)) as u8;
    }
    let (upper, lower): ([[u8; 4]; 8], [[u8; 4]; 8]) =
        (bytemuck::cast(upper), bytemuck::cast(lower));
    let four = |i: usize| bytemuck::cast([upper[i], lower[i]]);
    std::array::from_fn(|line| [four(line), four(line + 4)])
}

/// Those of even columns, then those of odd ones, as the nibbles of two neighbouring bytes come
/// apart.
// There vectors multiply bytes.
#[cfg_attr(any(target_arch = "x86_64", target_feature = "relaxed-simd"), allow(dead_code))]
#[inline(always)]
fn even_and_odd(group: &[i16; GROUP]) -> Spread {
    as_they_are(group).map(|halves| {
        halves.map(|four| {
            let [a, b, c, d] = bytemuck::cast::<_, [i16; 4]>(four);
            bytemuck::cast([a, c, b, d])
        })
    })
}
