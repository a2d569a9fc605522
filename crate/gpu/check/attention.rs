//! Rope, cache and attention: one token's in one kernel, and many tokens' in tiles.

use half::f16;

use super::{close, floats, pseudo, run, upload};
use crate::backend::Backend;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::op::{self, Heads, KvKind, KvPart, Op, PAGE};

/// More positions than a workgroup takes at once, so that some run has several blocks and several
/// runs are merged.
const POSITION: usize = 600;
/// Positions of a page.
const PAGED: usize = PAGE as usize;
/// Pages of the cache, of which some are another sequence's.
const PAGES: usize = 17;
const HEADS: Heads = Heads { n_heads: 6, n_kv_heads: 2, head_dim: 32 };
const DIM: usize = HEADS.head_dim as usize;
const ROTARY: usize = 24;
/// One token's kernel, and two tiles, the second of them with some queries missing.
const TOKENS: [usize; 2] = [1, 25];

/// Keys and values of all KV heads, as they are cached.
struct KvCache {
    keys: Vec<f16>,
    values: Vec<f16>,
}

/// The page of a sequence's position: neighbours lie apart.
fn page(position: usize) -> usize {
    (3 + 5 * (position / PAGED)) % PAGES
}

/// Where a position of a KV head begins.
fn place(head: usize, position: usize) -> usize {
    let heads = HEADS.n_kv_heads as usize;
    ((page(position) * heads + head) * PAGED + position % PAGED) * DIM
}

pub(super) async fn check(gpu: &mut Gpu) -> Result<()> {
    for tokens in TOKENS {
        attention(gpu, tokens).await?;
    }
    Ok(())
}

async fn attention(gpu: &mut Gpu, tokens: usize) -> Result<()> {
    let size = PAGES * HEADS.n_kv_heads as usize * PAGED * DIM;
    let noise =
        |salt: u32| -> Vec<f16> { (0..size).map(|i| f16::from_f32(pseudo(i, salt))).collect() };
    let mut cached = KvCache { keys: noise(23), values: noise(29) };
    let fused: Vec<f32> =
        (0..tokens * HEADS.qkv_width() as usize).map(|i| 2.0 * pseudo(i, 31)).collect();
    let turns: Vec<f32> = (0..tokens).flat_map(turns).collect();

    let mut at_step = vec![0u32; op::step_words(KvKind::F16, PAGES as u32) as usize];
    at_step[0] = POSITION as u32;
    for at in 0..PAGES {
        at_step[1 + at] = page(at * PAGED) as u32;
    }
    let buffers = [
        bytemuck::cast_slice(&fused),
        bytemuck::cast_slice(&turns),
        bytemuck::cast_slice(&at_step),
    ];
    let [qkv, angles, step] = buffers.map(|bytes| upload(gpu, bytes));
    let (qkv, angles, step) = (qkv?, angles?, step?);
    let (keys, values) = (
        upload(gpu, bytemuck::cast_slice(&cached.keys))?,
        upload(gpu, bytemuck::cast_slice(&cached.values))?,
    );
    let out = upload(gpu, &vec![0; 4 * tokens * HEADS.q_width() as usize])?;
    let cache = KvPart {
        keys,
        values,
        first_head: 0,
        heads: HEADS.n_kv_heads,
        pages: PAGES as u32,
        kind: KvKind::F16,
    };
    let rows = tokens as u32;
    let rope = Op::Rope(op::Rope {
        qkv,
        angles,
        step,
        cache,
        heads: HEADS,
        rotary_dim: ROTARY as u32,
        first_row: 0,
        rows,
    });
    run(
        gpu,
        &[
            rope,
            Op::Attend(op::Attend {
                qkv,
                step,
                cache,
                out,
                heads: HEADS,
                window: u32::MAX,
                first_row: 0,
                rows,
            }),
        ],
    )
    .await?;
    let found = floats(gpu, out, tokens * HEADS.q_width() as usize).await?;

    for (token, row) in fused.chunks(HEADS.qkv_width() as usize).enumerate() {
        cached.append(token, row);
    }
    for (token, row) in fused.chunks(HEADS.qkv_width() as usize).enumerate() {
        for head in 0..HEADS.n_heads as usize {
            let right = cached.attended(head, token, &rotated(&row[head * DIM..][..DIM], token));
            for (&found, right) in
                found[token * HEADS.q_width() as usize + head * DIM..].iter().zip(right)
            {
                // Values are below 2, and a key may round the other way.
                close(gpu, "attention", found, right, 2e-3)?;
            }
        }
    }
    [qkv, angles, step, keys, values, out].into_iter().for_each(|buf| gpu.free(buf));
    Ok(())
}

/// A token's cosines, then its sines.
fn turns(token: usize) -> Vec<f32> {
    let angle = |pair: usize| (pair + token) as f32;
    (0..ROTARY / 2)
        .map(|pair| angle(pair).cos())
        .chain((0..ROTARY / 2).map(|pair| angle(pair).sin()))
        .collect()
}

/// A head with its first elements turned.
fn rotated(head: &[f32], token: usize) -> Vec<f32> {
    let (half, turns) = (ROTARY / 2, turns(token));
    let element = |i: usize| match i {
        _ if i < half => head[i] * turns[i] - head[i + half] * turns[half + i],
        _ if i < ROTARY => head[i] * turns[i - half] + head[i - half] * turns[i],
        _ => head[i],
    };
    (0..head.len()).map(element).collect()
}

impl KvCache {
    /// Puts a row's rotated keys and its values at its position.
    fn append(&mut self, token: usize, row: &[f32]) {
        let (queries, heads) = (HEADS.n_heads as usize, HEADS.n_kv_heads as usize);
        for head in 0..heads {
            let key = rotated(&row[(queries + head) * DIM..][..DIM], token);
            let value = &row[(queries + heads + head) * DIM..][..DIM];
            let at = place(head, POSITION + token);
            for i in 0..DIM {
                (self.keys[at + i], self.values[at + i]) =
                    (f16::from_f32(key[i]), f16::from_f32(value[i]));
            }
        }
    }

    /// The mean of the values up to the token's position, weighed by how the keys match.
    fn attended(&self, head: usize, token: usize, query: &[f32]) -> Vec<f32> {
        let place = |p: usize| place(head / (HEADS.n_heads / HEADS.n_kv_heads) as usize, p);
        let score = |p: usize| {
            let key = &self.keys[place(p)..];
            query.iter().zip(key).map(|(q, k)| q * k.to_f32()).sum::<f32>() / (DIM as f32).sqrt()
        };
        let scores: Vec<f32> = (0..=POSITION + token).map(score).collect();
        let largest = scores.iter().copied().fold(f32::MIN, f32::max);
        let shares: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f32 = shares.iter().sum();
        let element = |i: usize| {
            shares
                .iter()
                .enumerate()
                .map(|(p, share)| share * self.values[place(p) + i].to_f32())
                .sum::<f32>()
                / total
        };
        (0..DIM).map(element).collect()
    }
}
