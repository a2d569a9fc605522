//! WebAssembly's 128-bit vectors as every engine has them: products in 16 bits.

use std::arch::wasm32::*;

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::simd128::Simd128;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct Simd128Dots;

impl Dots for Simd128Dots {
    type Lanes = Simd128;
    const BYTES: usize = 8;
    /// Even columns, then odd ones, each nibble in 16 bits.
    type Half = [v128; 2];
    /// Two sums of 16 bits for each row.
    type Sums = v128;

    methods! {
        fn nibbles(line: v128) -> [[v128; 2]; 2] = {
            let (nibble, odd) = (u16x8_splat(15), u16x8_shr(line, 8));
            [[v128_and(line, nibble), v128_and(odd, nibble)], [v128_and(u16x8_shr(line, 4), nibble), u16x8_shr(line, 12)]]
        };
        fn raised(line: v128) -> [[v128; 2]; 2] = Self::nibbles(v128_xor(line, u8x16_splat(128)));
        fn nothing() -> v128 = i16x8_splat(0);
        fn dot(sums: v128, half: [v128; 2], x: *const u8) -> v128 = {
            let even = i16x8_mul(half[0], v128_load32_splat(x.cast()));
            let odd = i16x8_mul(half[1], v128_load32_splat(x.add(4).cast()));
            i16x8_add(i16x8_add(sums, even), odd)
        };
        fn total(sums: v128, plus: i32) -> Simd128 = Simd128::of(i32x4_add(i32x4_extadd_pairwise_i16x8(sums), i32x4_splat(plus)));
        fn total_of_bytes(low: v128, high: v128, plus: i32) -> Simd128 = {
            let high = i32x4_shl(i32x4_extadd_pairwise_i16x8(high), 4);
            Simd128::of(i32x4_add(i32x4_add(i32x4_extadd_pairwise_i16x8(low), high), i32x4_splat(plus)))
        };
    }
}
