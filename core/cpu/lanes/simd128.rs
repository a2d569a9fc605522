//! WebAssembly's 128-bit vectors.

use std::arch::wasm32::*;

use super::{Lanes, methods};

/// Four floats.
#[derive(Clone, Copy)]
pub struct Simd128(v128);

/// Halves in the lower 16 bits of every lane, upper bits zero, to floats, exactly.
#[inline(always)]
fn widen(half: v128) -> v128 {
    let magnitude = v128_and(half, u32x4_splat(0x7fff));
    // Moved into place the exponent is 112 too small, subnormal halves included.
    let number =
        f32x4_mul(u32x4_shl(magnitude, 13), f32x4_splat(f32::from_bits((127 + 112) << 23)));
    // Infinities and NaNs keep the largest exponent.
    let special = v128_and(u32x4_gt(magnitude, u32x4_splat(0x7bff)), u32x4_splat(0x7f80_0000));
    let sign = u32x4_shl(v128_andnot(half, u32x4_splat(0x7fff)), 16);
    v128_or(number, v128_or(special, sign))
}

impl Simd128 {
    /// Whole numbers as floats.
    #[inline(always)]
    pub fn of(ints: v128) -> Simd128 {
        Simd128(f32x4_convert_i32x4(ints))
    }
}

impl Lanes for Simd128 {
    const WIDTH: usize = 4;
    const TOKENS: usize = 4;
    type Bits = v128;

    #[inline(always)]
    fn goes_on(exists: bool) -> bool {
        exists
    }

    methods! {
        fn splat(x: f32) -> Self = Simd128(f32x4_splat(x));
        fn load(from: *const f32) -> Self = Simd128(v128_load(from.cast()));
        fn quads_of(from: *const f32, _stride: usize) -> Self = Self::splat(*from);
        fn load_halves(from: *const u16) -> Self = Simd128(widen(u32x4_load_extend_u16x4(from)));
        fn load_bytes(from: *const u8) -> Self = {
            let words = u16x8_extend_low_u8x16(v128_load32_zero(from.cast()));
            Self::of(u32x4_extend_low_u16x8(words))
        };
        // The sign comes along to the bits above it, of which the mask leaves only its own.
        fn quads_of_halves(from: *const u16, _stride: usize) -> Self = {
            let bits = i32x4_shl(i32x4_load_extend_i16x4(from.cast()), 13);
            let bits = v128_and(bits, u32x4_splat(0x8fff_ffff));
            Simd128(f32x4_mul(bits, f32x4_splat(f32::from_bits((127 + 112) << 23))))
        };
        fn quads_of_bytes(from: *const u8, _stride: usize) -> [Self; 2] = {
            let words = u16x8_load_extend_u8x8(from);
            [u32x4_extend_low_u16x8(words), u32x4_extend_high_u16x8(words)].map(Self::of)
        };
        fn quads_of_signed_bytes(from: *const u8, _stride: usize) -> [Self; 2] = {
            let words = i16x8_load_extend_i8x8(from.cast());
            [i32x4_extend_low_i16x8(words), i32x4_extend_high_i16x8(words)].map(Self::of)
        };
        fn store(self, to: *mut f32) = v128_store(to.cast(), self.0);

        fn add(self, other: Self) -> Self = Simd128(f32x4_add(self.0, other.0));
        fn mul(self, other: Self) -> Self = Simd128(f32x4_mul(self.0, other.0));
        fn div(self, other: Self) -> Self = Simd128(f32x4_div(self.0, other.0));
        #[cfg(target_feature = "relaxed-simd")]
        fn mul_add(self, by: Self, plus: Self) -> Self =
            Simd128(f32x4_relaxed_madd(self.0, by.0, plus.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        fn mul_add(self, by: Self, plus: Self) -> Self = self.mul(by).add(plus);
        // pmax(a, b) is b where a < b, else a.
        fn max(self, other: Self) -> Self = Simd128(f32x4_pmax(other.0, self.0));
        fn min(self, other: Self) -> Self = Simd128(f32x4_pmin(other.0, self.0));
        fn round(self) -> Self = Simd128(f32x4_nearest(self.0));
        fn exp2(self) -> Self = {
            let biased = i32x4_add(i32x4_trunc_sat_f32x4(self.0), i32x4_splat(127));
            Simd128(i32x4_shl(biased, 23))
        };

        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            // [a0 + a2, b0 + b2, a1 + a3, b1 + b3], then [a, b, c, d].
            let crossed = |a, b| {
                f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b))
            };
            let (ab, cd) = (crossed(a, b), crossed(c, d));
            let (low, high) =
                (i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
            std::mem::transmute::<v128, [f32; 4]>(f32x4_add(low, high))
        };

        fn prefetch(_from: *const u8) = ();
        fn load_quads(from: *const u8, _stride: usize) -> v128 = v128_load(from.cast());
        // Read: engines make constants anew wherever they are used, in three instructions.
        fn mask<const MASK: u32>() -> v128 =
            std::ptr::read_volatile(const { &u32x4(MASK, MASK, MASK, MASK) });
        fn and(one: v128, other: v128) -> v128 = v128_and(one, other);
        fn or(one: v128, other: v128) -> v128 = v128_or(one, other);
        fn moved(bits: v128, by: i32, _step: i32) -> v128 =
            if by < 0 { u32x4_shr(bits, -by as u32) } else { u32x4_shl(bits, by as u32) };
        fn looked_up(table: &[i8; 16], places: v128) -> v128 =
            i8x16_swizzle(v128_load(table.as_ptr().cast()), places);
        fn from_bits(bits: v128) -> Self = Simd128(bits);
        fn halves(bits: v128) -> [Self; 2] = [
            Simd128(widen(v128_and(bits, u32x4_splat(0xffff)))),
            Simd128(widen(u32x4_shr(bits, 16))),
        ];
    }
}
