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
mod files;
mod growth;
mod journal;
mod origin;
mod published;
pub mod storage;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub use about::{About, FILE as ABOUT};
pub use check::{Checked, check};
use files::{complete, hashes, read_all, total, write_all, write_over};
use growth::{Growth, Have, as_begun, discard, present, reserve};
use origin::{Extent, Origin};
pub use published::{Hashed, Published};
pub use storage::{MemoryStorage, ModelStorage};

use crate::error::{Code, Error, Result};
use crate::weights::format::WeightFormat;
use crate::weights::source::{Source, truncated};
use crate::weights::store::{MANIFEST, Manifest};

/// Bytes after which `about.json` is told how many have come.
const TELL: u64 = 8 << 20;

/// How far the hashes of the source's files have come.
const HASHED: &str = "hashed";

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

impl<S: Hashed, M: ModelStorage> CachedModel<S, M> {
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
        let mut origin = as_begun(Origin::open(source, format).await?, &storage).await?;
        origin.forget_words();
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
        Ok(CachedModel::of(Inner {
            growth: Some(Growth::of(origin, have)),
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

    /// The manifest of a complete model, which has the hashes of all its files.
    ///
    /// # Errors
    /// `not-found` where it is not complete, and the storage's.
    pub async fn manifest(&self) -> Result<Vec<u8>> {
        let text = read_all(&self.0.storage, MANIFEST).await?;
        text.ok_or_else(|| Error::new(Code::NotFound, "the model is not complete"))
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

impl<S: Hashed, M: ModelStorage> Inner<S, M> {
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
        if journal::digest(&[bytes]) == digest {
            growth.settle(unit);
            return Ok(());
        }
        self.lose(growth, unit).await?;
        growth.rotten.set(growth.rotten.get() + units[unit].bytes());
        self.make(growth, unit).await
    }

    async fn make(&self, growth: &Growth<S>, unit: usize) -> Result<()> {
        let Origin { files, units, .. } = &growth.origin;
        let made = growth.origin.make(unit).await?;
        for (extent, bytes) in units[unit].extents.iter().zip(&made) {
            self.storage.write(&files[extent.file].0, extent.at, bytes).await?;
        }
        self.storage.flush(&files[units[unit].extents[0].file].0).await?;
        journal::note(&self.storage, unit, &units[unit].entry(&made)).await?;
        growth.settle(unit);
        self.count(units[unit].bytes()).await
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

impl<S: Hashed, M: ModelStorage> Source for CachedModel<S, M> {
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
