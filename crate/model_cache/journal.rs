//! Which units are in storage: a file of fixed records, one for each unit, written after the unit's
//! bytes are safe.
//!
//! A record names what its unit was made from, and the hash of its bytes, so that one made from
//! others, or torn by a kill while it was written, does not count, and one that storage has lost a
//! bit of is found out.

use sha2::{Digest, Sha256};

use super::storage::ModelStorage;
use crate::error::Result;
use crate::weights::store::hash_text;

/// The journal's name.
pub const FILE: &str = "journal";
/// Bytes of a record: two tags, and the beginning of their hash.
const RECORD: usize = 64;

/// Bytes in short.
pub type Tag = [u8; 24];

/// A unit that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it was made from.
    pub origin: Tag,
    /// Its bytes, as [`digest`] has them.
    pub digest: Tag,
}

/// The tag of some bytes.
pub fn tag(parts: &[&[u8]]) -> Tag {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    first(&hasher.finalize())
}

/// What a unit's bytes, one part after the other, are remembered by.
pub fn digest(parts: &[Vec<u8>]) -> Tag {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    digest_of(&hash_text(&hasher.finalize()))
}

/// What a unit's bytes are remembered by whose SHA-256 is known.
pub fn digest_of(sha256: &str) -> Tag {
    tag(&[sha256.as_bytes()])
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| hash[i])
}

/// An entry and its check, as the journal holds them; the place is hashed in, so that a record
/// counts nowhere else.
fn record(place: u64, Entry { origin, digest }: &Entry) -> [u8; RECORD] {
    let check: [u8; 16] = first(
        &Sha256::new()
            .chain_update(place.to_le_bytes())
            .chain_update(origin)
            .chain_update(digest)
            .finalize(),
    );
    let mut record = [0; RECORD];
    record[..24].copy_from_slice(origin);
    record[24..48].copy_from_slice(digest);
    record[48..].copy_from_slice(&check);
    record
}

/// The layout of the journal that the storage has, if it has one.
pub async fn layout(storage: &impl ModelStorage) -> Result<Option<Tag>> {
    if storage.size(FILE).await?.is_none_or(|size| size < RECORD as u64) {
        return Ok(None);
    }
    let mut head = [0; RECORD];
    storage.read(FILE, 0, &mut head).await?;
    let layout = first(&head);
    Ok((head == record(0, &Entry { origin: layout, digest: layout })).then_some(layout))
}

/// The units that are in storage, `None` for those that it does not. The layout's own tag comes
/// first: a journal of another layout is none, and begun anew.
pub async fn open(
    storage: &impl ModelStorage,
    layout: &Tag,
    units: usize,
) -> Result<Vec<Option<Entry>>> {
    let size = (RECORD * (1 + units)) as u64;
    let mut bytes = vec![0; size as usize];
    if storage.size(FILE).await? == Some(size) {
        storage.read(FILE, 0, &mut bytes).await?;
    }
    let (records, _) = bytes.as_chunks::<RECORD>();
    let entries = records.iter().enumerate().map(|(place, found)| {
        let entry = Entry { origin: first(found), digest: first(&found[24..]) };
        (record(place as u64, &entry) == *found).then_some(entry)
    });
    let (mut entries, head) =
        (entries.collect::<Vec<_>>(), Entry { origin: *layout, digest: *layout });
    if entries[0] == Some(head) {
        entries.remove(0);
        return Ok(entries);
    }
    storage.resize(FILE, 0).await?;
    storage.resize(FILE, size).await?;
    put(storage, 0, &record(0, &head)).await?;
    Ok(vec![None; units])
}

/// Notes that a unit, whose bytes are safe, is there.
pub async fn note(storage: &impl ModelStorage, unit: usize, entry: &Entry) -> Result<()> {
    let place = 1 + unit as u64;
    put(storage, place, &record(place, entry)).await
}

/// Notes that it is not.
pub async fn strike(storage: &impl ModelStorage, unit: usize) -> Result<()> {
    put(storage, 1 + unit as u64, &[0; RECORD]).await
}

async fn put(storage: &impl ModelStorage, place: u64, record: &[u8; RECORD]) -> Result<()> {
    storage.write(FILE, place * RECORD as u64, record).await?;
    storage.flush(FILE).await
}
