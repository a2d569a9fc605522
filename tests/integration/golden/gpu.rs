//! The golden answers on a GPU, and what only a GPU does: whole tokens there, drawn there.

use phi_wasm::engine::SampleOptions;
use phi_wasm::gpu::Switch;
use phi_wasm::session::sampler_params;
use phi_wasm::text::{Sampler, Sampling};

use super::*;

/// Logits of the unquantised model in f32 WGSL, whose `exp`, `cos` and division are allowed a few
/// units in the last place more.
const GPU: f32 = 2e-3;
/// Packed weights against the same values unquantised, where activations stay as they are: only the
/// order of sums differs.
const DEQUANTISED: f32 = 1e-3;
/// Logits and hidden states where products are computed in half precision. That rounds inputs,
/// products and sums of four to 11 bits: by up to 2^-8 = 0.004 each where they lie between 8 and
/// 16, as the largest hidden states do. Through three layers it comes to 0.036 (0.024 for logits,
/// 0.028 with packed weights), where the same weights in single precision stay within 0.00003.
/// Nearly three times what it comes to.
const HALVES: f32 = 0.1;

/// Decoding on a device: so many kernels a layer, in one pass and one submission, little that
/// crosses, and nothing made anew. Log-probabilities of it and of so many others take two kernels,
/// and cross in its place. Gives the device back.
async fn a_token_asks_little_of_the_device<B: Backend>(
    backend: B,
    (drawn, log_probs): (bool, Option<u32>),
    kernels: u64,
) -> B {
    const TOKENS: u64 = 8;
    let bytes = log_probs.map_or(4, |top| 8 + 8 * u64::from(1 + top));
    let mut engine = load(tiny_phi(), backend, Bits::Four).await;
    let mut sequence = engine.sequence(None).unwrap();
    engine.plan(&mut sequence, &[5, 6, 7]).unwrap();
    sequence.tell_log_probs(log_probs);
    assert!(begin_sampling(&mut engine, &mut sequence, &Sampler::new(&sampling(), [], 0).unwrap()));
    let mut warm = None;
    for token in 0..2 + TOKENS {
        let next = if drawn {
            engine.sample(&mut sequence).await
        } else {
            engine.greedy(&mut sequence).await
        }
        .unwrap();
        engine.push(&mut sequence, next).unwrap();
        // The first comes out of the prefill, and the second makes what all others need.
        if token == 1 {
            warm = engine.counters();
        }
    }
    let (warm, now) = (warm.unwrap(), engine.counters().unwrap());
    let layers = u64::from(engine.config().num_hidden_layers);
    assert!(
        now.dispatches - warm.dispatches
            <= TOKENS * (kernels * layers + 8 + 2 * u64::from(log_probs.is_some())),
        "{warm:?}, then {now:?}"
    );
    assert_eq!((now.submits - warm.submits, now.passes - warm.passes), (TOKENS, TOKENS));
    assert!(
        now.uploaded - warm.uploaded <= TOKENS * 500
            && now.read_back - warm.read_back <= TOKENS * bytes,
        "{warm:?}, then {now:?}"
    );
    assert_eq!(now.created, warm.created);
    engine.into_backend()
}

fn sampling() -> Sampling {
    let penalties = Sampling {
        repetition_penalty: 1.2,
        presence_penalty: 0.1,
        frequency_penalty: 0.2,
        ..Sampling::default()
    };
    Sampling {
        temperature: 1.5,
        top_k: 60,
        top_p: 0.9,
        min_p: 0.01,
        logit_bias: [(9, 1.0)].into(),
        seed: Some(3),
        ..penalties
    }
}

fn begin_sampling<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    sampler: &Sampler,
) -> bool {
    let sampling = sampler.sampling();
    let (params, bias, seen) = (sampler_params(sampling), &sampling.logit_bias, sampler.seen());
    let options =
        SampleOptions { params, bias, seen, seed: sampler.seed(), place: sampler.chosen() };
    engine.begin_sampling(sequence, options).unwrap()
}

/// Drawn where the logits are, with steps begun ahead and with steps that are left, tokens are
/// those that the sampler draws from the logits.
async fn drawn_tokens_are_the_samplers<B: Backend>(backend: B) {
    let mut engine = load(tiny_phi(), backend, Bits::Four).await;
    let mut sequence = engine.sequence(None).unwrap();
    let prompt = [5, 6, 7, 5];
    let mut answers = [Vec::new(), Vec::new()];
    for (looked_at, answer) in [true, false].into_iter().zip(&mut answers) {
        let mut sampler = Sampler::new(&sampling(), [], 0).unwrap();
        sampler.prompt(&prompt);
        engine.plan(&mut sequence, &prompt).unwrap();
        assert!(begin_sampling(&mut engine, &mut sequence, &sampler));
        for _ in 0..20 {
            let logits =
                if looked_at { Some(engine.logits(&mut sequence).await.unwrap()) } else { None };
            let token = engine.sample(&mut sequence).await.unwrap();
            if let Some(mut logits) = logits {
                assert_eq!(token, sampler.sample(&mut logits));
            }
            answer.push(token);
            engine.push(&mut sequence, token).unwrap();
        }
    }
    assert_eq!(answers[0], answers[1]);
}

async_test! {
    async fn token_path_and_cases() {
        let mut gpu = backends::gpu(Switch::Off, Switch::Auto).await;
        for how in [(false, None), (true, None), (false, Some(0)), (true, Some(5))] {
            gpu = a_token_asks_little_of_the_device(gpu, how, 6).await;
        }
        // It is open, and they are small.
        cases::all(gpu, GPU).await;
    }
    #[cfg_attr(target_family = "wasm", ignore = "as natively, and opening a GPU that the CPU \
        plays takes long there")]
    async fn norms_apart() {
        let options = phi_wasm::gpu::GpuOptions { norms_apart: true, ..Default::default() };
        let gpu = phi_wasm::gpu::Gpu::new(options).await.unwrap();
        let gpu = a_token_asks_little_of_the_device(gpu, (false, None), 8).await;
        cases::all(gpu, GPU).await;
    }
    async fn drawn_tokens() {
        drawn_tokens_are_the_samplers(backends::gpu(Switch::Off, Switch::Auto).await).await;
    }
    #[cfg_attr(target_family = "wasm", ignore = "as natively, and as many kernels as kinds take \
        long to compile where the CPU plays the GPU")]
    async fn mixed() {
        let gpu = backends::gpu(Switch::Off, Switch::Auto).await;
        mixed_weights_are_their_values(gpu, ROUNDED).await;
    }
    // Unpacked weights are never multiplied in whole numbers: the rows below have all else.
    async fn without_integer_dots() {
        let gpu = backends::gpu(Switch::Off, Switch::Off).await;
        packed_weights_are_their_values(gpu, DEQUANTISED).await;
    }
}

on_backend!(in_floats, backends::gpu(Switch::Off, Switch::Auto), Bits::ThirtyTwo, GPU, ROUNDED);
// 16 bits, as weights of 32 are never multiplied in halves.
on_backend!(
    #[cfg_attr(
        target_family = "wasm",
        ignore = "Chromium's software adapter has no f16; in Firefox `cargo xtask test` runs it"
    )]
    in_halves,
    backends::gpu(Switch::On, Switch::Off),
    Bits::Sixteen,
    HALVES,
    HALVES
);
