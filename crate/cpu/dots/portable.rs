//! Plain Rust: runs everywhere, and is the oracle of the others.

use super::Dots;
use crate::cpu::lanes::portable::Portable;
use crate::cpu::lanes::{Lanes, methods};

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct PortableDots;

/// Four rows' products with four activations.
fn products<T: Copy + Into<i32>>(sums: [i32; 4], rows: [[T; 4]; 4], x: [i16; 4]) -> [i32; 4] {
    std::array::from_fn(|row| sums[row] + (0..4).map(|i| rows[row][i].into() * i32::from(x[i])).sum::<i32>())
}

fn floats(sums: [i32; 4]) -> Portable {
    // SAFETY: plain Rust, and four floats.
    unsafe { Portable::load(sums.map(|sum| sum as f32).as_ptr()) }
}

impl Dots for PortableDots {
    type Lanes = Portable;
    type Half = [[u8; 4]; 4];
    type Sums = [i32; 4];
    type ByteSums = [i32; 4];

    fn spread(four: [i16; 4]) -> [u8; 8] {
        bytemuck::cast(four)
    }

    methods! {
        fn nibbles(line: [u32; 4]) -> [Self::Half; 2] = [0, 4].map(|shift| line.map(|row| (row >> shift & 0x0f0f_0f0f).to_le_bytes()));
        fn none() -> [i32; 4] = [0; 4];
        fn dot(sums: [i32; 4], half: Self::Half, x: *const u8) -> [i32; 4] = products(sums, half, x.cast::<[i16; 4]>().read_unaligned());
        fn total(sums: [i32; 4], plus: i32) -> Portable = floats(sums.map(|sum| sum + plus));

        fn no_bytes() -> [i32; 4] = [0; 4];
        fn dot_bytes(sums: [i32; 4], line: [u32; 4], x: *const u8) -> [i32; 4] =
            products(sums, line.map(|row| row.to_le_bytes().map(|byte| byte as i8)), x.cast::<[i16; 4]>().read_unaligned());
        fn total_of_bytes(sums: [i32; 4]) -> Portable = floats(sums);
    }
}
