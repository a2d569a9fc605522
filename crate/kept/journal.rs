//! Which units a vault holds: a file of fixed records, one for each unit, written after the unit's bytes are safe.
//!
//! A record names what its unit was made from, so that one made from other bytes, or torn by a kill while it was written, does not count.

use sha2::{Digest, Sha256};

use super::vault::Vault;
use crate::error::Result;

/// The journal's name.
pub const FILE: &str = "journal";
/// Bytes of a record: a tag, and the beginning of its hash.
const RECORD: usize = 32;

/// What a unit is made from, in short.
pub type Tag = [u8; 24];

/// The tag of some bytes.
pub fn tag(parts: &[&[u8]]) -> Tag {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    first(&hasher.finalize())
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| hash[i])
}

/// A tag and its check, as the journal holds them; the place is hashed in, so that a record counts nowhere else.
fn record(place: u64, tag: &Tag) -> [u8; RECORD] {
    let check: [u8; 8] = first(&Sha256::new().chain_update(place.to_le_bytes()).chain_update(tag).finalize());
    let mut record = [0; RECORD];
    record[..tag.len()].copy_from_slice(tag);
    record[tag.len()..].copy_from_slice(&check);
    record
}

/// The tags of the units that a vault holds, `None` for those that it does not. The layout's own tag comes first: a journal of another
/// layout is none, and begun anew.
pub async fn open(vault: &impl Vault, layout: &Tag, units: usize) -> Result<Vec<Option<Tag>>> {
    let size = (RECORD * (1 + units)) as u64;
    let mut bytes = vec![0; size as usize];
    if vault.size(FILE).await? == Some(size) {
        vault.read(FILE, 0, &mut bytes).await?;
    }
    let (records, _) = bytes.as_chunks::<RECORD>();
    let tags = records.iter().enumerate().map(|(place, found)| {
        let tag = first(found);
        (record(place as u64, &tag) == *found).then_some(tag)
    });
    let mut tags: Vec<_> = tags.collect();
    if tags[0] == Some(*layout) {
        tags.remove(0);
        return Ok(tags);
    }
    vault.resize(FILE, 0).await?;
    vault.resize(FILE, size).await?;
    put(vault, 0, &record(0, layout)).await?;
    Ok(vec![None; units])
}

/// Notes that a unit, whose bytes are safe, is there.
pub async fn note(vault: &impl Vault, unit: usize, tag: &Tag) -> Result<()> {
    let place = 1 + unit as u64;
    put(vault, place, &record(place, tag)).await
}

/// Notes that it is not.
pub async fn strike(vault: &impl Vault, unit: usize) -> Result<()> {
    put(vault, 1 + unit as u64, &[0; RECORD]).await
}

async fn put(vault: &impl Vault, place: u64, record: &[u8; RECORD]) -> Result<()> {
    vault.write(FILE, place * RECORD as u64, record).await?;
    vault.flush(FILE).await
}
