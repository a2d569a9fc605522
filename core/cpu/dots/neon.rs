//! AArch64's 128-bit vectors: products of 16 bits.

use std::arch::aarch64::*;

use super::{Dots, Spread};
use crate::cpu::lanes::methods;
use crate::cpu::lanes::neon::Neon;
use crate::layout::GROUP;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct NeonDots;

/// `sums` and the products of 16-bit numbers: two sums for each of the upper two rows, two for each
/// of the others.
#[inline(always)]
unsafe fn products(sums: [int32x4_t; 2], rows: int16x8_t, x: int16x8_t) -> [int32x4_t; 2] {
    // SAFETY: the caller's.
    unsafe {
        [vmlal_s16(sums[0], vget_low_s16(rows), vget_low_s16(x)), vmlal_high_s16(sums[1], rows, x)]
    }
}

impl Dots for NeonDots {
    type Lanes = Neon;
    type Sums = [int32x4_t; 2];
    type ByteSums = [int32x4_t; 2];
    type CodeSums = [int32x4_t; 2];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::even_and_odd(group)
    }

    methods! {
        fn none() -> [int32x4_t; 2] = [vdupq_n_s32(0); 2];
        fn dot(sums: [int32x4_t; 2], line: uint32x4_t, x: *const u8) -> [int32x4_t; 2] = {
            let line = vreinterpretq_u16_u32(line);
            let nibble = |v| vreinterpretq_s16_u16(vandq_u16(v, vdupq_n_u16(15)));
            // Of the low nibbles even columns, then odd ones, and of the high ones.
            let four = [
                nibble(line),
                nibble(vshrq_n_u16::<8>(line)),
                nibble(vshrq_n_u16::<4>(line)),
                nibble(vshrq_n_u16::<12>(line)),
            ];
            let word = |i: usize| {
                vreinterpretq_s16_s32(vdupq_n_s32(x.cast::<i32>().add(i).read_unaligned()))
            };
            four.into_iter().enumerate().fold(sums, |sums, (i, rows)| products(sums, rows, word(i)))
        };
        fn total(sums: [int32x4_t; 2], plus: i32) -> Neon =
            Neon::of(vaddq_s32(vpaddq_s32(sums[0], sums[1]), vdupq_n_s32(plus)));

        fn no_bytes() -> [int32x4_t; 2] = [vdupq_n_s32(0); 2];
        fn dot_bytes(
            sums: [int32x4_t; 2],
            lines: [uint32x4_t; 2],
            x: *const u8,
        ) -> [int32x4_t; 2] = {
            let add = |sums: [int32x4_t; 2], line, x: *const u8| {
                let bytes = vreinterpretq_s8_u32(line);
                let x = vreinterpretq_s16_s64(vdupq_n_s64(x.cast::<i64>().read_unaligned()));
                let (upper, lower) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
                // A row's four products lie together: neighbours are added twice over, here and in
                // the end.
                let dot = |sums, rows: int16x8_t| {
                    let low = vmull_s16(vget_low_s16(rows), vget_low_s16(x));
                    vaddq_s32(sums, vpaddq_s32(low, vmull_high_s16(rows, x)))
                };
                [dot(sums[0], upper), dot(sums[1], lower)]
            };
            add(add(sums, lines[0], x), lines[1], x.add(8))
        };
        fn total_of_bytes(sums: [int32x4_t; 2]) -> Neon = Neon::of(vpaddq_s32(sums[0], sums[1]));

        // Neighbours are added in the end: one of them has it.
        fn no_codes(plus: i32) -> [int32x4_t; 2] =
            [vreinterpretq_s32_u64(vdupq_n_u64(u64::from(plus as u32))); 2];
        fn dot_codes<const HALF: usize>(
            sums: [int32x4_t; 2],
            line: uint32x4_t,
            x: *const u8,
        ) -> [int32x4_t; 2] = {
            let line = vreinterpretq_u16_u32(line);
            let even = vreinterpretq_s16_u16(vandq_u16(line, vdupq_n_u16(255)));
            let odd = vreinterpretq_s16_u16(vshrq_n_u16::<8>(line));
            let word = |i: usize| {
                vreinterpretq_s16_s32(vdupq_n_s32(x.cast::<i32>().add(i).read_unaligned()))
            };
            products(products(sums, even, word(2 * HALF)), odd, word(2 * HALF + 1))
        };
        fn total_of_codes(sums: [int32x4_t; 2]) -> Neon = Self::total_of_bytes(sums);
    }
}
