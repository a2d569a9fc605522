//! The engine against what transformers computes in float32: `tests/golden/tiny-phi`, a random
//! Phi-4-mini in small.
//!
//! The rows at the end run every check on a backend. Tolerances stand at the beginning, of the GPU
//! in `gpu.rs`.

use std::collections::BTreeMap;

use phi_wasm::Code;
use phi_wasm::backend::Backend;
use phi_wasm::engine::{Engine, EngineOptions, SampleOptions, Sequence, Tokens};
use phi_wasm::layout::Kind;
use phi_wasm::layout::panel::Panel;
use phi_wasm::op::KvKind;
use phi_wasm::session::sampler_params;
use phi_wasm::text::Sampling;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::{Bits, WeightFormat};
use phi_wasm::weights::source::MemorySource;
use safetensors::tensor::{Dtype, TensorView};

use crate::common::backends;
use crate::common::mixed::mixed;
use crate::common::tiny_phi::{CONFIG, Golden, tiny_phi};

/// Logits of the unquantised model, float kernels on the CPU.
const CPU: f32 = 1e-4;
/// Packed weights against the same values unquantised, where activations become whole numbers of 15
/// bits, each moving by up to 1/32512 of the largest of its 32. Four times what it comes to.
const ROUNDED: f32 = 1e-2;

async fn load<B: Backend>(
    source: MemorySource,
    backend: B,
    format: impl Into<WeightFormat>,
) -> Engine<B> {
    let checkpoint = Checkpoint::open(source).await.unwrap();
    let (format, kv) = (format.into(), Some(KvKind::F32));
    let options = EngineOptions { format, ctx_len: Some(256), kv };
    Engine::load(&checkpoint, backend, &options, &mut |_| {}).await.unwrap()
}

/// Logits of every position, `[tokens, vocab]`.
async fn all_logits<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    ids: &[u32],
) -> Vec<f32> {
    let mut all = Vec::new();
    engine.plan_rows(sequence, ids, 0).unwrap();
    while sequence.pending() > 0 {
        engine.advance(sequence).await.unwrap();
        engine.chunk_logits(sequence, &mut |_, row| all.extend_from_slice(row)).await.unwrap();
    }
    all
}

/// All that is asked of a backend with weights as the reference has them. The model is loaded once:
/// a GPU that the CPU plays takes long to open.
async fn answers_are_the_references<B: Backend>(backend: B, bits: Bits, tolerance: f32) {
    let golden = Golden::tiny_phi();
    let mut engine = load(tiny_phi(), backend, bits).await;
    sequences_take_turns(&mut engine, &golden).await;
    let mut sequence = engine.sequence(None).unwrap();
    what_is_cached_changes_nothing(&mut engine, &mut sequence, &golden).await;
    logits_are_the_references(&mut engine, &mut sequence, &golden, tolerance).await;
    log_probs::are_the_references(&mut engine, &mut sequence, &golden, tolerance).await;
    hidden_states_are_the_references(&mut engine, &mut sequence, &golden, tolerance).await;
    greedy_text_crosses_the_switch(&mut engine, &mut sequence, &golden).await;
}

async fn logits_are_the_references<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
    tolerance: f32,
) {
    // `long` lies beyond the LongRoPE switch, `edge` ends right at it, and going back to `short`
    // must switch back.
    for case in ["short", "edge", "long", "short"] {
        let ids = golden.ids(&format!("{case}.ids"));
        let logits = all_logits(engine, sequence, &ids).await;
        let difference = largest_difference(&logits, &floats(golden, &format!("{case}.logits")));
        if difference > tolerance || difference.is_nan() {
            panic!(
                "{case}: logits differ by {difference}; {}",
                where_it_begins(engine, sequence, golden, case, tolerance).await
            );
        }
    }
}

fn floats(golden: &Golden, name: &str) -> Vec<f32> {
    golden
        .bytes(name, Dtype::F32)
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// The first layer whose hidden states differ.
async fn where_it_begins<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
    case: &str,
    tolerance: f32,
) -> String {
    let states = engine.hidden_states(sequence, &golden.ids(&format!("{case}.ids"))).await.unwrap();
    for (layer, state) in states.iter().enumerate() {
        let difference =
            largest_difference(state, &floats(golden, &format!("{case}.hidden.{layer}")));
        if difference > tolerance || difference.is_nan() {
            return format!("hidden states differ first at {layer}, by {difference}");
        }
    }
    "the hidden states agree, so it is the head".into()
}

async fn hidden_states_are_the_references<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
    tolerance: f32,
) {
    let states = engine.hidden_states(sequence, &golden.ids("long.ids")).await.unwrap();
    assert_eq!(states.len(), 4, "the embeddings and three layers");
    for (layer, state) in states.iter().enumerate() {
        let difference =
            largest_difference(state, &floats(golden, &format!("long.hidden.{layer}")));
        assert!(difference <= tolerance, "hidden state {layer} differs by {difference}");
    }
}

async fn greedy_text_crosses_the_switch<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
) {
    let expected = golden.ids("greedy.ids");
    engine.plan(sequence, &golden.ids("short.ids")).unwrap();
    assert_eq!(greedy(engine, sequence, expected.len(), &[]).await, expected);
}

async fn packed_weights_are_their_values<B: Backend>(mut backend: B, tolerance: f32) {
    let ids = Golden::tiny_phi().ids("long.ids");
    for bits in [Bits::Four, Bits::Eight] {
        let mut logits = Vec::new();
        for (source, bits) in [
            (tiny_phi(), bits),
            (with_dequantised_weights(tiny_phi(), bits).await, Bits::ThirtyTwo),
        ] {
            let mut engine = load(source, backend, bits).await;
            let mut sequence = engine.sequence(None).unwrap();
            logits.push(all_logits(&mut engine, &mut sequence, &ids).await);
            backend = engine.into_backend();
        }
        let difference = largest_difference(&logits[0], &logits[1]);
        assert!(difference <= tolerance, "{bits:?}: {difference}");
    }
}

/// Fused projections whose parts are held in kinds of their own compute what their values do, for
/// many tokens and for one.
async fn mixed_weights_are_their_values<B: Backend>(mut backend: B, tolerance: f32) {
    let mut logits = Vec::new();
    for format in [Kind::F32.into(), WeightFormat::EXACT] {
        let mut engine = load(mixed(), backend, format).await;
        let mut sequence = engine.sequence(None).unwrap();
        let ids: Vec<u32> = (0..40).map(|i| i * 7 % 64).collect();
        let mut all = all_logits(&mut engine, &mut sequence, &ids).await;
        engine.push(&mut sequence, 5).unwrap();
        all.extend(engine.logits(&mut sequence).await.unwrap());
        logits.push(all);
        let alike = engine.estimate_on(backends::simd().await, Tokens { read: 8, written: 2 });
        assert!(alike.await.unwrap() > 0.0, "layers of the same kinds can be timed elsewhere");
        backend = engine.into_backend();
    }
    let difference = largest_difference(&logits[0], &logits[1]);
    assert!(difference <= tolerance, "{difference}");
}

async fn what_is_cached_changes_nothing<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    golden: &Golden,
) {
    let ids = golden.ids("edge.ids");
    engine.plan(sequence, &ids).unwrap();
    let fresh = engine.logits(sequence).await.unwrap();
    // Another ending, of which 40 tokens come from the cache, then the first again.
    let mut other = ids[..40].to_vec();
    other.extend([5, 6, 7]);
    engine.plan(sequence, &other).unwrap();
    assert_eq!(sequence.pending(), 3);
    engine.logits(sequence).await.unwrap();
    engine.plan(sequence, &ids).unwrap();
    assert_eq!(sequence.pending(), 1, "nothing of the first is lost");
    let again = engine.logits(sequence).await.unwrap();
    assert!(largest_difference(&fresh, &again) <= CPU, "cached keys and values give other logits");
}

/// A model whose matrices hold, in f32, exactly what they are worth when packed.
async fn with_dequantised_weights(source: MemorySource, bits: Bits) -> MemorySource {
    let checkpoint = Checkpoint::open(source).await.unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (name, shape) in checkpoint.config.matrices() {
        let mut values = Vec::new();
        let mut take = |_: usize, panel: Panel| {
            assert_ne!(panel.kind, Kind::F32);
            (0..panel.rows).for_each(|row| values.extend(panel.row(row)));
            Ok(())
        };
        checkpoint.panels(&name, shape, bits, &mut take).await.unwrap();
        tensors.push((name, shape.to_vec(), values));
    }
    for (name, len) in checkpoint.config.vectors() {
        let values = checkpoint.vector(&name, len).await.unwrap();
        tensors.push((name, vec![len], values));
    }
    let views = tensors.iter().map(|(name, shape, values)| {
        (
            name.clone(),
            TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).unwrap(),
        )
    });
    let file = safetensors::serialize(views, None).unwrap();
    MemorySource::directory([("config.json", CONFIG.to_vec()), ("model.safetensors", file)])
}

/// Greedy continuation of what the engine has planned: at most `count` ids, ending before one of
/// `stop`.
async fn greedy<B: Backend>(
    engine: &mut Engine<B>,
    sequence: &mut Sequence,
    count: usize,
    stop: &[u32],
) -> Vec<u32> {
    let mut answer = Vec::new();
    while answer.len() < count {
        let logits = engine.logits(sequence).await.unwrap();
        // The first of equal logits, as torch's argmax on the CPU.
        let best = (0..logits.len())
            .max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a)))
            .unwrap() as u32;
        assert_eq!(
            engine.greedy(sequence).await.unwrap(),
            best,
            "the choice made where the logits are"
        );
        answer.push(best);
        if stop.contains(&best) {
            break;
        }
        engine.push(sequence, best).unwrap();
    }
    answer
}

/// How tokens are chosen for a sequence: the largest logit's, or by the sampler where the backend
/// draws.
fn begin<B: Backend>(engine: &mut Engine<B>, (prompt, seed): &Turn) -> Sequence {
    let mut sequence = engine.sequence(Some(128)).unwrap();
    engine.plan(&mut sequence, prompt).unwrap();
    if let Some(seed) = *seed {
        let sampling = Sampling {
            temperature: 1.5,
            repetition_penalty: 1.3,
            logit_bias: [(9, seed as f32)].into(),
            ..Sampling::default()
        };
        let (params, bias, seen) = (
            sampler_params(&sampling),
            &sampling.logit_bias,
            &prompt.iter().map(|&id| (id, 0)).collect(),
        );
        engine
            .begin_sampling(&mut sequence, SampleOptions { params, bias, seen, seed, place: 0 })
            .unwrap();
    }
    sequence
}

/// Whether the backend draws.
fn draws<B: Backend>(engine: &mut Engine<B>) -> bool {
    let mut sequence = engine.sequence(Some(1)).unwrap();
    let (params, bias, seen) =
        (sampler_params(&Sampling::default()), &BTreeMap::new(), &BTreeMap::new());
    engine
        .begin_sampling(&mut sequence, SampleOptions { params, bias, seen, seed: 0, place: 0 })
        .unwrap()
}

/// A prompt, and the seed where tokens are drawn.
type Turn = (Vec<u32>, Option<u64>);

/// One token more; the logits before it, now and then.
async fn step<B: Backend>(engine: &mut Engine<B>, sequence: &mut Sequence, drawn: bool) -> u32 {
    if sequence.tokens().len().is_multiple_of(5) {
        engine.logits(sequence).await.unwrap();
    }
    let token =
        if drawn { engine.sample(sequence).await } else { engine.greedy(sequence).await }.unwrap();
    engine.push(sequence, token).unwrap();
    token
}

/// Two that take turns at every token say what each says alone, whether tokens are the most
/// probable or drawn, on either side of the switch.
async fn sequences_take_turns<B: Backend>(engine: &mut Engine<B>, golden: &Golden) {
    const TOKENS: usize = 24;
    let draws = draws(engine);
    let turns: [Turn; 4] = [
        (golden.ids("short.ids"), None),
        (golden.ids("edge.ids"), None),
        (vec![5, 6, 7], draws.then_some(3)),
        (golden.ids("short.ids"), draws.then_some(4)),
    ];
    let mut alone = Vec::new();
    for turn in &turns {
        let mut sequence = begin(engine, turn);
        let mut answer = Vec::new();
        for _ in 0..TOKENS {
            answer.push(step(engine, &mut sequence, turn.1.is_some()).await);
        }
        alone.push(answer);
    }
    let mut untold = begin(engine, &turns[0]);
    assert_eq!(
        step(engine, &mut untold, true).await,
        alone[0][0],
        "what nobody was told to draw is the largest logit's"
    );
    drop(untold);
    for [a, b] in [[0, 1], [2, 3], [0, 3], [2, 1]] {
        engine.forget();
        let mut both = [a, b].map(|turn| (turn, begin(engine, &turns[turn]), Vec::new()));
        assert_eq!(
            engine.sequence(Some(1)).err().unwrap().code,
            Code::OutOfMemory,
            "two have all that there is"
        );
        for _ in 0..TOKENS {
            for (turn, sequence, answer) in &mut both {
                answer.push(step(engine, sequence, turns[*turn].1.is_some()).await);
            }
        }
        for (turn, _, answer) in both {
            assert_eq!(answer, alone[turn], "{a} and {b}: {turn}");
        }
    }
}

/// The largest absolute difference; NaN where there is one.
pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "different lengths");
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d.is_nan() || worst.is_nan() { f32::NAN } else { d.max(worst) })
}

/// Every check on one backend: against the reference with weights of these bits, which are the
/// model's own, and with packed ones.
macro_rules! on_backend {
    ($(#[$meta:meta])* $name:ident, $make:expr, $bits:expr, $tolerance:expr, $dequantised:expr) => {
        mod $name {
            use super::*;
            async_test! {
                $(#[$meta])* async fn reference() {
                    answers_are_the_references($make.await, $bits, $tolerance).await
                }
                $(#[$meta])* async fn dequantised() {
                    packed_weights_are_their_values($make.await, $dequantised).await
                }
            }
        }
    };
}

on_backend!(portable, backends::portable(), Bits::ThirtyTwo, CPU, ROUNDED);
on_backend!(simd, backends::simd(), Bits::ThirtyTwo, CPU, ROUNDED);

async_test! {
    async fn mixed_portable() {
        mixed_weights_are_their_values(backends::portable().await, ROUNDED).await;
    }
    async fn mixed_simd() {
        mixed_weights_are_their_values(backends::simd().await, ROUNDED).await;
    }
}

mod cases;
#[cfg(any(target_os = "unknown", all(feature = "gpu-tests", not(target_family = "wasm"))))]
mod gpu;
mod log_probs;
