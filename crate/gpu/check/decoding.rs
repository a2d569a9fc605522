//! What decoding is made of besides attention: the kernels that do a norm and the product after it,
//! and the choice of a token.

use super::products::{example, free, matrix, rounding, tolerance};
use super::{close, floats, pseudo, run, upload};
use crate::backend::Backend;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::layout::Kind;
use crate::op::{self, Op, SamplerParams};

const COLS: usize = 160;
/// Gate and up, a quad and two.
const ROWS: usize = 24;
const EPS: f32 = 1e-5;

pub(super) async fn check(gpu: &mut Gpu) -> Result<()> {
    products_after_a_norm(gpu).await?;
    choice(gpu).await?;
    sample(gpu).await
}

/// Norm and product; norm, gate, up and swiglu.
async fn products_after_a_norm(gpu: &mut Gpu) -> Result<()> {
    let panel = example(Kind::Q4, ROWS, COLS);
    let (values, gamma): (Vec<f32>, Vec<f32>) =
        (0..COLS).map(|i| (3.0 * pseudo(i, 17), 1.0 + pseudo(i, 19))).unzip();
    let rms = (values.iter().map(|x| x * x).sum::<f32>() / COLS as f32 + EPS).sqrt();
    let normed: Vec<f32> = values.iter().zip(&gamma).map(|(x, weight)| x / rms * weight).collect();
    // Twice what a product may be off: the norm rounds, too.
    let (allowed, is_rounded) = (2.0 * tolerance(gpu.tuning().real), gpu.tuning().few_dots);
    let product = |row: usize| {
        let weights = panel.row(row);
        let (sum, size) = weights
            .iter()
            .zip(&normed)
            .fold((0.0, 0.0), |(sum, size), (w, x)| (sum + w * x, size + (w * x).abs()));
        (sum, allowed * size + if is_rounded { 2.0 * rounding(&weights, &normed) } else { 0.0 })
    };
    let products: Vec<(f32, f32)> = (0..ROWS).map(product).collect();

    let (x, weight) =
        (upload(gpu, bytemuck::cast_slice(&values))?, upload(gpu, bytemuck::cast_slice(&gamma))?);
    let w = matrix(gpu, &panel)?;
    let [h, out, unused, gated] =
        [COLS, ROWS, ROWS, ROWS / 2].map(|floats| upload(gpu, &vec![0; 4 * floats]));
    let (h, out, unused, gated) = (h?, out?, unused?, gated?);
    let norm = Op::Norm(op::Norm {
        x,
        weight,
        out: h,
        first_row: 0,
        rows: 1,
        width: COLS as u32,
        eps_bits: EPS.to_bits(),
    });
    let matmul =
        |out| Op::Matmul(op::Matmul { w: w.clone().into(), x: h, out, rows: 1, add: false });
    let swiglu =
        Op::Swiglu(op::Swiglu { gate_up: unused, out: gated, width: ROWS as u32 / 2, rows: 1 });
    run(gpu, &[norm.clone(), matmul(out), norm, matmul(unused), swiglu]).await?;

    let found = floats(gpu, out, ROWS).await?;
    for (&found, &(sum, error)) in found.iter().zip(&products) {
        close(gpu, "a product after a norm", found, sum, error)?;
    }
    let found = floats(gpu, gated, ROWS / 2).await?;
    let (gates, ups) = products.split_at(ROWS / 2);
    for ((&found, &(gate, gate_error)), &(up, up_error)) in found.iter().zip(gates).zip(ups) {
        // silu is nowhere steeper than 1.1.
        let error = 1.1 * gate_error * (up.abs() + 1.0) + up_error * (gate.abs() + 1.0);
        close(gpu, "a gated product", found, gate / (1.0 + (-gate).exp()) * up, error)?;
    }
    free(gpu, &w);
    [x, weight, h, out, unused, gated].into_iter().for_each(|buf| gpu.free(buf));
    Ok(())
}

/// The largest of some logits, which are forbidden in part.
async fn choice(gpu: &mut Gpu) -> Result<()> {
    const WIDTH: usize = 5000;
    let logits: Vec<f32> = (0..WIDTH).map(|i| 10.0 * pseudo(i, 37)).collect();
    let allowed: Vec<u32> =
        (0..WIDTH.div_ceil(32)).map(|word| 0x5a5a_a5a5u32.rotate_left(word as u32)).collect();
    let is_allowed = |i: &usize| allowed[i / 32] >> (i % 32) & 1 == 1;
    let right = (0..WIDTH)
        .filter(is_allowed)
        .reduce(|best, i| if logits[i] > logits[best] { i } else { best })
        .unwrap_or(0);
    let (x, mask) =
        (upload(gpu, bytemuck::cast_slice(&logits))?, upload(gpu, bytemuck::cast_slice(&allowed))?);
    let out = upload(gpu, &[0xff; 4])?;
    run(gpu, &[Op::Argmax(op::Argmax { x, allowed: mask, out, width: WIDTH as u32 })]).await?;
    let mut found = 0u32;
    gpu.read(out, 0, bytemuck::bytes_of_mut(&mut found)).await?;
    [x, mask, out].into_iter().for_each(|buf| gpu.free(buf));
    close(gpu, "the choice of a token", found as f32, right as f32, 0.0)
}

/// A draw among the most probable of some logits: the same few in every run of a thousand, so that
/// top-k and top-p leave two of them.
async fn sample(gpu: &mut Gpu) -> Result<()> {
    const WIDTH: usize = 5000;
    let logits: Vec<f32> = (0..WIDTH)
        .map(|i| if i % 1000 == 7 { 4.0 - i as f32 / 1e6 } else { 3.0 * pseudo(i, 37) - 4.0 })
        .collect();
    // Four of the five that stand out are among the four most probable, the first three of these
    // reach 0.6, and the draw falls on the last.
    let params = SamplerParams {
        temperature: 0.5,
        top_k: 4,
        top_p: 0.6,
        min_p: 0.1,
        repetition_penalty: 1.5,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        uniform: 0.9,
    };
    let zeros = vec![0; 4 * (WIDTH + 256)];
    let [processed, seen, bias] = [(); 3].map(|()| upload(gpu, &zeros[..4 * WIDTH]));
    let buffers = op::Sample {
        logits: upload(gpu, bytemuck::cast_slice(&logits))?,
        processed: processed?,
        allowed: upload(gpu, &[0xff; 4 * WIDTH.div_ceil(32)])?,
        seen: seen?,
        bias: bias?,
        params: upload(gpu, bytemuck::bytes_of(&params))?,
        candidates: upload(gpu, &zeros)?,
        out: upload(gpu, &[0xff; 4])?,
        width: WIDTH as u32,
    };
    // The first draw makes its token unlikely for the second.
    for right in [2007, 3007] {
        run(gpu, &[Op::Sample(buffers)]).await?;
        let mut found = 0u32;
        gpu.read(buffers.out, 0, bytemuck::bytes_of_mut(&mut found)).await?;
        close(gpu, "a draw", found as f32, right as f32, 0.0)?;
    }
    let op::Sample { logits, processed, allowed, seen, bias, params, candidates, out, .. } =
        buffers;
    [logits, processed, allowed, seen, bias, params, candidates, out]
        .into_iter()
        .for_each(|buf| gpu.free(buf));
    Ok(())
}
