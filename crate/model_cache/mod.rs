//! A model in the cache: what streams in from a server or a file is turned into our converted form
//! on the way, once, written where it will be found again, and loaded from there.
//!
//! A [`ModelStorage`] holds the files of [`crate::weights::store`], preallocated, beside a journal
//! and `about.json`. They fill up unit by unit: chunks of a converted model, panels of any other
//! ([`origin`]), in whatever order they are asked for. A unit is written, flushed and then noted
//! with its hash, so that a kill at any moment costs the units in the making and nothing else, and
//! what was there before is hashed again before it is used. The manifest is written last and makes
//! the model complete: from then on nobody asks where it came from.
//!
//! Units come in the order in which the source has them, so that a server is read from front to
//! back; what is asked for later than it comes is read from the storage by then.

mod about;
mod check;
mod journal;
mod origin;
mod published;
pub mod storage;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

pub use about::{About, FILE as ABOUT};
pub use check::{Checked, check};
use journal::Tag;
use origin::{Extent, Origin};
pub use published::Published;
pub use storage::{MemoryStorage, ModelStorage};

use crate::error::{Code, Result};
use crate::weights::format::WeightFormat;
use crate::weights::source::{Source, truncated};
use crate::weights::store::{CHUNK, FileEntry, LARGEST_JSON, MANIFEST, Manifest, chunk_hash};

/// Bytes after which `about.json` is told how many have come.
const TELL: u64 = 8 << 20;

/// How far the hashes of the source's files have come.
const HASHED: &str = "hashed";
/// Bytes of which files that are written over have a multiple.
const PAGE: usize = 4096;

/// How much of a model is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes of the whole model.
    pub total: u64,
    /// Whether nothing is missing.
    pub complete: bool,
}

/// A model in storage, complete or not: a [`Source`] that gets what is missing when it is asked
/// for. Clones share it.
pub struct CachedModel<S, M>(Rc<Inner<S, M>>);

impl<S, M> Clone for CachedModel<S, M> {
    fn clone(&self) -> CachedModel<S, M> {
        CachedModel(Rc::clone(&self.0))
    }
}

struct Inner<S, M> {
    storage: M,
    name: String,
    about: RefCell<About>,
    stored: Cell<Stored>,
    growth: Option<Growth<S>>,
    /// Without hashes as long as nobody has them.
    manifest: Manifest,
    /// The manifest as a file.
    text: Vec<u8>,
    /// Why some of what was stored had to be fetched again.
    notice: Option<String>,
    /// Hears of everything that comes.
    listener: RefCell<Option<Listener>>,
}

/// Hears how much is there.
type Listener = Rc<dyn Fn(Stored)>;

/// Whether a unit is in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Have {
    No,
    /// It was at the start, with this digest; nobody has looked since.
    Found(Tag),
    Yes,
}

/// What a model needs that is not complete.
struct Growth<S> {
    origin: Origin<S>,
    have: RefCell<Vec<Have>>,
    /// Bytes that were there, and not as they were written.
    rotten: Cell<u64>,
    /// The units as the source has them, and how many of them are there or were seen to.
    order: Vec<usize>,
    next: Cell<usize>,
    /// Where each file's bytes come from: first byte, length and unit, in order.
    runs: BTreeMap<String, Vec<(u64, u64, usize)>>,
}

impl<S: Source, M: ModelStorage> CachedModel<S, M> {
    /// Opens what the storage holds of a model. The source is asked for nothing when that is all;
    /// otherwise its headers are read, and room is made for the whole.
    ///
    /// # Errors
    /// As [`crate::weights::Checkpoint::open`], and the storage's: `storage-full` above all.
    pub async fn open(
        source: S,
        storage: M,
        format: impl Into<WeightFormat>,
    ) -> Result<CachedModel<S, M>> {
        let Some((manifest, text)) = complete(&storage).await? else {
            return CachedModel::begin(source, storage, format.into()).await;
        };
        let bytes = total(&manifest);
        let mut about =
            About::read(&storage).await?.unwrap_or_else(|| About::new(&source.name(), bytes));
        about.finish();
        about.write(&storage).await?;
        let stored = Stored { bytes, total: bytes, complete: true };
        Ok(CachedModel::of(Inner::new(storage, source.name(), about, stored, (manifest, text))))
    }

    async fn begin(source: S, storage: M, format: WeightFormat) -> Result<CachedModel<S, M>> {
        let origin = Origin::open(source, format).await?;
        let name = origin.name();
        discard(&origin, &storage).await?;
        let (have, changed) = present(&origin, &storage).await?;
        if let Some(hashed) = read_all(&storage, HASHED).await? {
            origin.source().go_on_hashing(&hashed);
        }
        let bytes = origin
            .units
            .iter()
            .zip(&have)
            .filter(|(_, have)| **have != Have::No)
            .map(|(unit, _)| unit.bytes())
            .sum();
        let stored = Stored { bytes, total: total(&origin.manifest), complete: false };
        let mut about =
            About::read(&storage).await?.unwrap_or_else(|| About::new(&name, stored.total));
        about.grow(stored.total, stored.bytes);
        about.write(&storage).await?;
        reserve(&origin, &storage).await?;
        let megabytes = changed as f64 / 1e6;
        let notice = (changed > 0).then(|| {
            format!(
                "{name} changed since a part of it was kept: {megabytes:.0} MB are fetched again"
            )
        });
        let manifest = (
            origin.manifest.clone(),
            origin.manifest_text.clone().unwrap_or_else(|| origin.manifest.to_json()),
        );
        let growth = Growth {
            runs: runs(&origin),
            have: RefCell::new(have),
            rotten: Cell::new(0),
            order: order(&origin),
            next: Cell::new(0),
            origin,
        };
        Ok(CachedModel::of(Inner {
            growth: Some(growth),
            notice,
            ..Inner::new(storage, name, about, stored, manifest)
        }))
    }

    fn of(inner: Inner<S, M>) -> CachedModel<S, M> {
        CachedModel(Rc::new(inner))
    }

    /// How much is there.
    pub fn stored(&self) -> Stored {
        self.0.stored.get()
    }

    /// Has somebody hear of everything that comes from now on.
    pub fn listen(&self, listener: impl Fn(Stored) + 'static) {
        self.0.listener.replace(Some(Rc::new(listener)));
    }

    /// Why some of what was stored had to be fetched again, in a sentence.
    pub fn notice(&self) -> Option<&str> {
        self.0.notice.as_deref()
    }

    /// Gets what is still missing, and makes the model complete.
    ///
    /// # Errors
    /// Those of reading and of the storage.
    pub async fn finish(&self) -> Result<()> {
        let inner = &*self.0;
        let Some(growth) = inner.growth.as_ref().filter(|_| !self.stored().complete) else {
            return Ok(());
        };
        for unit in 0..growth.origin.units.len() {
            inner.get(growth, unit).await?;
        }
        inner.compare(growth).await?;
        let text = match &growth.origin.manifest_text {
            Some(text) => text.clone(),
            None => Manifest {
                files: hashes(&inner.storage, &growth.origin.files).await?,
                ..inner.manifest.clone()
            }
            .to_json(),
        };
        write_all(&inner.storage, MANIFEST, &text).await?;
        inner.stored.set(Stored { complete: true, ..self.stored() });
        inner.tell(About::finish).await
    }
}

impl<S: Source, M: ModelStorage> Inner<S, M> {
    fn new(
        storage: M,
        name: String,
        about: About,
        stored: Stored,
        (manifest, text): (Manifest, Vec<u8>),
    ) -> Inner<S, M> {
        let (about, stored, listener) =
            (RefCell::new(about), Cell::new(stored), RefCell::default());
        Inner { storage, name, about, stored, growth: None, manifest, text, notice: None, listener }
    }

    /// Has a unit stored, unless it is, after those that the source has before it.
    async fn get(&self, growth: &Growth<S>, unit: usize) -> Result<()> {
        self.look(growth, unit).await?;
        while growth.has(unit) == Have::No {
            let next = growth.order.get(growth.next.get()).copied();
            growth.next.set(growth.next.get() + 1);
            let next = next.unwrap_or(unit);
            if growth.has(next) == Have::No {
                self.make(growth, next).await?;
            }
        }
        Ok(())
    }

    /// Hashes a unit that was there at the start, and makes it again if it is not what was written.
    async fn look(&self, growth: &Growth<S>, unit: usize) -> Result<()> {
        let (Have::Found(digest), Origin { files, units, .. }) = (growth.has(unit), &growth.origin)
        else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        for Extent { file, at, len } in &units[unit].extents {
            let start = bytes.len();
            bytes.resize(start + *len as usize, 0);
            self.storage.read(&files[*file].0, *at, &mut bytes[start..]).await?;
        }
        if journal::digest(&bytes) == digest {
            growth.have.borrow_mut()[unit] = Have::Yes;
            return Ok(());
        }
        self.lose(growth, unit).await?;
        growth.rotten.set(growth.rotten.get() + units[unit].bytes());
        self.make(growth, unit).await
    }

    async fn make(&self, growth: &Growth<S>, unit: usize) -> Result<()> {
        let Origin { files, units, .. } = &growth.origin;
        let bytes = growth.origin.make(unit).await?;
        let mut rest = &bytes[..];
        for extent in &units[unit].extents {
            let (now, later) = rest.split_at(extent.len as usize);
            self.storage.write(&files[extent.file].0, extent.at, now).await?;
            rest = later;
        }
        self.storage.flush(&files[units[unit].extents[0].file].0).await?;
        journal::note(&self.storage, unit, &units[unit].entry(&bytes)).await?;
        growth.have.borrow_mut()[unit] = Have::Yes;
        self.count(bytes.len() as u64).await
    }

    /// Has the source compare what came of it with what it should be. Nobody knows which of it is
    /// wrong, so nothing stays then.
    async fn compare(&self, growth: &Growth<S>) -> Result<()> {
        let compared = growth.origin.source().compare().await;
        if compared.as_ref().is_err_and(|error| error.code == Code::Corrupt) {
            self.storage.remove(journal::FILE).await?;
            self.stored.set(Stored { bytes: 0, ..self.stored.get() });
            self.tell(|about| about.grow(self.stored.get().total, 0)).await?;
        }
        self.storage.remove(HASHED).await?;
        compared
    }

    /// Forgets a unit that the storage has.
    async fn lose(&self, growth: &Growth<S>, unit: usize) -> Result<()> {
        journal::strike(&self.storage, unit).await?;
        growth.have.borrow_mut()[unit] = Have::No;
        let stored = self.stored.get();
        self.stored
            .set(Stored { bytes: stored.bytes - growth.origin.units[unit].bytes(), ..stored });
        Ok(())
    }

    async fn count(&self, bytes: u64) -> Result<()> {
        let before = self.stored.get();
        let now = Stored { bytes: before.bytes + bytes, ..before };
        self.stored.set(now);
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(now);
        }
        if now.bytes / TELL == before.bytes / TELL {
            return Ok(());
        }
        let hashed = self
            .growth
            .as_ref()
            .map(|growth| growth.origin.source().hashed())
            .filter(|hashed| !hashed.is_empty());
        if let Some(hashed) = hashed {
            write_over(&self.storage, HASHED, hashed).await?;
        }
        self.tell(|about| about.grow(now.total, now.bytes)).await
    }

    /// Changes what the storage says of the model.
    async fn tell(&self, change: impl FnOnce(&mut About)) -> Result<()> {
        let mut about = self.about.borrow().clone();
        change(&mut about);
        about.write(&self.storage).await?;
        self.about.replace(about);
        Ok(())
    }
}

impl<S> Growth<S> {
    fn has(&self, unit: usize) -> Have {
        self.have.borrow()[unit]
    }
}

impl<S: Source, M: ModelStorage> Source for CachedModel<S, M> {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    fn entry(&self) -> Option<&str> {
        None
    }

    fn checked(&self) -> bool {
        true
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        if file == MANIFEST {
            return Ok(Some(self.0.text.len() as u64));
        }
        Ok(self.0.manifest.files.get(file).map(|entry| entry.size))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let inner = &*self.0;
        if file == MANIFEST {
            let end = offset.saturating_add(into.len() as u64);
            let Some(part) = inner.text.get(offset as usize..end as usize) else {
                return Err(truncated(file, &inner.name, inner.text.len() as u64, end));
            };
            into.copy_from_slice(part);
            return Ok(());
        }
        if let Some(growth) = &inner.growth {
            let end = offset.saturating_add(into.len() as u64);
            let runs = growth.runs.get(file).map_or(&[][..], Vec::as_slice);
            let first = runs.partition_point(|&(at, len, _)| at + len <= offset);
            for &(at, _, unit) in &runs[first..] {
                if at >= end {
                    break;
                }
                inner.get(growth, unit).await?;
            }
        }
        inner.storage.read(file, offset, into).await
    }
}

fn total(manifest: &Manifest) -> u64 {
    manifest.files.values().map(|entry| entry.size).sum()
}

/// The manifest of a model that is complete, and its text.
async fn complete(storage: &impl ModelStorage) -> Result<Option<(Manifest, Vec<u8>)>> {
    let Some((manifest, text)) = manifest(storage).await? else { return Ok(None) };
    for (file, entry) in &manifest.files {
        if storage.size(file).await? != Some(entry.size) {
            return Ok(None);
        }
    }
    Ok(Some((manifest, text)))
}

/// The manifest that is in storage, if it can be read: one that was cut while it was written makes
/// nothing complete.
async fn manifest(storage: &impl ModelStorage) -> Result<Option<(Manifest, Vec<u8>)>> {
    let Some(text) = read_all(storage, MANIFEST).await? else { return Ok(None) };
    Ok(Manifest::parse(MANIFEST, &text).ok().map(|manifest| (manifest, text)))
}

/// A small file, unless it is not there or empty.
async fn read_all(storage: &impl ModelStorage, file: &str) -> Result<Option<Vec<u8>>> {
    let Some(size) = storage.size(file).await?.filter(|size| (1..=LARGEST_JSON).contains(size))
    else {
        return Ok(None);
    };
    let mut bytes = vec![0; size as usize];
    storage.read(file, 0, &mut bytes).await?;
    Ok(Some(bytes))
}

/// Makes a file this JSON, with blanks behind it, so that writing it again changes nothing but its
/// bytes: a kill leaves the old ones or the new.
async fn write_over(storage: &impl ModelStorage, file: &str, mut text: Vec<u8>) -> Result<()> {
    text.resize(text.len().next_multiple_of(PAGE), b' ');
    write_all(storage, file, &text).await
}

/// Makes a file these bytes.
async fn write_all(storage: &impl ModelStorage, file: &str, bytes: &[u8]) -> Result<()> {
    if storage.size(file).await? != Some(bytes.len() as u64) {
        storage.resize(file, bytes.len() as u64).await?;
    }
    storage.write(file, 0, bytes).await?;
    storage.flush(file).await
}

/// Which units of a model are in storage, and bytes of others that it had of another state of the
/// model.
async fn present<S: Source>(
    origin: &Origin<S>,
    storage: &impl ModelStorage,
) -> Result<(Vec<Have>, u64)> {
    let layout = journal::tag(&[format!(
        "{:?} {:?}",
        origin.files,
        origin.units.iter().map(|unit| &unit.extents).collect::<Vec<_>>()
    )
    .as_bytes()]);
    let found = journal::open(storage, &layout, origin.units.len()).await?;
    let mut sizes = Vec::new();
    for (file, _) in &origin.files {
        sizes.push(storage.size(file).await?.unwrap_or(0));
    }
    let (mut have, mut changed) = (vec![Have::No; found.len()], 0);
    for (index, (unit, entry)) in origin.units.iter().zip(found).enumerate() {
        let whole = unit.extents.iter().all(|Extent { file, at, len }| at + len <= sizes[*file]);
        match entry {
            Some(entry) if entry.origin == unit.tag && whole => {
                have[index] = Have::Found(entry.digest)
            }
            Some(entry) => {
                changed += if entry.origin == unit.tag { 0 } else { unit.bytes() };
                // The file will have its size again, and then nothing else would tell.
                journal::strike(storage, index).await?;
            }
            None => {}
        }
    }
    Ok((have, changed))
}

/// Removes files of another state of the model that this one does not have.
async fn discard<S: Source>(origin: &Origin<S>, storage: &impl ModelStorage) -> Result<()> {
    let Some((old, _)) = manifest(storage).await? else { return Ok(()) };
    for file in old.files.keys().filter(|&old| origin.files.iter().all(|(file, _)| file != old)) {
        storage.remove(file).await?;
    }
    Ok(())
}

/// Makes room for all files, before the first byte comes.
async fn reserve<S: Source>(origin: &Origin<S>, storage: &impl ModelStorage) -> Result<()> {
    let mut wanting = Vec::new();
    for (file, size) in &origin.files {
        let there = storage.size(file).await?;
        if there != Some(*size) {
            wanting.push((file, *size, size.saturating_sub(there.unwrap_or(0))));
        }
    }
    let more = wanting.iter().map(|(_, _, more)| more).sum();
    if more > 0 {
        storage.ask_for_room(more).await?;
    }
    for (file, size, _) in wanting {
        storage.resize(file, size).await?;
    }
    Ok(())
}

fn runs<S>(origin: &Origin<S>) -> BTreeMap<String, Vec<(u64, u64, usize)>> {
    let mut runs: BTreeMap<String, Vec<(u64, u64, usize)>> = BTreeMap::new();
    for (index, unit) in origin.units.iter().enumerate() {
        for Extent { file, at, len } in &unit.extents {
            runs.entry(origin.files[*file].0.clone()).or_default().push((*at, *len, index));
        }
    }
    runs.values_mut().for_each(|runs| runs.sort_unstable());
    runs
}

/// The units in the order in which the source has them.
fn order<S>(origin: &Origin<S>) -> Vec<usize> {
    let mut order: Vec<_> = (0..origin.units.len()).collect();
    order.sort_by(|&one, &other| origin.units[one].place.cmp(&origin.units[other].place));
    order
}

/// The hashes of files whose source has none.
async fn hashes(
    storage: &impl ModelStorage,
    files: &[(String, u64)],
) -> Result<BTreeMap<String, FileEntry>> {
    let mut entries = BTreeMap::new();
    for (file, size) in files {
        let sha256 = chunk_hashes(storage, file, *size, CHUNK, &mut |_| {}).await?;
        entries.insert(file.clone(), FileEntry { size: *size, sha256 });
    }
    Ok(entries)
}

/// A file's hashes, chunk by chunk. `progress` hears how many bytes were hashed since it last
/// heard.
async fn chunk_hashes(
    storage: &impl ModelStorage,
    file: &str,
    size: u64,
    chunk: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<String>> {
    let (mut hashes, mut bytes) = (Vec::new(), Vec::new());
    for at in (0..size).step_by(chunk as usize) {
        bytes.resize((size - at).min(chunk) as usize, 0);
        storage.read(file, at, &mut bytes).await?;
        hashes.push(chunk_hash(&bytes));
        progress(bytes.len() as u64);
    }
    Ok(hashes)
}
