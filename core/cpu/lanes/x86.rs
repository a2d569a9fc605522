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

/// 16 bytes from each of two places.
#[inline(always)]
unsafe fn two_quads(from: *const u8, stride: usize) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        _mm256_set_m128i(_mm_loadu_si128(from.add(stride).cast()), _mm_loadu_si128(from.cast()))
    }
}

/// A float from each of two places, four times.
#[inline(always)]
unsafe fn two_quads_of(from: *const f32, stride: usize) -> __m256 {
    // SAFETY: the caller's.
    unsafe { _mm256_set_m128(_mm_set1_ps(*from.add(stride)), _mm_set1_ps(*from)) }
}

/// Four halves from each of two places.
#[inline(always)]
unsafe fn two_quads_of_halves(from: *const u16, stride: usize) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        _mm_unpacklo_epi64(_mm_loadl_epi64(from.cast()), _mm_loadl_epi64(from.add(stride).cast()))
    }
}

/// Four bytes from each of two places.
#[inline(always)]
unsafe fn two_quads_of_bytes(from: *const u8, stride: usize) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        let word = |at: usize| from.add(at).cast::<i32>().read_unaligned();
        _mm_unpacklo_epi32(_mm_cvtsi32_si128(word(0)), _mm_cvtsi32_si128(word(stride)))
    }
}

/// Four bytes from each of four places, and the four after them.
#[inline(always)]
unsafe fn four_quads_of_bytes(from: *const u8, stride: usize) -> [__m128i; 2] {
    // SAFETY: the caller's.
    unsafe {
        // One quad for all: loads repeat it by the way.
        if stride == 0 {
            let word = |at: usize| from.cast::<i32>().add(at).read_unaligned();
            return [_mm_set1_epi32(word(0)), _mm_set1_epi32(word(1))];
        }
        let eight = |at: usize| _mm_loadl_epi64(from.add(at).cast());
        let two = |at: usize| _mm_castsi128_ps(_mm_unpacklo_epi64(eight(at), eight(at + stride)));
        let [low, high] = [two(0), two(2 * stride)];
        [
            _mm_castps_si128(_mm_shuffle_ps::<0x88>(low, high)),
            _mm_castps_si128(_mm_shuffle_ps::<0xdd>(low, high)),
        ]
    }
}

impl Avx2 {
    /// Whole numbers as floats.
    ///
    /// # Safety
    /// The CPU has the instructions.
    #[inline(always)]
    pub unsafe fn of(ints: __m256i) -> Avx2 {
        // SAFETY: the caller's.
        unsafe { Avx2(_mm256_cvtepi32_ps(ints)) }
    }
}

impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const TOKENS: usize = 4;
    type Bits = __m256i;

    methods! {
        fn splat(x: f32) -> Self = Avx2(_mm256_set1_ps(x));
        fn load(from: *const f32) -> Self = Avx2(_mm256_loadu_ps(from));
        fn quads_of(from: *const f32, stride: usize) -> Self = Avx2(two_quads_of(from, stride));
        fn load_halves(from: *const u16) -> Self =
            Avx2(_mm256_cvtph_ps(_mm_loadu_si128(from.cast())));
        fn load_bytes(from: *const u8) -> Self =
            Avx2::of(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())));
        fn quads_of_halves(from: *const u16, stride: usize) -> Self =
            Avx2(_mm256_cvtph_ps(two_quads_of_halves(from, stride)));
        fn quads_of_bytes(from: *const u8, stride: usize) -> [Self; 2] = [
            Avx2::of(_mm256_cvtepu8_epi32(two_quads_of_bytes(from, stride))),
            Avx2::of(_mm256_cvtepu8_epi32(two_quads_of_bytes(from.add(4), stride))),
        ];
        fn quads_of_signed_bytes(from: *const u8, stride: usize) -> [Self; 2] = [
            Avx2::of(_mm256_cvtepi8_epi32(two_quads_of_bytes(from, stride))),
            Avx2::of(_mm256_cvtepi8_epi32(two_quads_of_bytes(from.add(4), stride))),
        ];
        fn store(self, to: *mut f32) = _mm256_storeu_ps(to, self.0);

        fn add(self, other: Self) -> Self = Avx2(_mm256_add_ps(self.0, other.0));
        fn mul(self, other: Self) -> Self = Avx2(_mm256_mul_ps(self.0, other.0));
        fn div(self, other: Self) -> Self = Avx2(_mm256_div_ps(self.0, other.0));
        fn mul_add(self, by: Self, plus: Self) -> Self =
            Avx2(_mm256_fmadd_ps(self.0, by.0, plus.0));
        fn max(self, other: Self) -> Self = Avx2(_mm256_max_ps(self.0, other.0));
        fn min(self, other: Self) -> Self = Avx2(_mm256_min_ps(self.0, other.0));
        fn round(self) -> Self = Avx2(_mm256_round_ps::<NEAREST>(self.0));
        fn exp2(self) -> Self = {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Avx2(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        };

        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            // Per quad [a0 + a2, b0 + b2, a1 + a3, b1 + b3], then [a, b, c, d].
            let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let (low, high) =
                (_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
            let all = _mm256_add_ps(low, high);
            array(_mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all)))
        };

        fn prefetch(from: *const u8) = _mm_prefetch::<_MM_HINT_T0>(from.cast());
        fn load_quads(from: *const u8, stride: usize) -> __m256i = two_quads(from, stride);
        fn mask<const MASK: u32>() -> __m256i = _mm256_set1_epi32(MASK as i32);
        fn and(one: __m256i, other: __m256i) -> __m256i = _mm256_and_si256(one, other);
        fn or(one: __m256i, other: __m256i) -> __m256i = _mm256_or_si256(one, other);
        fn moved(bits: __m256i, by: i32, step: i32) -> __m256i = {
            let up = |q: i32| (by - step * q).max(0);
            let down = |q: i32| (step * q - by).max(0);
            let places =
                |[a, b]: [i32; 2]| _mm256_set_m128i(_mm_set1_epi32(b), _mm_set1_epi32(a));
            let higher = _mm256_sllv_epi32(bits, places([up(0), up(1)]));
            _mm256_srlv_epi32(higher, places([down(0), down(1)]))
        };
        fn looked_up(table: &[i8; 16], places: __m256i) -> __m256i = {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            _mm256_shuffle_epi8(table, places)
        };
        fn from_bits(bits: __m256i) -> Self = Avx2(_mm256_castsi256_ps(bits));
        fn halves(bits: __m256i) -> [Self; 2] = {
            let a = _mm256_cvtph_ps(_mm256_castsi256_si128(bits));
            let b = _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(bits));
            // The even elements of a and b lie as [a a b b | a a b b]; the middle pairs change
            // places.
            let order = |v| {
                let pairs = _mm256_castps_si256(v);
                Avx2(_mm256_castsi256_ps(_mm256_permute4x64_epi64::<0xd8>(pairs)))
            };
            [order(_mm256_shuffle_ps::<0x88>(a, b)), order(_mm256_shuffle_ps::<0xdd>(a, b))]
        };
    }
}

impl Avx512 {
    /// Whole numbers as floats.
    ///
    /// # Safety
    /// The CPU has the instructions.
    #[inline(always)]
    pub unsafe fn of(ints: __m512i) -> Avx512 {
        // SAFETY: the caller's.
        unsafe { Avx512(_mm512_cvtepi32_ps(ints)) }
    }
}

impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const TOKENS: usize = 8;
    type Bits = __m512i;

    methods! {
        fn splat(x: f32) -> Self = Avx512(_mm512_set1_ps(x));
        fn load(from: *const f32) -> Self = Avx512(_mm512_loadu_ps(from));
        fn quads_of(from: *const f32, stride: usize) -> Self = {
            let low = _mm256_castps_pd(two_quads_of(from, stride));
            let high = _mm256_castps_pd(two_quads_of(from.add(2 * stride), stride));
            let all = _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high);
            Avx512(_mm512_castpd_ps(all))
        };
        fn load_halves(from: *const u16) -> Self =
            Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast())));
        fn load_bytes(from: *const u8) -> Self =
            Avx512::of(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())));
        fn quads_of_halves(from: *const u16, stride: usize) -> Self = {
            let low = two_quads_of_halves(from, stride);
            let high = two_quads_of_halves(from.add(2 * stride), stride);
            Avx512(_mm512_cvtph_ps(_mm256_set_m128i(high, low)))
        };
        fn quads_of_bytes(from: *const u8, stride: usize) -> [Self; 2] = {
            let [first, second] = four_quads_of_bytes(from, stride);
            [Avx512::of(_mm512_cvtepu8_epi32(first)), Avx512::of(_mm512_cvtepu8_epi32(second))]
        };
        fn quads_of_signed_bytes(from: *const u8, stride: usize) -> [Self; 2] = {
            let [first, second] = four_quads_of_bytes(from, stride);
            [Avx512::of(_mm512_cvtepi8_epi32(first)), Avx512::of(_mm512_cvtepi8_epi32(second))]
        };
        fn store(self, to: *mut f32) = _mm512_storeu_ps(to, self.0);

        fn add(self, other: Self) -> Self = Avx512(_mm512_add_ps(self.0, other.0));
        fn mul(self, other: Self) -> Self = Avx512(_mm512_mul_ps(self.0, other.0));
        fn div(self, other: Self) -> Self = Avx512(_mm512_div_ps(self.0, other.0));
        fn mul_add(self, by: Self, plus: Self) -> Self =
            Avx512(_mm512_fmadd_ps(self.0, by.0, plus.0));
        fn max(self, other: Self) -> Self = Avx512(_mm512_max_ps(self.0, other.0));
        fn min(self, other: Self) -> Self = Avx512(_mm512_min_ps(self.0, other.0));
        fn round(self) -> Self = Avx512(_mm512_roundscale_ps::<NEAREST>(self.0));
        fn exp2(self) -> Self = {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        };

        fn sums(of: [Self; 4]) -> [f32; 4] = {
            let [a, b, c, d] = of.map(|v| v.0);
            // Per quad [a0 + a2, b0 + b2, a1 + a3, b1 + b3], then [a, b, c, d].
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let (low, high) =
                (_mm512_shuffle_ps::<0x44>(ab, cd), _mm512_shuffle_ps::<0xee>(ab, cd));
            let all = _mm512_add_ps(low, high);
            let pairs = _mm512_add_ps(all, _mm512_shuffle_f32x4::<0xee>(all, all));
            array(_mm_add_ps(_mm512_castps512_ps128(pairs), _mm512_extractf32x4_ps::<1>(pairs)))
        };

        fn prefetch(from: *const u8) = _mm_prefetch::<_MM_HINT_T0>(from.cast());
        fn load_quads(from: *const u8, stride: usize) -> __m512i = {
            let (low, high) = (two_quads(from, stride), two_quads(from.add(2 * stride), stride));
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
        };
        fn mask<const MASK: u32>() -> __m512i = _mm512_set1_epi32(MASK as i32);
        fn and(one: __m512i, other: __m512i) -> __m512i = _mm512_and_si512(one, other);
        fn or(one: __m512i, other: __m512i) -> __m512i = _mm512_or_si512(one, other);
        // A rotation to the left by a negative number is one to the right.
        fn moved(bits: __m512i, by: i32, step: i32) -> __m512i = {
            let (a, b, c, d) = (by, by - step, by - 2 * step, by - 3 * step);
            let places = _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d);
            _mm512_rolv_epi32(bits, places)
        };
        fn looked_up(table: &[i8; 16], places: __m512i) -> __m512i = {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            _mm512_shuffle_epi8(table, places)
        };
        fn from_bits(bits: __m512i) -> Self = Avx512(_mm512_castsi512_ps(bits));
        fn halves(bits: __m512i) -> [Self; 2] = {
            let a = _mm512_cvtph_ps(_mm512_castsi512_si256(bits));
            let b = _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(bits));
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [Avx512(_mm512_permutex2var_ps(a, even, b)), Avx512(_mm512_permutex2var_ps(a, odd, b))]
        };
    }
}
