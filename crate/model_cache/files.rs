//! The files of a model in storage: small ones whole, the manifest, and hashes of all.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::storage::ModelStorage;
use crate::error::Result;
use crate::weights::store::{CHUNK, FileEntry, LARGEST_JSON, MANIFEST, Manifest, hash_text};

/// Bytes of which files that are written over have a multiple.
pub(super) const PAGE: usize = 4096;

/// Bytes that are read at once to be hashed.
const HASHED_AT_ONCE: usize = 1 << 20;

/// Bytes of all files.
pub(super) fn total(manifest: &Manifest) -> u64 {
    manifest.files.values().map(|entry| entry.size).sum()
}

/// The manifest of a model that is complete, and its text.
pub(super) async fn complete(storage: &impl ModelStorage) -> Result<Option<(Manifest, Vec<u8>)>> {
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
pub(super) async fn manifest(storage: &impl ModelStorage) -> Result<Option<(Manifest, Vec<u8>)>> {
    let Some(text) = read_all(storage, MANIFEST).await? else { return Ok(None) };
    Ok(Manifest::parse(MANIFEST, &text).ok().map(|manifest| (manifest, text)))
}

/// A small file, unless it is not there or empty.
pub(super) async fn read_all(storage: &impl ModelStorage, file: &str) -> Result<Option<Vec<u8>>> {
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
pub(super) async fn write_over(
    storage: &impl ModelStorage,
    file: &str,
    mut text: Vec<u8>,
) -> Result<()> {
    text.resize(text.len().next_multiple_of(PAGE), b' ');
    write_all(storage, file, &text).await
}

/// Makes a file these bytes.
pub(super) async fn write_all(storage: &impl ModelStorage, file: &str, bytes: &[u8]) -> Result<()> {
    if storage.size(file).await? != Some(bytes.len() as u64) {
        storage.resize(file, bytes.len() as u64).await?;
    }
    storage.write(file, 0, bytes).await?;
    storage.flush(file).await
}

/// The hashes of files whose source has none.
pub(super) async fn hashes(
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
pub(super) async fn chunk_hashes(
    storage: &impl ModelStorage,
    file: &str,
    size: u64,
    chunk: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<String>> {
    let (mut hashes, mut bytes) = (Vec::new(), Vec::new());
    for at in (0..size).step_by(chunk as usize) {
        let end = size.min(at + chunk);
        let mut hasher = Sha256::new();
        // Not a chunk at once: a module's memory, which does not shrink, would grow for it.
        for at in (at..end).step_by(HASHED_AT_ONCE) {
            bytes.resize(HASHED_AT_ONCE.min((end - at) as usize), 0);
            storage.read(file, at, &mut bytes).await?;
            hasher.update(&bytes);
        }
        hashes.push(hash_text(&hasher.finalize()));
        progress(end - at);
    }
    Ok(hashes)
}
