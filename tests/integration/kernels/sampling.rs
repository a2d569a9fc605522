//! Draws where the logits are, against the sampler that reads them, which has a naive twin of its
//! own in `text`.

use std::collections::BTreeMap;

use phi_wasm::backend::Backend;
use phi_wasm::gpu::{Gpu, GpuOptions, Switch};
use phi_wasm::op::{self, Buf, Op, SamplerParams};
use phi_wasm::random;
use phi_wasm::session::sampler_params;
use phi_wasm::text::{Sampler, Sampling};

use super::gpu::platform;
use super::make::Noise;

const SEED: u64 = 11;
const PROMPT: [u32; 4] = [1, 2, 3, 1];

fn rows() -> Vec<Sampling> {
    let base = Sampling { temperature: 1.0, seed: Some(SEED), ..Sampling::default() };
    vec![
        Sampling { temperature: 0.0, ..base.clone() },
        Sampling { temperature: 0.7, ..base.clone() },
        Sampling { temperature: 5.0, ..base.clone() },
        Sampling { temperature: 1e-30, ..base.clone() },
        Sampling { top_k: 5, ..base.clone() },
        Sampling { top_k: 1, ..base.clone() },
        Sampling { temperature: 3.0, top_k: 400, ..base.clone() },
        Sampling { top_k: 1_000_000, ..base.clone() },
        Sampling { top_p: 0.9, ..base.clone() },
        Sampling { temperature: 9.0, top_p: 0.99, ..base.clone() },
        Sampling { top_p: 0.01, ..base.clone() },
        Sampling { top_p: 0.0, ..base.clone() },
        Sampling { min_p: 0.1, ..base.clone() },
        Sampling { min_p: 1.0, ..base.clone() },
        Sampling { temperature: 1.3, top_k: 40, top_p: 0.8, min_p: 0.02, ..base.clone() },
        Sampling { temperature: 1.3, top_p: 0.8, min_p: 0.02, ..base.clone() },
        Sampling { repetition_penalty: 1.7, ..base.clone() },
        Sampling { temperature: 0.0, repetition_penalty: 1.3, ..base.clone() },
        Sampling {
            temperature: 0.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.8,
            ..base.clone()
        },
        Sampling { logit_bias: [(3, 4.0), (5, f32::NEG_INFINITY), (9, 1.0)].into(), ..base },
    ]
}

/// Buffers for a draw from so many logits, with a forbidden token, a prompt and biases.
fn buffers(gpu: &mut Gpu, width: u32, forbidden: u32, bias: &BTreeMap<u32, f32>) -> op::Sample {
    let mut buffer = |words: u32| gpu.alloc("for a draw", u64::from(words) * 4).unwrap();
    let [logits, processed, seen, biases, candidates] =
        [width, width, width, width, width + 256].map(&mut buffer);
    let [allowed, how, out] = [width.div_ceil(32), 8, 1].map(&mut buffer);
    let mut mask = vec![u32::MAX; width.div_ceil(32) as usize];
    mask[forbidden as usize / 32] &= !(1 << (forbidden % 32));
    gpu.write(allowed, 0, bytemuck::cast_slice(&mask)).unwrap();
    for token in PROMPT {
        gpu.write(seen, u64::from(token) * 4, &op::Sample::SEEN.to_le_bytes()).unwrap();
    }
    for (&token, bias) in bias {
        gpu.write(biases, u64::from(token) * 4, &bias.max(-2.0 * op::Sample::MOST).to_le_bytes())
            .unwrap();
    }
    let (bias, params) = (biases, how);
    op::Sample { logits, processed, allowed, seen, bias, params, candidates, out, width }
}

async fn check(gpu: &mut Gpu, sampling: &Sampling, width: u32, steps: u64, coarse: bool) {
    const FORBIDDEN: u32 = 7;
    let mut twin = Sampler::new(sampling, [FORBIDDEN], 0).unwrap();
    twin.prompt(&PROMPT);
    let buffers = buffers(gpu, width, FORBIDDEN, &sampling.logit_bias);
    let program = gpu.prepare(&[Op::Sample(buffers)]).unwrap();
    let mut noise = Noise(5);
    for step in 0..steps {
        let element = |i: u32| match i % 91 {
            13 => f32::NAN,
            17 => f32::NEG_INFINITY,
            _ if coarse => (noise.float() * 4.0).round(),
            _ => noise.float() * 8.0,
        };
        let mut logits: Vec<f32> = (0..width).map(element).collect();
        gpu.write(buffers.logits, 0, bytemuck::cast_slice(&logits)).unwrap();
        gpu.write(
            buffers.params,
            0,
            bytemuck::bytes_of(&SamplerParams {
                uniform: random::unit(SEED, step) as f32,
                ..sampler_params(sampling)
            }),
        )
        .unwrap();
        gpu.run(&program).unwrap();
        let mut drawn = 0u32;
        gpu.read(buffers.out, 0, bytemuck::bytes_of_mut(&mut drawn)).await.unwrap();
        assert_eq!(
            drawn,
            twin.sample(&mut logits),
            "{sampling:?}: step {step} of {width} logits{}",
            if coarse { ", coarse" } else { "" }
        );
    }
    let op::Sample { logits, processed, allowed, seen, bias, params, candidates, out, .. } =
        buffers;
    [logits, processed, allowed, seen, bias, params, candidates, out]
        .into_iter()
        .for_each(|buf: Buf| gpu.free(buf));
}

async fn check_rows(
    rows: impl IntoIterator<Item = Sampling>,
    subgroups: Switch,
    workgroup: Option<u32>,
) {
    platform::make_ready().await;
    let mut gpu =
        Gpu::new(GpuOptions { subgroups, workgroup, ..GpuOptions::default() }).await.unwrap();
    for sampling in rows {
        check(&mut gpu, &sampling, 97, 20, false).await;
        check(&mut gpu, &sampling, 97, 20, true).await;
        check(&mut gpu, &sampling, 5003, 8, false).await;
        check(&mut gpu, &sampling, 100_003, 1, false).await;
    }
}

async_test! {
    async fn without_subgroups() {
        check_rows(platform::few(rows()), Switch::Off, None).await;
    }
    async fn with_subgroups() {
        check_rows(platform::few(rows()), Switch::On, None).await;
    }
    async fn in_odd_workgroups() {
        // Each row in one of the two, for all rows run in workgroups of the usual size, with and
        // without subgroups.
        check_rows(platform::few(rows()).into_iter().step_by(2), Switch::Off, Some(37)).await;
        let others = platform::few(rows()).into_iter().skip(1).step_by(2);
        check_rows(others, Switch::On, Some(64)).await;
    }
}
