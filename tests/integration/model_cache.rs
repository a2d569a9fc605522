//! Caching a model: what is stored is what `phi convert` writes, whatever happens on the way,
//! as many lines as cases.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use phi_wasm::convert::convert;
use phi_wasm::error::{Code, Error, Result};
use phi_wasm::model_cache::{
    ABOUT, CachedModel, Checked, Hashed, MemoryStorage, ModelStorage, Published, check,
};
use phi_wasm::weights::checkpoint::Checkpoint;
use phi_wasm::weights::format::Bits;
use phi_wasm::weights::store::{MANIFEST, Manifest, chunk_hash};
use phi_wasm::weights::{DirSource, MemorySource, Source, WeightFormat};
use pollster::block_on;
use tempfile::TempDir;

use crate::common::mixed::mixed;
use crate::common::watched::Watched;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// A Hugging Face directory and GGUF files, small ones.
const MODELS: &[&str] = &["tiny-phi", "weights/llama", "weights/llama.gguf", "weights/phi3.gguf"];

type Files = BTreeMap<String, Vec<u8>>;

fn golden(model: &str) -> DirSource {
    DirSource::open(Path::new(GOLDEN).join(model)).unwrap()
}

/// What `phi convert` makes of a model.
fn converted(model: &str, format: impl Into<WeightFormat>) -> Files {
    converted_from(golden(model), format)
}

fn converted_from(source: impl Source, format: impl Into<WeightFormat>) -> Files {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let destination = here.path().join("model");
    block_on(convert(source, &destination, format.into(), &mut |_| {})).unwrap();
    let files = fs::read_dir(destination).unwrap().map(|item| item.unwrap().path());
    files
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect()
}

/// A converted model's files with a manifest of small chunks, as a large model has many.
fn in_small_chunks(mut files: Files) -> Files {
    const SMALL: usize = 2048;
    let mut manifest = Manifest::parse(MANIFEST, &files[MANIFEST]).unwrap();
    manifest.chunk = SMALL as u64;
    for (name, entry) in &mut manifest.files {
        entry.sha256 = files[name].chunks(SMALL).map(chunk_hash).collect();
    }
    files.insert(MANIFEST.to_owned(), serde_json::to_vec(&manifest).unwrap());
    files
}

/// What storage holds of the model itself.
fn model_files(storage: &MemoryStorage) -> Files {
    storage
        .files
        .borrow()
        .iter()
        .filter(|(name, _)| *name != "journal" && *name != ABOUT)
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect()
}

/// A source of these files that nothing cuts.
fn watched(files: &Files) -> Watched<MemorySource> {
    Watched::new(MemorySource::directory(files.clone()))
}

/// A storage whose program is killed after some writes, in the middle of one. What was not flushed
/// may be lost, too.
#[derive(Clone)]
struct Mortal {
    storage: MemoryStorage,
    left: Rc<Cell<u32>>,
    /// With a power cut, files are as they were when they were flushed last.
    flushed: Option<Rc<std::cell::RefCell<Files>>>,
}

impl Mortal {
    fn new(storage: &MemoryStorage, writes: u32, power_cut: bool) -> Mortal {
        let flushed =
            power_cut.then(|| Rc::new(std::cell::RefCell::new(storage.files.borrow().clone())));
        Mortal { storage: storage.clone(), left: Rc::new(Cell::new(writes)), flushed }
    }

    fn killed(&self) -> Error {
        if let Some(flushed) = &self.flushed {
            *self.storage.files.borrow_mut() = flushed.borrow().clone();
        }
        Error::new(Code::Cancelled, "killed")
    }
}

impl ModelStorage for Mortal {
    fn name(&self) -> String {
        self.storage.name()
    }

    async fn ask_for_room(&self, bytes: u64) -> Result<()> {
        self.storage.ask_for_room(bytes).await
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        self.storage.size(file).await
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        self.storage.read(file, offset, into).await
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.left.get() == 0 {
            self.storage.write(file, offset, &bytes[..bytes.len() / 2]).await?;
            return Err(self.killed());
        }
        self.left.set(self.left.get() - 1);
        self.storage.write(file, offset, bytes).await
    }

    async fn resize(&self, file: &str, size: u64) -> Result<()> {
        self.storage.resize(file, size).await
    }

    async fn remove(&self, file: &str) -> Result<()> {
        self.storage.remove(file).await
    }

    async fn flush(&self, file: &str) -> Result<()> {
        if let Some(flushed) = &self.flushed {
            let bytes = self.storage.files.borrow()[file].clone();
            flushed.borrow_mut().insert(file.to_owned(), bytes);
        }
        Ok(())
    }
}

/// Keeps a model by loading it, as the engine does, and then whatever loading does not ask for.
fn keep<S: Hashed, M: ModelStorage>(
    source: S,
    storage: M,
    format: impl Into<WeightFormat>,
) -> Result<CachedModel<S, M>> {
    let format = format.into();
    block_on(async {
        let cached = CachedModel::open(source, storage, format).await?;
        let model = Checkpoint::open(cached.clone()).await?;
        for (name, shape) in model.config.matrices() {
            model.panels(&name, shape, format, &mut |_, _| Ok(())).await?;
        }
        for (name, length) in model.config.vectors() {
            model.vector(&name, length).await?;
        }
        cached.finish().await?;
        Ok(cached)
    })
}

#[test]
fn what_is_kept_is_what_convert_writes() {
    for model in MODELS {
        for bits in [Bits::Four, Bits::Five, Bits::Sixteen] {
            let storage = MemoryStorage::default();
            let cached = keep(golden(model), storage.clone(), bits).unwrap();
            assert!(
                cached.stored().complete && cached.stored().bytes == cached.stored().total,
                "{model}: {:?}",
                cached.stored()
            );
            assert!(model_files(&storage) == converted(model, bits), "{model} at {bits:?}");
            assert_eq!(cached.notice(), None);
        }
    }
    let as_first = WeightFormat { as_first: true, ..Bits::Four.into() };
    for format in [Bits::Four.into(), as_first] {
        let storage = MemoryStorage::default();
        keep(mixed(), storage.clone(), format).unwrap();
        assert!(model_files(&storage) == converted_from(mixed(), format), "mixed as {format:?}");
    }
}

#[test]
fn a_converted_model_is_copied() {
    let files = converted("tiny-phi", Bits::Four);
    let storage = MemoryStorage::default();
    keep(MemorySource::directory(files.clone()), storage.clone(), Bits::Four).unwrap();
    assert!(model_files(&storage) == files);
}

#[test]
fn a_complete_model_needs_no_source() {
    let files = converted("tiny-phi", Bits::Four);
    let storage = MemoryStorage::default();
    keep(watched(&files), storage.clone(), Bits::Four).unwrap();
    let nowhere = watched(&Files::new());
    nowhere.left.set(0);
    let cached = keep(nowhere, storage, Bits::Four).unwrap();
    assert!(cached.stored().complete);
}

#[test]
fn the_first_load_sees_the_model_itself() {
    let cached = block_on(CachedModel::open(
        golden("weights/llama.gguf"),
        MemoryStorage::default(),
        Bits::Four,
    ))
    .unwrap();
    let (direct, through) = block_on(async {
        (
            Checkpoint::open(golden("weights/llama.gguf")).await.unwrap(),
            Checkpoint::open(cached.clone()).await.unwrap(),
        )
    });
    assert_eq!(direct.stop_tokens, through.stop_tokens);
    for (name, shape) in direct.config.matrices() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let rows = |panel: phi_wasm::layout::panel::Panel| {
            (0..panel.rows).flat_map(|row| panel.row(row)).collect::<Vec<_>>()
        };
        block_on(direct.panels(&name, shape, Bits::Four, &mut |_, panel| {
            one.extend(rows(panel));
            Ok(())
        }))
        .unwrap();
        block_on(through.panels(&name, shape, Bits::Four, &mut |_, panel| {
            other.extend(rows(panel));
            Ok(())
        }))
        .unwrap();
        assert_eq!(one, other, "{name}");
    }
}

/// Runs until it is killed, again and again, each time after more writes than the last, and returns
/// how often that was.
fn until_it_lives(
    files: &Files,
    storage: &MemoryStorage,
    power_cut: bool,
    read: &Rc<Cell<u64>>,
) -> u32 {
    let mut deaths = 0;
    for step in 0.. {
        let mut source = watched(files);
        source.read = read.clone();
        let mortal = Mortal::new(storage, 3 + step * 5 % 17, power_cut);
        match keep(source, mortal, Bits::Four) {
            Ok(_) => return deaths,
            Err(error) => assert_eq!(error.message, "killed"),
        }
        deaths += 1;
        assert!(deaths < 1000, "it never gets further");
    }
    deaths
}

#[test]
fn kills_cost_what_was_being_made_and_nothing_else() {
    let tiny = tiny_phi();
    let (whole, chopped) =
        (converted("tiny-phi", Bits::Four), in_small_chunks(converted("tiny-phi", Bits::Four)));
    for (files, expected, what) in
        [(tiny, whole, "a foreign model"), (chopped.clone(), chopped, "a converted one")]
    {
        for power_cut in [false, true] {
            let (storage, read) = (MemoryStorage::default(), Rc::default());
            let deaths = until_it_lives(&files, &storage, power_cut, &read);
            assert!(deaths > 5, "{what} lived too early");
            assert!(
                model_files(&storage) == expected,
                "{what} after {deaths} deaths, power cut: {power_cut}"
            );
            let weights = files.values().map(|bytes| bytes.len() as u64).sum::<u64>();
            // Headers and texts are read at each start; of the weights only the unit that was being
            // made.
            let (each, most) =
                (read.get() / u64::from(deaths + 1), weights + u64::from(deaths) * weights / 2);
            assert!(
                read.get() < most,
                "{what}: {} bytes were read in {deaths} starts, {each} in each, of {weights}",
                read.get()
            );
        }
    }
}

#[test]
fn a_cut_line_is_taken_up_again() {
    let files = in_small_chunks(converted("tiny-phi", Bits::Four));
    let storage = MemoryStorage::default();
    let source = watched(&files);
    source.left.set(20);
    assert_eq!(keep(source, storage.clone(), Bits::Four).err().unwrap().code, Code::Network);
    keep(watched(&files), storage.clone(), Bits::Four).unwrap();
    assert!(model_files(&storage) == files);
}

#[test]
fn what_the_first_version_began_goes_on_in_its_kinds() {
    let model = "weights/phi3.gguf";
    let as_first = WeightFormat { as_first: true, ..WeightFormat::from(Bits::Four) };
    let first = converted(model, as_first);
    assert!(first != converted(model, Bits::Four), "this version has others");
    let storage = MemoryStorage::default();
    assert!(keep(golden(model), Mortal::new(&storage, 30, false), as_first).is_err());
    let again = block_on(CachedModel::open(golden(model), storage.clone(), Bits::Four)).unwrap();
    assert!(again.stored().bytes > 0, "{:?}", again.stored());
    keep(golden(model), storage.clone(), Bits::Four).unwrap();
    let found = model_files(&storage);
    assert_eq!(found.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        let other = found[name].iter().zip(bytes).position(|(one, other)| one != other);
        assert_eq!((found[name].len(), other), (bytes.len(), None), "{name}");
    }
}

#[test]
fn what_changed_on_the_server_is_fetched_again_and_the_rest_is_not() {
    let files = in_small_chunks(converted("tiny-phi", Bits::Four));
    let storage = MemoryStorage::default();
    assert!(
        keep(MemorySource::directory(files.clone()), Mortal::new(&storage, 60, false), Bits::Four)
            .is_err()
    );
    let bytes = |files: &Files| files.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    // The first chunk of weights is there by now.
    let mut changed = files.clone();
    let weights = changed.get_mut("model.safetensors").unwrap();
    let header = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    weights[8 + header] ^= 1;
    let changed = in_small_chunks(changed);
    let source = watched(&changed);
    let read = source.read.clone();
    let cached = keep(source, storage.clone(), Bits::Four).unwrap();
    assert!(
        read.get() < bytes(&changed) - 10_000,
        "{} bytes of {} were fetched again",
        read.get(),
        bytes(&changed)
    );
    assert!(model_files(&storage) == changed);
    assert!(
        cached.notice().is_some_and(|notice| notice.contains("changed since")),
        "{:?}",
        cached.notice()
    );
}

#[test]
fn a_flipped_bit_is_found_and_it_alone_is_made_again() {
    for (model, at) in [("tiny-phi", 9000), ("weights/llama.gguf", 5000)] {
        let storage = MemoryStorage::default();
        keep(golden(model), storage.clone(), Bits::Four).unwrap();
        let whole = model_files(&storage);
        assert_eq!(
            block_on(check(golden(model), storage.clone(), Bits::Four, &mut |_, _| {})).unwrap(),
            Checked::default()
        );
        storage.files.borrow_mut().get_mut("model.safetensors").unwrap()[at] ^= 4;
        assert!(model_files(&storage) != whole);
        let mut heard = (0, 0);
        let found =
            block_on(check(golden(model), storage.clone(), Bits::Four, &mut |done, total| {
                heard = (done, total)
            }))
            .unwrap();
        assert_eq!(found.bad, 1);
        let all = whole.values().map(|bytes| bytes.len() as u64).sum::<u64>();
        assert!(found.repaired > 0 && found.repaired < all / 4, "{found:?} of {all} bytes");
        assert!(heard.0 == heard.1 && heard.1 > 0, "{heard:?}");
        assert!(model_files(&storage) == whole, "{model}");
    }
}

#[test]
fn a_bit_that_flips_while_a_download_rests_is_found_before_it_is_used() {
    let (tiny, whole) = (tiny_phi(), converted("tiny-phi", Bits::Four));
    let storage = MemoryStorage::default();
    assert!(keep(watched(&tiny), Mortal::new(&storage, 40, false), Bits::Four).is_err());
    let (there, whole_weights) =
        (storage.files.borrow()["model.safetensors"].clone(), &whole["model.safetensors"]);
    // The last byte that was kept, and one in the middle of what was.
    let last = there
        .iter()
        .zip(whole_weights)
        .rposition(|(one, other)| one == other && *one != 0)
        .unwrap();
    let middle =
        (last / 2..last).find(|&at| there[at] == whole_weights[at] && there[at] != 0).unwrap();
    for at in [middle, last] {
        storage.files.borrow_mut().get_mut("model.safetensors").unwrap()[at] ^= 1;
    }
    let cached = block_on(CachedModel::open(watched(&tiny), storage.clone(), Bits::Four)).unwrap();
    let mut byte = [0];
    block_on(cached.read("model.safetensors", middle as u64, &mut byte)).unwrap();
    assert_eq!(byte[0], whole_weights[middle]);
    block_on(cached.finish()).unwrap();
    assert!(model_files(&storage) == whole);
}

#[test]
fn a_chunk_that_lies_is_corrupt() {
    let mut files = converted("tiny-phi", Bits::Four);
    files.get_mut("model.safetensors").unwrap()[9000] ^= 1;
    let storage = MemoryStorage::default();
    assert_eq!(
        keep(MemorySource::directory(files), storage, Bits::Four).err().unwrap().code,
        Code::Corrupt
    );
}

/// A model's only file of weights, and its bytes.
const WEIGHTS: &str = "model.safetensors";

fn tiny_phi() -> Files {
    let files = fs::read_dir(Path::new(GOLDEN).join("tiny-phi"))
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.is_file());
    files
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect()
}

fn published<S: Source>(source: S, sha256: &str) -> Published<S> {
    Published::new(source, [(WEIGHTS.to_owned(), sha256.to_owned())].into())
}

#[test]
fn what_comes_is_compared_with_what_its_publisher_says() {
    let files = tiny_phi();
    let right = chunk_hash(&files[WEIGHTS]);
    let storage = MemoryStorage::default();
    let error = keep(
        published(watched(&files), &right.replace(&right[..1], "x")),
        storage.clone(),
        Bits::Four,
    )
    .err()
    .unwrap();
    assert_eq!(error.code, Code::Corrupt, "{error}");
    assert!(error.message.contains("publisher"), "{error}");
    // Nobody knows what is wrong, so all of it comes again.
    let source = watched(&files);
    let read = source.read.clone();
    keep(published(source, &right.to_uppercase()), storage.clone(), Bits::Four).unwrap();
    assert!(read.get() >= files[WEIGHTS].len() as u64);
    assert!(model_files(&storage) == converted("tiny-phi", Bits::Four));
}

#[test]
fn hashing_survives_kills() {
    let files = tiny_phi();
    let weights = &files[WEIGHTS];
    let (half, size) = (weights.len() / 2, weights.len() as u64);
    for (sha256, outcome) in
        [(chunk_hash(weights), None), (chunk_hash(b"something else"), Some(Code::Corrupt))]
    {
        let first = published(watched(&files), &sha256);
        let mut bytes = vec![0; half];
        block_on(first.read(WEIGHTS, 0, &mut bytes)).unwrap();
        let source = watched(&files);
        let read = source.read.clone();
        let second = published(source, &sha256);
        second.go_on_hashing(&first.hashed());
        // The ends of a file are asked for, and what lies between is hashed as well, once.
        for (at, len) in [(0, 100), (half as u64 + 50, 10), (size - 10, 10)] {
            block_on(second.read(WEIGHTS, at, &mut bytes[..len])).unwrap();
        }
        assert_eq!(block_on(second.compare()).err().map(|error| error.code), outcome);
        assert_eq!(read.get(), 100 + size - half as u64);
        // Of another file nothing is taken up.
        let other = published(watched(&files), &chunk_hash(b"another"));
        other.go_on_hashing(&first.hashed());
        assert_eq!(other.hashed(), published(watched(&files), &chunk_hash(b"another")).hashed());
    }
}

/// A storage without room, which it says when it is asked, or else when a file shall have its size.
#[derive(Clone)]
struct Full {
    storage: MemoryStorage,
    says: bool,
    /// Bytes that were asked for.
    asked: Rc<Cell<u64>>,
}

impl ModelStorage for Full {
    fn name(&self) -> String {
        self.storage.name()
    }
    async fn ask_for_room(&self, bytes: u64) -> Result<()> {
        self.asked.set(bytes);
        if self.says { Err(Error::new(Code::StorageFull, "no room")) } else { Ok(()) }
    }
    async fn size(&self, file: &str) -> Result<Option<u64>> {
        self.storage.size(file).await
    }
    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        self.storage.read(file, offset, into).await
    }
    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        self.storage.write(file, offset, bytes).await
    }
    async fn resize(&self, file: &str, size: u64) -> Result<()> {
        if size > 10_000 {
            return Err(Error::new(Code::StorageFull, "no room"));
        }
        self.storage.resize(file, size).await
    }
    async fn remove(&self, file: &str) -> Result<()> {
        self.storage.remove(file).await
    }
    async fn flush(&self, file: &str) -> Result<()> {
        self.storage.flush(file).await
    }
}

#[test]
fn room_for_the_whole_is_made_before_anything_comes() {
    let files = converted("tiny-phi", Bits::Four);
    let wanted = Manifest::parse(MANIFEST, &files[MANIFEST]).unwrap().files;
    for (says, there) in [(true, 0), (false, 0), (true, 1000)] {
        let (source, storage) = (watched(&files), MemoryStorage::default());
        if there > 0 {
            storage.files.borrow_mut().insert("model.safetensors".to_owned(), vec![0; there]);
        }
        let (read, asked) = (source.read.clone(), Rc::default());
        let full = Full { storage: storage.clone(), says, asked: Rc::clone(&asked) };
        assert_eq!(keep(source, full, Bits::Four).err().unwrap().code, Code::StorageFull);
        assert_eq!(
            asked.get(),
            wanted.values().map(|entry| entry.size).sum::<u64>() - there as u64
        );
        assert!(
            read.get() < 10_000,
            "{} bytes of weights were fetched for a place that has no room",
            read.get()
        );
        let made = storage.files.borrow().keys().filter(|file| wanted.contains_key(*file)).count();
        assert!(
            !says || made == usize::from(there > 0),
            "{made} files were made where there is no room"
        );
    }
}
