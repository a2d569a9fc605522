//! AArch64's 128-bit vectors.

use std::arch::aarch64::*;

use super::{Lanes, methods};

/// Four floats.
#[derive(Clone, Copy)]
pub struct Neon(float32x4_t);

/// Halves in the lower 16 bits of every lane, upper bits zero, to floats, exactly.
#[inline(always)]
unsafe fn widen(half: uint32x4_t) -> float32x4_t {
    // SAFETY: the caller's.
    unsafe {
        let magnitude = vandq_u32(half, vdupq_n_u32(0x7fff));
        // Moved into place the exponent is 112 too small, subnormal halves included.
        let number = vmulq_f32(
            vreinterpretq_f32_u32(vshlq_n_u32::<13>(magnitude)),
            vdupq_n_f32(f32::from_bits((127 + 112) << 23)),
        );
        // Infinities and NaNs keep the largest exponent.
        let special =
            vandq_u32(vcgtq_u32(magnitude, vdupq_n_u32(0x7bff)), vdupq_n_u32(0x7f80_0000));
        let sign = vshlq_n_u32::<16>(vbicq_u32(half, vdupq_n_u32(0x7fff)));
        vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(number), vorrq_u32(special, sign)))
    }
}

impl Neon {
    /// Whole numbers as floats.
    ///
    /// # Safety
    /// The CPU has the instructions.
    #[inline(always)]
    pub unsafe fn of(ints: int32x4_t) -> Neon {
        // SAFETY: the caller's.
        unsafe { Neon(vcvtq_f32_s32(ints)) }
    }
}

impl Lanes for Neon {
    const WIDTH: usize = 4;
    const TOKENS: usize = 8;
    type Bits = uint32x4_t;

    methods! {
        fn splat(x: f32) -> Self = Neon(vdupq_n_f32(x));
        fn load(from: *const f32) -> Self = Neon(vld1q_f32(from));
        fn quads_of(from: *const f32, _stride: usize) -> Self = Self::splat(*from);
        fn load_halves(from: *const u16) -> Self = Neon(widen(vmovl_u16(vld1_u16(from))));
        fn load_bytes(from: *const u8) -> Self = {
            let bytes = vcreate_u8(from.cast::<u32>().read_unaligned().into());
            Neon(vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes)))))
        };
        fn quads_of_halves(from: *const u16, _stride: usize) -> Self = Self::load_halves(from);
        fn quads_of_bytes(from: *const u8, _stride: usize) -> [Self; 2] = {
            let words = vmovl_u8(vld1_u8(from));
            let [first, second] = [vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words)];
            [Neon(vcvtq_f32_u32(first)), Neon(vcvtq_f32_u32(second))]
        };
        fn quads_of_signed_bytes(from: *const u8, _stride: usize) -> [Self; 2] = {
            let words = vmovl_s8(vld1_s8(from.cast()));
            let [first, second] = [vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words)];
            [Neon(vcvtq_f32_s32(first)), Neon(vcvtq_f32_s32(second))]
        };
        fn store(self, to: *mut f32) = vst1q_f32(to, self.0);

        fn add(self, other: Self) -> Self = Neon(vaddq_f32(self.0, other.0));
        fn mul(self, other: Self) -> Self = Neon(vmulq_f32(self.0, other.0));
        fn div(self, other: Self) -> Self = Neon(vdivq_f32(self.0, other.0));
        fn mul_add(self, by: Self, plus: Self) -> Self = Neon(vfmaq_f32(plus.0, self.0, by.0));
        fn max(self, other: Self) -> Self =
            Neon(vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0));
        fn min(self, other: Self) -> Self =
            Neon(vbslq_f32(vcltq_f32(self.0, other.0), self.0, other.0));
        fn round(self) -> Self = Neon(vrndnq_f32(self.0));
        fn exp2(self) -> Self = {
            let biased = vaddq_s32(vcvtq_s32_f32(self.0), vdupq_n_s32(127));
            Neon(vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased)))
        };

        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            let all = vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
            std::mem::transmute::<float32x4_t, [f32; 4]>(all)
        };

        fn prefetch(_from: *const u8) = ();
        fn load_quads(from: *const u8, _stride: usize) -> uint32x4_t =
            vreinterpretq_u32_u8(vld1q_u8(from));
        fn mask<const MASK: u32>() -> uint32x4_t = vdupq_n_u32(MASK);
        fn and(one: uint32x4_t, other: uint32x4_t) -> uint32x4_t = vandq_u32(one, other);
        fn or(one: uint32x4_t, other: uint32x4_t) -> uint32x4_t = vorrq_u32(one, other);
        fn moved(bits: uint32x4_t, by: i32, _step: i32) -> uint32x4_t =
            vshlq_u32(bits, vdupq_n_s32(by));
        fn looked_up(table: &[i8; 16], places: uint32x4_t) -> uint32x4_t = {
            let table = vreinterpretq_u8_s8(vld1q_s8(table.as_ptr()));
            vreinterpretq_u32_u8(vqtbl1q_u8(table, vreinterpretq_u8_u32(places)))
        };
        fn from_bits(bits: uint32x4_t) -> Self = Neon(vreinterpretq_f32_u32(bits));
        fn halves(bits: uint32x4_t) -> [Self; 2] = [
            Neon(widen(vandq_u32(bits, vdupq_n_u32(0xffff)))),
            Neon(widen(vshrq_n_u32::<16>(bits))),
        ];
    }
}
