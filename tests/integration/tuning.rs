//! Timing the variants of the GPU's kernels on a model: what is found computes rightly, is kept,
//! and is taken up the next time.

use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::gpu::{Gpu, GpuOptions, Tune, Tuning};
use phi_wasm::op::KvKind;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::Bits;
use pollster::block_on;
use serde_json::Value;

use crate::common::tiny_phi::{Golden, tiny_phi};

/// A tiny model on a GPU opened so, what it found out, and the variants in use before the model was
/// there.
fn load(tune: Option<Tune>) -> (Engine<Gpu>, Tuning) {
    block_on(async {
        let gpu = Gpu::new(GpuOptions { tune, ..GpuOptions::default() }).await.unwrap();
        let tuning = gpu.tuning();
        let checkpoint = Checkpoint::open(tiny_phi()).await.unwrap();
        let options =
            EngineOptions { format: Bits::Four.into(), ctx_len: Some(256), kv: Some(KvKind::F32) };
        (Engine::load(&checkpoint, gpu, &options, &mut |_| {}).await.unwrap(), tuning)
    })
}

fn tune(known: &str, anew: bool) -> Option<Tune> {
    Some(Tune { known: known.to_owned(), host: "a test".to_owned(), anew })
}

fn answer(engine: &mut Engine<Gpu>) -> Vec<u32> {
    block_on(async {
        let mut sequence = engine.sequence(None).unwrap();
        engine.plan(&mut sequence, &Golden::tiny_phi().ids("short.ids")).unwrap();
        let mut answer = Vec::new();
        for _ in 0..12 {
            answer.push(engine.greedy(&mut sequence).await.unwrap());
            engine.push(&mut sequence, answer[answer.len() - 1]).unwrap();
        }
        answer
    })
}

#[test]
fn what_was_timed_is_kept_and_taken_up() {
    let (mut plain, default) = load(None);
    assert_eq!(plain.tuned(), None);
    let (mut engine, _) = load(tune("", true));
    assert_eq!(answer(&mut engine), answer(&mut plain));

    let found = engine.tuned().unwrap().to_owned();
    let mut known: Value = serde_json::from_str(&found).unwrap();
    let tuning = known.as_object_mut().unwrap().values_mut().next().unwrap();
    // What no timing would choose, so that it can come from nowhere else.
    tuning["quads"] = 3.into();
    let (engine, taken_up) = load(tune(&known.to_string(), false));
    assert_eq!((taken_up.quads, engine.tuned()), (3, None), "what is known is not timed again");

    // Elsewhere it counts as nothing, nor does what no device has or nobody wrote. Programs on the
    // CPU are then left as they are.
    for odd in [
        found.replace("a test", "another browser"),
        known.to_string().replace(":3", ":3000"),
        "{]".to_owned(),
    ] {
        let (engine, taken_up) = load(tune(&odd, false));
        assert_eq!((taken_up, engine.tuned()), (default, None), "{odd}");
    }
    let (engine, _) = load(tune(&found.replace("a test", "another browser"), true));
    let both: Value = serde_json::from_str(engine.tuned().unwrap()).unwrap();
    assert_eq!(both.as_object().unwrap().len(), 2, "what is known of others is kept");
}
