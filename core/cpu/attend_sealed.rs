//! Attention's two products with positions of a sealed page. Scales and minima go into the queries
//! and into the weights, so that codes are multiplied as they are:
//! `Σ q (s c + m) = Σ (q s) c + Σ q m`.
//!
//! A query's sums run in one order, however many are computed with it.

use std::ops::Range;

use super::attend_work::{BLOCK, Work};
use super::lanes::Lanes;
use super::sealed::{Page, spread};

/// Positions whose scores are computed together.
const TOGETHER: usize = 4;
/// Vectors of values that are summed together, where there are as many.
const WIDE: usize = 2;

/// Whether a page's codes are whole vectors.
pub fn is_whole<L: Lanes>(page: &Page) -> bool {
    page.row().is_multiple_of(L::WIDTH)
}

/// A block's codes, `[BLOCK, dim]`, a byte each: as they are, or taken apart into `room`.
fn codes(page: &Page, first: usize, room: &mut [f32]) -> *const u8 {
    let (row, codes, _) = page.parts();
    let codes = &codes[first * row..][..BLOCK * row];
    if !page.is_double() {
        return codes.as_ptr();
    }
    let room: &mut [u32] = bytemuck::cast_slice_mut(room);
    let (positions, apart) = (codes.chunks_exact(row), room.chunks_exact_mut(page.dim / 4));
    for (codes, apart) in positions.zip(apart) {
        let (lower, upper) = apart.split_at_mut(row / 4);
        let codes: &[u32] = bytemuck::cast_slice(codes);
        for ((codes, lower), upper) in codes.iter().zip(lower).zip(upper) {
            (*lower, *upper) = (codes & 0x0f0f_0f0f, codes >> 4 & 0x0f0f_0f0f);
        }
    }
    room.as_ptr().cast()
}

/// Products of all queries with a block's keys, which begin at a row of the page.
///
/// # Safety
/// The CPU has the instructions of `L`; the page's codes are whole vectors.
#[inline(always)]
pub unsafe fn scores<L: Lanes>(page: &Page, first: usize, w: &mut Work, queries: usize) {
    let codes = codes(page, first, w.block);
    let (scale, min) = w.scales.split_at_mut(w.scales.len() / 2);
    // SAFETY: the caller's; there are as many codes, and queries are padded.
    unsafe {
        spread::<L>(page.parts().2, scale, min);
        for q in 0..queries {
            let (query, folded) = (&w.queries[q * w.dim..], &mut w.folded[q * w.dim..]);
            w.offsets[q] = fold::<L>(&query[..page.dim], folded, scale, min);
        }
        let mut q = 0;
        while q < queries {
            for p in (0..BLOCK).step_by(TOGETHER) {
                let codes = codes.add(p * page.dim);
                match chunk(queries - q) {
                    2 => some_scores::<L, 2>(codes, page.dim, w, (q, p)),
                    _ => some_scores::<L, 3>(codes, page.dim, w, (q, p)),
                }
            }
            q += chunk(queries - q);
        }
    }
}

/// Multiplies floats, whole vectors, with scales; their products' sum with minima.
#[inline(always)]
unsafe fn fold<L: Lanes>(x: &[f32], to: &mut [f32], scale: &[f32], min: &[f32]) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let mut offset = L::splat(0.0);
        for at in (0..x.len()).step_by(L::WIDTH) {
            let x = L::load(x.as_ptr().add(at));
            x.mul(L::load(scale.as_ptr().add(at))).store(to.as_mut_ptr().add(at));
            offset = x.mul_add(L::load(min.as_ptr().add(at)), offset);
        }
        L::sums([offset; 4])[0]
    }
}

/// How many queries go together, of so many: their sums are to stay in registers.
fn chunk(left: usize) -> usize {
    if matches!(left, 1 | 2 | 4) { 2 } else { 3 }
}

#[inline(always)]
unsafe fn some_scores<L: Lanes, const T: usize>(
    codes: *const u8,
    dim: usize,
    w: &mut Work,
    (q, p): (usize, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        let queries = w.folded.as_ptr().add(q * w.dim);
        let mut sums = [[L::splat(0.0); TOGETHER]; T];
        for at in (0..dim).step_by(L::WIDTH) {
            for i in 0..TOGETHER {
                let code = L::load_bytes(codes.add(i * dim + at));
                for (t, sums) in sums.iter_mut().enumerate() {
                    sums[i] = code.mul_add(L::load(queries.add(t * w.dim + at)), sums[i]);
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            let scores = &mut w.scores[(q + t) * BLOCK + p..][..TOGETHER];
            let offset = w.offsets[q + t];
            scores.iter_mut().zip(L::sums(sums)).for_each(|(to, sum)| *to = sum + offset);
        }
    }
}

/// Adds a block's values, by the queries' weights, to what was summed before.
///
/// # Safety
/// As for [`scores`].
#[inline(always)]
pub unsafe fn values<L: Lanes>(page: &Page, first: usize, w: &mut Work, queries: usize) {
    let codes = codes(page, first, w.block);
    let groups = page.kind.value_groups() as usize;
    // SAFETY: the caller's; there are as many codes, and queries are padded.
    unsafe {
        let (scale, min) = w.scales.split_at_mut(w.scales.len() / 2);
        spread::<L>(&page.parts().2[first * groups..][..BLOCK * groups], scale, min);
        for group in 0..groups {
            let (scale, min) = w.scales.split_at(w.scales.len() / 2);
            let of =
                |all: &[f32]| -> [f32; BLOCK] { std::array::from_fn(|p| all[p * groups + group]) };
            let (scale, min) = (of(scale), of(min));
            for q in 0..queries {
                let weights = &w.scores[q * BLOCK..][..BLOCK];
                w.offsets[q] = fold::<L>(weights, &mut w.folded[q * BLOCK..], &scale, &min);
            }
            let columns = group * page.row()..(group + 1) * page.row();
            let mut q = 0;
            while q < queries {
                match chunk(queries - q) {
                    2 => some_values::<L, 2>((codes, page.dim), columns.clone(), w, q),
                    _ => some_values::<L, 3>((codes, page.dim), columns.clone(), w, q),
                }
                q += chunk(queries - q);
            }
        }
    }
}

#[inline(always)]
unsafe fn some_values<L: Lanes, const T: usize>(
    (codes, dim): (*const u8, usize),
    columns: Range<usize>,
    w: &mut Work,
    q: usize,
) {
    let mut column = columns.start;
    while column < columns.end {
        let is_wide = columns.end - column >= WIDE * L::WIDTH;
        // SAFETY: the caller's; as many vectors are left.
        unsafe {
            let codes = codes.add(column);
            if is_wide {
                tile::<L, T, WIDE>(codes, dim, w, (q, column));
            } else {
                tile::<L, T, 1>(codes, dim, w, (q, column));
            }
        }
        column += L::WIDTH * if is_wide { WIDE } else { 1 };
    }
}

#[inline(always)]
unsafe fn tile<L: Lanes, const T: usize, const V: usize>(
    codes: *const u8,
    dim: usize,
    w: &mut Work,
    (q, column): (usize, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        let weights = w.folded.as_ptr().add(q * BLOCK);
        let mut tile = [[L::splat(0.0); V]; T];
        for p in 0..BLOCK {
            let mut values = [L::splat(0.0); V];
            for (v, value) in values.iter_mut().enumerate() {
                *value = L::load_bytes(codes.add(p * dim + v * L::WIDTH));
            }
            for (t, sums) in tile.iter_mut().enumerate() {
                let weight = L::splat(*weights.add(t * BLOCK + p));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
        for (t, sums) in tile.into_iter().enumerate() {
            let offset = L::splat(w.offsets[q + t]);
            for (v, sum) in sums.into_iter().enumerate() {
                let to = w.sums[(q + t) * w.dim + column + v * L::WIDTH..].as_mut_ptr();
                sum.add(offset).add(L::load(to)).store(to);
            }
        }
    }
}
