//! AVX2, and AVX-512 with VNNI: products of bytes.

use std::arch::x86_64::*;

use super::{Dots, Spread};
use crate::cpu::lanes::methods;
use crate::cpu::lanes::x86::{Avx2, Avx512};
use crate::layout::GROUP;

/// Eight bytes in every row.
#[inline(always)]
unsafe fn pair(x: *const u8) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_set1_epi64x(x.cast::<i64>().read_unaligned()) }
}

// Functions, for a closure has none of its function's instructions unless it is inlined, and
// nothing makes it.

/// `sums` and the products of a line of two quads' nibbles with their activations: upper and lower
/// bytes beside low nibbles, and beside high ones.
#[inline(always)]
unsafe fn add_nibbles_256(sums: [__m256i; 2], line: __m256i, x: __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let nibble = _mm256_set1_epi8(15);
        let (low, high) = (
            _mm256_and_si256(line, nibble),
            _mm256_and_si256(_mm256_srli_epi16::<4>(line), nibble),
        );
        let upper =
            _mm256_add_epi16(sums[0], _mm256_maddubs_epi16(low, _mm256_shuffle_epi32::<0x00>(x)));
        let lower =
            _mm256_add_epi16(sums[1], _mm256_maddubs_epi16(low, _mm256_shuffle_epi32::<0x55>(x)));
        [
            _mm256_add_epi16(upper, _mm256_maddubs_epi16(high, _mm256_shuffle_epi32::<0xaa>(x))),
            _mm256_add_epi16(lower, _mm256_maddubs_epi16(high, _mm256_shuffle_epi32::<0xff>(x))),
        ]
    }
}

/// `sums` and the products of a line of four quads' nibbles with four activations for each half.
#[inline(always)]
unsafe fn add_nibbles_512(sums: [__m512i; 2], line: __m512i, x: __m512i) -> [__m512i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let nibble = _mm512_set1_epi32(0x0f0f_0f0f);
        let (low, high) = (
            _mm512_and_si512(line, nibble),
            _mm512_and_si512(_mm512_srli_epi32::<4>(line), nibble),
        );
        let upper = _mm512_dpbusd_epi32(sums[0], low, _mm512_shuffle_epi32::<0x00>(x));
        let lower = _mm512_dpbusd_epi32(sums[1], low, _mm512_shuffle_epi32::<0x55>(x));
        [
            _mm512_dpbusd_epi32(upper, high, _mm512_shuffle_epi32::<0xaa>(x)),
            _mm512_dpbusd_epi32(lower, high, _mm512_shuffle_epi32::<0xff>(x)),
        ]
    }
}

/// `sums` and the products of a line of two quads' bytes with four activations for either.
#[inline(always)]
unsafe fn add_bytes_256(sums: [__m256i; 2], line: __m256i, x: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let first = _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm256_castsi256_si128(line)), x[0]);
        let second =
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(line)), x[1]);
        [_mm256_add_epi32(sums[0], first), _mm256_add_epi32(sums[1], second)]
    }
}

/// `sums` and the products of a line of four quads' bytes with four activations for either two of
/// them.
#[inline(always)]
unsafe fn add_bytes_512(sums: [__m512i; 2], line: __m512i, x: [__m512i; 2]) -> [__m512i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let first = _mm512_cvtepi8_epi16(_mm512_castsi512_si256(line));
        let second = _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(line));
        [_mm512_dpwssd_epi32(sums[0], first, x[0]), _mm512_dpwssd_epi32(sums[1], second, x[1])]
    }
}

/// `sums` and the products of a line of two quads' codes with one half of their activations.
#[inline(always)]
unsafe fn add_codes_256<const HALF: usize>(
    sums: [__m256i; 2],
    line: __m256i,
    x: __m256i,
) -> [__m256i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let [upper, lower] = if HALF == 0 {
            [_mm256_shuffle_epi32::<0x00>(x), _mm256_shuffle_epi32::<0x55>(x)]
        } else {
            [_mm256_shuffle_epi32::<0xaa>(x), _mm256_shuffle_epi32::<0xff>(x)]
        };
        // Of codes of up to seven bits two products fit 16 bits, and no more.
        let one = _mm256_set1_epi16(1);
        [
            _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_maddubs_epi16(line, upper), one)),
            _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_maddubs_epi16(line, lower), one)),
        ]
    }
}

/// `sums` and the products of a line of four quads' codes with one half of their activations.
#[inline(always)]
unsafe fn add_codes_512<const HALF: usize>(
    sums: [__m512i; 2],
    line: __m512i,
    x: __m512i,
) -> [__m512i; 2] {
    // SAFETY: the caller's.
    unsafe {
        let [upper, lower] = if HALF == 0 {
            [_mm512_shuffle_epi32::<0x00>(x), _mm512_shuffle_epi32::<0x55>(x)]
        } else {
            [_mm512_shuffle_epi32::<0xaa>(x), _mm512_shuffle_epi32::<0xff>(x)]
        };
        [_mm512_dpbusd_epi32(sums[0], line, upper), _mm512_dpbusd_epi32(sums[1], line, lower)]
    }
}

/// Eight rows; see [`Dots`].
#[derive(Clone, Copy)]
pub struct Avx2Dots;

impl Dots for Avx2Dots {
    type Lanes = Avx2;
    /// With the activations' upper bytes and with their lower ones: two sums of 16 bits for each
    /// row, at most 8 * 2 * 15 * 127.
    type Sums = [__m256i; 2];
    /// Two for each row, of either quad.
    type ByteSums = [__m256i; 2];
    /// With the activations' upper bytes and with their lower ones.
    type CodeSums = [__m256i; 2];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::in_bytes(group)
    }

    methods! {
        fn none() -> [__m256i; 2] = [_mm256_setzero_si256(); 2];
        fn dot(sums: [__m256i; 2], line: __m256i, x: *const u8) -> [__m256i; 2] =
            add_nibbles_256(sums, line, _mm256_broadcastsi128_si256(_mm_loadu_si128(x.cast())));
        fn dot_lines(sums: [__m256i; 2], lines: __m256i, x: *const u8) -> [__m256i; 2] =
            add_nibbles_256(sums, lines, _mm256_loadu_si256(x.cast()));
        fn total(sums: [__m256i; 2], plus: i32) -> Avx2 = {
            let upper = _mm256_madd_epi16(sums[0], _mm256_set1_epi16(128));
            let lower = _mm256_madd_epi16(sums[1], _mm256_set1_epi16(1));
            Avx2::of(_mm256_add_epi32(_mm256_add_epi32(upper, lower), _mm256_set1_epi32(plus)))
        };

        fn no_bytes() -> [__m256i; 2] = [_mm256_setzero_si256(); 2];
        fn dot_bytes(sums: [__m256i; 2], lines: [__m256i; 2], x: *const u8) -> [__m256i; 2] = {
            let sums = add_bytes_256(sums, lines[0], [pair(x); 2]);
            add_bytes_256(sums, lines[1], [pair(x.add(8)); 2])
        };
        fn dot_lines_of_bytes(
            sums: [__m256i; 2],
            lines: [__m256i; 2],
            x: *const u8,
        ) -> [__m256i; 2] = {
            let sums = add_bytes_256(sums, lines[0], [pair(x), pair(x.add(16))]);
            add_bytes_256(sums, lines[1], [pair(x.add(8)), pair(x.add(24))])
        };
        // Adding neighbours gives [a a b b | a a b b]; the middle pairs change places.
        fn total_of_bytes(sums: [__m256i; 2]) -> Avx2 = {
            let neighbours = _mm256_hadd_epi32(sums[0], sums[1]);
            Avx2::of(_mm256_permute4x64_epi64::<0xd8>(neighbours))
        };

        fn no_codes(plus: i32) -> [__m256i; 2] =
            [_mm256_setzero_si256(), _mm256_set1_epi32(plus)];
        fn dot_codes<const HALF: usize>(
            sums: [__m256i; 2],
            line: __m256i,
            x: *const u8,
        ) -> [__m256i; 2] = {
            let x = _mm256_broadcastsi128_si256(_mm_loadu_si128(x.cast()));
            add_codes_256::<HALF>(sums, line, x)
        };
        fn dot_lines_of_codes<const HALF: usize>(
            sums: [__m256i; 2],
            lines: __m256i,
            x: *const u8,
        ) -> [__m256i; 2] = add_codes_256::<HALF>(sums, lines, _mm256_loadu_si256(x.cast()));
        fn total_of_codes(sums: [__m256i; 2]) -> Avx2 =
            Avx2::of(_mm256_add_epi32(_mm256_slli_epi32::<7>(sums[0]), sums[1]));
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
    /// With the activations' upper bytes and with their lower ones.
    type CodeSums = [__m512i; 2];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::in_bytes(group)
    }

    methods! {
        fn none() -> [__m512i; 2] = [_mm512_setzero_si512(); 2];
        fn dot(sums: [__m512i; 2], line: __m512i, x: *const u8) -> [__m512i; 2] =
            add_nibbles_512(sums, line, _mm512_broadcast_i32x4(_mm_loadu_si128(x.cast())));
        fn dot_lines(sums: [__m512i; 2], lines: __m512i, x: *const u8) -> [__m512i; 2] =
            add_nibbles_512(sums, lines, _mm512_loadu_si512(x.cast()));
        fn total(sums: [__m512i; 2], plus: i32) -> Avx512 = {
            let both = _mm512_add_epi32(_mm512_slli_epi32::<7>(sums[0]), sums[1]);
            Avx512::of(_mm512_add_epi32(both, _mm512_set1_epi32(plus)))
        };

        fn no_bytes() -> [__m512i; 2] = [_mm512_setzero_si512(); 2];
        fn dot_bytes(sums: [__m512i; 2], lines: [__m512i; 2], x: *const u8) -> [__m512i; 2] = {
            let x = _mm512_broadcast_i32x4(_mm_loadu_si128(x.cast()));
            let sums = add_bytes_512(sums, lines[0], [_mm512_shuffle_epi32::<0x44>(x); 2]);
            add_bytes_512(sums, lines[1], [_mm512_shuffle_epi32::<0xee>(x); 2])
        };
        fn dot_lines_of_bytes(
            sums: [__m512i; 2],
            lines: [__m512i; 2],
            x: *const u8,
        ) -> [__m512i; 2] = {
            let x = _mm512_loadu_si512(x.cast());
            // Eight bytes of either of the first two lines or of the others, four times.
            let place = |l: i64| _mm512_setr_epi64(l, l, l, l, l + 2, l + 2, l + 2, l + 2);
            let of = |first: i64| {
                [
                    _mm512_permutexvar_epi64(place(first), x),
                    _mm512_permutexvar_epi64(place(first + 4), x),
                ]
            };
            add_bytes_512(add_bytes_512(sums, lines[0], of(0)), lines[1], of(1))
        };
        fn total_of_bytes(sums: [__m512i; 2]) -> Avx512 = {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            let halves =
                [even, odd].map(|places| _mm512_permutex2var_epi32(sums[0], places, sums[1]));
            Avx512::of(_mm512_add_epi32(halves[0], halves[1]))
        };

        fn no_codes(plus: i32) -> [__m512i; 2] =
            [_mm512_setzero_si512(), _mm512_set1_epi32(plus)];
        fn dot_codes<const HALF: usize>(
            sums: [__m512i; 2],
            line: __m512i,
            x: *const u8,
        ) -> [__m512i; 2] = {
            let x = _mm512_broadcast_i32x4(_mm_loadu_si128(x.cast()));
            add_codes_512::<HALF>(sums, line, x)
        };
        fn dot_lines_of_codes<const HALF: usize>(
            sums: [__m512i; 2],
            lines: __m512i,
            x: *const u8,
        ) -> [__m512i; 2] = add_codes_512::<HALF>(sums, lines, _mm512_loadu_si512(x.cast()));
        fn total_of_codes(sums: [__m512i; 2]) -> Avx512 = Self::total(sums, 0);
    }
}
