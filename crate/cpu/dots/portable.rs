//! Plain Rust: runs everywhere, and is the oracle of the others.

use super::Dots;
use crate::cpu::lanes::methods;
use crate::cpu::lanes::portable::Portable;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct PortableDots;

fn floats(sums: [i32; 4]) -> Portable {
    // SAFETY: plain Rust, and four floats.
    unsafe { crate::cpu::lanes::Lanes::load(sums.map(|sum| sum as f32).as_ptr()) }
}

impl Dots for PortableDots {
    type Lanes = Portable;
    const BYTES: usize = 4;
    type Half = [[u8; 4]; 4];
    type Sums = [i32; 4];

    methods! {
        fn nibbles(line: [u32; 4]) -> [Self::Half; 2] = [line.map(|row| (row & 0x0f0f_0f0f).to_le_bytes()), line.map(|row| (row >> 4 & 0x0f0f_0f0f).to_le_bytes())];
        fn raised(line: [u32; 4]) -> [Self::Half; 2] = Self::nibbles(line.map(|row| row ^ 0x8080_8080));
        fn nothing() -> Self::Sums = [0; 4];
        fn dot(sums: Self::Sums, half: Self::Half, x: *const u8) -> Self::Sums = {
            let x = x.cast::<[i8; 4]>().read_unaligned();
            std::array::from_fn(|row| sums[row] + (0..4).map(|i| i32::from(half[row][i]) * i32::from(x[i])).sum::<i32>())
        };
        fn total(sums: Self::Sums, plus: i32) -> Portable = floats(sums.map(|sum| sum + plus));
        fn total_of_bytes(low: Self::Sums, high: Self::Sums, plus: i32) -> Portable = floats(std::array::from_fn(|row| low[row] + 16 * high[row] + plus));
    }
}
