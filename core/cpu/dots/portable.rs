//! Plain Rust: runs everywhere, and is the oracle of the others.

use super::{Dots, Spread};
use crate::cpu::lanes::portable::Portable;
use crate::cpu::lanes::{Lanes, methods};
use crate::layout::GROUP;

/// See [`Dots`].
#[derive(Clone, Copy)]
pub struct PortableDots;

/// Four rows' products with four activations.
fn products<T: Copy + Into<i32>>(sums: [i32; 4], rows: [[T; 4]; 4], x: [i16; 4]) -> [i32; 4] {
    std::array::from_fn(|row| {
        sums[row] + (0..4).map(|i| rows[row][i].into() * i32::from(x[i])).sum::<i32>()
    })
}

fn floats(sums: [i32; 4]) -> Portable {
    // SAFETY: plain Rust, and four floats.
    unsafe { Portable::load(sums.map(|sum| sum as f32).as_ptr()) }
}

impl Dots for PortableDots {
    type Lanes = Portable;
    type Sums = [i32; 4];
    type ByteSums = [i32; 4];
    type CodeSums = [i32; 4];

    #[inline(always)]
    fn spread(group: &[i16; GROUP]) -> Spread {
        super::as_they_are(group)
    }

    methods! {
        fn none() -> [i32; 4] = [0; 4];
        fn dot(sums: [i32; 4], line: [u32; 4], x: *const u8) -> [i32; 4] = {
            let [low, high] =
                [0, 4].map(|shift| line.map(|row| (row >> shift & 0x0f0f_0f0f).to_le_bytes()));
            let x = x.cast::<[[i16; 4]; 2]>().read_unaligned();
            products(products(sums, low, x[0]), high, x[1])
        };
        fn total(sums: [i32; 4], plus: i32) -> Portable = floats(sums.map(|sum| sum + plus));

        fn no_bytes() -> [i32; 4] = [0; 4];
        fn dot_bytes(sums: [i32; 4], lines: [[u32; 4]; 2], x: *const u8) -> [i32; 4] = {
            let [first, second] =
                lines.map(|line| line.map(|row| row.to_le_bytes().map(|byte| byte as i8)));
            let x = x.cast::<[[i16; 4]; 2]>().read_unaligned();
            products(products(sums, first, x[0]), second, x[1])
        };
        fn total_of_bytes(sums: [i32; 4]) -> Portable = floats(sums);

        fn no_codes(plus: i32) -> [i32; 4] = [plus; 4];
        fn dot_codes<const HALF: usize>(
            sums: [i32; 4],
            line: [u32; 4],
            x: *const u8,
        ) -> [i32; 4] = {
            let x = x.cast::<[[i16; 4]; 2]>().read_unaligned();
            products(sums, line.map(u32::to_le_bytes), x[HALF])
        };
        fn total_of_codes(sums: [i32; 4]) -> Portable = floats(sums);
    }
}
