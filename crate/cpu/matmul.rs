//! Matrix times activations: `out[r] = w · x[r]`.
//!
//! One token reads every weight once, straight from memory: [`matvec`]. Several tokens share the work of unpacking: [`matmul`] unpacks some
//! rows into a panel of floats that stays in the cache, and multiplies all tokens with it.

use std::ops::Range;

use super::lanes::Lanes;
use super::memory::Shared;
use super::packed::{Packed, Weights, arrange, with_kind};
use super::tile::{Rows, WIDE, product};
use super::{Context, Scratch};
use crate::error::Result;
use crate::op::{Buf, Matrix};
use crate::weights::layout::{GROUP, QUAD};

/// Codes that are worth a task of their own, in bytes: waking a thread costs microseconds.
const TASK_BYTES: usize = 32 << 10;
/// Columns of a panel.
const DEPTH: usize = 256;
/// Rows of the widest panel: two vectors of 16.
const PANEL: usize = 32;
/// Tokens of the highest tile.
const TOKENS: usize = 8;

/// A part of a matrix, its activations and its output.
pub struct Product<'a> {
    w: Weights<'a>,
    /// `[tokens, cols]`; arranged if there is one token.
    x: &'a [f32],
    /// Sums of the groups of `x`, if there is one token.
    sums: &'a [f32],
    tokens: usize,
    /// Where the part's first row is in `out`.
    first_row: usize,
    /// `[tokens, out_width]`.
    out: Shared<'a, f32>,
    out_width: usize,
    add: bool,
}

pub fn run(context: &Context, scratch: &mut Scratch, w: &Matrix, x: Buf, out: Buf, tokens: usize, add: bool) -> Result<()> {
    let (kernels, memory, cols) = (context.kernels, context.memory, w.cols as usize);
    let mut x = memory.read::<f32>(x)?;
    if tokens == 1 {
        arrange(w.kind, kernels.width, &x[..cols], &mut scratch.arranged, &mut scratch.sums);
        x = &scratch.arranged;
    }
    for part in &w.parts {
        let weights = Weights::of(memory, w, part)?;
        let (first_row, out, out_width) = (part.first_row as usize, memory.share(out)?, w.rows as usize);
        let p = Product { w: weights, x, sums: &scratch.sums, tokens, first_row, out, out_width, add };
        let quads = p.w.rows.div_ceil(QUAD);
        let (kernel, each) = match tokens {
            1 => (kernels.matvec, quads_of_a_task(&p.w, context.threads.count())),
            _ => (kernels.matmul, kernels.width * WIDE / QUAD),
        };
        // SAFETY: the kernels were chosen for this CPU; the op was checked; every task has quads of its own.
        context.threads.each(quads.div_ceil(each), |task| unsafe { kernel(&p, task * each..quads.min((task + 1) * each)) });
    }
    Ok(())
}

/// Few enough that the threads end together, many enough to be worth a task.
fn quads_of_a_task(w: &Weights, threads: usize) -> usize {
    let bytes = w.groups() * w.kind.codes_per_group();
    (w.rows.div_ceil(QUAD) / (4 * threads)).max(TASK_BYTES / bytes).max(1)
}

impl Product<'_> {
    /// Stores a token's results for rows from `row`, or adds them; rows that only pad the last quad are left out.
    ///
    /// # Safety
    /// Nobody else uses these elements of `out` meanwhile.
    #[inline(always)]
    unsafe fn store(&self, token: usize, row: usize, results: &[f32], add: bool) {
        let rows = results.len().min(self.w.rows - row);
        // SAFETY: the caller's.
        let out = unsafe { self.out.slice(token * self.out_width + self.first_row + row, rows) };
        for (out, result) in out.iter_mut().zip(results) {
            *out = if add { *out + result } else { *result };
        }
    }
}

/// One token times some quads.
///
/// # Safety
/// The CPU has the instructions of `L`; the op was checked; nobody else writes these rows.
#[inline(always)]
pub unsafe fn matvec<L: Lanes>(p: &Product, quads: Range<usize>) {
    // SAFETY: the caller's.
    with_kind!(p.w.kind, K => unsafe { matvec_of::<L, K>(p, quads) })
}

#[inline(always)]
unsafe fn matvec_of<L: Lanes, K: Packed>(p: &Product, quads: Range<usize>) {
    for quad in quads {
        // SAFETY: the caller's; `check` saw that codes, planes and activations hold all groups.
        unsafe {
            let (mut total, mut codes) = (L::splat(0.0), p.w.codes(quad, 0));
            for group in 0..p.w.groups() {
                let (x, sum) = (p.x.as_ptr().add(group * GROUP), *p.sums.as_ptr().add(group));
                if K::KIND.has_scales() {
                    let dot = K::dot(codes, x, L::splat(K::ZERO * sum));
                    total = dot.mul_add(p.w.scale::<L, K>(quad, group), total);
                } else {
                    total = K::dot(codes, x, total);
                }
                if K::KIND.has_mins() {
                    total = L::splat(sum).mul_add(p.w.min(quad, group), total);
                }
                codes = codes.add(K::KIND.codes_per_group());
            }
            p.store(0, quad * QUAD, &total.sum_of_quads(), p.add);
        }
    }
}

/// A panel of unpacked weights, `[DEPTH, at most PANEL]`.
#[repr(align(64))]
struct Panel([f32; DEPTH * PANEL]);

/// All tokens times the quads of one panel.
///
/// # Safety
/// The CPU has the instructions of `L`; the op was checked; nobody else writes these rows; they are at most `WIDE * WIDTH`.
#[inline(always)]
pub unsafe fn matmul<L: Lanes>(p: &Product, quads: Range<usize>) {
    let width = WIDE * L::WIDTH;
    // Rows beyond the matrix stay zero.
    let mut panel = Panel([0.0; DEPTH * PANEL]);
    for first in (0..p.w.cols).step_by(DEPTH) {
        let depth = DEPTH.min(p.w.cols - first);
        // Group by group: each of the panel's cache lines is completed while it is at hand.
        for (i, group) in (first / GROUP..(first + depth) / GROUP).enumerate() {
            for (j, quad) in quads.clone().enumerate() {
                let to = panel.0[i * GROUP * width + j * QUAD..].as_mut_ptr();
                // SAFETY: the caller's; the panel has `depth` columns of `width` rows.
                with_kind!(p.w.kind, K => unsafe { p.w.unpack::<L, K>(quad, group, to, width) })
            }
        }
        for token in (0..p.tokens).step_by(TOKENS) {
            let tokens = TOKENS.min(p.tokens - token);
            let mut sums = [0.0; TOKENS * PANEL];
            // SAFETY: the caller's; `x` has all tokens and columns.
            unsafe {
                let x = Rows { start: p.x.as_ptr().add(token * p.w.cols + first), stride: p.w.cols };
                let into = Rows { start: sums.as_mut_ptr(), stride: width };
                product::<L>(Rows { start: panel.0.as_ptr(), stride: width }, depth, x, tokens, into, width);
                for (t, sums) in sums.chunks_exact(width).take(tokens).enumerate() {
                    p.store(token + t, quads.start * QUAD, sums, p.add || first > 0);
                }
            }
        }
    }
}
