//! What of a long context can be had back: random tokens stand far back, and come once more. Of
//! perplexity they are too small a part, and copying them asks for keys and values that are right.

use std::fs;
use std::path::Path;

use phi_wasm::op::KvKind;
use phi_wasm::session::{LoadOptions, Session};
use phi_wasm::weights::source::DirSource;

use crate::common::{backends, is_long};
use crate::kernels::Noise;

/// Tokens that are to be copied.
const NEEDLE: usize = 128;

/// Filler with a needle in it, and its beginning at the end once more: all but its last token.
fn haystack(filler: &[u32], tokens: usize, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut noise = Noise(seed + 1);
    let mut below = |most: usize| (noise.next() % most as u64) as usize;
    let needle: Vec<u32> = (0..NEEDLE).map(|_| 1000 + below(40_000) as u32).collect();
    let filler = &filler[..tokens - 2 * NEEDLE];
    let (before, after) = filler.split_at(64 + below(filler.len() / 3));
    let mut ids = [before, &needle, after, &needle].concat();
    ids.pop();
    (ids, needle)
}

/// The share of the needle's tokens that are chosen where it comes again, but for the first, in
/// percent, over all seeds.
async fn copied(kv: KvKind, lengths: &[usize]) -> f64 {
    let ctx_len = lengths.iter().max().copied();
    let options = LoadOptions { ctx_len, kv: Some(kv), ..LoadOptions::default() };
    let source = DirSource::open(super::smollm2()).unwrap();
    let mut session =
        Session::open(source, backends::simd().await, &options, &mut |_| {}).await.unwrap();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quant/text.txt");
    let filler = session.tokenizer().encode(&fs::read_to_string(text).unwrap(), true).unwrap();
    let (engine, sequence) = session.engine_and_sequence();
    let mut right = 0;
    for (seed, &tokens) in lengths.iter().enumerate() {
        let (ids, needle) = haystack(&filler, tokens, seed as u64);
        engine.forget();
        engine.plan(sequence, &ids).unwrap();
        let begin = ids.len() - (NEEDLE - 1);
        while sequence.pending() > 0 {
            engine.advance(sequence).await.unwrap();
            if sequence.cached() <= begin {
                continue;
            }
            let mut see = |position: usize, logits: &[f32]| {
                let chosen = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                if let Some(at) = position.checked_sub(begin)
                    && chosen == Some(needle[at + 1] as usize)
                {
                    right += 1;
                }
            };
            engine.chunk_logits(sequence, &mut see).await.unwrap();
        }
    }
    100.0 * f64::from(right) / (lengths.len() * (NEEDLE - 1)) as f64
}

#[test]
fn what_stands_far_back_is_copied_from_codes_too() {
    let lengths: Vec<usize> =
        if is_long() { (0..10).map(|seed| [4096, 6144][seed % 2]).collect() } else { vec![700] };
    let [exact, eight, four] = [KvKind::F16, KvKind::Int8, KvKind::Int4]
        .map(|kv| pollster::block_on(copied(kv, &lengths)));
    println!("copied: {exact:.1} % with f16, {eight:.1} % with int8, {four:.1} % with int4");
    assert!(exact > 60.0, "nothing is told by a model that copies {exact} % itself");
    assert!((eight - exact).abs() <= 1.0, "{eight} % with int8, {exact} % with f16");
    assert!(four >= exact - 6.0, "{four} % with int4, {exact} % with f16");
}
