//! Products with weights of every kind.

use half::f16;

use super::{pseudo, run, upload, wrong};
use crate::backend::Backend;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::shaders::{MOST_TOKENS, Products, Real};
use crate::layout::panel::{Block, Group, Panel};
use crate::layout::{BLOCK, GROUP, Kind};
use crate::op::{self, Matrix, Op, Part};

const ROWS: usize = 6;
const COLS: usize = 512;
/// One goes through matvec, many through matmul.
const TOKENS: [usize; 2] = [1, 2 * MOST_TOKENS as usize + 1];

/// How far a product may be off, as a part of the sum of its terms' magnitudes.
pub(super) fn tolerance(real: Real) -> f32 {
    match real {
        Real::F32 => 1e-5,
        // The input, the weight, their product and the sums of four each round by up to 2^-11.
        Real::F16 => 5.0 / 2048.0,
    }
}

/// Multiplies a small matrix of each kind and compares with the definition of the kinds.
///
/// # Errors
/// `gpu-failed`, with what was asked, when an answer is wrong; whatever else the device says.
pub(super) async fn check(gpu: &mut Gpu) -> Result<()> {
    let most = TOKENS[TOKENS.len() - 1];
    let x: Vec<f32> = (0..most * COLS).map(|i| pseudo(i, 7) * 2.0).collect();
    let input = upload(gpu, bytemuck::cast_slice(&x))?;
    for kind in Kind::ALL {
        let panel = example(kind, ROWS, COLS);
        let w = matrix(gpu, &panel)?;
        let mut outs = Vec::new();
        let mut ops = Vec::new();
        for tokens in TOKENS {
            let out = gpu.alloc("known-answer check", (tokens * ROWS * 4) as u64)?;
            outs.push(out);
            ops.push(Op::Matmul(op::Matmul {
                w: w.clone().into(),
                x: input,
                out,
                rows: tokens as u32,
                add: false,
            }));
        }
        run(gpu, &ops).await?;
        for (tokens, out) in TOKENS.into_iter().zip(outs) {
            let mut found = vec![0.0f32; tokens * ROWS];
            gpu.read(out, 0, bytemuck::cast_slice_mut(&mut found)).await?;
            compare(gpu, &panel, &x, &found)?;
            gpu.free(out);
        }
        free(gpu, &w);
    }
    gpu.free(input);
    Ok(())
}

fn compare(gpu: &Gpu, panel: &Panel, x: &[f32], found: &[f32]) -> Result<()> {
    let (tuning, tokens) = (gpu.tuning(), found.len() / ROWS);
    let is_rounded = Products::has_dots(panel.kind)
        && if tokens > tuning.few_tokens as usize { tuning.dots } else { tuning.few_dots };
    let allowed = tolerance(tuning.real.with(panel.kind));
    for (i, &found) in found.iter().enumerate() {
        let (token, row) = (i / ROWS, i % ROWS);
        let weights = panel.row(row);
        let inputs = &x[token * COLS..][..COLS];
        let products = weights.iter().zip(inputs).map(|(w, x)| w * x);
        let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
        let rounding = if is_rounded { rounding(&weights, inputs) } else { 0.0 };
        // Written so that a NaN is wrong.
        let right = (found - sum).abs() <= allowed * size + rounding;
        if !right {
            return Err(wrong(gpu, &format!("{:?} weights", panel.kind), found, sum));
        }
    }
    Ok(())
}

/// What a product moves by at most when each of its inputs becomes the nearest of 16256 steps, up
/// to the largest of its group; of a line of it the largest is no larger.
pub(super) fn rounding(weights: &[f32], inputs: &[f32]) -> f32 {
    let of_group = |(weights, inputs): (&[f32], &[f32])| {
        let largest = inputs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        // A little more than half a step: which of two steps is nearer may depend on how a device
        // divides.
        0.51 / 16256.0 * largest * weights.iter().map(|w| w.abs()).sum::<f32>()
    };
    weights.chunks(GROUP).zip(inputs.chunks(GROUP)).map(of_group).sum()
}

pub(super) fn example(kind: Kind, rows: usize, cols: usize) -> Panel {
    let mut panel = Panel::new(kind, rows, cols);
    for row in 0..rows {
        if !kind.has_scales() {
            let values: Vec<f32> = (0..cols).map(|column| pseudo(row * cols + column, 3)).collect();
            panel.set_row(row, &values);
            continue;
        }
        let bits = kind.code_bits();
        let codes_of = |group: usize| {
            let code = |i| ((pseudo(group * GROUP + i, 5) + 1.0) * 128.0) as u8 >> (8 - bits);
            std::array::from_fn(code)
        };
        if kind.has_blocks() {
            for block in 0..cols / GROUP / BLOCK {
                let first = row * cols / GROUP + block * BLOCK;
                let scale = |i: usize| ((pseudo(i, 13) + 2.0) * 16.0) as u8;
                let of_row = Block {
                    codes: std::array::from_fn(|group| codes_of(first + group)),
                    scales: std::array::from_fn(|i| [0, 1].map(|j| scale(2 * (first + i) + j))),
                    factors: [0.001, 0.015].map(f16::from_f32),
                };
                panel.set_block(row, block, &of_row);
            }
            continue;
        }
        for group in 0..cols / GROUP {
            let at = row * cols / GROUP + group;
            let codes = codes_of(at);
            let min = if kind.has_mins() {
                f16::from_f32(-0.25 + 0.1 * pseudo(at, 11))
            } else {
                f16::ZERO
            };
            panel.set_group(
                row,
                group,
                &Group { codes, scale: f16::from_f32(0.03 + 0.01 * pseudo(at, 13)), min },
            );
        }
    }
    panel
}

pub(super) fn matrix(gpu: &mut Gpu, panel: &Panel) -> Result<Matrix> {
    let codes = upload(gpu, &panel.codes)?;
    let scales = if panel.kind.has_scales() { Some(upload(gpu, &panel.scales)?) } else { None };
    let mins = if panel.kind.has_mins() { Some(upload(gpu, &panel.mins)?) } else { None };
    let (rows, cols) = (panel.rows as u32, panel.cols as u32);
    let part = Part { kind: panel.kind, first_row: 0, rows, codes, scales, mins };
    Ok(Matrix { rows, cols, parts: vec![part] })
}

pub(super) fn free(gpu: &mut Gpu, w: &Matrix) {
    for Part { codes, scales, mins, .. } in &w.parts {
        [Some(*codes), *scales, *mins].into_iter().flatten().for_each(|buf| gpu.free(buf));
    }
}

#[cfg(all(test, feature = "gpu-tests", not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::gpu::GpuOptions;

    #[test]
    fn wrong_answers_are_noticed() {
        let gpu = pollster::block_on(Gpu::new(GpuOptions::default())).unwrap();
        for kind in Kind::ALL {
            let panel = example(kind, ROWS, COLS);
            let x: Vec<f32> = (0..COLS).map(|i| pseudo(i, 7)).collect();
            let right: Vec<f32> = (0..ROWS)
                .map(|row| panel.row(row).iter().zip(&x).map(|(w, x)| w * x).sum())
                .collect();
            compare(&gpu, &panel, &x, &right).unwrap();
            for wrong in [0.0, f32::NAN, right[ROWS - 1] * 1.01] {
                let mut answers = right.clone();
                answers[ROWS - 1] = wrong;
                let error = compare(&gpu, &panel, &x, &answers).unwrap_err();
                assert!(
                    error.code == Code::GpuFailed && error.message.contains("computes wrongly"),
                    "{error}"
                );
            }
        }
    }
}
