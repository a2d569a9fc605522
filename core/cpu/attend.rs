//! Causal attention over the cache.
//!
//! A task is one KV head and some rows of queries: all query heads that the KV head serves share
//! one read of its keys and values. Positions are taken in blocks, unpacked to floats once for all
//! queries, with a running maximum and sum for each query (the online softmax). Blocks begin at
//! multiples of `BLOCK`, so that a query's result does not depend on which rows it is computed
//! with.

use super::attend_work::{BLOCK, Work, floats};
use super::cached::ReadCache;
use super::lanes::{Lanes, exp::exp};
use super::memory::Shared;
use super::scratch::with_scratch;
use super::tile::{Rows, product};
use super::{Context, Half, Step, attend_sealed};
use crate::error::Result;
use crate::op::{Attend, Heads, KvPart, PAGE};

/// Queries of a task: enough to be worth the unpacking, few enough that their sums stay in the
/// cache.
const QUERIES: usize = 32;

/// Attention of one op.
pub struct Attention<'a> {
    qkv: &'a [f32],
    out: Shared<'a, f32>,
    cache: KvPart,
    keys: ReadCache<'a>,
    values: ReadCache<'a>,
    heads: Heads,
    step: Step<'a>,
    window: usize,
    first_row: usize,
    rows: usize,
}

/// Some rows of queries of one of the part's KV heads.
#[derive(Clone, Copy)]
pub struct Task {
    head: usize,
    first_row: usize,
    rows: usize,
}

pub fn run(context: &Context, op: &Attend) -> Result<()> {
    let (memory, cache, heads, rows) = (context.memory, op.cache, op.heads, op.rows as usize);
    let a = Attention {
        qkv: memory.read(op.qkv)?,
        out: memory.share(op.out)?,
        cache,
        keys: ReadCache::new(context, cache, Half::Keys)?,
        values: ReadCache::new(context, cache, Half::Values)?,
        heads,
        step: context.step(op.step, (op.first_row, op.rows), cache, heads)?,
        window: op.window as usize,
        first_row: op.first_row as usize,
        rows,
    };
    let each = (QUERIES / a.served()).max(1);
    let tiles = rows.div_ceil(each);
    let memory =
        floats(each.min(rows) * a.served(), heads.head_dim as usize, context.kernels.width);
    context.threads.each(cache.heads as usize * tiles, |task| {
        // The last rows see most; they go first, so that threads end together.
        let (head, first_row) =
            (task % cache.heads as usize, (tiles - 1 - task / cache.heads as usize) * each);
        let task = Task { head, first_row, rows: each.min(a.rows - first_row) };
        // SAFETY: the kernel was chosen for this CPU; the op was checked; every task has queries of
        // its own.
        with_scratch(memory, |memory| unsafe { (context.kernels.attend)(&a, task, memory) });
    });
    Ok(())
}

impl Attention<'_> {
    /// Query heads that share a KV head.
    fn served(&self) -> usize {
        (self.heads.n_heads / self.heads.n_kv_heads) as usize
    }

    /// Where a task's query begins in a row of queries: q counts rows, then heads.
    fn column(&self, task: Task, q: usize) -> usize {
        ((self.cache.first_head as usize + task.head) * self.served() + q % self.served())
            * self.heads.head_dim as usize
    }

    /// The row of a task's query.
    fn row(&self, task: Task, q: usize) -> usize {
        self.first_row + task.first_row + q / self.served()
    }

    /// The positions that a task's query sees.
    fn seen(&self, task: Task, q: usize) -> (usize, usize) {
        let last = self.step.position + task.first_row + q / self.served();
        ((last + 1).saturating_sub(self.window), last + 1)
    }
}

/// One task; `memory` is for it to use, whatever is in there.
///
/// # Safety
/// The CPU has the instructions of `L`; the op was checked; nobody else writes these queries'
/// results.
#[inline(always)]
pub unsafe fn kernel<L: Lanes>(a: &Attention, task: Task, memory: &mut [f32]) {
    let (dim, queries) = (a.heads.head_dim as usize, task.rows * a.served());
    memory.fill(0.0);
    let w = &mut Work::new(memory, queries, dim, L::WIDTH);
    gather(a, task, w, queries);
    let (first, last) = (a.seen(task, 0).0, a.seen(task, queries - 1).1);
    for start in (first / BLOCK * BLOCK..last).step_by(BLOCK) {
        // SAFETY: the caller's; positions before `last` are in the cache.
        unsafe {
            a.values.prefetch::<L>(&a.step, (task.head, start));
            let in_page = start % PAGE as usize;
            match a.keys.sealed(&a.step, task.head, start).filter(attend_sealed::is_whole::<L>) {
                Some(page) => attend_sealed::scores::<L>(&page, in_page, w, queries),
                None => {
                    a.keys.unpack::<L>(&a.step, (task.head, start), BLOCK.min(last - start), w);
                    scores::<L>(w, queries);
                }
            }
            for q in 0..queries {
                softmax_step::<L>(w, q, a.seen(task, q), start);
            }
            if start + BLOCK < last {
                a.keys.prefetch::<L>(&a.step, (task.head, start + BLOCK));
            }
            match a.values.sealed(&a.step, task.head, start).filter(attend_sealed::is_whole::<L>) {
                Some(page) => attend_sealed::values::<L>(&page, in_page, w, queries),
                None => {
                    a.values.unpack::<L>(&a.step, (task.head, start), BLOCK.min(last - start), w);
                    gather_values::<L>(w, BLOCK.min(last - start), queries);
                }
            }
        }
    }
    for q in 0..queries {
        let row = a.row(task, q) * a.heads.q_width() as usize;
        // SAFETY: the caller's.
        let out = unsafe { a.out.slice(row + a.column(task, q), dim) };
        out.iter_mut().zip(&w.sums[q * w.dim..]).for_each(|(out, sum)| *out = sum / w.l[q]);
    }
}

/// Adds the block's values, by the queries' weights, to what was summed before.
#[inline(always)]
unsafe fn gather_values<L: Lanes>(w: &mut Work, count: usize, queries: usize) {
    let values = Rows { start: w.block.as_ptr(), stride: w.dim };
    let weights = Rows { start: w.scores.as_ptr(), stride: BLOCK };
    let sums = Rows { start: w.sums.as_mut_ptr(), stride: w.dim };
    // SAFETY: the caller's.
    unsafe { product::<L>(values, count, weights, queries, sums, w.dim) };
}

/// The task's queries, scaled, and their first maxima.
fn gather(a: &Attention, task: Task, w: &mut Work, queries: usize) {
    let dim = a.heads.head_dim as usize;
    let scale = 1.0 / (dim as f32).sqrt();
    w.m.fill(f32::MIN);
    for q in 0..queries {
        let row = a.row(task, q) * a.heads.qkv_width() as usize;
        let from = &a.qkv[row + a.column(task, q)..][..dim];
        w.queries[q * w.dim..].iter_mut().zip(from).for_each(|(to, x)| *to = x * scale);
    }
}

/// Products of all queries with the block's keys: two queries and four positions at a time.
#[inline(always)]
unsafe fn scores<L: Lanes>(w: &mut Work, queries: usize) {
    for q in (0..queries).step_by(2) {
        for p in (0..BLOCK).step_by(4) {
            // SAFETY: the caller's; the block has a multiple of four positions, the queries are
            // even.
            unsafe {
                let (query, key) =
                    (w.queries.as_ptr().add(q * w.dim), w.block.as_ptr().add(p * w.dim));
                let mut sums = [[L::splat(0.0); 4]; 2];
                for at in (0..w.dim).step_by(L::WIDTH) {
                    let pair = [L::load(query.add(at)), L::load(query.add(w.dim + at))];
                    for i in 0..4 {
                        let key = L::load(key.add(i * w.dim + at));
                        for (sums, query) in sums.iter_mut().zip(pair) {
                            sums[i] = key.mul_add(query, sums[i]);
                        }
                    }
                }
                w.scores[q * BLOCK + p..][..4].copy_from_slice(&L::sums(sums[0]));
                w.scores[(q + 1) * BLOCK + p..][..4].copy_from_slice(&L::sums(sums[1]));
            }
        }
    }
}

/// Turns a query's scores into weights, and scales what was summed before to the new maximum.
/// Unseen positions get no weight.
#[inline(always)]
unsafe fn softmax_step<L: Lanes>(
    w: &mut Work,
    q: usize,
    (first, last): (usize, usize),
    start: usize,
) {
    let scores = &mut w.scores[q * BLOCK..][..BLOCK];
    let (first, last) =
        (first.saturating_sub(start).min(BLOCK), last.saturating_sub(start).min(BLOCK));
    scores[..first].fill(f32::NEG_INFINITY);
    scores[last..].fill(f32::NEG_INFINITY);
    let m = scores.iter().fold(w.m[q], |m, &score| if score > m { score } else { m });
    // SAFETY: the caller's; a block is a multiple of the width.
    unsafe {
        let mut l = L::splat(0.0);
        for at in (0..BLOCK).step_by(L::WIDTH) {
            let place = scores.as_mut_ptr().add(at);
            let weight = exp(L::load(place).add(L::splat(-m)));
            weight.store(place);
            l = l.add(weight);
        }
        if m > w.m[q] {
            let mut alpha = [0.0; 16];
            exp(L::splat(w.m[q] - m)).store(alpha.as_mut_ptr());
            w.l[q] *= alpha[0];
            w.sums[q * w.dim..][..w.dim].iter_mut().for_each(|sum| *sum *= alpha[0]);
            w.m[q] = m;
        }
        w.l[q] += L::sums([l; 4])[0];
    }
}
