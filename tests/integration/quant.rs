//! The quantiser against an exhaustive search, at the edges of f16, and on a model's weights.

use half::f16;
use phi_wasm::error::Code;
use phi_wasm::layout::quant::{KINDS, QuantError, quantise};
use phi_wasm::layout::{GROUP, Kind};

/// By how much a squared error, summed over groups of a distribution, may exceed what an exhaustive
/// search finds. In `Q8` that search wins by luck among 127 steps, and the more where few values
/// differ: that luck is worth a fifty-thousandth of the weights' power, which the last column
/// grants.
const ABOVE_ORACLE: [(Kind, f64, f64); 3] =
    [(Kind::Q4, 1.005, 0.0), (Kind::Q4Min, 1.02, 0.0), (Kind::Q8, 1.15, 2e-5)];

/// Numbers that look random and are the same everywhere.
struct Random(u64);

impl Random {
    /// In 0..1.
    fn uniform(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

type Shape = fn(&mut Random, usize) -> f32;

/// Groups as they occur, and as they might.
const SHAPES: &[(&str, Shape)] = &[
    ("normal", |r, _| 0.02 * r.normal()),
    ("normal with an offset", |r, _| 0.05 + 0.02 * r.normal()),
    ("far from zero", |r, _| -3.0 + 0.02 * r.normal()),
    ("heavy tails", |r, _| r.normal() * r.normal() * r.normal()),
    ("uniform", |r, _| r.uniform() - 0.5),
    ("positive", |r, _| r.uniform()),
    ("one outlier", |r, i| if i == 11 { 2.0 } else { 0.1 * r.normal() }),
    ("two sides", |r, i| if i % 2 == 0 { 1.0 } else { -1.0 } + 0.05 * r.normal()),
    ("mostly zero", |r, i| if i % 5 == 0 { r.normal() } else { 0.0 }),
    ("large", |r, _| 20_000.0 * r.normal()),
    ("on a lattice", |r, _| (r.uniform() * 15.0).round() * 0.25 - 1.0),
    ("tiny", |r, _| 3e-6 * r.normal()),
];

fn group(shape: Shape, random: &mut Random) -> Vec<f32> {
    (0..GROUP).map(|i| shape(random, i)).collect()
}

fn error(values: &[f32], kind: Kind) -> f64 {
    let mut error = QuantError::default();
    error.add(values, &quantise(values, kind).unwrap().values(kind));
    error.error
}

/// Every f16 from `low` to `high`, or every few of them.
fn halves(low: f32, high: f32, every: usize) -> impl Iterator<Item = f32> {
    let bits = |value: f32| {
        f16::from_f32(value.clamp(f16::from_bits(1).to_f32(), f16::MAX.to_f32())).to_bits()
    };
    (bits(low)..=bits(high)).step_by(every).map(|bits| f16::from_bits(bits).to_f32())
}

fn error_with(values: &[f32], scale: f32, min: f32, low: f32, high: f32) -> f64 {
    let off = |x: f32| f64::from(x - (scale * ((x - min) / scale).round().clamp(low, high) + min));
    values.iter().map(|&x| off(x) * off(x)).sum()
}

/// The least error over all scales that could be sensible, with no wit at all.
fn oracle(values: &[f32], kind: Kind) -> f64 {
    let (low, high) =
        values.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    let peak = high.max(-low);
    let mut least = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    match kind {
        Kind::Q4Min => {
            let fair = (high - low) / 15.0;
            for scale in halves(fair * 0.6, fair * 1.2, 6) {
                for shift in -20..=20 {
                    let min =
                        f16::from_f32((low + high) * 0.5 + (shift as f32 / 12.0 - 7.5) * scale)
                            .to_f32();
                    least = least.min(error_with(values, scale, min, 0.0, 15.0));
                }
            }
        }
        _ => {
            let (steps, lowest, highest) =
                if kind == Kind::Q4 { (8.0, -8.0, 7.0) } else { (127.0, -127.0, 127.0) };
            for scale in halves(peak / steps * 0.5, peak / steps * 1.5, 1) {
                for scale in [scale, -scale] {
                    least = least.min(error_with(values, scale, 0.0, lowest, highest));
                }
            }
        }
    }
    least
}

#[test]
fn the_error_is_nearly_the_least_there_is() {
    for (kind, bound, luck) in ABOVE_ORACLE {
        for (name, shape) in SHAPES {
            let mut random = Random(7);
            let (mut ours, mut least, mut power) = (0.0, 0.0, 0.0);
            for _ in 0..24 {
                let values = group(*shape, &mut random);
                ours += error(&values, kind);
                least += oracle(&values, kind);
                power += values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            }
            println!("{kind:?} {name}: {:.4} of the least error", ours / least);
            // Weights of less than f16's normal scales may move by three of its smallest steps.
            assert!(
                ours <= bound * least + luck * power + 2e-11,
                "{kind:?} {name}: error {ours:e}, the least is {least:e}"
            );
        }
    }
}

#[test]
fn what_lies_on_a_lattice_is_kept() {
    let lattice = |kind: Kind, code: usize| match kind {
        Kind::Q4 => 0.25 * (code % 16) as f32 - 2.0,
        Kind::Q4Min => 0.25 * (code % 16) as f32 + 1.5,
        _ => 0.25 * (code * 8 % 255) as f32 - 31.75,
    };
    for kind in KINDS {
        for sign in [1.0, -1.0] {
            let values: Vec<f32> = (0..GROUP).map(|i| sign * lattice(kind, i)).collect();
            assert_eq!(quantise(&values, kind).unwrap().values(kind).to_vec(), values, "{kind:?}");
        }
    }
}

#[test]
fn equal_weights_are_kept_to_the_precision_of_f16() {
    for kind in KINDS {
        for value in [1.0f32, -1.0, 0.3, -0.037, 1000.3, -60_000.0, 1e-3, 0.0, -0.0] {
            let held = quantise(&[value; GROUP], kind).unwrap().values(kind);
            for found in held {
                // Below the normal numbers, a scale is off by up to half of f16's smallest step,
                // and a weight by as much for each of its own.
                let steps = if kind == Kind::Q8 { 127.0 } else { 15.0 };
                let allowed =
                    value.abs() * f16::EPSILON.to_f32() + steps * f16::from_bits(1).to_f32() / 2.0;
                assert!((found - value).abs() <= allowed, "{kind:?} {value}: {found}");
            }
        }
    }
}

#[test]
fn weights_beyond_f16_saturate_and_keep_their_signs() {
    for kind in KINDS {
        for largest in [1e6f32, 1e9, 1e30, f32::MAX] {
            let values: Vec<f32> =
                (0..GROUP).map(|i| if i % 2 == 0 { largest } else { -largest * 0.5 }).collect();
            let found = quantise(&values, kind).unwrap();
            assert!(found.scale.is_finite() && found.min.is_finite(), "{kind:?} {largest:e}");
            for (held, value) in found.values(kind).into_iter().zip(values) {
                assert!(
                    held.is_finite() && held.signum() == value.signum() && held.abs() > 60_000.0,
                    "{kind:?} {largest:e}: {held}"
                );
            }
        }
    }
}

#[test]
fn weights_below_f16_become_zero_and_no_worse() {
    for kind in KINDS {
        for largest in [f32::from_bits(1), 1e-40, 1e-30, 1e-10, 2e-8, 4e-8, 1e-7, 6e-7] {
            let values: Vec<f32> = (0..GROUP).map(|i| largest * (i as f32 / 31.0 - 0.4)).collect();
            let held = quantise(&values, kind).unwrap().values(kind);
            for (held, value) in held.into_iter().zip(values) {
                assert!(
                    (held - value).abs() <= 6e-8,
                    "{kind:?} {largest:e}: {held:e} for {value:e}"
                );
            }
        }
    }
}

#[test]
fn weights_that_are_no_numbers_are_an_error() {
    for kind in KINDS {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 17, 31] {
                let mut values = [0.5; GROUP];
                values[at] = bad;
                assert_eq!(
                    quantise(&values, kind).unwrap_err().code,
                    Code::Malformed,
                    "{kind:?} {bad} at {at}"
                );
            }
        }
    }
}

#[test]
fn the_same_weights_make_the_same_bytes_everywhere() {
    // Made once, natively; the same test runs under WASI.
    let mut random = Random(3);
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    let mut fold = |byte: u8| sum = (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for (_, shape) in SHAPES {
        for kind in KINDS {
            let found = quantise(&group(*shape, &mut random), kind).unwrap();
            found
                .codes
                .into_iter()
                .chain(found.scale.to_le_bytes())
                .chain(found.min.to_le_bytes())
                .for_each(&mut fold);
        }
    }
    assert_eq!(sum, 0xd0e3_a019_79f4_2221, "{sum:#x}");
}
