//! Headers that were changed at random: an error or a model, but never a panic, a hang or a vast
//! allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use phi_wasm::weights::config::Config;
use phi_wasm::weights::store::{MANIFEST, Manifest};
use phi_wasm::weights::{Bits, MemorySource};
use proptest::collection::vec;
use proptest::prelude::*;

use super::make::{
    LLAMA_CONFIG, LLAMA_GGUF, LLAMA_SAFETENSORS, PHI3_GGUF, bands, llama_directory, open,
};

/// The system's allocator, which remembers the largest request of each thread.
struct Watching;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn note(size: usize) {
    // A thread that ends has no cell any more; nobody asks it.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

/// Opens a source and reads all of its weights, within an allocation of a few times the size of its
/// files.
fn survives(source: MemorySource) {
    let size: usize = source.files.values().map(Vec::len).sum();
    LARGEST.set(0);
    if let Ok(model) = open(source) {
        for (name, shape) in model.config.matrices() {
            let _ = bands(&model, &name, shape, Bits::Four);
        }
    }
    // A list of strings takes three times its bytes, and grows by doubling; weights of 4 bits
    // unpack to floats of 32.
    assert!(
        LARGEST.get() <= 8 * size + (64 << 10),
        "{} bytes at once for {size} bytes of files",
        LARGEST.get()
    );
}

/// One change: where (as a part of the header), and what to.
#[derive(Clone, Debug)]
enum Change {
    Byte(f64, u8),
    Flip(f64, u32),
    Long(f64, u64),
    Cut(f64),
    Remove(f64, usize),
    Repeat(f64, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = 0.0..1.0f64;
    let long = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 31),
        Just(1 << 40),
        Just(i64::MAX as u64),
        0..4096u64,
        any::<u64>()
    ];
    let one = prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (at.clone(), 0..8u32).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at.clone(), long).prop_map(|(at, long)| Change::Long(at, long)),
        at.clone().prop_map(Change::Cut),
        (at.clone(), 1..64usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (at, 1..64usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ];
    vec(one, 1..4)
}

fn apply(file: &[u8], header: usize, changes: &[Change]) -> Vec<u8> {
    let mut file = file.to_vec();
    for change in changes {
        let (Change::Byte(at, _)
        | Change::Flip(at, _)
        | Change::Long(at, _)
        | Change::Cut(at)
        | Change::Remove(at, _)
        | Change::Repeat(at, _)) = *change;
        let at = (at * header.min(file.len()) as f64) as usize;
        match *change {
            Change::Byte(_, byte) => file.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            Change::Flip(_, bit) => {
                file.iter_mut().skip(at).take(1).for_each(|old| *old ^= 1 << bit)
            }
            Change::Long(_, long) => {
                file.iter_mut().skip(at).zip(long.to_le_bytes()).for_each(|(old, new)| *old = new)
            }
            Change::Cut(_) => file.truncate(at),
            Change::Remove(_, count) => drop(file.drain(at..(at + count).min(file.len()))),
            Change::Repeat(_, count) => {
                let again = file[at..(at + count).min(file.len())].to_vec();
                file.splice(at..at, again);
            }
        }
    }
    file
}

/// Bytes before the weights of the golden files: the places worth changing.
const HEADER: usize = 3500;

/// The most that a configuration may have.
#[test]
fn layers_that_are_not_there_take_no_memory() {
    let mut file = PHI3_GGUF.to_vec();
    let name = b"phi3.block_count";
    let at = file.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4;
    assert_eq!(file[at..at + 4], 2u32.to_le_bytes());
    file[at..at + 4].copy_from_slice(&1024u32.to_le_bytes());
    survives(MemorySource::file("model.gguf", file));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_gguf(changes in changes(), phi in any::<bool>()) {
        let file = if phi { PHI3_GGUF } else { LLAMA_GGUF };
        survives(MemorySource::file("model.gguf", apply(file, HEADER, &changes)));
    }

    #[test]
    fn mutated_safetensors(changes in changes()) {
        let mut source = llama_directory();
        source.files.insert("model.safetensors".into(), apply(LLAMA_SAFETENSORS, HEADER, &changes));
        survives(source);
    }

    #[test]
    fn mutated_config(changes in changes()) {
        let mut source = llama_directory();
        let config = apply(LLAMA_CONFIG, LLAMA_CONFIG.len(), &changes);
        source.files.insert("config.json".into(), config);
        survives(source);
    }

    #[test]
    fn numbers_in_a_config_are_any_numbers(
        field in 0..9usize,
        number in prop_oneof![
            any::<i64>().prop_map(|n| n as f64),
            any::<f64>(),
            (0..300i32).prop_map(f64::from),
        ],
    ) {
        let mut json: serde_json::Value = serde_json::from_slice(LLAMA_CONFIG).unwrap();
        let fields = [
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "vocab_size", "rms_norm_eps", "rope_theta",
            "max_position_embeddings",
        ];
        json[fields[field]] =
            if number.fract() == 0.0 { (number as i64).into() } else { number.into() };
        if let Ok(config) = Config::parse(&json) {
            prop_assert_eq!(Config::parse(&config.to_json()).unwrap(), config);
        }
        let mut source = llama_directory();
        source.files.insert("config.json".into(), json.to_string().into_bytes());
        survives(source);
    }

    #[test]
    fn mutated_index_and_manifest(changes in changes(), text in "[ -~]{0,40}") {
        let index = concat!(
            r#"{"metadata": {"total_size": 44528}, "#,
            r#""weight_map": {"model.norm.weight": "model.safetensors"}}"#,
        )
        .as_bytes();
        let mut source = llama_directory();
        let weights = source.files.remove("model.safetensors").unwrap();
        source.files.insert("weights.safetensors".into(), weights);
        let index = apply(index, index.len(), &changes);
        source.files.insert("model.safetensors.index.json".into(), index);
        survives(source);
        let manifest = concat!(
            r#"{"format": "phi-wasm", "version": 1, "chunk": 1000, "#,
            r#""matrices": {"a": {"kind": "q4", "rows": 4, "cols": 32}}, "#,
            r#""files": {"b": {"size": 5, "sha256": ["00"]}}}"#,
        )
        .as_bytes();
        let _ = Manifest::parse(MANIFEST, &apply(manifest, manifest.len(), &changes));
        let _ = Manifest::parse(MANIFEST, text.as_bytes());
    }
}
