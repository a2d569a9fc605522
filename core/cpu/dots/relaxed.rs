//! WebAssembly's relaxed SIMD: products of bytes. Nibbles fit the seven bits that make its dots
//! exact on every CPU.
//!
//! There are two of them. Phones and newer PCs multiply and add up four bytes in one instruction;
//! where that takes three, sums of two products in 16 bits are the shorter way.

use std::arch::wasm32::*;

use super::simd128::{self, ByteSums, word};
use super::{Dots, Spread};
use crate::cpu::lanes::simd128::Simd128;
use crate::cpu::lanes::{Lanes, methods};
use crate::layout::GROUP;

/// Whether this CPU has dots of four bytes. Without them an x86 takes two steps, and the first
/// one's sums of 255 * 127 * 2, which are beyond the seven bits, show that they are cut to 16 bits.
pub fn fours_are_native() -> bool {
    let dots = i32x4_relaxed_dot_i8x16_i7x16_add(i8x16_splat(127), i8x16_splat(-1), i32x4_splat(0));
    i32x4_extract_lane::<0>(dots) != 2 * i32::from(i16::MAX)
}

/// Both halves of a line. x86 shifts no bytes: an engine would make a mask for that each time.
#[inline(always)]
fn nibbles(line: v128) -> [v128; 2] {
    // SAFETY: the module is compiled for these instructions.
    let nibble = unsafe { Simd128::mask::<0x0f0f_0f0f>() };
    [v128_and(line, nibble), v128_and(u32x4_shr(line, 4), nibble)]
}

/// `sums` and the products of a line of codes. Sums of 16 bits would be too short for them, so both
/// ways add four at once.
#[inline(always)]
unsafe fn dot_codes<const HALF: usize>(
    [upper, lower]: [v128; 2],
    line: v128,
    x: *const u8,
) -> [v128; 2] {
    // SAFETY: the caller's.
    let [above, below] = unsafe {
        let x = x.cast::<u32>().add(2 * HALF);
        [v128_load32_splat(x), v128_load32_splat(x.add(1))]
    };
    [
        i32x4_relaxed_dot_i8x16_i7x16_add(above, line, upper),
        i32x4_relaxed_dot_i8x16_i7x16_add(below, line, lower),
    ]
}

#[inline(always)]
fn total_of_codes([upper, lower]: [v128; 2]) -> Simd128 {
    Simd128::of(i32x4_add(i32x4_shl(upper, 7), lower))
}

/// Four bytes at once; see [`Dots`].
#[derive(Clone, Copy)]
pub struct Fours;

impl Dots for Fours {
    type Lanes = Simd128;
    /// With the activations' upper bytes and with their lower ones.
    type Sums = [v128; 2];
    type ByteSums = ByteSums;
    /// With the activations' upper bytes and with their lower ones.
    type CodeSums = [v128; 2];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::in_bytes(group)
    }

    methods! {
        fn none() -> [v128; 2] = [i32x4_splat(0); 2];
        fn dot(sums: [v128; 2], line: v128, x: *const u8) -> [v128; 2] = {
            let (x, [low, high]) = (v128_load(x.cast()), nibbles(line));
            let [upper, lower] = [
                i32x4_relaxed_dot_i8x16_i7x16_add(word::<0>(x), low, sums[0]),
                i32x4_relaxed_dot_i8x16_i7x16_add(word::<1>(x), low, sums[1]),
            ];
            [
                i32x4_relaxed_dot_i8x16_i7x16_add(word::<2>(x), high, upper),
                i32x4_relaxed_dot_i8x16_i7x16_add(word::<3>(x), high, lower),
            ]
        };
        fn total([upper, lower]: [v128; 2], plus: i32) -> Simd128 =
            total_of_codes([upper, i32x4_add(lower, i32x4_splat(plus))]);

        fn no_bytes() -> ByteSums = [i32x4_splat(0); 2];
        fn dot_bytes(sums: ByteSums, lines: [v128; 2], x: *const u8) -> ByteSums =
            simd128::dot_bytes(sums, lines, x);
        fn total_of_bytes(sums: ByteSums) -> Simd128 = simd128::total_of_bytes(sums);

        fn no_codes(plus: i32) -> [v128; 2] = [i32x4_splat(0), i32x4_splat(plus)];
        fn dot_codes<const HALF: usize>(sums: [v128; 2], line: v128, x: *const u8) -> [v128; 2] =
            dot_codes::<HALF>(sums, line, x);
        fn total_of_codes(sums: [v128; 2]) -> Simd128 = total_of_codes(sums);
    }
}

/// Two bytes at once; see [`Dots`].
#[derive(Clone, Copy)]
pub struct Pairs;

impl Dots for Pairs {
    type Lanes = Simd128;
    /// With the activations' upper bytes and with their lower ones: two sums of 16 bits for each
    /// row, at most 8 * 2 * 15 * 127.
    type Sums = [v128; 2];
    type ByteSums = ByteSums;
    /// With the activations' upper bytes and with their lower ones.
    type CodeSums = [v128; 2];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::in_bytes(group)
    }

    methods! {
        fn none() -> [v128; 2] = [i16x8_splat(0); 2];
        fn dot(sums: [v128; 2], line: v128, x: *const u8) -> [v128; 2] = {
            let (x, [low, high]) = (v128_load(x.cast()), nibbles(line));
            let upper = i16x8_add(
                i16x8_relaxed_dot_i8x16_i7x16(word::<0>(x), low),
                i16x8_relaxed_dot_i8x16_i7x16(word::<2>(x), high),
            );
            let lower = i16x8_add(
                i16x8_relaxed_dot_i8x16_i7x16(word::<1>(x), low),
                i16x8_relaxed_dot_i8x16_i7x16(word::<3>(x), high),
            );
            [i16x8_add(sums[0], upper), i16x8_add(sums[1], lower)]
        };
        fn total(sums: [v128; 2], plus: i32) -> Simd128 = {
            let upper = i32x4_dot_i16x8(sums[0], i16x8_splat(128));
            let both = i32x4_add(upper, i32x4_extadd_pairwise_i16x8(sums[1]));
            Simd128::of(i32x4_add(both, i32x4_splat(plus)))
        };

        fn no_bytes() -> ByteSums = [i32x4_splat(0); 2];
        fn dot_bytes(sums: ByteSums, lines: [v128; 2], x: *const u8) -> ByteSums =
            simd128::dot_bytes(sums, lines, x);
        fn total_of_bytes(sums: ByteSums) -> Simd128 = simd128::total_of_bytes(sums);

        fn no_codes(plus: i32) -> [v128; 2] = [i32x4_splat(0), i32x4_splat(plus)];
        fn dot_codes<const HALF: usize>(sums: [v128; 2], line: v128, x: *const u8) -> [v128; 2] =
            dot_codes::<HALF>(sums, line, x);
        fn total_of_codes(sums: [v128; 2]) -> Simd128 = total_of_codes(sums);
    }
}
