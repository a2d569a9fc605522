//! AArch64's 128-bit vectors: products in 16 bits.

use std::arch::aarch64::*;

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::neon::Neon;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct NeonDots;

impl Dots for NeonDots {
    type Lanes = Neon;
    const BYTES: usize = 8;
    /// Even columns, then odd ones, each nibble in 16 bits.
    type Half = [int16x8_t; 2];
    /// Two sums of 16 bits for each row.
    type Sums = int16x8_t;

    methods! {
        fn nibbles(line: uint32x4_t) -> [[int16x8_t; 2]; 2] = {
            let line = vreinterpretq_u16_u32(line);
            let nibble = |v| vreinterpretq_s16_u16(vandq_u16(v, vdupq_n_u16(15)));
            [[nibble(line), nibble(vshrq_n_u16::<8>(line))], [nibble(vshrq_n_u16::<4>(line)), nibble(vshrq_n_u16::<12>(line))]]
        };
        fn raised(line: uint32x4_t) -> [[int16x8_t; 2]; 2] = Self::nibbles(veorq_u32(line, vdupq_n_u32(0x8080_8080)));
        fn nothing() -> int16x8_t = vdupq_n_s16(0);
        fn dot(sums: int16x8_t, half: [int16x8_t; 2], x: *const u8) -> int16x8_t = {
            let four = |x: *const u8| vreinterpretq_s16_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
            vmlaq_s16(vmlaq_s16(sums, half[0], four(x)), half[1], four(x.add(4)))
        };
        fn total(sums: int16x8_t, plus: i32) -> Neon = Neon::of(vaddq_s32(vpaddlq_s16(sums), vdupq_n_s32(plus)));
        fn total_of_bytes(low: int16x8_t, high: int16x8_t, plus: i32) -> Neon =
            Neon::of(vaddq_s32(vaddq_s32(vpaddlq_s16(low), vshlq_n_s32::<4>(vpaddlq_s16(high))), vdupq_n_s32(plus)));
    }
}
