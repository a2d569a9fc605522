//! Every implementation against plain Rust: whole numbers leave no room for a difference.
// `on_all!` asks the CPU first; pointers lead into arrays.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::portable::PortableDots;
use super::{Dots, LARGEST};
use crate::cpu::lanes::Lanes;
use crate::layout::GROUP;

/// Runs a generic test on every implementation that this CPU has.
macro_rules! on_all {
    ($test:ident) => {
        unsafe {
            $test::<PortableDots>();
            arch::on_all!($test);
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
            {
                $test::<$crate::cpu::dots::x86::Avx2Dots>();
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                $test::<$crate::cpu::dots::x86::VnniDots>();
            }
        };
    }
    pub(super) use on_all;
}

#[cfg(all(
    target_arch = "wasm32",
    target_feature = "simd128",
    not(target_feature = "relaxed-simd")
))]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            $test::<$crate::cpu::dots::simd128::Simd128Dots>();
        };
    }
    pub(super) use on_all;
}

#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            $test::<$crate::cpu::dots::simd128::Simd128Dots>();
            $test::<$crate::cpu::dots::relaxed::Fours>();
            $test::<$crate::cpu::dots::relaxed::Pairs>();
        };
    }
    pub(super) use on_all;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            $test::<$crate::cpu::dots::neon::NeonDots>();
        };
    }
    pub(super) use on_all;
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {};
    }
    pub(super) use on_all;
}

unsafe fn lanes<L: Lanes>(v: L) -> Vec<f32> {
    let mut all = vec![0.0; L::WIDTH];
    unsafe { v.store(all.as_mut_ptr()) };
    all
}

/// What a line of nibbles is multiplied with.
fn spread<D: Dots>(low: [i16; 4], high: [i16; 4]) -> [[u8; 8]; 2] {
    let mut group = [0; GROUP];
    group[..4].copy_from_slice(&low);
    group[GROUP / 2..][..4].copy_from_slice(&high);
    D::spread(&group)[0]
}

/// A group's products, with codes and activations at their extremes and between.
unsafe fn dots<D: Dots>() {
    let mut noise = 1u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise >> 16
    };
    for round in 0..100 {
        let lines: Vec<Vec<u8>> = (0..8)
            .map(|_| {
                (0..4 * D::Lanes::WIDTH)
                    .map(|_| if round < 2 { 0xff } else { next() as u8 })
                    .collect()
            })
            .collect();
        let mut number = || (next() % (2 * LARGEST as u32 + 1)) as i16 - LARGEST;
        let x: Vec<[i16; 4]> = (0..8)
            .map(|_| {
                std::array::from_fn(|_| {
                    [LARGEST, -LARGEST].get(round).copied().unwrap_or_else(&mut number)
                })
            })
            .collect();
        let expected = |code: &dyn Fn(u8) -> i32| -> Vec<f32> {
            let product = |row: usize| {
                (0..8)
                    .flat_map(|l| (0..4).map(move |i| (l, i)))
                    .map(|(l, i)| code(lines[l][4 * row + i]) * i32::from(x[l][i]))
                    .sum::<i32>()
            };
            (0..D::Lanes::WIDTH).map(|row| product(row) as f32).collect()
        };
        unsafe {
            let (mut low, mut high, mut both, mut bytes) =
                (D::none(), D::none(), D::none(), D::no_bytes());
            for (pair, x) in lines.chunks_exact(2).zip(x.chunks_exact(2)) {
                let bits = [
                    D::Lanes::load_quads(pair[0].as_ptr(), 16),
                    D::Lanes::load_quads(pair[1].as_ptr(), 16),
                ];
                for (bits, &x) in bits.into_iter().zip(x) {
                    low = D::dot(low, bits, spread::<D>(x, [0; 4]).as_ptr().cast());
                    high = D::dot(high, bits, spread::<D>([0; 4], x).as_ptr().cast());
                }
                both = D::dot(both, bits[0], spread::<D>(x[0], x[1]).as_ptr().cast());
                bytes = D::dot_bytes(bytes, bits, x.as_ptr().cast());
            }
            assert_eq!(lanes(D::total(low, 0)), expected(&|byte| i32::from(byte & 15)));
            assert_eq!(lanes(D::total(high, 0)), expected(&|byte| i32::from(byte >> 4)));
            let halves = |row: usize, pair: usize, i: usize| {
                let byte = i32::from(lines[pair][4 * row + i]);
                (byte & 15) * i32::from(x[pair][i]) + (byte >> 4) * i32::from(x[pair + 1][i])
            };
            let of_row = |row| {
                (0..8)
                    .step_by(2)
                    .flat_map(|pair| (0..4).map(move |i| (pair, i)))
                    .map(|(pair, i)| halves(row, pair, i))
                    .sum::<i32>() as f32
            };
            assert_eq!(
                lanes(D::total(both, 0)),
                (0..D::Lanes::WIDTH).map(of_row).collect::<Vec<_>>()
            );
            let sum: i32 = x.iter().flatten().map(|&x| i32::from(x)).sum();
            assert_eq!(lanes(D::total(low, -8 * sum)), expected(&|byte| i32::from(byte & 15) - 8));
            assert_eq!(lanes(D::total_of_bytes(bytes)), expected(&|byte| i32::from(byte as i8)));
        }
    }
}

/// Lines of one quad, each with its own activations, against one by one.
unsafe fn lines<D: Dots>() {
    let noise: Vec<u8> = (0..12 * D::Lanes::WIDTH as u32)
        .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8)
        .collect();
    let (codes, others) = noise.split_at(4 * D::Lanes::WIDTH);
    let numbers: Vec<[i16; 4]> = (0..D::Lanes::WIDTH as i16 / 2)
        .map(|i| std::array::from_fn(|j| (i * 977 + j as i16 * 3001) % LARGEST - 500))
        .collect();
    let spread: Vec<[[u8; 8]; 2]> =
        numbers.as_chunks::<2>().0.iter().map(|&[x, y]| spread::<D>(x, y)).collect();
    unsafe {
        let load = |codes: &[u8]| D::Lanes::load_quads(codes.as_ptr(), 16);
        let dots = lanes(D::total(D::dot_lines(D::none(), load(codes), spread.as_ptr().cast()), 7));
        let bytes = lanes(D::total_of_bytes(D::dot_lines_of_bytes(
            D::no_bytes(),
            [load(codes), load(others)],
            numbers.as_ptr().cast(),
        )));
        for line in 0..D::Lanes::WIDTH / 4 {
            let same = |codes: &[u8]| D::Lanes::load_quads(codes[16 * line..].as_ptr(), 0);
            let dot = D::total(D::dot(D::none(), same(codes), spread[line..].as_ptr().cast()), 7);
            assert_eq!(dots[4 * line..][..4], lanes(dot)[..4], "line {line}");
            let dot = D::total_of_bytes(D::dot_bytes(
                D::no_bytes(),
                [same(codes), same(others)],
                numbers[2 * line..].as_ptr().cast(),
            ));
            assert_eq!(bytes[4 * line..][..4], lanes(dot)[..4], "line {line} of bytes");
        }
    }
}

#[test]
fn products_are_exact() {
    on_all!(dots);
}

#[test]
fn lines_have_their_own_activations() {
    on_all!(lines);
}
