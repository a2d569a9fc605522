//! The kernels that do several ops at once: what decoding is made of.

use half::f16;

use super::products::{example, free, matrix, tolerance};
use super::{pseudo, upload, wrong};
use crate::backend::Backend;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::op::{Buf, Heads, KvKind, KvPart, Op};
use crate::weights::layout::Kind;

const COLS: usize = 160;
/// Gate and up, a quad and two.
const ROWS: usize = 24;
const EPS: f32 = 1e-5;

/// More positions than a workgroup takes at once, so that some run has several blocks and several runs are merged.
const POSITION: usize = 600;
const HEADS: Heads = Heads { n_heads: 6, n_kv_heads: 2, head_dim: 32 };
const ROTARY: usize = 24;

pub(super) async fn check(gpu: &mut Gpu) -> Result<()> {
    products_after_a_norm(gpu).await?;
    attention(gpu).await?;
    choice(gpu).await
}

/// Norm and product; norm, gate, up and swiglu.
async fn products_after_a_norm(gpu: &mut Gpu) -> Result<()> {
    let panel = example(Kind::Q4, ROWS, COLS);
    let (values, gamma): (Vec<f32>, Vec<f32>) = (0..COLS).map(|i| (3.0 * pseudo(i, 17), 1.0 + pseudo(i, 19))).unzip();
    let rms = (values.iter().map(|x| x * x).sum::<f32>() / COLS as f32 + EPS).sqrt();
    let normed: Vec<f32> = values.iter().zip(&gamma).map(|(x, weight)| x / rms * weight).collect();
    let products: Vec<(f32, f32)> = (0..ROWS)
        .map(|row| panel.row(row).iter().zip(&normed).fold((0.0, 0.0), |(sum, size), (w, x)| (sum + w * x, size + (w * x).abs())))
        .collect();

    let (x, weight) = (upload(gpu, bytemuck::cast_slice(&values))?, upload(gpu, bytemuck::cast_slice(&gamma))?);
    let w = matrix(gpu, &panel)?;
    let [h, out, unused, gated] = [COLS, ROWS, ROWS, ROWS / 2].map(|floats| upload(gpu, &vec![0; 4 * floats]));
    let (h, out, unused, gated) = (h?, out?, unused?, gated?);
    let norm = Op::Norm { x, weight, out: h, first_row: 0, rows: 1, width: COLS as u32, eps_bits: EPS.to_bits() };
    let matmul = |out| Op::Matmul { w: w.clone().into(), x: h, out, rows: 1, add: false };
    let swiglu = Op::Swiglu { gate_up: unused, out: gated, width: ROWS as u32 / 2, rows: 1 };
    let program = gpu.prepare(&[norm.clone(), matmul(out), norm, matmul(unused), swiglu])?;
    gpu.run(&program)?;

    // Twice what a product may be off: the norm rounds, too.
    let allowed = 2.0 * tolerance(gpu.tuning().real);
    let found = floats(gpu, out, ROWS).await?;
    for (&found, &(sum, size)) in found.iter().zip(&products) {
        close(gpu, "a product after a norm", found, sum, allowed * size)?;
    }
    let found = floats(gpu, gated, ROWS / 2).await?;
    let (gates, ups) = products.split_at(ROWS / 2);
    for ((&found, &(gate, gate_size)), &(up, up_size)) in found.iter().zip(gates).zip(ups) {
        // silu is nowhere steeper than 1.1.
        let error = allowed * (1.1 * gate_size * (up.abs() + 1.0) + up_size * (gate.abs() + 1.0));
        close(gpu, "a gated product", found, gate / (1.0 + (-gate).exp()) * up, error)?;
    }
    free(gpu, &w);
    [x, weight, h, out, unused, gated].into_iter().for_each(|buf| gpu.free(buf));
    Ok(())
}

/// One token's rope, cache and attention.
async fn attention(gpu: &mut Gpu) -> Result<()> {
    let (dim, queries, ctx_len) = (HEADS.head_dim as usize, (HEADS.n_heads / HEADS.n_kv_heads) as usize, POSITION + 3);
    let size = HEADS.n_kv_heads as usize * ctx_len * dim;
    let cached = |salt: u32| -> Vec<f16> { (0..size).map(|i| f16::from_f32(pseudo(i, salt))).collect() };
    let (mut old_keys, mut old_values) = (cached(23), cached(29));
    let fused: Vec<f32> = (0..HEADS.qkv_width() as usize).map(|i| 2.0 * pseudo(i, 31)).collect();
    let turns: Vec<f32> = (0..ROTARY).map(|i| if i < ROTARY / 2 { (i as f32).cos() } else { ((i - ROTARY / 2) as f32).sin() }).collect();

    let buffers = [bytemuck::cast_slice(&fused), bytemuck::cast_slice(&turns), bytemuck::bytes_of(&(POSITION as u32))];
    let [qkv, angles, step] = buffers.map(|bytes| upload(gpu, bytes));
    let (qkv, angles, step) = (qkv?, angles?, step?);
    let (keys, values) = (upload(gpu, bytemuck::cast_slice(&old_keys))?, upload(gpu, bytemuck::cast_slice(&old_values))?);
    let out = upload(gpu, &vec![0; 4 * HEADS.q_width() as usize])?;
    let cache = KvPart { keys, values, first_head: 0, heads: HEADS.n_kv_heads, ctx_len: ctx_len as u32, kind: KvKind::F16 };
    let rope = Op::Rope { qkv, angles, step, cache, heads: HEADS, rotary_dim: ROTARY as u32, rows: 1 };
    let program = gpu.prepare(&[rope, Op::Attend { qkv, step, cache, out, heads: HEADS, window: u32::MAX, rows: 1 }])?;
    gpu.run(&program)?;
    let found = floats(gpu, out, HEADS.q_width() as usize).await?;

    for head in 0..HEADS.n_kv_heads as usize {
        let key = rotated(&fused[(HEADS.n_heads as usize + head) * dim..][..dim], &turns);
        let value = &fused[((HEADS.n_heads + HEADS.n_kv_heads) as usize + head) * dim..][..dim];
        let at = (head * ctx_len + POSITION) * dim;
        for i in 0..dim {
            (old_keys[at + i], old_values[at + i]) = (f16::from_f32(key[i]), f16::from_f32(value[i]));
        }
    }
    for head in 0..HEADS.n_heads as usize {
        let first = head / queries * ctx_len * dim;
        let right = attended(&rotated(&fused[head * dim..][..dim], &turns), &old_keys[first..], &old_values[first..]);
        for (&found, right) in found[head * dim..].iter().zip(right) {
            // Values are below 2, and a key may round the other way.
            close(gpu, "attention", found, right, 2e-3)?;
        }
    }
    [qkv, angles, step, keys, values, out].into_iter().for_each(|buf| gpu.free(buf));
    Ok(())
}

/// A head with its first elements turned.
fn rotated(head: &[f32], turns: &[f32]) -> Vec<f32> {
    let half = ROTARY / 2;
    let element = |i: usize| match i {
        _ if i < half => head[i] * turns[i] - head[i + half] * turns[half + i],
        _ if i < ROTARY => head[i] * turns[i - half] + head[i - half] * turns[i],
        _ => head[i],
    };
    (0..head.len()).map(element).collect()
}

/// The mean of the values up to the position, weighed by how the keys match.
fn attended(query: &[f32], keys: &[f16], values: &[f16]) -> Vec<f32> {
    let dim = query.len();
    let score = |p: usize| query.iter().zip(&keys[p * dim..]).map(|(q, k)| q * k.to_f32()).sum::<f32>() / (dim as f32).sqrt();
    let scores: Vec<f32> = (0..=POSITION).map(score).collect();
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let shares: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f32 = shares.iter().sum();
    (0..dim).map(|i| shares.iter().enumerate().map(|(p, share)| share * values[p * dim + i].to_f32()).sum::<f32>() / total).collect()
}

/// The largest of some logits, which are forbidden in part.
async fn choice(gpu: &mut Gpu) -> Result<()> {
    const WIDTH: usize = 5000;
    let logits: Vec<f32> = (0..WIDTH).map(|i| 10.0 * pseudo(i, 37)).collect();
    let allowed: Vec<u32> = (0..WIDTH.div_ceil(32)).map(|word| 0x5a5a_a5a5u32.rotate_left(word as u32)).collect();
    let is_allowed = |i: &usize| allowed[i / 32] >> (i % 32) & 1 == 1;
    let right = (0..WIDTH).filter(is_allowed).reduce(|best, i| if logits[i] > logits[best] { i } else { best }).unwrap_or(0);
    let (x, mask) = (upload(gpu, bytemuck::cast_slice(&logits))?, upload(gpu, bytemuck::cast_slice(&allowed))?);
    let out = upload(gpu, &[0xff; 4])?;
    let program = gpu.prepare(&[Op::Argmax { x, allowed: mask, out, width: WIDTH as u32 }])?;
    gpu.run(&program)?;
    let mut found = 0u32;
    gpu.read(out, 0, bytemuck::bytes_of_mut(&mut found)).await?;
    [x, mask, out].into_iter().for_each(|buf| gpu.free(buf));
    close(gpu, "the choice of a token", found as f32, right as f32, 0.0)
}

async fn floats(gpu: &mut Gpu, buf: Buf, len: usize) -> Result<Vec<f32>> {
    let mut found = vec![0.0f32; len];
    gpu.read(buf, 0, bytemuck::cast_slice_mut(&mut found)).await?;
    Ok(found)
}

fn close(gpu: &Gpu, what: &str, found: f32, right: f32, allowed: f32) -> Result<()> {
    // Written so that a NaN is wrong.
    let is_right = (found - right).abs() <= allowed;
    if is_right { Ok(()) } else { Err(wrong(gpu, what, found, right)) }
}
