//! Sampling against the naivest twin, and against transformers.

use std::collections::BTreeMap;

use phi_wasm::Code;
use phi_wasm::text::{Sampler, Sampling};

use super::*;

/// The whole of sampling, written as naively as it can be: sort everything, then keep, then draw by
/// id.
fn naive(
    s: &Sampling,
    never: &[u32],
    prompt: &[u32],
    generated: &[u32],
    logits: &[f32],
    random: f64,
) -> u32 {
    let mut l: Vec<f64> =
        logits.iter().map(|&x| if x.is_nan() { f64::NEG_INFINITY } else { f64::from(x) }).collect();
    for id in 0..l.len() as u32 {
        let x = &mut l[id as usize];
        *x += f64::from(s.logit_bias.get(&id).copied().unwrap_or(0.0));
        let times = generated.iter().filter(|&&g| g == id).count();
        if times > 0 || prompt.contains(&id) {
            let p = f64::from(s.repetition_penalty);
            *x = if *x < 0.0 { *x * p } else { *x / p };
        }
        if times > 0 {
            *x -= f64::from(s.presence_penalty) + times as f64 * f64::from(s.frequency_penalty);
        }
        if never.contains(&id) {
            *x = f64::NEG_INFINITY;
        }
    }
    let mut order: Vec<usize> = (0..l.len()).collect();
    order.sort_by(|&a, &b| l[b].total_cmp(&l[a]).then(a.cmp(&b)));
    if s.temperature == 0.0 {
        return order[0] as u32;
    }
    let weight = |id: usize| ((l[id] - l[order[0]]) / f64::from(s.temperature)).exp();
    let mut kept = order[..if s.top_k == 0 { l.len() } else { s.top_k.min(l.len()) }].to_vec();
    let total: f64 = kept.iter().map(|&id| weight(id)).sum();
    let mut sum = 0.0;
    let last = kept.iter().position(|&id| {
        sum += weight(id);
        sum >= total * f64::from(s.top_p)
    });
    kept.truncate(last.map_or(kept.len(), |last| last + 1));
    kept.retain(|&id| weight(id) >= f64::from(s.min_p));
    if s.typical_p < 1.0 {
        let total: f64 = kept.iter().map(|&id| weight(id)).sum();
        let surprise = |id: usize| -(weight(id) / total).ln();
        let entropy: f64 = kept
            .iter()
            .map(|&id| weight(id) / total)
            .filter(|&p| p > 0.0)
            .map(|p| -p * p.ln())
            .sum();
        kept.sort_by(|&a, &b| {
            (surprise(a) - entropy).abs().total_cmp(&(surprise(b) - entropy).abs())
        });
        let mut sum = 0.0;
        let last = kept.iter().position(|&id| {
            sum += weight(id) / total;
            sum >= f64::from(s.typical_p)
        });
        kept.truncate(last.map_or(kept.len(), |last| last + 1));
    }
    kept.sort();
    let mut left = random * kept.iter().map(|&id| weight(id)).sum::<f64>();
    for &id in &kept {
        left -= weight(id);
        if left < 0.0 {
            return id as u32;
        }
    }
    *kept.last().unwrap() as u32
}

#[test]
fn sampling_is_its_naive_twin() {
    let base = Sampling { temperature: 1.0, seed: Some(11), ..Sampling::default() };
    let rows = [
        ("greedy", Sampling { temperature: 0.0, ..base.clone() }),
        ("temperature", Sampling { temperature: 0.7, ..base.clone() }),
        ("hot", Sampling { temperature: 5.0, ..base.clone() }),
        ("top-k", Sampling { top_k: 5, ..base.clone() }),
        ("top-k 1", Sampling { top_k: 1, ..base.clone() }),
        ("top-k of all", Sampling { top_k: 1000, ..base.clone() }),
        ("top-p", Sampling { top_p: 0.9, ..base.clone() }),
        ("top-p 0", Sampling { top_p: 0.0, ..base.clone() }),
        ("top-p small", Sampling { top_p: 0.01, ..base.clone() }),
        ("min-p", Sampling { min_p: 0.1, ..base.clone() }),
        ("min-p 1", Sampling { min_p: 1.0, ..base.clone() }),
        ("typical-p", Sampling { typical_p: 0.5, ..base.clone() }),
        ("typical-p 0", Sampling { typical_p: 0.0, ..base.clone() }),
        (
            "typical-p after others",
            Sampling { temperature: 2.0, top_k: 40, min_p: 0.01, typical_p: 0.9, ..base.clone() },
        ),
        (
            "all filters",
            Sampling { temperature: 1.3, top_k: 40, top_p: 0.8, min_p: 0.02, ..base.clone() },
        ),
        ("repetition", Sampling { repetition_penalty: 1.7, ..base.clone() }),
        (
            "repetition, greedy",
            Sampling { temperature: 0.0, repetition_penalty: 1.3, ..base.clone() },
        ),
        (
            "presence and frequency",
            Sampling { presence_penalty: 0.5, frequency_penalty: 0.8, ..base.clone() },
        ),
        (
            "bias",
            Sampling {
                logit_bias: [(3, 4.0), (5, f32::NEG_INFINITY), (999, 1.0)].into(),
                ..base.clone()
            },
        ),
    ];
    for (name, sampling) in rows {
        let (n, never, prompt) = (97, [7, 96, 5000], [1, 2, 3, 1]);
        let mut noise = Noise(5);
        let mut sampler = Sampler::new(&sampling, never, 0).unwrap();
        sampler.prompt(&prompt);
        let mut random = Noise(11);
        let mut generated = Vec::new();
        for step in 0..300 {
            let mut logits: Vec<f32> = (0..n).map(|_| (noise.unit() * 16.0 - 8.0) as f32).collect();
            logits[noise.below(n)] = f32::NAN;
            let draw = if sampling.temperature == 0.0 { 0.0 } else { random.unit() };
            let expected = naive(&sampling, &never, &prompt, &generated, &logits, draw);
            let id = sampler.sample(&mut logits);
            assert_eq!(id, expected, "{name}, step {step}");
            generated.push(id);
        }
        assert!(generated.iter().all(|id| !never.contains(id)), "{name}");
    }
}

/// A row of `tests/golden/typical.json`.
#[derive(serde::Deserialize)]
struct Typical {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    typical_p: f32,
    logits: Vec<f32>,
    /// Of the tokens that are kept.
    probabilities: BTreeMap<u32, f64>,
}

#[test]
fn typical_tokens_are_transformers() {
    let rows: Vec<Typical> =
        serde_json::from_str(include_str!("../../golden/typical.json")).unwrap();
    for Typical { temperature, top_k, top_p, min_p, typical_p, logits, probabilities } in rows {
        let mut drawn = BTreeMap::<u32, f64>::new();
        let draws = 20_000;
        let sampling = Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            seed: Some(1),
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(&sampling, [], 0).unwrap();
        for _ in 0..draws {
            *drawn.entry(sampler.sample(&mut logits.clone())).or_default() +=
                1.0 / f64::from(draws);
        }
        assert!(
            drawn.keys().all(|id| probabilities.contains_key(id)),
            "{typical_p}: {drawn:?} of {probabilities:?}"
        );
        for (id, probability) in &probabilities {
            // Five deviations of what so many draws come to.
            let allowed = 5.0 * (probability / f64::from(draws)).sqrt();
            let share = drawn.get(id).copied().unwrap_or(0.0);
            assert!(
                (share - probability).abs() <= allowed,
                "{typical_p}: token {id} at {share} instead of {probability}"
            );
        }
    }
}

#[test]
fn odd_logits_do_not_panic() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows: [(&str, Vec<f32>, u32); 8] = [
        ("ties", vec![1.0, 3.0, 3.0, 3.0], 1),
        ("all NaN", vec![nan; 4], 1),
        ("all impossible", vec![-inf; 4], 1),
        ("infinite", vec![0.0, 1.0, inf, inf], 2),
        ("one possible", vec![nan, -inf, nan, -1e30], 3),
        ("huge", vec![0.0, -3e38, 3e38, -3e38], 2),
        ("zeros of both signs", vec![-9.0, -0.0, 0.0, -1.0], 1),
        ("empty", vec![], 0),
    ];
    for (name, logits, expected) in rows {
        for (temperature, top_k, top_p) in [(0.0, 0, 1.0), (1e-30, 0, 1.0), (1e-30, 2, 0.5)] {
            let sampling = Sampling { temperature, top_k, top_p, ..Sampling::default() };
            let mut sampler = Sampler::new(&sampling, [0], 1).unwrap();
            let id = sampler.sample(&mut logits.clone());
            let tie =
                temperature > 0.0 && ((name == "ties" && top_k == 0) || name.starts_with("zeros"));
            assert!(
                id == expected || (tie && logits[id as usize] == logits[expected as usize]),
                "{name} at {temperature}: {id}"
            );
        }
    }
}

#[test]
fn a_seed_gives_the_same_draws_everywhere() {
    let draw = |seed: Option<u64>, fresh: u64| -> Vec<u32> {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let mut sampler = Sampler::new(&sampling, [], fresh).unwrap();
        (0..12).map(|_| sampler.sample(&mut [0.0; 1000])).collect()
    };
    assert_eq!(draw(Some(42), 1), draw(None, 42));
    assert_ne!(draw(Some(42), 1), draw(Some(43), 1));
    assert_eq!(draw(Some(42), 1), [741, 159, 278, 344, 38, 868, 218, 800, 339, 618, 204, 492]);
}

#[test]
fn sampling_options_are_checked() {
    assert!(Sampling::default().validate().is_ok() && Sampling::default().is_plain_argmax());
    let d = Sampling::default;
    let rows = [
        ("temperature", Sampling { temperature: -0.1, ..d() }),
        ("temperature", Sampling { temperature: f32::NAN, ..d() }),
        ("temperature", Sampling { temperature: f32::INFINITY, ..d() }),
        ("top_p", Sampling { top_p: -0.1, ..d() }),
        ("top_p", Sampling { top_p: 1.5, ..d() }),
        ("min_p", Sampling { min_p: -0.5, ..d() }),
        ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..d() }),
        ("presence_penalty", Sampling { presence_penalty: f32::NAN, ..d() }),
        ("frequency_penalty", Sampling { frequency_penalty: f32::INFINITY, ..d() }),
        ("logit_bias", Sampling { logit_bias: [(1, f32::NAN)].into(), ..d() }),
    ];
    for (name, sampling) in rows {
        let error = Sampler::new(&sampling, [], 0).err().unwrap();
        assert_eq!(error.code, Code::BadOption);
        assert!(error.message.starts_with(name), "{name}: {error}");
        assert!(!sampling.is_plain_argmax() || name.ends_with("_p"));
    }
}
