//! A profile is whole: it has every dispatch, with the bytes and operations that the model's sizes
//! say. Nothing here asks how fast.

use phi_wasm::backend::{Backend, Counters};
use phi_wasm::engine::{Engine, EngineOptions};
use phi_wasm::gpu::{Gpu, GpuOptions};
use phi_wasm::profile::Kernel;
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::Bits;
use pollster::block_on;
use serde_json::Value;

use crate::bench::phi;
use crate::common::tiny_phi::{Golden, tiny_phi};

async fn load(options: GpuOptions) -> Engine<Gpu> {
    let checkpoint = Checkpoint::open(tiny_phi()).await.unwrap();
    let gpu = Gpu::new(options).await.unwrap();
    let options = EngineOptions { format: Bits::Four.into(), ctx_len: Some(64), kv: None };
    Engine::load(&checkpoint, gpu, &options, &mut |_| {}).await.unwrap()
}

fn profiling() -> GpuOptions {
    GpuOptions { profile: true, ..GpuOptions::default() }
}

/// Two tokens after the prompt, the kernels of the second one, and what the device was asked for
/// it.
async fn second_token(engine: &mut Engine<Gpu>) -> ([u32; 2], Option<Vec<Kernel>>, Counters) {
    let mut sequence = engine.sequence(None).unwrap();
    engine.plan(&mut sequence, &Golden::tiny_phi().ids("short.ids")).unwrap();
    let first = engine.greedy(&mut sequence).await.unwrap();
    engine.push(&mut sequence, first).unwrap();
    engine.take_kernels().await.unwrap();
    let before = engine.counters().unwrap();
    let second = engine.greedy(&mut sequence).await.unwrap();
    let after = engine.counters().unwrap();
    let asked = Counters {
        dispatches: after.dispatches - before.dispatches,
        submits: after.submits - before.submits,
        passes: after.passes - before.passes,
        ..Counters::default()
    };
    ([first, second], engine.take_kernels().await.unwrap(), asked)
}

fn total(kernels: &[Kernel], figure: fn(&Kernel) -> u64) -> u64 {
    kernels.iter().map(figure).sum()
}

#[test]
fn every_dispatch_of_a_token_is_timed_and_has_its_bytes() {
    for most_dispatches in [None, Some(3)] {
        let mut engine = block_on(load(GpuOptions { most_dispatches, ..profiling() }));
        let (_, kernels, asked) = block_on(second_token(&mut engine));
        let kernels = kernels.unwrap();
        let tokens = Golden::tiny_phi().ids("short.ids").len() + 1;
        assert_eq!(total(&kernels, |kernel| kernel.calls), asked.dispatches);
        assert_eq!(asked.passes, asked.dispatches, "each has a pass of its own");
        assert_eq!(
            asked.submits,
            most_dispatches.map_or(1, |most| asked.dispatches / u64::from(most) + 1)
        );
        for kernel in &kernels {
            assert!(
                kernel.seconds > 0.0
                    && kernel.bytes >= kernel.weight_bytes + kernel.cache_bytes
                    && kernel.bytes > 0,
                "{kernel:?}"
            );
        }
        let read = total(&kernels, |kernel| kernel.weight_bytes)
            + total(&kernels, |kernel| kernel.cache_bytes);
        assert_eq!(read, engine.decode_bytes(tokens), "{kernels:?}");
        let config = engine.config();
        // Every matrix but the embedding, whose rows are looked up; it counts once, as the head.
        let weights: usize = config.matrices().iter().map(|(_, [rows, cols])| rows * cols).sum();
        let lookup =
            if config.tie_word_embeddings { 0 } else { config.vocab_size * config.hidden_size };
        let heads = config.num_hidden_layers * config.heads().q_width() * tokens as u32;
        let expected = 2 * (weights as u64 - u64::from(lookup)) + 4 * u64::from(heads);
        assert_eq!(total(&kernels, |kernel| kernel.operations), expected, "{kernels:?}");
    }
}

#[test]
fn profiling_changes_no_answer_and_is_off_by_default() {
    let mut plain = block_on(load(GpuOptions::default()));
    let (tokens, kernels, asked) = block_on(second_token(&mut plain));
    assert!(kernels.is_none() && block_on(plain.peaks()).unwrap().is_none());
    assert!(asked.dispatches > asked.passes, "{asked:?}");
    let (same, kernels, _) = block_on(second_token(&mut block_on(load(profiling()))));
    assert!(same == tokens && kernels.is_some());
}

#[test]
fn a_kernel_is_a_row_and_rows_are_taken_once() {
    let mut engine = block_on(load(profiling()));
    let (_, kernels, _) = block_on(second_token(&mut engine));
    let mut names: Vec<_> =
        kernels.unwrap().into_iter().map(|kernel| (kernel.name, kernel.over)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
    assert!(names.iter().any(|(name, _)| name.starts_with("AttendToken")), "{names:?}");
    assert_eq!(block_on(engine.take_kernels()).unwrap(), Some(Vec::new()));
}

#[test]
fn peaks_are_measured_and_leave_nothing_behind() {
    let mut gpu = block_on(Gpu::new(profiling())).unwrap();
    let peaks = block_on(gpu.peaks()).unwrap().unwrap();
    assert_eq!(peaks.software, gpu.is_software());
    for peak in [peaks.bandwidth, peaks.floats, peaks.bytes] {
        assert!(peak.is_finite() && peak > 0.0, "{peaks:?}");
    }
    assert_eq!(block_on(gpu.take_kernels()).unwrap(), Some(Vec::new()));
}

#[test]
fn a_profile_is_a_table_and_part_of_the_line_of_json() {
    let here = tempfile::tempdir().unwrap();
    let output = phi(
        here.path(),
        &[
            "--shape",
            "tiny",
            "--backend",
            "gpu",
            "--prompt",
            "12",
            "--gen",
            "3",
            "--profile",
            "--json",
        ],
    );
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{table}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["backend"], "gpu", "{line}");
    assert_eq!(record["read_bandwidth"], record["profile"]["peaks"]["bandwidth"], "{line}");
    for phase in ["prefill", "decode"] {
        let kernels = record["profile"][phase].as_array().unwrap();
        assert!(!kernels.is_empty() && table.contains(phase), "{table}");
        for kernel in kernels {
            assert!(table.contains(kernel["name"].as_str().unwrap()), "{kernel}: {table}");
        }
        // Two layers of four matrices and a head: a prompt reads them once, and three tokens three
        // times.
        let reads = kernels.iter().filter(|kernel| kernel["weight_bytes"].as_u64() > Some(0));
        let calls: u64 = reads.map(|kernel| kernel["calls"].as_u64().unwrap()).sum();
        assert_eq!(calls, if phase == "prefill" { 9 } else { 3 * 9 }, "{line}");
    }
}
