//! Rotary positions: rotates queries in place, and appends rotated keys and values to the cache.

use half::f16;

use super::memory::Shared;
use super::scratch::with_scratch;
use super::{Context, Half, Place, Step};
use crate::error::{Code, Result, fail};
use crate::op::{Buf, KvKind, KvPart, Rope};

pub fn run(context: &Context, op: &Rope) -> Result<()> {
    let (memory, cache, heads) = (context.memory, op.cache, op.heads);
    let (rotary_dim, rows, first_row) =
        (op.rotary_dim as usize, op.rows as usize, op.first_row as usize);
    let step = context.step(op.step, (op.first_row, op.rows), cache, heads)?;
    if !step.is_writable() {
        fail!(Code::Internal, "a step names a page twice among those that it writes");
    }
    let (qkv, angles) = (memory.share::<f32>(op.qkv)?, memory.read::<f32>(op.angles)?);
    let (width, dim) = (heads.qkv_width() as usize, heads.head_dim as usize);
    let (first, count) = (cache.first_head as usize, cache.heads as usize);
    let served = (heads.n_heads / heads.n_kv_heads) as usize;
    let (keys, values) = (
        WriteCache::new(context, cache, cache.keys)?,
        WriteCache::new(context, cache, cache.values)?,
    );
    context.threads.each(rows, |row| {
        // SAFETY: every task has a row, and with it a position, of its own.
        let row_of_qkv = unsafe { qkv.slice((first_row + row) * width, width) };
        let angles = &angles[(first_row + row) * rotary_dim..][..rotary_dim];
        let (queries, rest) = row_of_qkv.split_at_mut(heads.q_width() as usize);
        let (new_keys, new_values) = rest.split_at(heads.n_kv_heads as usize * dim);
        for query in queries.chunks_exact_mut(dim).skip(first * served).take(count * served) {
            rotate(query, angles);
        }
        let both =
            new_keys.chunks_exact(dim).zip(new_values.chunks_exact(dim)).skip(first).take(count);
        // `qkv` keeps its keys as they were: only the cache holds rotated ones.
        with_scratch(dim, |rotated| {
            for (head, (key, value)) in both.enumerate() {
                rotated.copy_from_slice(key);
                rotate(rotated, angles);
                keys.store(&step, Half::Keys, (head, row), rotated);
                values.store(&step, Half::Values, (head, row), value);
            }
        });
    });
    Ok(())
}

/// Rotates pairs i and i + half by the cosines and sines in `angles`.
fn rotate(head: &mut [f32], angles: &[f32]) {
    let half = angles.len() / 2;
    let (cosines, sines) = angles.split_at(half);
    let (a, b) = head[..2 * half].split_at_mut(half);
    for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cosines).zip(sines) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

/// A cache to append to.
enum WriteCache<'a> {
    F16(Shared<'a, u16>),
    F32(Shared<'a, f32>),
}

impl WriteCache<'_> {
    fn new<'a>(context: &Context<'a>, cache: KvPart, buf: Buf) -> Result<WriteCache<'a>> {
        Ok(match cache.kind {
            KvKind::F32 => WriteCache::F32(context.memory.share(buf)?),
            KvKind::F16 | KvKind::Int8 | KvKind::Int4 => {
                WriteCache::F16(context.memory.share(buf)?)
            }
        })
    }

    /// Stores a row's head: its page is not sealed.
    fn store(&self, step: &Step, half: Half, (head, row): (usize, usize), elements: &[f32]) {
        let Place::Exact(at) = step.place(half, head, step.position + row) else { return };
        // SAFETY: a position belongs to one row, a row to one task.
        unsafe {
            match self {
                WriteCache::F32(all) => all.slice(at, elements.len()).copy_from_slice(elements),
                WriteCache::F16(all) => all
                    .slice(at, elements.len())
                    .iter_mut()
                    .zip(elements)
                    .for_each(|(to, &x)| *to = f16::from_f32(x).to_bits()),
            }
        }
    }
}
