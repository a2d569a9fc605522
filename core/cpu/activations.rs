//! Activations as the kernels of products read them, a tile of a few tokens at a time.
//!
//! Beside weights that have codes activations become int15, whole numbers of 15 bits: in each group
//! of 32 they move by at most half of 1/16256 of the group's largest magnitude. (8 bits are not
//! enough: see the speed log.) Beside floats they stay as they are. The tokens of a tile lie
//! interleaved, so that one pointer serves them all, and a tile has 8, 4, 2 tokens or one.

use std::marker::PhantomData;

use super::dots::{Dots, LARGEST, as_they_are};
use super::memory::Shared;
use super::{Context, lanes::Lanes};
use crate::layout::{GROUP, Kind, QUAD, Scales};

/// Bytes of four columns' int15.
const FOUR: usize = 8;

/// Bytes of an activation beside weights of a kind.
const fn column_bytes(kind: Kind) -> usize {
    if matches!(kind, Kind::F16 | Kind::F32) { 4 } else { FOUR / 4 }
}

/// Memory for an op's activations; as long as the longest op needs.
#[derive(Default)]
pub struct PackedActivations {
    /// `[tiles, groups, 4, tokens of the tile, 2 fours of columns, 8 bytes]`, of fours `i` and `4 +
    /// i`; or floats: `[tiles, groups, 32, tokens of the tile]`.
    values: Vec<u32>,
    /// `[tiles, groups, tokens of the tile]`: what one of a group's int15 stands for.
    scales: Vec<f32>,
    /// `[tiles, groups, tokens of the tile]`: what makes up for codes that are too high by the
    /// kind's zero, in whole numbers; beside kinds whose halves have scales of their own that of a
    /// group's second half, or what is to be multiplied with its minimum, which is subtracted.
    offsets: Vec<i32>,
    /// Beside such kinds that of the first half.
    first_offsets: Vec<i32>,
    /// `[tiles, groups, tokens of the tile]`: the sum of a group's rounded activations.
    sums: Vec<f32>,
}

impl PackedActivations {
    /// Makes room for so many tokens beside weights of a kind.
    pub fn reserve(&mut self, kind: Kind, tokens: usize, cols: usize) {
        let words = self.values.len().max(tokens * cols * column_bytes(kind) / 4);
        let groups = self.scales.len().max(tokens * cols / GROUP);
        self.values.resize(words, 0);
        self.scales.resize(groups, 0.0);
        self.offsets.resize(groups, 0);
        self.first_offsets.resize(groups, 0);
        self.sums.resize(groups, 0.0);
    }

    /// Packs `[tokens, cols]` for weights of a kind.
    pub fn fill(
        &mut self,
        context: &Context,
        kind: Kind,
        x: &[f32],
        tokens: usize,
        cols: usize,
    ) -> Tiles<'_> {
        let kernels = context.kernels;
        let tiles = Tiles::new(self, tokens, cols, kernels.tokens, column_bytes(kind));
        context.threads.each(tiles.count(), |index| {
            let (first, count) = tiles.tokens_of(index);
            // SAFETY: the kernels were chosen for this CPU; every task has a tile of its own, and
            // the memory has room for all.
            unsafe {
                (kernels.pack)(
                    kind,
                    &x[first * cols..(first + count) * cols],
                    count,
                    tiles.at(first),
                )
            };
        });
        tiles
    }
}

/// All tiles of an op.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    start: Tile,
    tokens: usize,
    cols: usize,
    /// Tokens of a whole tile.
    most: usize,
    /// Bytes of a token's column.
    bytes: usize,
    life: PhantomData<Shared<'a, u32>>,
}

// SAFETY: plain data that is written before it is read, each tile by one task.
unsafe impl Sync for Tiles<'_> {}
// SAFETY: as above.
unsafe impl Send for Tiles<'_> {}

impl<'a> Tiles<'a> {
    fn new(
        memory: &'a mut PackedActivations,
        tokens: usize,
        cols: usize,
        most: usize,
        bytes: usize,
    ) -> Tiles<'a> {
        assert!(
            memory.values.len() * 4 >= tokens * cols * bytes
                && memory.scales.len() >= tokens * cols / GROUP,
            "room was made"
        );
        let start = Tile {
            values: memory.values.as_mut_ptr().cast(),
            scales: memory.scales.as_mut_ptr(),
            offsets: memory.offsets.as_mut_ptr(),
            first_offsets: memory.first_offsets.as_mut_ptr(),
            sums: memory.sums.as_mut_ptr(),
        };
        Tiles { start, tokens, cols, most, bytes, life: PhantomData }
    }

    /// How many there are: whole ones, and then one for each bit of the rest.
    fn count(&self) -> usize {
        self.tokens / self.most + (self.tokens % self.most).count_ones() as usize
    }

    /// The first token of a tile, and how many it has.
    pub fn tokens_of(&self, index: usize) -> (usize, usize) {
        let whole = self.tokens / self.most;
        if index < whole {
            return (index * self.most, self.most);
        }
        let (mut first, mut rest) = (whole * self.most, self.tokens % self.most);
        for _ in whole..index {
            let size = 1 << rest.ilog2();
            (first, rest) = (first + size, rest - size);
        }
        (first, 1 << rest.ilog2())
    }

    /// Every tile: its first token, how many tokens it has, and where it lies.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, Tile)> + '_ {
        (0..self.count()).map(|index| {
            let (first, count) = self.tokens_of(index);
            (first, count, self.at(first))
        })
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The tile that begins with a token.
    fn at(&self, first: usize) -> Tile {
        let groups = first * self.cols / GROUP;
        Tile {
            values: self.start.values.wrapping_add(first * self.cols * self.bytes),
            scales: self.start.scales.wrapping_add(groups),
            offsets: self.start.offsets.wrapping_add(groups),
            first_offsets: self.start.first_offsets.wrapping_add(groups),
            sums: self.start.sums.wrapping_add(groups),
        }
    }
}

/// One group of a tile.
#[derive(Clone, Copy)]
pub struct Tile {
    values: *mut u8,
    scales: *mut f32,
    offsets: *mut i32,
    first_offsets: *mut i32,
    sums: *mut f32,
}

/// Reading and writing one.
///
/// # Safety
/// Of every method: the tile leads to a group of `T` tokens, packed for the kind of weights that it
/// is multiplied with, and `token < T`.
impl Tile {
    /// This tile's next group, of `tokens` tokens.
    #[inline(always)]
    pub fn next(self, kind: Kind, tokens: usize) -> Tile {
        self.after(kind, tokens, 1)
    }

    /// The group that comes after some.
    #[inline(always)]
    pub fn after(self, kind: Kind, tokens: usize, groups: usize) -> Tile {
        let tokens = tokens * groups;
        Tile {
            values: self.values.wrapping_add(GROUP * tokens * column_bytes(kind)),
            scales: self.scales.wrapping_add(tokens),
            offsets: self.offsets.wrapping_add(tokens),
            first_offsets: self.first_offsets.wrapping_add(tokens),
            sums: self.sums.wrapping_add(tokens),
        }
    }

    /// The whole numbers of four columns, of which there are eight in a group, and of those 16
    /// further on.
    #[inline(always)]
    pub unsafe fn fours<const T: usize>(&self, four: usize, token: usize) -> *const u8 {
        // SAFETY: the caller's.
        unsafe { self.values.add((four * T + token) * 2 * FOUR) }
    }

    /// A column.
    #[inline(always)]
    pub unsafe fn float<const T: usize>(&self, column: usize, token: usize) -> *const f32 {
        // SAFETY: the caller's.
        unsafe { self.values.cast::<f32>().add(column * T + token) }
    }

    /// What one stands for.
    #[inline(always)]
    pub unsafe fn scale(&self, token: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe { *self.scales.add(token) }
    }

    /// What is to be added to the whole numbers' products.
    #[inline(always)]
    pub unsafe fn offset(&self, token: usize) -> i32 {
        // SAFETY: the caller's.
        unsafe { *self.offsets.add(token) }
    }

    /// The same for one half of the columns, beside kinds whose halves have scales of their own.
    #[inline(always)]
    pub unsafe fn offset_of_half<const HALF: usize>(&self, token: usize) -> i32 {
        // SAFETY: the caller's.
        unsafe { if HALF == 0 { *self.first_offsets.add(token) } else { self.offset(token) } }
    }

    /// The sum of the rounded activations.
    #[inline(always)]
    pub unsafe fn sum(&self, token: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe { *self.sums.add(token) }
    }
}

/// Arranges `[count, cols]` activations as one tile.
///
/// # Safety
/// The CPU has the instructions of `D`; the tile has room, and nobody else uses it meanwhile.
#[inline(always)]
pub unsafe fn kernel<D: Dots>(kind: Kind, x: &[f32], count: usize, tile: Tile) {
    let cols = x.len() / count;
    for (token, row) in x.chunks_exact(cols).enumerate() {
        let mut to = tile;
        for group in row.chunks_exact(GROUP) {
            // SAFETY: the caller's.
            unsafe {
                if kind.has_scales() {
                    round::<D>(kind, group, token, count, to);
                } else {
                    let values = to.values.cast::<f32>().add(token);
                    group
                        .iter()
                        .enumerate()
                        .for_each(|(column, &x)| *values.add(column * count) = x);
                }
            }
            to = to.next(kind, count);
        }
    }
}

/// What a vector's lanes come to, quad by quad, which are vectors again, and then across the last.
/// Lanes that there are not are zeros.
#[inline(always)]
unsafe fn across<L: Lanes>(vector: L, both: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [[0.0f32; QUAD]; 4];
    // SAFETY: the caller's; no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr().cast()) };
    let two = |a: [f32; QUAD], b: [f32; QUAD]| std::array::from_fn(|lane| both(a[lane], b[lane]));
    let [a, b, c, d] = two(two(lanes[0], lanes[1]), two(lanes[2], lanes[3]));
    both(both(a, b), both(c, d))
}

/// Rounds a token's group.
#[inline(always)]
unsafe fn round<D: Dots>(kind: Kind, group: &[f32], token: usize, count: usize, to: Tile) {
    // SAFETY: the caller's; a group is a multiple of every vector's width.
    unsafe {
        let mut magnitude = D::Lanes::splat(0.0);
        for at in (0..GROUP).step_by(D::Lanes::WIDTH) {
            let x = D::Lanes::load(group.as_ptr().add(at));
            magnitude = x.max(x.mul(D::Lanes::splat(-1.0))).max(magnitude);
        }
        let largest = across(magnitude, |most, x| if x > most { x } else { most });
        // Of zeros, and of what is so small that its inverse is beyond f32, all are zero.
        let inverse = f32::from(LARGEST) / largest;
        let inverse = D::Lanes::splat(if inverse.is_finite() { inverse } else { 0.0 });
        let mut rounded = [0.0f32; GROUP];
        let mut halves = [D::Lanes::splat(0.0); 2];
        for at in (0..GROUP).step_by(D::Lanes::WIDTH) {
            let x = D::Lanes::load(group.as_ptr().add(at)).mul(inverse).round();
            x.store(rounded.as_mut_ptr().add(at));
            halves[2 * at / GROUP] = halves[2 * at / GROUP].add(x);
        }
        let mut sums = [0; 2];
        for (half, sum) in halves.into_iter().zip(&mut sums) {
            // Whole numbers below 2²⁴, exactly.
            *sum = across(half, |sum, x| sum + x) as i32;
        }
        // Whole arrays at a time: so compilers make vectors of them.
        let mut whole = [0i16; GROUP];
        for (whole, x) in whole.iter_mut().zip(rounded) {
            *whole = x as i32 as i16;
        }
        let spread = if kind.is_signed() { as_they_are(&whole) } else { D::spread(&whole) };
        for (line, halves) in spread.iter().enumerate() {
            to.values.cast::<[[u8; FOUR]; 2]>().add(line * count + token).write(*halves);
        }
        let ([first, second], step) = (sums, largest / f32::from(LARGEST));
        *to.scales.add(token) = step;
        // Minima of halves take the sums as they are.
        let has_mins = kind.scales() == Scales::BlockHalvesMin;
        let zero = if has_mins { 1 } else { i32::from(kind.zero()) };
        if kind.has_halves() {
            *to.first_offsets.add(token) = -zero * first;
            *to.offsets.add(token) = -zero * second;
        } else {
            *to.offsets.add(token) = -zero * (first + second);
        }
        *to.sums.add(token) = step * (first + second) as f32;
    }
}
