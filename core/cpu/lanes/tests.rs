//! Every vector against plain Rust, bit for bit where the trait promises it.
// `on_all!` asks the CPU first; pointers lead into arrays.
#![allow(clippy::undocumented_unsafe_blocks)]

use half::f16;

use super::Lanes;
use super::exp::{exp, silu};
use super::portable::Portable;

/// Runs a generic test on every kind of vector that this CPU has.
macro_rules! on_all {
    ($test:ident) => {
        unsafe {
            $test::<Portable>();
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
                $test::<$crate::cpu::lanes::x86::Avx2>();
            }
            if is_x86_feature_detected!("avx512f") {
                $test::<$crate::cpu::lanes::x86::Avx512>();
            }
        };
    }
    pub(super) use on_all;
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            $test::<$crate::cpu::lanes::simd128::Simd128>();
        };
    }
    pub(super) use on_all;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    macro_rules! on_all {
        ($test:ident) => {
            $test::<$crate::cpu::lanes::neon::Neon>();
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

/// The lanes of a vector.
unsafe fn lanes<L: Lanes>(v: L) -> Vec<f32> {
    let mut all = vec![0.0; L::WIDTH];
    unsafe { v.store(all.as_mut_ptr()) };
    all
}

/// Numbers with interesting bits, as many as `n`.
fn numbers(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| [1.5f32, -2.25, 0.0, 1e-30, -7.0, 3.5, 2.5, -0.5][i % 8] * (1.0 + (i / 8) as f32))
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

unsafe fn arithmetic<L: Lanes>() {
    let (a, b) = (numbers(L::WIDTH), numbers(L::WIDTH + 3).split_off(3));
    let check = |name: &str, got: L, f: fn(f32, f32) -> f32| {
        let expected: Vec<f32> = a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect();
        assert_eq!(bits(&unsafe { lanes(got) }), bits(&expected), "{name}");
    };
    unsafe {
        let (x, y) = (L::load(a.as_ptr()), L::load(b.as_ptr()));
        check("add", x.add(y), |a, b| a + b);
        check("mul", x.mul(y), |a, b| a * b);
        check("div", x.div(y.add(L::splat(0.25))), |a, b| a / (b + 0.25));
        check("max", x.max(y), |a, b| if a > b { a } else { b });
        check("min", x.min(y), |a, b| if a < b { a } else { b });
        check("round", x.round(), |a, _| a.round_ties_even());
        // Exact either way, so fused or not is the same.
        check("mul_add", x.round().mul_add(L::splat(3.0), L::splat(1.0)), |a, _| {
            a.round_ties_even() * 3.0 + 1.0
        });
        for n in -126..=127 {
            assert_eq!(lanes(L::splat(n as f32).exp2()), vec![2f32.powi(n); L::WIDTH], "2^{n}");
        }
        let nan = L::splat(f32::NAN);
        assert!(
            lanes(L::splat(1.0).max(nan))
                .iter()
                .chain(&lanes(L::splat(1.0).min(nan)))
                .all(|v| v.is_nan()),
            "the second operand wins"
        );
        assert_eq!(
            (lanes(nan.max(L::splat(1.0))), lanes(nan.min(L::splat(1.0)))),
            (vec![1.0; L::WIDTH], vec![1.0; L::WIDTH])
        );
    }
}

unsafe fn sums<L: Lanes>() {
    let all: Vec<f32> = (0..4 * L::WIDTH).map(|i| i as f32).collect();
    unsafe {
        let vectors = [0, 1, 2, 3].map(|i| L::load(all[i * L::WIDTH..].as_ptr()));
        assert_eq!(
            L::sums(vectors),
            [0, 1, 2, 3].map(|i| all[i * L::WIDTH..][..L::WIDTH].iter().sum::<f32>())
        );
    }
}

/// Quads lie apart, or all lanes take the same one.
unsafe fn quads<L: Lanes>() {
    for stride in [0, 4, 12] {
        let words: Vec<u32> = (0..64).map(|i| 1000 + i).collect();
        let quad_of = |lane: usize| lane / 4 * stride + lane % 4;
        let loaded =
            unsafe { lanes(L::from_bits(L::load_quads(words.as_ptr().cast(), 4 * stride))) };
        assert_eq!(
            bits(&loaded),
            (0..L::WIDTH).map(|lane| words[quad_of(lane)]).collect::<Vec<_>>(),
            "words {stride} apart"
        );
        let all: Vec<u16> = (0..64).map(|i| f16::from_f32(i as f32 - 20.5).to_bits()).collect();
        let loaded = unsafe { lanes(L::quads_of_halves(all.as_ptr(), stride)) };
        assert_eq!(
            loaded,
            (0..L::WIDTH).map(|lane| quad_of(lane) as f32 - 20.5).collect::<Vec<_>>(),
            "halves {stride} apart"
        );
        let all = numbers(64);
        let loaded = unsafe { lanes(L::quads_of(all.as_ptr(), stride)) };
        assert_eq!(
            loaded,
            (0..L::WIDTH).map(|lane| all[lane / 4 * stride]).collect::<Vec<_>>(),
            "floats {stride} apart"
        );
    }
}

/// All 65536 of them, by each of the ways in.
unsafe fn halves<L: Lanes>() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let same = |got: f32, half: u16| {
        let expected = f16::from_bits(half).to_f32();
        assert!(
            got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(),
            "{half:#06x} is {expected}, not {got}"
        );
    };
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    for some in bytes.chunks_exact(L::WIDTH) {
        let loaded = unsafe { lanes(L::load_bytes(some.as_ptr())) };
        assert!(loaded.into_iter().eq(some.iter().map(|&byte| f32::from(byte))));
    }
    for some in all.chunks_exact(2 * L::WIDTH) {
        unsafe {
            lanes(L::load_halves(some.as_ptr()))
                .into_iter()
                .zip(some)
                .for_each(|(got, &half)| same(got, half));
            if some.iter().all(|&half| f16::from_bits(half).is_finite()) {
                lanes(L::quads_of_halves(some.as_ptr(), 4))
                    .into_iter()
                    .zip(some)
                    .for_each(|(got, &half)| same(got, half));
            }
            let [even, odd] = L::halves(L::load_quads(some.as_ptr().cast(), 16));
            lanes(even)
                .into_iter()
                .zip(some.iter().step_by(2))
                .for_each(|(got, &half)| same(got, half));
            lanes(odd)
                .into_iter()
                .zip(some.iter().skip(1).step_by(2))
                .for_each(|(got, &half)| same(got, half));
        }
    }
}

/// Units in the last place of `expected`, a step of the subnormal numbers at the least.
fn ulps(got: f32, expected: f64) -> f64 {
    if f64::from(got) == expected || got.is_infinite() && expected > f64::from(f32::MAX) {
        return 0.0;
    }
    let step = 2f64.powi((expected.abs().log2().floor() as i32 - 23).max(-149));
    (f64::from(got) - expected).abs() / step
}

unsafe fn exponentials<L: Lanes>() {
    let mut worst = (0.0f64, 0.0f64);
    for i in -440_000..400_000 {
        let x = i as f32 * 2.5e-4;
        let (e, s) = unsafe { (lanes(exp(L::splat(x)))[0], lanes(silu(L::splat(x)))[0]) };
        let exact = f64::from(x);
        worst.0 = worst.0.max(ulps(e, exact.exp()));
        worst.1 = worst.1.max(if x > -87.0 {
            ulps(s, exact / (1.0 + (-exact).exp()))
        } else {
            f64::from(s.abs()) * 1e34
        });
    }
    assert!(worst.0 <= 2.0 && worst.1 <= 4.0, "exp errs by {} ulp, silu by {}", worst.0, worst.1);
    unsafe {
        assert_eq!(lanes(exp(L::splat(f32::NEG_INFINITY)))[0], 0.0);
        assert_eq!(lanes(exp(L::splat(f32::INFINITY)))[0], f32::INFINITY);
        assert!(
            lanes(exp(L::splat(f32::NAN)))[0].is_nan()
                && lanes(silu(L::splat(f32::NAN)))[0].is_nan()
        );
    }
}

#[test]
fn arithmetic_is_ieee() {
    on_all!(arithmetic);
}

#[test]
fn sums_are_sums() {
    on_all!(sums);
}

#[test]
fn quads_are_quads() {
    on_all!(quads);
}

#[test]
fn every_half_is_converted_exactly() {
    on_all!(halves);
}

#[test]
fn exponentials_are_within_a_few_ulps() {
    on_all!(exponentials);
}
