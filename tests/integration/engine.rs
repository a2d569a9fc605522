//! What the engine refuses, and that a refusal changes nothing.

use phi_wasm::Code;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::source::MemorySource;

use crate::common::tiny_phi::{Golden, tiny_phi};

async fn engine(source: MemorySource, ctx_len: Option<usize>) -> phi_wasm::Result<Engine<Cpu>> {
    let checkpoint = Checkpoint::open(source).await?;
    let options = EngineOptions { format: Bits::ThirtyTwo.into(), ctx_len, kv: None };
    Engine::load(&checkpoint, Cpu::new(CpuOptions::default())?, &options, &mut |_| {}).await
}

async_test! {
    async fn a_context_that_the_model_does_not_know_is_refused() {
        for ctx_len in [0, 2049] {
            let error = engine(tiny_phi(), Some(ctx_len)).await.err().unwrap();
            assert_eq!(error.code, Code::BadOption, "{error}");
        }
        assert_eq!(engine(tiny_phi(), None).await.unwrap().ctx_len(), 2048);
    }

    async fn bad_tokens_are_refused_and_the_sequence_stays() {
        let golden = Golden::tiny_phi();
        let mut engine = engine(tiny_phi(), Some(32)).await.unwrap();
        let mut sequence = engine.sequence(None).unwrap();
        let good = golden.ids("short.ids");
        engine.plan(&mut sequence, &good).unwrap();
        let before = engine.logits(&mut sequence).await.unwrap();

        let too_long = vec![5; 33];
        for (tokens, code) in [
            (&[5, 384][..], Code::BadToken),
            (&[], Code::BadOption),
            (&too_long, Code::PromptTooLong),
        ] {
            let error = engine.plan(&mut sequence, tokens).unwrap_err();
            assert_eq!(error.code, code, "{error}");
            assert_eq!(sequence.tokens(), good);
        }
        assert_eq!(engine.push(&mut sequence, 384).unwrap_err().code, Code::BadToken);
        assert_eq!(engine.logits(&mut sequence).await.unwrap(), before);
    }

    async fn a_full_context_takes_no_more() {
        let mut engine = engine(tiny_phi(), Some(24)).await.unwrap();
        let mut sequence = engine.sequence(None).unwrap();
        engine.plan(&mut sequence, &Golden::tiny_phi().ids("short.ids")).unwrap();
        engine.logits(&mut sequence).await.unwrap();
        assert_eq!(engine.push(&mut sequence, 5).unwrap_err().code, Code::ContextFull);
    }

    async fn sequences_share_the_context_and_give_it_back() {
        let mut engine = engine(tiny_phi(), Some(256)).await.unwrap();
        for ctx_len in [0, 257] {
            assert_eq!(engine.sequence(Some(ctx_len)).err().unwrap().code, Code::BadOption);
        }
        let [first, second, third] =
            [64, 65, 1].map(|ctx_len| engine.sequence(Some(ctx_len)).unwrap());
        let error = engine.sequence(Some(1)).err().unwrap();
        assert!(error.code == Code::OutOfMemory && error.message.contains("0 are free"), "{error}");
        drop(second);
        let error = engine.sequence(Some(129)).err().unwrap();
        assert!(error.message.contains("128 are free"), "{error}");
        let again = [4, 50].map(|ctx_len| engine.sequence(Some(ctx_len)).unwrap());
        drop((first, again));
        assert_eq!(engine.sequence(Some(177)).unwrap().ctx_len(), 177);
        drop(third);
        assert_eq!(engine.sequence(None).unwrap().ctx_len(), 256);
    }

    async fn a_sequence_of_another_engine_is_refused() {
        let mut one = engine(tiny_phi(), Some(8)).await.unwrap();
        let mut other = engine(tiny_phi(), Some(8)).await.unwrap();
        let mut sequence = one.sequence(None).unwrap();
        one.plan(&mut sequence, &[5]).unwrap();
        assert_eq!(other.plan(&mut sequence, &[6, 7]).unwrap_err().code, Code::Internal);
        assert_eq!(other.push(&mut sequence, 5).unwrap_err().code, Code::Internal);
        assert_eq!(other.logits(&mut sequence).await.unwrap_err().code, Code::Internal);
        let empty = one.sequence(Some(1)).err().unwrap();
        assert_eq!(empty.code, Code::OutOfMemory);
        one.logits(&mut sequence).await.unwrap();
    }

    async fn stopping_between_chunks_loses_nothing() {
        let ids: Vec<u32> = (0..700).map(|i| 3 + i * 7 % 380).collect();
        let mut straight = engine(tiny_phi(), None).await.unwrap();
        let mut straight_sequence = straight.sequence(None).unwrap();
        straight.plan(&mut straight_sequence, &ids).unwrap();
        let expected = straight.logits(&mut straight_sequence).await.unwrap();

        let mut stopped = engine(tiny_phi(), None).await.unwrap();
        let mut stopped_sequence = stopped.sequence(None).unwrap();
        stopped.plan(&mut stopped_sequence, &ids).unwrap();
        assert_eq!(stopped.advance(&mut stopped_sequence).await.unwrap(), 700 - 128);
        // Somebody stops here and asks the same again: the first chunk is still good.
        stopped.plan(&mut stopped_sequence, &ids).unwrap();
        assert_eq!(stopped_sequence.pending(), 700 - 128);
        assert_eq!(stopped.logits(&mut stopped_sequence).await.unwrap(), expected);
    }
}

/// The small model with a context so long that its cache fits no memory.
#[cfg(not(target_family = "wasm"))]
#[test]
fn memory_that_cannot_be_had_is_a_clear_error() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-phi");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.join("config.json")).unwrap()).unwrap();
    config["max_position_embeddings"] = (1u64 << 30).into();
    let weights = std::fs::read(directory.join("model.safetensors")).unwrap();
    let source = MemorySource::directory([
        ("config.json", serde_json::to_vec(&config).unwrap()),
        ("model.safetensors", weights),
    ]);
    let error = pollster::block_on(engine(source, Some(1 << 30))).err().unwrap();
    assert_eq!(error.code, Code::OutOfMemory, "{error}");
    assert!(error.message.contains("KV cache"), "{error}");
}
