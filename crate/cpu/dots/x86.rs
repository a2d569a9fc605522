//! AVX2, and AVX-512 with VNNI: products of bytes.

use std::arch::x86_64::*;

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::x86::{Avx2, Avx512};

/// Four bytes in every row.
#[inline(always)]
unsafe fn word(x: *const u8) -> i32 {
    // SAFETY: the caller's.
    unsafe { x.cast::<i32>().read_unaligned() }
}

/// Eight bytes.
#[inline(always)]
unsafe fn pair(x: *const u8) -> i64 {
    // SAFETY: the caller's.
    unsafe { x.cast::<i64>().read_unaligned() }
}

// Functions, for a closure has none of its function's instructions unless it is inlined, and nothing makes it.

/// `sums` and the products of a line of two quads' bytes with four activations.
#[inline(always)]
unsafe fn add_bytes_256(sums: [__m256i; 2], line: __m256i, x: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let x = _mm256_set1_epi64x(pair(x));
        let first = _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm256_castsi256_si128(line)), x);
        let second = _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(line)), x);
        [_mm256_add_epi32(sums[0], first), _mm256_add_epi32(sums[1], second)]
    }
}

/// The same of four quads.
#[inline(always)]
unsafe fn add_bytes_512(sums: [__m512i; 2], line: __m512i, x: *const u8) -> [__m512i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let (x, first) = (_mm512_set1_epi64(pair(x)), _mm512_cvtepi8_epi16(_mm512_castsi512_si256(line)));
        let second = _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(line));
        [_mm512_dpwssd_epi32(sums[0], first, x), _mm512_dpwssd_epi32(sums[1], second, x)]
    }
}

/// Eight rows; see [`Dots`].
#[derive(Clone, Copy)]
pub struct Avx2Dots;

impl Dots for Avx2Dots {
    type Lanes = Avx2;
    /// With the activations' upper bytes and with their lower ones: two sums of 16 bits for each row, at most 8 * 2 * 15 * 127.
    type Sums = [__m256i; 2];
    /// Two for each row, of either quad.
    type ByteSums = [__m256i; 2];

    fn spread(four: [i16; 4]) -> [u8; 8] {
        super::in_bytes(four)
    }

    methods! {
        fn none() -> [__m256i; 2] = [_mm256_setzero_si256(); 2];
        fn dot(sums: [__m256i; 2], line: __m256i, x: *const u8) -> [__m256i; 2] = {
            let nibble = _mm256_set1_epi8(15);
            let (low, high) = (_mm256_and_si256(line, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(line), nibble));
            let upper = _mm256_add_epi16(sums[0], _mm256_maddubs_epi16(low, _mm256_set1_epi32(word(x))));
            let lower = _mm256_add_epi16(sums[1], _mm256_maddubs_epi16(low, _mm256_set1_epi32(word(x.add(4)))));
            [
                _mm256_add_epi16(upper, _mm256_maddubs_epi16(high, _mm256_set1_epi32(word(x.add(8))))),
                _mm256_add_epi16(lower, _mm256_maddubs_epi16(high, _mm256_set1_epi32(word(x.add(12))))),
            ]
        };
        fn total(sums: [__m256i; 2], plus: i32) -> Avx2 = {
            let (upper, lower) = (_mm256_madd_epi16(sums[0], _mm256_set1_epi16(128)), _mm256_madd_epi16(sums[1], _mm256_set1_epi16(1)));
            Avx2::of(_mm256_add_epi32(_mm256_add_epi32(upper, lower), _mm256_set1_epi32(plus)))
        };

        fn no_bytes() -> [__m256i; 2] = [_mm256_setzero_si256(); 2];
        fn dot_bytes(sums: [__m256i; 2], lines: [__m256i; 2], x: *const u8) -> [__m256i; 2] =
            add_bytes_256(add_bytes_256(sums, lines[0], x), lines[1], x.add(8));
        // Adding neighbours gives [a a b b | a a b b]; the middle pairs change places.
        fn total_of_bytes(sums: [__m256i; 2]) -> Avx2 = Avx2::of(_mm256_permute4x64_epi64::<0xd8>(_mm256_hadd_epi32(sums[0], sums[1])));
    }
}

/// Sixteen rows; see [`Dots`].
#[derive(Clone, Copy)]
pub struct VnniDots;

impl Dots for VnniDots {
    type Lanes = Avx512;
    /// With the activations' upper bytes and with their lower ones.
    type Sums = [__m512i; 2];
    /// Two for each row, of the first two quads and of the others.
    type ByteSums = [__m512i; 2];

    fn spread(four: [i16; 4]) -> [u8; 8] {
        super::in_bytes(four)
    }

    methods! {
        fn none() -> [__m512i; 2] = [_mm512_setzero_si512(); 2];
        fn dot(sums: [__m512i; 2], line: __m512i, x: *const u8) -> [__m512i; 2] = {
            let nibble = _mm512_set1_epi32(0x0f0f_0f0f);
            let (low, high) = (_mm512_and_si512(line, nibble), _mm512_and_si512(_mm512_srli_epi32::<4>(line), nibble));
            let upper = _mm512_dpbusd_epi32(sums[0], low, _mm512_set1_epi32(word(x)));
            let lower = _mm512_dpbusd_epi32(sums[1], low, _mm512_set1_epi32(word(x.add(4))));
            [
                _mm512_dpbusd_epi32(upper, high, _mm512_set1_epi32(word(x.add(8)))),
                _mm512_dpbusd_epi32(lower, high, _mm512_set1_epi32(word(x.add(12)))),
            ]
        };
        fn total(sums: [__m512i; 2], plus: i32) -> Avx512 = {
            let both = _mm512_add_epi32(_mm512_slli_epi32::<7>(sums[0]), sums[1]);
            Avx512::of(_mm512_add_epi32(both, _mm512_set1_epi32(plus)))
        };

        fn no_bytes() -> [__m512i; 2] = [_mm512_setzero_si512(); 2];
        fn dot_bytes(sums: [__m512i; 2], lines: [__m512i; 2], x: *const u8) -> [__m512i; 2] =
            add_bytes_512(add_bytes_512(sums, lines[0], x), lines[1], x.add(8));
        fn total_of_bytes(sums: [__m512i; 2]) -> Avx512 = {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            let halves = [even, odd].map(|places| _mm512_permutex2var_epi32(sums[0], places, sums[1]));
            Avx512::of(_mm512_add_epi32(halves[0], halves[1]))
        };
    }
}
