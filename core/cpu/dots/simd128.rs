//! WebAssembly's 128-bit vectors as every engine has them: products of 16 bits.

use std::arch::wasm32::*;

use super::{Dots, Spread};
use crate::cpu::lanes::methods;
use crate::cpu::lanes::simd128::Simd128;
use crate::layout::GROUP;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct Simd128Dots;

/// Sums of products with nibbles: of those at the bottom of their words, of those four bits up,
/// which count 16 times as much, and of those eight bits up.
pub type Sums = [v128; 3];

/// Sums of a line of bytes: two for each of the upper two rows, two for each of the others.
pub type ByteSums = [v128; 2];

/// The word `I` everywhere. Engines keep one vector of four words more readily than four vectors of
/// one.
#[inline(always)]
pub fn word<const I: usize>(x: v128) -> v128 {
    i32x4_shuffle::<I, I, I, I>(x, x)
}

/// `sums` and the products of two lines of four rows' bytes.
#[inline(always)]
pub unsafe fn dot_bytes(sums: ByteSums, lines: [v128; 2], x: *const u8) -> ByteSums {
    // SAFETY: the caller's.
    let x = unsafe { v128_load(x.cast()) };
    add_bytes(
        add_bytes(sums, lines[0], i64x2_shuffle::<0, 0>(x, x)),
        lines[1],
        i64x2_shuffle::<1, 1>(x, x),
    )
}

#[inline(always)]
fn add_bytes(sums: ByteSums, line: v128, x: v128) -> ByteSums {
    let products = [
        i32x4_dot_i16x8(i16x8_extend_low_i8x16(line), x),
        i32x4_dot_i16x8(i16x8_extend_high_i8x16(line), x),
    ];
    [i32x4_add(sums[0], products[0]), i32x4_add(sums[1], products[1])]
}

/// The four rows' sums.
#[inline(always)]
pub fn total_of_bytes([a, b]: ByteSums) -> Simd128 {
    Simd128::of(i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b)))
}

impl Dots for Simd128Dots {
    type Lanes = Simd128;
    type Sums = Sums;
    type ByteSums = ByteSums;
    type CodeSums = v128;

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::even_and_odd(group)
    }

    methods! {
        fn none() -> Sums = [i32x4_splat(0); 3];
        fn dot(sums: Sums, line: v128, x: *const u8) -> Sums = {
            let (x, nibble) = (v128_load(x.cast()), u16x8_splat(15));
            let even = i32x4_dot_i16x8(v128_and(line, nibble), word::<0>(x));
            let odd = i32x4_dot_i16x8(v128_and(u16x8_shr(line, 8), nibble), word::<1>(x));
            let low = i32x4_add(even, odd);
            let even = i32x4_dot_i16x8(v128_and(u16x8_shr(line, 4), nibble), word::<2>(x));
            let odd = i32x4_dot_i16x8(u16x8_shr(line, 12), word::<3>(x));
            [i32x4_add(i32x4_add(sums[0], low), i32x4_add(even, odd)), sums[1], sums[2]]
        };
        // For one token nothing shares the work of shifting nibbles down: two of four stay where
        // they are, and their sums are shifted.
        fn dot_lines(sums: Sums, line: v128, x: *const u8) -> Sums = {
            let x = v128_load(x.cast());
            let bottom = i32x4_dot_i16x8(v128_and(line, u16x8_splat(0x000f)), word::<0>(x));
            let top = i32x4_dot_i16x8(u16x8_shr(line, 12), word::<3>(x));
            let sixteens = i32x4_dot_i16x8(v128_and(line, u16x8_splat(0x00f0)), word::<2>(x));
            let more = i32x4_dot_i16x8(v128_and(line, u16x8_splat(0x0f00)), word::<1>(x));
            [
                i32x4_add(i32x4_add(sums[0], bottom), top),
                i32x4_add(sums[1], sixteens),
                i32x4_add(sums[2], more),
            ]
        };
        fn total(sums: Sums, plus: i32) -> Simd128 = {
            let higher = i32x4_add(i32x4_shr(sums[1], 4), i32x4_shr(sums[2], 8));
            Simd128::of(i32x4_add(i32x4_add(sums[0], i32x4_splat(plus)), higher))
        };

        fn no_bytes() -> ByteSums = [i32x4_splat(0); 2];
        fn dot_bytes(sums: ByteSums, lines: [v128; 2], x: *const u8) -> ByteSums =
            dot_bytes(sums, lines, x);
        fn total_of_bytes(sums: ByteSums) -> Simd128 = total_of_bytes(sums);

        fn no_codes(plus: i32) -> v128 = i32x4_splat(plus);
        fn dot_codes<const HALF: usize>(sums: v128, line: v128, x: *const u8) -> v128 = {
            let x = v128_load(x.cast());
            let [even, odd] = if HALF == 0 {
                [word::<0>(x), word::<1>(x)]
            } else {
                [word::<2>(x), word::<3>(x)]
            };
            let even = i32x4_dot_i16x8(v128_and(line, u16x8_splat(0x00ff)), even);
            i32x4_add(sums, i32x4_add(even, i32x4_dot_i16x8(u16x8_shr(line, 8), odd)))
        };
        fn total_of_codes(sums: v128) -> Simd128 = Simd128::of(sums);
    }
}
