//! WebAssembly's relaxed SIMD: products of bytes. Nibbles fit the seven bits that make its dots exact on every CPU.

use std::arch::wasm32::*;

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::simd128::Simd128;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct RelaxedDots;

impl Dots for RelaxedDots {
    type Lanes = Simd128;
    const BYTES: usize = 4;
    type Half = v128;
    /// Two sums of 16 bits for each row.
    type Sums = v128;

    methods! {
        fn nibbles(line: v128) -> [v128; 2] = [v128_and(line, u8x16_splat(15)), u8x16_shr(line, 4)];
        fn raised(line: v128) -> [v128; 2] = Self::nibbles(v128_xor(line, u8x16_splat(128)));
        fn nothing() -> v128 = i16x8_splat(0);
        fn dot(sums: v128, half: v128, x: *const u8) -> v128 =
            i16x8_add(sums, i16x8_relaxed_dot_i8x16_i7x16(v128_load32_splat(x.cast()), half));
        fn total(sums: v128, plus: i32) -> Simd128 = Simd128::of(i32x4_add(i32x4_extadd_pairwise_i16x8(sums), i32x4_splat(plus)));
        fn total_of_bytes(low: v128, high: v128, plus: i32) -> Simd128 = {
            let high = i32x4_shl(i32x4_extadd_pairwise_i16x8(high), 4);
            Simd128::of(i32x4_add(i32x4_add(i32x4_extadd_pairwise_i16x8(low), high), i32x4_splat(plus)))
        };
    }
}
