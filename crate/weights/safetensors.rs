//! Safetensors headers: where the tensors of a file lie.
//!
//! Read here rather than by the crate of that name, whose offsets are `usize`: in a browser that is 32 bits, and shards are
//! larger than 4 GB.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::source::{Source, parse_json, truncated};
use super::tensor::{Stored, Tensor};
use crate::error::{Code, Result, fail};

/// The format's own limit.
const LARGEST_HEADER: u64 = 100_000_000;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    _metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of a file.
///
/// # Errors
/// `not-found`; `not-a-model` when it has no such header; `truncated` when the header or a tensor ends behind the file;
/// `malformed` when it contradicts itself.
pub async fn read_header(source: &impl Source, file: &str) -> Result<Vec<Tensor>> {
    let Some(size) = source.size(file).await? else {
        fail!(Code::NotFound, "{file} in {}: there is no such file", source.name());
    };
    if size < 8 {
        return Err(truncated(file, &source.name(), size, 8));
    }
    let mut length = [0; 8];
    source.read(file, 0, &mut length).await?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER {
        fail!(Code::NotAModel, "{file} in {}: not a safetensors file; its header would be {length} bytes long", source.name());
    }
    let data = 8 + length;
    if data > size {
        return Err(truncated(file, &source.name(), size, data));
    }
    let mut json = vec![0; length as usize];
    source.read(file, 8, &mut json).await?;
    if json.first() != Some(&b'{') {
        fail!(Code::NotAModel, "{file} in {}: not a safetensors file; it has no header of JSON", source.name());
    }
    let header: Header = parse_json(file, &json)?;
    let name: Arc<str> = file.into();
    let tensors = header.tensors.into_iter().map(|(tensor, entry)| place(tensor, entry, &name, data));
    let tensors = tensors.collect::<Result<Vec<_>>>()?;
    match tensors.iter().map(|tensor| tensor.offset + tensor.bytes).max() {
        Some(end) if end > size => Err(truncated(file, &source.name(), size, end)),
        _ => Ok(tensors),
    }
}

fn place(name: String, entry: Entry, file: &Arc<str>, data: u64) -> Result<Tensor> {
    let stored = stored(&entry.dtype);
    let [begin, end] = entry.data_offsets;
    let elements = entry.shape.iter().try_fold(1u64, |all, &n| all.checked_mul(n));
    let sound = elements.is_some() && begin <= end && end.checked_add(data).is_some();
    let needed = elements.and_then(|elements| stored.bytes(elements));
    if !sound || (stored.block().is_some() && needed != Some(end - begin)) {
        let shape = entry.shape;
        fail!(Code::Malformed, "{file}: {name} of type {} and shape {shape:?} cannot lie in bytes {begin} to {end}", stored.name());
    }
    Ok(Tensor { name, shape: entry.shape, stored, file: file.clone(), offset: data + begin, bytes: end - begin })
}

fn stored(dtype: &str) -> Stored {
    match dtype {
        "F32" => Stored::F32,
        "F16" => Stored::F16,
        "BF16" => Stored::BF16,
        "U8" => Stored::U8,
        other => Stored::Other(other.to_owned()),
    }
}

/// The files of a model, and which of them has each tensor, where an index says so.
#[derive(Default)]
pub struct Shards {
    /// Each once.
    pub files: Vec<String>,
    /// By the tensor's name.
    pub of: BTreeMap<String, String>,
}

/// The files that an index names.
///
/// # Errors
/// `truncated` or `malformed`, also when a name leads out of the directory.
pub fn shards(file: &str, index: &[u8]) -> Result<Shards> {
    let index: Index = parse_json(file, index)?;
    let mut files: Vec<String> = index.weight_map.values().cloned().collect();
    files.sort();
    files.dedup();
    for name in &files {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
            fail!(Code::Malformed, "{file}: {name:?} is not the name of a file beside it");
        }
    }
    Ok(Shards { files, of: index.weight_map })
}
