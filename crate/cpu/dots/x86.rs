//! AVX2, and AVX-512 with VNNI.

use std::arch::x86_64::*;

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::x86::{Avx2, Avx512};

/// Eight rows; see [`Dots`].
#[derive(Clone, Copy)]
pub struct Avx2Dots;

impl Dots for Avx2Dots {
    type Lanes = Avx2;
    const BYTES: usize = 4;
    type Half = __m256i;
    /// Two sums of 16 bits for each row.
    type Sums = __m256i;

    methods! {
        fn nibbles(line: __m256i) -> [__m256i; 2] = {
            let nibble = _mm256_set1_epi8(15);
            [_mm256_and_si256(line, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(line), nibble)]
        };
        fn raised(line: __m256i) -> [__m256i; 2] = Self::nibbles(_mm256_xor_si256(line, _mm256_set1_epi8(-128)));
        fn nothing() -> __m256i = _mm256_setzero_si256();
        fn dot(sums: __m256i, half: __m256i, x: *const u8) -> __m256i =
            _mm256_add_epi16(sums, _mm256_maddubs_epi16(half, _mm256_set1_epi32(x.cast::<i32>().read_unaligned())));
        fn total(sums: __m256i, plus: i32) -> Avx2 =
            Avx2::of(_mm256_add_epi32(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)), _mm256_set1_epi32(plus)));
        fn total_of_bytes(low: __m256i, high: __m256i, plus: i32) -> Avx2 = {
            let (low, high) = (_mm256_madd_epi16(low, _mm256_set1_epi16(1)), _mm256_madd_epi16(high, _mm256_set1_epi16(16)));
            Avx2::of(_mm256_add_epi32(_mm256_add_epi32(low, high), _mm256_set1_epi32(plus)))
        };
    }
}

/// Sixteen rows; see [`Dots`].
#[derive(Clone, Copy)]
pub struct VnniDots;

impl Dots for VnniDots {
    type Lanes = Avx512;
    const BYTES: usize = 4;
    type Half = __m512i;
    /// A sum of 32 bits for each row.
    type Sums = __m512i;

    methods! {
        fn nibbles(line: __m512i) -> [__m512i; 2] = {
            let nibble = _mm512_set1_epi32(0x0f0f_0f0f);
            [_mm512_and_si512(line, nibble), _mm512_and_si512(_mm512_srli_epi32::<4>(line), nibble)]
        };
        fn raised(line: __m512i) -> [__m512i; 2] = Self::nibbles(_mm512_xor_si512(line, _mm512_set1_epi32(0x8080_8080_u32 as i32)));
        fn nothing() -> __m512i = _mm512_setzero_si512();
        fn dot(sums: __m512i, half: __m512i, x: *const u8) -> __m512i =
            _mm512_dpbusd_epi32(sums, half, _mm512_set1_epi32(x.cast::<i32>().read_unaligned()));
        fn total(sums: __m512i, plus: i32) -> Avx512 = Avx512::of(_mm512_add_epi32(sums, _mm512_set1_epi32(plus)));
        fn total_of_bytes(low: __m512i, high: __m512i, plus: i32) -> Avx512 = {
            let both = _mm512_add_epi32(low, _mm512_slli_epi32::<4>(high));
            Avx512::of(_mm512_add_epi32(both, _mm512_set1_epi32(plus)))
        };
    }
}
