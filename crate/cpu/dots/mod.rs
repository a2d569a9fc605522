//! Dots of whole numbers: 4-bit codes times activations that are rounded to 8 bits, exactly.
//!
//! A line of nibbles holds 8 columns of four rows (see [`crate::weights::layout`]). A [`Dots`] multiplies one half of it, four
//! columns, with the activations of these columns, which are the same for all rows. Sums of up to eight such products stay in
//! whole numbers, however they are grouped, so that every implementation gives the same.

pub mod portable;

#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub mod relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod simd128;
#[cfg(target_arch = "x86_64")]
pub mod x86;

#[cfg(test)]
mod tests;

use super::lanes::Lanes;

/// Exact products of nibbles and signed bytes.
///
/// # Safety
/// Of every method: the CPU has the instructions, and pointers lead to [`Dots::BYTES`] bytes.
pub trait Dots: Copy {
    /// The vectors that lines are loaded as and that sums end in.
    type Lanes: Lanes;
    /// Bytes of four columns' activations, 4 or 8: see [`Dots::spread`].
    const BYTES: usize;
    /// The low or the high nibbles of a line.
    type Half: Copy;
    /// Sums of up to eight products: in 16 bits a row has two, each of at most 8 * 2 * 15 * 127 < 2¹⁵.
    type Sums: Copy;

    /// Four columns' activations as [`Dots::dot`] reads them: as they are, or in 16 bits, those of even columns first.
    fn spread(four: [i8; 4]) -> [u8; 8] {
        let [a, b, c, d] = four;
        if Self::BYTES == 4 {
            let [a, b, c, d] = four.map(|x| x as u8);
            return [a, b, c, d, 0, 0, 0, 0];
        }
        bytemuck::cast([a, c, b, d].map(i16::from))
    }

    /// The low and the high nibbles of a line.
    unsafe fn nibbles(line: <Self::Lanes as Lanes>::Bits) -> [Self::Half; 2];
    /// The same of signed bytes that were raised by 128.
    unsafe fn raised(line: <Self::Lanes as Lanes>::Bits) -> [Self::Half; 2];
    /// Nothing yet.
    unsafe fn nothing() -> Self::Sums;
    /// `sums` and a half's products.
    unsafe fn dot(sums: Self::Sums, half: Self::Half, x: *const u8) -> Self::Sums;
    /// `sums + plus`, row by row.
    unsafe fn total(sums: Self::Sums, plus: i32) -> Self::Lanes;
    /// `low + 16 * high + plus`, row by row.
    unsafe fn total_of_bytes(low: Self::Sums, high: Self::Sums, plus: i32) -> Self::Lanes;
}
