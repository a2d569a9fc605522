//! Causal attention over the cache.
//!
//! A task is one KV head and some rows of queries: all query heads that the KV head serves share
//! one read of its keys and values. Positions are taken in blocks, unpacked to floats once for all
//! queries, with a running maximum and sum for each query (the online softmax). Blocks begin at
//! multiples of `BLOCK`, so that a query's result does not depend on which rows it is computed
//! with.

use half::f16;

use super::lanes::{Lanes, exp::exp};
use super::memory::Shared;
use super::scratch::with_scratch;
use super::tile::{Rows, product};
use super::{Context, Step};
use crate::error::Result;
use crate::op::{Attend, Buf, Heads, KvKind, KvPart, PAGE};

/// Positions that are unpacked at once, a multiple of every vector's width. They lie together: a
/// page has whole blocks.
const BLOCK: usize = 32;
const _: () = assert!((PAGE as usize).is_multiple_of(BLOCK));
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
        keys: ReadCache::new(context, cache.kind, cache.keys)?,
        values: ReadCache::new(context, cache.kind, cache.values)?,
        heads,
        step: context.step(op.step, rows, cache)?,
        window: op.window as usize,
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

    /// The positions that a task's query sees.
    fn seen(&self, task: Task, q: usize) -> (usize, usize) {
        let last = self.step.position + task.first_row + q / self.served();
        ((last + 1).saturating_sub(self.window), last + 1)
    }
}

/// A task's memory; a row is padded with zeros to whole vectors.
struct Work<'a> {
    /// Floats of a padded head.
    dim: usize,
    /// `[queries, dim]`, already scaled.
    queries: &'a mut [f32],
    /// `[queries, dim]`: weighted sums of values.
    sums: &'a mut [f32],
    /// `[BLOCK, dim]`: the block's keys, then its values.
    block: &'a mut [f32],
    /// `[queries, BLOCK]`: scores, then weights.
    scores: &'a mut [f32],
    /// `[queries]`: the largest score so far.
    m: &'a mut [f32],
    /// `[queries]`: the sum of weights so far.
    l: &'a mut [f32],
}

/// Queries and the floats of a head, padded: scores are computed for pairs of queries, with whole
/// vectors.
fn padded(queries: usize, head_dim: usize, width: usize) -> (usize, usize) {
    (queries.next_multiple_of(2), head_dim.next_multiple_of(width))
}

/// Floats that a task of so many queries needs.
fn floats(queries: usize, head_dim: usize, width: usize) -> usize {
    let (queries, dim) = padded(queries, head_dim, width);
    BLOCK * dim + queries * (2 * dim + BLOCK + 2)
}

impl<'a> Work<'a> {
    /// Divides up zeroed memory.
    fn new(memory: &'a mut [f32], queries: usize, head_dim: usize, width: usize) -> Work<'a> {
        let (queries, dim) = padded(queries, head_dim, width);
        let (block, rest) = memory.split_at_mut(BLOCK * dim);
        let (of_queries, rest) = rest.split_at_mut(queries * dim);
        let (sums, rest) = rest.split_at_mut(queries * dim);
        let (scores, rest) = rest.split_at_mut(queries * BLOCK);
        let (m, rest) = rest.split_at_mut(queries);
        Work { dim, queries: of_queries, sums, block, scores, m, l: &mut rest[..queries] }
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
        let count = BLOCK.min(last - start);
        let at = a.step.place(a.cache, task.head, start, dim);
        // SAFETY: the caller's; positions before `last` are in the cache.
        unsafe {
            a.keys.unpack::<L>(at, count, dim, w.dim, w.block);
            scores::<L>(w, queries);
            for q in 0..queries {
                softmax_step::<L>(w, q, a.seen(task, q), start);
            }
            a.values.unpack::<L>(at, count, dim, w.dim, w.block);
            let (values, weights) = (
                Rows { start: w.block.as_ptr(), stride: w.dim },
                Rows { start: w.scores.as_ptr(), stride: BLOCK },
            );
            product::<L>(
                values,
                count,
                weights,
                queries,
                Rows { start: w.sums.as_mut_ptr(), stride: w.dim },
                w.dim,
            );
        }
    }
    for q in 0..queries {
        let row = (task.first_row + q / a.served()) * a.heads.q_width() as usize;
        // SAFETY: the caller's.
        let out = unsafe { a.out.slice(row + a.column(task, q), dim) };
        out.iter_mut().zip(&w.sums[q * w.dim..]).for_each(|(out, sum)| *out = sum / w.l[q]);
    }
}

/// The task's queries, scaled, and their first maxima.
fn gather(a: &Attention, task: Task, w: &mut Work, queries: usize) {
    let dim = a.heads.head_dim as usize;
    let scale = 1.0 / (dim as f32).sqrt();
    w.m.fill(f32::MIN);
    for q in 0..queries {
        let row = (task.first_row + q / a.served()) * a.heads.qkv_width() as usize;
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

/// Cached keys or values.
enum ReadCache<'a> {
    F16(&'a [u16]),
    F32(&'a [f32]),
}

impl ReadCache<'_> {
    fn new<'a>(context: &Context<'a>, kind: KvKind, buf: Buf) -> Result<ReadCache<'a>> {
        Ok(match kind {
            KvKind::F16 => ReadCache::F16(context.memory.read(buf)?),
            KvKind::F32 => ReadCache::F32(context.memory.read(buf)?),
        })
    }

    /// Unpacks `count` heads of `dim` elements to rows of `stride`, of which the rest stays as it
    /// is.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`; `to` has room for `count` rows, `stride >= dim`.
    #[inline(always)]
    unsafe fn unpack<L: Lanes>(
        &self,
        at: usize,
        count: usize,
        dim: usize,
        stride: usize,
        to: &mut [f32],
    ) {
        for (i, to) in to.chunks_exact_mut(stride).take(count).enumerate() {
            match self {
                ReadCache::F32(all) => to[..dim].copy_from_slice(&all[at + i * dim..][..dim]),
                ReadCache::F16(all) => {
                    let from = &all[at + i * dim..][..dim];
                    let whole = dim - dim % L::WIDTH;
                    for j in (0..whole).step_by(L::WIDTH) {
                        // SAFETY: the caller's; both slices have a vector left.
                        unsafe {
                            L::load_halves(from.as_ptr().add(j)).store(to.as_mut_ptr().add(j))
                        };
                    }
                    to[whole..dim]
                        .iter_mut()
                        .zip(&from[whole..])
                        .for_each(|(to, &half)| *to = f16::from_bits(half).to_f32());
                }
            }
        }
    }
}
