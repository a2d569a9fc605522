//! What a model needs that is not complete: which of its units are there, and room for the others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::files::manifest;
use super::journal::{self, Tag};
use super::origin::{Extent, Origin};
use super::storage::ModelStorage;
use crate::error::Result;
use crate::weights::source::Source;

/// Whether a unit is in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Have {
    No,
    /// It was at the start, with this digest; nobody has looked since.
    Found(Tag),
    Yes,
}

/// What a model needs that is not complete.
pub(super) struct Growth<S> {
    pub origin: Origin<S>,
    pub have: RefCell<Vec<Have>>,
    /// Bytes that were there, and not as they were written.
    pub rotten: Cell<u64>,
    /// The units as the source has them, and how many of them are there or were seen to.
    pub order: Vec<usize>,
    pub next: Cell<usize>,
    /// Where each file's bytes come from: first byte, length and unit, in order.
    pub runs: BTreeMap<String, Vec<(u64, u64, usize)>>,
}

impl<S> Growth<S> {
    /// Begins with the units that the storage has.
    pub fn of(origin: Origin<S>, have: Vec<Have>) -> Growth<S> {
        Growth {
            runs: runs(&origin),
            have: RefCell::new(have),
            rotten: Cell::new(0),
            order: order(&origin),
            next: Cell::new(0),
            origin,
        }
    }

    pub fn has(&self, unit: usize) -> Have {
        self.have.borrow()[unit]
    }

    /// Notes that a unit is in the storage, as it was made.
    pub fn settle(&self, unit: usize) {
        self.have.borrow_mut()[unit] = Have::Yes;
        self.origin.units[unit].forget();
    }
}

/// Which units of a model are in storage, and bytes of others that it had of another state of the
/// model.
pub(super) async fn present<S: Source>(
    origin: &Origin<S>,
    storage: &impl ModelStorage,
) -> Result<(Vec<Have>, u64)> {
    let found = journal::open(storage, &layout(origin), origin.units.len()).await?;
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

/// Where everything goes.
fn layout<S>(origin: &Origin<S>) -> journal::Tag {
    let extents: Vec<_> = origin.units.iter().map(|unit| &unit.extents).collect();
    journal::tag(&[format!("{:?} {extents:?}", origin.files).as_bytes()])
}

/// The origin as the storage's journal has it: what the first version began goes on in its kinds.
pub(super) async fn as_begun<S: Source>(
    origin: Origin<S>,
    storage: &impl ModelStorage,
) -> Result<Origin<S>> {
    let begun = journal::layout(storage).await?;
    if origin.is_as_first() || begun.is_none_or(|begun| begun == layout(&origin)) {
        return Ok(origin);
    }
    let first = origin.replanned(true).await?;
    if begun == Some(layout(&first)) { Ok(first) } else { first.replanned(false).await }
}

/// Removes files of another state of the model that this one does not have.
pub(super) async fn discard<S: Source>(
    origin: &Origin<S>,
    storage: &impl ModelStorage,
) -> Result<()> {
    let Some((old, _)) = manifest(storage).await? else { return Ok(()) };
    for file in old.files.keys().filter(|&old| origin.files.iter().all(|(file, _)| file != old)) {
        storage.remove(file).await?;
    }
    Ok(())
}

/// Makes room for all files, before the first byte comes.
pub(super) async fn reserve<S: Source>(
    origin: &Origin<S>,
    storage: &impl ModelStorage,
) -> Result<()> {
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

/// Where each file's bytes come from, in order.
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
