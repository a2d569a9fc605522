//! Prompts that are read once: what sequences have in common is computed once, and each still has
//! the logits that it would have had alone.

use std::fmt::Display;

use phi_wasm::backend::Backend;
use phi_wasm::cpu::Cpu;
use phi_wasm::engine::{Engine, EngineOptions, Sequence};
use phi_wasm::op::KvKind;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::Bits;

use crate::common::tiny_phi::tiny_phi;
use crate::common::{backends, is_long};
use crate::golden::largest_difference;
use crate::kernels::Noise;

/// Tokens that are read alone and many that are read together are computed by other kernels; of
/// other tokens, logits differ by far more.
const ROUNDED: f32 = 1e-4;

/// And on a GPU beside the CPU.
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
const GPU: f32 = 2e-3;

/// Positions of a page.
const PAGE: usize = phi_wasm::op::PAGE as usize;

async fn engine(ctx_len: usize) -> Engine<Cpu> {
    engine_on(backends::simd().await, ctx_len, KvKind::F32).await
}

async fn engine_on<B: Backend>(backend: B, ctx_len: usize, kv: KvKind) -> Engine<B> {
    let checkpoint = Checkpoint::open(tiny_phi()).await.unwrap();
    let options =
        EngineOptions { format: Bits::ThirtyTwo.into(), ctx_len: Some(ctx_len), kv: Some(kv) };
    Engine::load(&checkpoint, backend, &options, &mut |_| {}).await.unwrap()
}

/// So many tokens that look random, from the same ones on.
fn tokens(seed: u64, count: usize) -> Vec<u32> {
    let mut noise = Noise(seed);
    (0..count).map(|_| 3 + (noise.next() % 380) as u32).collect()
}

/// The logits after some tokens, all of which are read anew.
async fn anew(engine: &mut Engine<Cpu>, tokens: &[u32]) -> Vec<f32> {
    let mut sequence = engine.sequence(None).unwrap();
    engine.plan_rows(&mut sequence, tokens, 0).unwrap();
    engine.logits(&mut sequence).await.unwrap()
}

/// What is the same on the same backend.
fn assert_same(found: &[f32], expected: &[f32], what: impl Display) {
    assert_close(found, expected, ROUNDED, what);
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: impl Display) {
    let largest = largest_difference(found, expected);
    assert!(largest <= tolerance, "{what}: logits differ by {largest}");
}

async_test! {
    async fn conversations_that_take_turns_are_read_once() {
        let (mut engine, mut other) = (engine(1024).await, engine(1024).await);
        let mut sequence = engine.sequence(None).unwrap();
        let begun = tokens(1, 100);
        let conversations = [2, 3].map(|seed| [begun.clone(), tokens(seed, 150)].concat());
        let mut logits = Vec::new();
        for (conversation, cached) in conversations.iter().zip([0, begun.len()]) {
            engine.plan(&mut sequence, conversation).unwrap();
            assert_eq!(sequence.cached(), cached);
            logits.push(engine.logits(&mut sequence).await.unwrap());
            let expected = anew(&mut other, conversation).await;
            assert_same(logits.last().unwrap(), &expected, cached);
        }
        for turn in [0, 1, 0, 1, 1, 0] {
            engine.plan(&mut sequence, &conversations[turn]).unwrap();
            assert_eq!(sequence.pending(), 1, "all but the last token is there");
            assert_same(&engine.logits(&mut sequence).await.unwrap(), &logits[turn], turn);
        }
        engine.forget();
        engine.plan(&mut sequence, &conversations[1]).unwrap();
        assert_eq!(sequence.cached(), begun.len(), "the sequence's own pages it still has");
    }

    async fn sequences_share_pages_and_write_to_none_of_another() {
        let (mut engine, mut other) = (engine(1024).await, engine(1024).await);
        let prompt = tokens(1, 2 * PAGE + 30);
        let [mut first, mut second] = [0; 2].map(|_| engine.sequence(Some(512)).unwrap());
        engine.plan(&mut first, &prompt).unwrap();
        let expected = engine.logits(&mut first).await.unwrap();
        engine.plan(&mut second, &prompt).unwrap();
        assert_eq!(second.cached(), 2 * PAGE, "the page that the first has open is its own");
        assert_same(&engine.logits(&mut second).await.unwrap(), &expected, "shared");
        // They go on differently, across the ends of pages.
        let mut sequences = [(first, tokens(2, 80)), (second, tokens(3, 80))];
        for at in 0..80 {
            for (sequence, more) in &mut sequences {
                engine.push(sequence, more[at]).unwrap();
                let logits = engine.logits(sequence).await.unwrap();
                if at % 20 == 19 {
                    assert_same(&logits, &anew(&mut other, sequence.tokens()).await, at);
                }
            }
        }
    }

    async fn what_was_read_with_other_factors_is_read_anew_and_found_again() {
        // The small model's factors switch after as many tokens as a page has.
        let (mut engine, mut other) = (engine(256).await, engine(256).await);
        let mut sequence = engine.sequence(None).unwrap();
        let all = tokens(5, PAGE + 20);
        let (short, long) = (&all[..PAGE], &all[..]);
        engine.plan(&mut sequence, short).unwrap();
        engine.logits(&mut sequence).await.unwrap();
        engine.push(&mut sequence, all[PAGE]).unwrap();
        assert_eq!(sequence.cached(), 0, "all of it is rotated otherwise");
        engine.logits(&mut sequence).await.unwrap();
        for (ids, cached) in [(long, PAGE + 1), (short, PAGE - 1), (long, PAGE + 19)] {
            engine.plan(&mut sequence, ids).unwrap();
            assert_eq!(sequence.cached(), cached);
            let logits = engine.logits(&mut sequence).await.unwrap();
            assert_same(&logits, &anew(&mut other, ids).await, cached);
        }
    }

    async fn a_full_cache_gives_up_what_nobody_looks_into() {
        let (mut engine, mut other) = (engine(4 * PAGE).await, engine(4 * PAGE).await);
        let [mut first, mut second] = [0; 2].map(|_| engine.sequence(Some(2 * PAGE)).unwrap());
        let held = tokens(1, 2 * PAGE);
        engine.plan(&mut first, &held).unwrap();
        let expected = engine.logits(&mut first).await.unwrap();
        for seed in 2..8 {
            let ids = tokens(seed, PAGE + 40);
            engine.plan(&mut second, &ids).unwrap();
            assert_eq!(second.cached(), 0);
            let logits = engine.logits(&mut second).await.unwrap();
            assert_same(&logits, &anew(&mut other, &ids).await, seed);
        }
        engine.plan(&mut first, &held).unwrap();
        assert_eq!(first.cached(), held.len() - 1);
        assert_same(&engine.logits(&mut first).await.unwrap(), &expected, "held");
    }

    async fn whatever_sequences_do_their_logits_are_those_of_one_alone() {
        let rounds = if is_long() { 10_000 } else { 150 };
        whatever_they_do(backends::simd().await, rounds, (KvKind::F32, ROUNDED)).await;
    }

    async fn whatever_sequences_do_with_pages_that_are_sealed() {
        let rounds = if is_long() { 5000 } else { 60 };
        for kind in SEALED {
            whatever_they_do(backends::simd().await, rounds, kind).await;
        }
    }

    async fn codes_are_close_to_what_they_are_of() {
        let (mut exact, ids) = (engine(512).await, tokens(11, 500));
        let expected = anew(&mut exact, &ids).await;
        for ((kind, _), most) in SEALED.into_iter().zip([0.15, 2.0]) {
            let mut engine = engine_on(backends::simd().await, 512, kind).await;
            let logits = anew(&mut engine, &ids).await;
            let off = largest_difference(&logits, &expected);
            assert!(off > 0.0 && off <= most, "{kind:?}: logits are {off} off");
            // However many tokens are read at once.
            let mut sequence = engine.sequence(None).unwrap();
            engine.plan(&mut sequence, &ids[..1]).unwrap();
            for &id in &ids[1..] {
                engine.logits(&mut sequence).await.unwrap();
                engine.push(&mut sequence, id).unwrap();
            }
            let singly = engine.logits(&mut sequence).await.unwrap();
            assert!(largest_difference(&singly, &logits) <= most / 10.0, "{kind:?}");
        }
    }
}

/// Kinds that are sealed, and what logits may differ by: what is nearly half way between two codes
/// may become either.
const SEALED: [(KvKind, f32); 2] = [(KvKind::Int8, 5e-3), (KvKind::Int4, 5e-2)];

/// On a device, steps are begun ahead, and left.
#[cfg(all(feature = "gpu-tests", not(target_family = "wasm")))]
#[test]
fn whatever_sequences_do_on_a_gpu() {
    use phi_wasm::gpu::Switch;
    pollster::block_on(async {
        let rounds = if is_long() { 1000 } else { 25 };
        for kind in [(KvKind::F32, GPU), SEALED[0], SEALED[1]] {
            let gpu = backends::gpu(Switch::Off, Switch::Off).await;
            whatever_they_do(gpu, rounds, kind).await;
        }
    });
}

/// So many random steps of three sequences that share a small cache: each begins anew, goes on,
/// goes back, or becomes what another is.
async fn whatever_they_do<B: Backend>(backend: B, rounds: usize, (kind, tolerance): (KvKind, f32)) {
    // Three of four pages, of which the first and the open one take more.
    let ctx_len = (12 + 4 * kind.exact_pages() as usize) * PAGE;
    let (mut engine, mut other) = (
        engine_on(backend, ctx_len, kind).await,
        engine_on(backends::simd().await, ctx_len, kind).await,
    );
    let mut noise = Noise(7);
    let mut below = |most: usize| (noise.next() % most as u64) as usize;
    let mut sequences: Vec<Option<Sequence>> = [None, None, None].into();
    for round in 0..rounds {
        let (at, source) = (below(3), below(3));
        let most = 4 * PAGE - 2;
        let known = |of: usize| {
            sequences[of]
                .as_ref()
                .map_or(Vec::new(), |sequence: &Sequence| sequence.tokens().into())
        };
        let mut ids: Vec<u32> = match below(4) {
            0 => tokens(below(3) as u64, 1 + below(most)),
            1 => known(source),
            2 => {
                let ids = known(at);
                ids[..ids.len().min(1 + below(most))].to_vec()
            }
            _ => known(at),
        };
        ids.truncate(most);
        let more = [0, 1, 2, 70][below(4)].min(most - ids.len()).max(usize::from(ids.is_empty()));
        ids.extend(tokens(below(2) as u64 + 50, more));
        if below(16) == 0 {
            sequences[at] = None;
        }
        if below(40) == 0 {
            engine.forget();
        }
        let sequence =
            sequences[at].get_or_insert_with(|| engine.sequence(Some(4 * PAGE)).unwrap());
        engine.plan(sequence, &ids).unwrap();
        if below(3) == 0 {
            // Left half-way.
            engine.advance(sequence).await.unwrap();
            continue;
        }
        for _ in 0..below(3) {
            let chosen = engine.greedy(sequence).await.unwrap();
            let token = if below(3) == 0 { 3 + below(5) as u32 } else { chosen };
            engine.push(sequence, token).unwrap();
        }
        let logits = engine.logits(sequence).await.unwrap();
        let expected = anew(&mut other, sequence.tokens()).await;
        let what = format!("round {round}: {} tokens", sequence.tokens().len());
        assert_close(&logits, &expected, tolerance, what);
    }
}

/// What a session is asked, and how many tokens of it the cache had.
#[cfg(all(feature = "cli", not(target_family = "wasm")))]
mod of_sessions {
    use phi_wasm::cpu::{Cpu, CpuOptions};
    use phi_wasm::session::{Event, GenerateOptions, Generation, LoadOptions, Session, Stats};
    use phi_wasm::text::{Message, Sampling};
    use pollster::block_on;

    use crate::common::tiny_phi::tiny_chat;

    async fn session() -> Session<Cpu> {
        let options = LoadOptions { ctx_len: Some(1024), ..LoadOptions::default() };
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        Session::open(tiny_chat(), cpu, &options, &mut |_| {}).await.unwrap()
    }

    fn begin(session: &mut Session<Cpu>, asked: &str) -> Generation {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        let options = GenerateOptions { max_tokens: 30, sampling, ..GenerateOptions::default() };
        session.begin_chat(&[Message::user(asked)], &options).unwrap()
    }

    /// What comes next of an answer: its figures at the end.
    async fn next(
        session: &mut Session<Cpu>,
        (generation, said): &mut (Generation, String),
    ) -> Option<Stats> {
        match session.next(generation).await.unwrap() {
            Some(Event::Text { text, .. }) => said.push_str(&text),
            Some(Event::Done(stats)) => return Some(stats),
            _ => {}
        }
        None
    }

    async fn answer(session: &mut Session<Cpu>, asked: &str) -> (String, Stats) {
        let mut answer = (begin(session, asked), String::new());
        loop {
            if let Some(stats) = next(session, &mut answer).await {
                return (answer.1, stats);
            }
        }
    }

    #[test]
    fn a_conversation_that_is_taken_up_again_is_not_read_again() {
        block_on(async {
            let mut session = session().await;
            let asked = ["a", "b"].map(|letter| letter.repeat(150));
            let mut said = Vec::new();
            for asked in &asked {
                let (text, stats) = answer(&mut session, asked).await;
                assert!(stats.prompt_tokens > 150 && stats.cached_tokens < 10, "{stats:?}");
                said.push(text);
            }
            for turn in [0, 1, 0] {
                let (text, stats) = answer(&mut session, &asked[turn]).await;
                assert_eq!((stats.cached_tokens + 1, &text), (stats.prompt_tokens, &said[turn]));
            }
        });
    }

    #[test]
    fn answers_that_take_turns_say_what_each_says_alone() {
        block_on(async {
            let (mut session, mut other) = (session().await, session().await);
            let asked = ["c", "d", "e"].map(|letter| letter.repeat(100));
            let mut answers =
                asked.each_ref().map(|asked| (begin(&mut session, asked), String::new()));
            let mut left = vec![0, 1, 2];
            while !left.is_empty() {
                let mut rest = Vec::new();
                for at in left {
                    if next(&mut session, &mut answers[at]).await.is_none() {
                        rest.push(at);
                    }
                }
                left = rest;
            }
            for (asked, (_, said)) in asked.iter().zip(&answers) {
                assert_eq!(&answer(&mut other, asked).await.0, said);
            }
        });
    }
}
