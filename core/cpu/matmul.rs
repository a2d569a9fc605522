//! Matrix times activations: `out[r] = w · x[r]`.
//!
//! A vector of rows goes through its groups of columns once for a tile of tokens, so that a line of
//! weights is unpacked once for all of them. For one token a quad at a time streams through from
//! memory.

use std::ops::Range;

use super::Context;
use super::activations::{PackedActivations, Tile, Tiles};
use super::dots::Dots;
use super::lanes::Lanes;
use super::memory::Shared;
use super::packed::{Packed, Weights, lines};
use crate::error::Result;
use crate::layout::QUAD;
use crate::op::Matmul;

/// Codes that are worth a task of their own, in bytes: waking a thread costs microseconds.
const TASK_BYTES: usize = 32 << 10;
/// Quads whose weights stay in the cache while all tokens pass.
const TASK_QUADS: usize = 16;

/// The kernel of many tokens: their products with some quads.
pub type Many = unsafe fn(&Product, Range<usize>);
/// The kernel of one token, with its number and its tile.
pub type One = unsafe fn(&Product, usize, Tile, Range<usize>);

/// A part of a matrix, its activations and its output.
pub struct Product<'a> {
    w: Weights<'a>,
    /// `[tokens, cols]`.
    x: Tiles<'a>,
    /// Where the part's first row is in `out`.
    first_row: usize,
    /// `[tokens, out_width]`.
    out: Shared<'a, f32>,
    out_width: usize,
    add: bool,
    /// What multiplies one token.
    one: One,
}

pub fn run(context: &Context, activations: &mut PackedActivations, op: &Matmul) -> Result<()> {
    let Matmul { w, x, out, rows, add } = op;
    let (kernels, memory) = (context.kernels, context.memory);
    let (x, tokens, cols) = (memory.read(*x)?, *rows as usize, w.cols as usize);
    for parts in w.parts.chunk_by(|one, next| one.kind == next.kind) {
        let kind = parts[0].kind;
        let x = activations.fill(context, kind, x, tokens, cols);
        let (matmul, one) = ((kernels.matmul)(kind), (kernels.matvec)(kind));
        for part in parts {
            let (first_row, out, out_width) =
                (part.first_row as usize, memory.share(*out)?, w.rows as usize);
            let w = Weights::of(memory, w, part)?;
            let p = Product { w, x, first_row, out, out_width, add: *add, one };
            let (quads, each) = (
                p.w.quads(),
                quads_of_a_task(&p, context.threads.count()).next_multiple_of(kernels.width / QUAD),
            );
            // SAFETY: the kernels were chosen for this CPU; the op was checked; every task has
            // quads of its own.
            context.threads.each(quads.div_ceil(each), |task| unsafe {
                matmul(&p, task * each..quads.min((task + 1) * each))
            });
        }
    }
    Ok(())
}

/// Few enough that the threads end together, many enough to be worth a task.
fn quads_of_a_task(p: &Product, threads: usize) -> usize {
    let bytes = p.w.groups() * p.w.kind.codes_per_group() * p.x.tokens();
    let fair = (p.w.quads() / (4 * threads)).max(TASK_BYTES / bytes).max(1);
    if p.x.tokens() > 1 { fair.min(TASK_QUADS) } else { fair }
}

impl Product<'_> {
    /// Stores a token's results for rows from `row`, or adds them; rows that only pad the last quad
    /// are left out.
    ///
    /// # Safety
    /// Nobody else uses these elements of `out` meanwhile.
    #[inline(always)]
    unsafe fn store(&self, token: usize, row: usize, results: &[f32]) {
        let rows = results.len().min(self.w.rows - row);
        // SAFETY: the caller's.
        let out = unsafe { self.out.slice(token * self.out_width + self.first_row + row, rows) };
        for (out, result) in out.iter_mut().zip(results) {
            *out = if self.add { *out + result } else { *result };
        }
    }
}

/// Tiles of tokens times some quads, of which every task's but the last are a multiple of a
/// vector's.
///
/// # Safety
/// The CPU has the instructions of `D`; the op was checked; nobody else writes these rows.
#[inline(always)]
pub unsafe fn many<D: Dots, K: Packed>(p: &Product, quads: Range<usize>) {
    let wide = D::Lanes::WIDTH / QUAD;
    for (first, count, x) in p.x.iter() {
        if count == 1 {
            // SAFETY: the caller's.
            unsafe { (p.one)(p, first, x, quads.clone()) };
            continue;
        }
        let mut quad = quads.start;
        while quad < quads.end {
            // Quads that do not fill a vector are taken one by one, repeated in all its lanes.
            let together = if quads.end - quad >= wide { wide } else { 1 };
            // SAFETY: the caller's; tiles have at most `TOKENS` tokens.
            unsafe {
                match count {
                    // What no tile of these lanes has is left out.
                    8.. if D::Lanes::TOKENS >= 8 => tile::<D, K, 8>(p, first, x, quad, together),
                    4.. => tile::<D, K, 4>(p, first, x, quad, together),
                    _ => tile::<D, K, 2>(p, first, x, quad, together),
                }
            }
            quad += together;
        }
    }
}

/// One token times some quads.
///
/// # Safety
/// As for [`many`]; `x` is the token's tile.
#[inline(always)]
pub unsafe fn one<D: Dots, K: Packed>(p: &Product, token: usize, x: Tile, quads: Range<usize>) {
    for quad in quads {
        // SAFETY: the caller's.
        unsafe { tile::<D, K, 1>(p, token, x, quad, 1) };
    }
}

/// A tile of `T` tokens from `first` times `together` quads.
#[inline(always)]
unsafe fn tile<D: Dots, K: Packed, const T: usize>(
    p: &Product,
    first: usize,
    mut x: Tile,
    quad: usize,
    together: usize,
) {
    // SAFETY: the caller's; `check` saw that codes and planes hold all groups.
    unsafe {
        let mut totals = [D::Lanes::splat(0.0); T];
        let mut w = p.w.at(quad, together);
        for _ in 0..p.w.groups() / K::GROUPS {
            if K::GROUPS == 1 {
                w.prefetch::<D::Lanes, T>(K::KIND);
            }
            K::multiply::<D, T>(&w, &x, &mut totals);
            (w, x) = (K::after(w), x.after(K::KIND, T, K::GROUPS));
        }
        for (token, total) in totals.into_iter().enumerate() {
            let mut results = [0.0; 16];
            total.store(results.as_mut_ptr());
            for lane in QUAD..QUAD * lines::<D::Lanes>(T) {
                results[lane % QUAD] += results[lane];
            }
            p.store(first + token, quad * QUAD, &results[..together * QUAD]);
        }
    }
}
