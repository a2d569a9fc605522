//! Four lanes in plain Rust: runs everywhere, and is the oracle of the others.

use half::f16;

use super::{Lanes, methods};

/// Four floats.
#[derive(Clone, Copy)]
pub struct Portable([f32; 4]);

impl Portable {
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

fn half(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32_const()
}

impl Lanes for Portable {
    const WIDTH: usize = 4;
    const TOKENS: usize = 4;
    type Bits = [u32; 4];

    methods! {
        fn splat(x: f32) -> Self = Portable([x; 4]);
        fn load(from: *const f32) -> Self = Portable(from.cast::<[f32; 4]>().read_unaligned());
        fn quads_of(from: *const f32, _stride: usize) -> Self = Self::splat(*from);
        fn load_halves(from: *const u16) -> Self =
            Portable(from.cast::<[u16; 4]>().read_unaligned().map(half));
        fn load_bytes(from: *const u8) -> Self =
            Portable(from.cast::<[u8; 4]>().read_unaligned().map(f32::from));
        fn quads_of_halves(from: *const u16, _stride: usize) -> Self = Self::load_halves(from);
        fn quads_of_bytes(from: *const u8, _stride: usize) -> [Self; 2] =
            from.cast::<[[u8; 4]; 2]>().read_unaligned().map(|four| Portable(four.map(f32::from)));
        fn quads_of_signed_bytes(from: *const u8, _stride: usize) -> [Self; 2] =
            from.cast::<[[i8; 4]; 2]>().read_unaligned().map(|four| Portable(four.map(f32::from)));
        fn store(self, to: *mut f32) = to.cast::<[f32; 4]>().write_unaligned(self.0);

        fn add(self, other: Self) -> Self = self.zip(other, |a, b| a + b);
        fn mul(self, other: Self) -> Self = self.zip(other, |a, b| a * b);
        fn div(self, other: Self) -> Self = self.zip(other, |a, b| a / b);
        fn mul_add(self, by: Self, plus: Self) -> Self = self.mul(by).add(plus);
        fn max(self, other: Self) -> Self = self.zip(other, |a, b| if a > b { a } else { b });
        fn min(self, other: Self) -> Self = self.zip(other, |a, b| if a < b { a } else { b });
        fn round(self) -> Self = Portable(self.0.map(f32::round_ties_even));
        fn exp2(self) -> Self = Portable(self.0.map(|n| {
            f32::from_bits((n as i32).wrapping_add(127).wrapping_shl(23) as u32)
        }));

        fn sums(of: [Self; 4]) -> [f32; 4] = of.map(|v| (v.0[0] + v.0[2]) + (v.0[1] + v.0[3]));

        fn prefetch(_from: *const u8) = ();
        fn load_quads(from: *const u8, _stride: usize) -> [u32; 4] =
            from.cast::<[u32; 4]>().read_unaligned();
        fn mask<const MASK: u32>() -> [u32; 4] = [MASK; 4];
        fn and(one: [u32; 4], other: [u32; 4]) -> [u32; 4] =
            std::array::from_fn(|row| one[row] & other[row]);
        fn or(one: [u32; 4], other: [u32; 4]) -> [u32; 4] =
            std::array::from_fn(|i| one[i] | other[i]);
        fn moved(bits: [u32; 4], by: i32, _step: i32) -> [u32; 4] =
            bits.map(|bits| if by < 0 { bits >> -by } else { bits << by });
        fn looked_up(table: &[i8; 16], places: [u32; 4]) -> [u32; 4] = places.map(|places| {
            let bytes = places.to_le_bytes().map(|place| table[usize::from(place)] as u8);
            u32::from_le_bytes(bytes)
        });
        fn from_bits(bits: [u32; 4]) -> Self = Portable(bits.map(f32::from_bits));
        fn halves(bits: [u32; 4]) -> [Self; 2] = [
            Portable(bits.map(|b| half(b as u16))),
            Portable(bits.map(|b| half((b >> 16) as u16))),
        ];
    }
}
