//! Every implementation against plain Rust: whole numbers leave no room for a difference.
#![allow(clippy::undocumented_unsafe_blocks)] // `on_all!` asks the CPU first; pointers lead into arrays.

use super::Dots;
use super::portable::PortableDots;
use crate::cpu::lanes::Lanes;

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
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                $test::<$crate::cpu::dots::x86::Avx2Dots>();
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                $test::<$crate::cpu::dots::x86::VnniDots>();
            }
        };
    }
    pub(super) use on_all;
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
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
            $test::<$crate::cpu::dots::relaxed::RelaxedDots>();
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

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128"))))]
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

/// Eight products of both halves, with codes and activations at their extremes and between.
unsafe fn dots<D: Dots>() {
    let mut noise = 1u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    for round in 0..100 {
        let lines: Vec<Vec<u8>> =
            (0..8).map(|_| (0..4 * D::Lanes::WIDTH).map(|_| if round == 0 { 0xff } else { next() }).collect()).collect();
        let x: Vec<[i8; 4]> = (0..8).map(|_| std::array::from_fn(|_| if round < 2 { 127 } else { (next() as i8).max(-127) })).collect();
        let spread: Vec<[u8; 8]> = x.iter().map(|&four| D::spread(four)).collect();
        let product = |row: usize, code: &dyn Fn(u8) -> i32| -> f32 {
            let of_line = |(line, x): (&Vec<u8>, &[i8; 4])| (0..4).map(|i| code(line[4 * row + i]) * i32::from(x[i])).sum::<i32>();
            lines.iter().zip(&x).map(of_line).sum::<i32>() as f32
        };
        let expected = |code: &dyn Fn(u8) -> i32| (0..D::Lanes::WIDTH).map(|row| product(row, code)).collect::<Vec<f32>>();
        unsafe {
            let (mut low, mut high) = (D::nothing(), D::nothing());
            let (mut raised_low, mut raised_high) = (D::nothing(), D::nothing());
            for (line, x) in lines.iter().zip(&spread) {
                let bits = D::Lanes::load_quads(line.as_ptr(), 16);
                let (halves, raised) = (D::nibbles(bits), D::raised(bits));
                (low, high) = (D::dot(low, halves[0], x.as_ptr()), D::dot(high, halves[1], x.as_ptr()));
                (raised_low, raised_high) = (D::dot(raised_low, raised[0], x.as_ptr()), D::dot(raised_high, raised[1], x.as_ptr()));
            }
            assert_eq!(lanes(D::total(low, 0)), expected(&|byte| i32::from(byte & 15)));
            assert_eq!(lanes(D::total(high, 0)), expected(&|byte| i32::from(byte >> 4)));
            let sum: i32 = x.iter().flatten().map(|&x| i32::from(x)).sum();
            assert_eq!(lanes(D::total(low, -8 * sum)), expected(&|byte| i32::from(byte & 15) - 8));
            assert_eq!(lanes(D::total_of_bytes(raised_low, raised_high, -128 * sum)), expected(&|byte| i32::from(byte as i8)));
        }
    }
}

#[test]
fn products_are_exact() {
    on_all!(dots);
}
