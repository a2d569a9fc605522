//! AVX2 with FMA and F16C, and AVX-512F.

use std::arch::x86_64::*;

use super::{Lanes, methods};

/// Eight floats.
#[derive(Clone, Copy)]
pub struct Avx2(__m256);

/// Sixteen floats.
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// `[a, b, c, d]` of a 128-bit vector.
#[inline(always)]
unsafe fn array(v: __m128) -> [f32; 4] {
    // SAFETY: same size, and every bit pattern is a float.
    unsafe { std::mem::transmute(v) }
}

impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const TOKENS: usize = 4;
    type Bits = __m256i;

    methods! {
        fn splat(x: f32) -> Self = Avx2(_mm256_set1_ps(x));
        fn load(from: *const f32) -> Self = Avx2(_mm256_loadu_ps(from));
        fn load_halves(from: *const u16) -> Self = Avx2(_mm256_cvtph_ps(_mm_loadu_si128(from.cast())));
        fn quad_of_halves(from: *const u16) -> Self = {
            let four = _mm_cvtph_ps(_mm_loadl_epi64(from.cast()));
            Avx2(_mm256_set_m128(four, four))
        };
        fn store(self, to: *mut f32) = _mm256_storeu_ps(to, self.0);
        fn store_quads(self, to: *mut f32, stride: usize) = {
            _mm_storeu_ps(to, _mm256_castps256_ps128(self.0));
            _mm_storeu_ps(to.add(stride), _mm256_extractf128_ps::<1>(self.0));
        };

        fn add(self, other: Self) -> Self = Avx2(_mm256_add_ps(self.0, other.0));
        fn mul(self, other: Self) -> Self = Avx2(_mm256_mul_ps(self.0, other.0));
        fn div(self, other: Self) -> Self = Avx2(_mm256_div_ps(self.0, other.0));
        fn mul_add(self, by: Self, plus: Self) -> Self = Avx2(_mm256_fmadd_ps(self.0, by.0, plus.0));
        fn max(self, other: Self) -> Self = Avx2(_mm256_max_ps(self.0, other.0));
        fn min(self, other: Self) -> Self = Avx2(_mm256_min_ps(self.0, other.0));
        fn round(self) -> Self = Avx2(_mm256_round_ps::<NEAREST>(self.0));
        fn exp2(self) -> Self = {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Avx2(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        };

        fn lane_of_quad(self, j: usize) -> Self = Avx2(match j {
            0 => _mm256_permute_ps::<0x00>(self.0),
            1 => _mm256_permute_ps::<0x55>(self.0),
            2 => _mm256_permute_ps::<0xaa>(self.0),
            _ => _mm256_permute_ps::<0xff>(self.0),
        });
        fn sum_of_quads(self) -> [f32; 4] = array(_mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0)));
        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            // Per quad [a0 + a2, b0 + b2, a1 + a3, b1 + b3], then [a, b, c, d].
            let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            Avx2(_mm256_add_ps(_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd))).sum_of_quads()
        };

        fn load_bits(from: *const u8) -> __m256i = _mm256_loadu_si256(from.cast());
        fn masked(bits: __m256i, mask: u32) -> Self = Avx2(_mm256_cvtepi32_ps(_mm256_and_si256(bits, _mm256_set1_epi32(mask as i32))));
        fn shifted(bits: __m256i, by: u32) -> Self = Avx2(_mm256_cvtepi32_ps(_mm256_srl_epi32(bits, _mm_cvtsi32_si128(by as i32))));
        fn signed_byte(bits: __m256i, j: u32) -> Self = {
            let top = _mm256_sll_epi32(bits, _mm_cvtsi32_si128(24 - 8 * j as i32));
            Avx2(_mm256_cvtepi32_ps(_mm256_srai_epi32::<24>(top)))
        };
        fn halves(bits: __m256i) -> [Self; 2] = {
            let a = _mm256_cvtph_ps(_mm256_castsi256_si128(bits));
            let b = _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(bits));
            // The even elements of a and b lie as [a a b b | a a b b]; the middle pairs change places.
            let order = |v| Avx2(_mm256_castsi256_ps(_mm256_permute4x64_epi64::<0xd8>(_mm256_castps_si256(v))));
            [order(_mm256_shuffle_ps::<0x88>(a, b)), order(_mm256_shuffle_ps::<0xdd>(a, b))]
        };
    }
}

impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const TOKENS: usize = 8;
    type Bits = __m512i;

    methods! {
        fn splat(x: f32) -> Self = Avx512(_mm512_set1_ps(x));
        fn load(from: *const f32) -> Self = Avx512(_mm512_loadu_ps(from));
        fn load_halves(from: *const u16) -> Self = Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast())));
        fn quad_of_halves(from: *const u16) -> Self = Avx512(_mm512_broadcast_f32x4(_mm_cvtph_ps(_mm_loadl_epi64(from.cast()))));
        fn store(self, to: *mut f32) = _mm512_storeu_ps(to, self.0);
        fn store_quads(self, to: *mut f32, stride: usize) = {
            _mm_storeu_ps(to, _mm512_castps512_ps128(self.0));
            _mm_storeu_ps(to.add(stride), _mm512_extractf32x4_ps::<1>(self.0));
            _mm_storeu_ps(to.add(2 * stride), _mm512_extractf32x4_ps::<2>(self.0));
            _mm_storeu_ps(to.add(3 * stride), _mm512_extractf32x4_ps::<3>(self.0));
        };

        fn add(self, other: Self) -> Self = Avx512(_mm512_add_ps(self.0, other.0));
        fn mul(self, other: Self) -> Self = Avx512(_mm512_mul_ps(self.0, other.0));
        fn div(self, other: Self) -> Self = Avx512(_mm512_div_ps(self.0, other.0));
        fn mul_add(self, by: Self, plus: Self) -> Self = Avx512(_mm512_fmadd_ps(self.0, by.0, plus.0));
        fn max(self, other: Self) -> Self = Avx512(_mm512_max_ps(self.0, other.0));
        fn min(self, other: Self) -> Self = Avx512(_mm512_min_ps(self.0, other.0));
        fn round(self) -> Self = Avx512(_mm512_roundscale_ps::<NEAREST>(self.0));
        fn exp2(self) -> Self = {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        };

        fn lane_of_quad(self, j: usize) -> Self = Avx512(match j {
            0 => _mm512_permute_ps::<0x00>(self.0),
            1 => _mm512_permute_ps::<0x55>(self.0),
            2 => _mm512_permute_ps::<0xaa>(self.0),
            _ => _mm512_permute_ps::<0xff>(self.0),
        });
        fn sum_of_quads(self) -> [f32; 4] = {
            let pairs = _mm512_add_ps(self.0, _mm512_shuffle_f32x4::<0xee>(self.0, self.0));
            array(_mm_add_ps(_mm512_castps512_ps128(pairs), _mm512_extractf32x4_ps::<1>(pairs)))
        };
        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            // Per quad [a0 + a2, b0 + b2, a1 + a3, b1 + b3], then [a, b, c, d].
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            Avx512(_mm512_add_ps(_mm512_shuffle_ps::<0x44>(ab, cd), _mm512_shuffle_ps::<0xee>(ab, cd))).sum_of_quads()
        };

        fn load_bits(from: *const u8) -> __m512i = _mm512_loadu_si512(from.cast());
        fn masked(bits: __m512i, mask: u32) -> Self = Avx512(_mm512_cvtepi32_ps(_mm512_and_si512(bits, _mm512_set1_epi32(mask as i32))));
        fn shifted(bits: __m512i, by: u32) -> Self = Avx512(_mm512_cvtepi32_ps(_mm512_srl_epi32(bits, _mm_cvtsi32_si128(by as i32))));
        fn signed_byte(bits: __m512i, j: u32) -> Self = {
            let top = _mm512_sll_epi32(bits, _mm_cvtsi32_si128(24 - 8 * j as i32));
            Avx512(_mm512_cvtepi32_ps(_mm512_srai_epi32::<24>(top)))
        };
        fn halves(bits: __m512i) -> [Self; 2] = {
            let a = _mm512_cvtph_ps(_mm512_castsi512_si256(bits));
            let b = _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(bits));
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [Avx512(_mm512_permutex2var_ps(a, even, b)), Avx512(_mm512_permutex2var_ps(a, odd, b))]
        };
    }
}
