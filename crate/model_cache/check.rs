//! Hashing a complete model again.

use serde::Serialize;

use super::files::{chunk_hashes, complete, total};
use super::storage::ModelStorage;
use super::{CachedModel, Hashed};
use crate::error::{Code, Result, fail};
use crate::weights::format::WeightFormat;
use crate::weights::store::{FileEntry, Manifest, chunk_hash};

/// What checking found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Checked {
    /// Chunks whose bytes were not what they were written as.
    pub bad: u64,
    /// Bytes that were fetched again for them.
    pub repaired: u64,
}

/// Hashes a complete model again. Where a chunk is bad, the units in it that are not what was
/// written are got from the source once more, and nothing else is. `progress` hears how many bytes
/// of how many were hashed.
///
/// # Errors
/// `not-found` for a model that is not complete, those of reading, and `corrupt` when the source no
/// longer has what was kept.
pub async fn check<S: Hashed, M: ModelStorage + Clone>(
    source: S,
    storage: M,
    format: impl Into<WeightFormat>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked> {
    let Some((manifest, _)) = complete(&storage).await? else {
        fail!(Code::NotFound, "{}: not all of it is kept; load it first", storage.name());
    };
    let bad = bad_chunks(&storage, &manifest, progress).await?;
    if bad.is_empty() {
        return Ok(Checked::default());
    }
    let cached = CachedModel::begin(source, storage.clone(), format.into()).await?;
    cached.finish().await?;
    for (file, at, len) in &bad {
        let mut bytes = vec![0; *len as usize];
        storage.read(file, *at, &mut bytes).await?;
        if chunk_hash(&bytes) != manifest.files[file].sha256[(at / manifest.chunk) as usize] {
            fail!(
                Code::Corrupt,
                "{file} in {}: the source no longer has what was kept; delete the model and load \
                    it again",
                storage.name()
            );
        }
    }
    let repaired = cached.0.growth.as_ref().map_or(0, |growth| growth.rotten.get());
    Ok(Checked { bad: bad.len() as u64, repaired })
}

/// Files, first bytes and lengths of the chunks that are not what the manifest says.
async fn bad_chunks(
    storage: &impl ModelStorage,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<(String, u64, u64)>> {
    let (total, mut done, mut bad) = (total(manifest), 0, Vec::new());
    for (file, FileEntry { size, sha256 }) in &manifest.files {
        let mut count = |bytes| {
            done += bytes;
            progress(done, total);
        };
        let found = chunk_hashes(storage, file, *size, manifest.chunk, &mut count).await?;
        let wrong = (0..)
            .step_by(manifest.chunk as usize)
            .zip(found.iter().zip(sha256))
            .filter(|(_, (found, said))| found != said);
        bad.extend(wrong.map(|(at, _)| (file.clone(), at, manifest.chunk.min(size - at))));
    }
    Ok(bad)
}
