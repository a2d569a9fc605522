//! Safetensors headers: where the tensors of a file lie.
//!
//! Read here rather than by the crate of that name, whose offsets are `usize`: in a browser that is
//! 32 bits, and shards are larger than 4 GB.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::source::{
    LONGEST_FILE, Source, foreign, missing, place as place_of, truncated, truncated_header,
};
use super::tensor::{Tensor, apart};
use crate::error::{Code, Result, fail};
use crate::json;
use crate::layout::element_type::ElementType;

/// The format's own limit.
const LARGEST_HEADER: u64 = 100_000_000;
/// Enough to see what a file is that is no such file.
const BEGIN: u64 = 32;

/// The tensors of a header, in its order, each name once.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Header, D::Error> {
        from.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
        let (mut names, mut tensors) = (BTreeSet::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("{name} is there twice")));
            }
            if name == "__metadata__" {
                map.next_value::<Option<BTreeMap<String, String>>>()?;
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        Ok(Header(tensors))
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
#[serde(expecting = "an object with a weight_map")]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of a file.
///
/// # Errors
/// `not-found`; `not-a-model` when it has no such header; `truncated` when the header or a tensor
/// ends behind the file; `malformed` when it contradicts itself.
pub async fn read_header(source: &impl Source, file: &str) -> Result<Vec<Tensor>> {
    let at = place_of(file, &source.name());
    let Some(size) = source.size(file).await? else {
        return Err(missing(&at));
    };
    let mut begin = vec![0; size.min(BEGIN) as usize];
    source.read(file, 0, &mut begin).await?;
    let Some(length) = begin.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
        return Err(truncated_header(&at, size));
    };
    if length > LARGEST_HEADER {
        let why = format!(
            "not a safetensors file, whose header would be {length} bytes long; fetch it again, \
                or name another model"
        );
        return Err(foreign(&at, &why, &begin));
    }
    let data = 8 + length;
    if data > size {
        return Err(truncated_header(&at, size));
    }
    let mut json = vec![0; length as usize];
    source.read(file, 8, &mut json).await?;
    if json.first() != Some(&b'{') {
        let why = "not a safetensors file, since it has no header of JSON; fetch it again, or \
            name another model";
        return Err(foreign(&at, why, &begin));
    }
    let Header(entries) = json::parse(&at, &json)?;
    let name: Arc<str> = file.into();
    let tensors = entries.into_iter().map(|(tensor, entry)| place(tensor, entry, &name, data, &at));
    let tensors = tensors.collect::<Result<Vec<_>>>()?;
    match tensors.iter().map(|tensor| tensor.offset + tensor.bytes).max() {
        Some(end) if end > size => Err(truncated(file, &source.name(), size, end)),
        _ => apart(&tensors).map(|()| tensors),
    }
}

fn place(name: String, entry: Entry, file: &Arc<str>, data: u64, at: &str) -> Result<Tensor> {
    let stored = stored(&entry.dtype);
    let [begin, end] = entry.data_offsets;
    let elements = entry.shape.iter().try_fold(1u64, |all, &n| all.checked_mul(n));
    let sound = elements.is_some()
        && begin <= end
        && end.checked_add(data).is_some_and(|end| end <= LONGEST_FILE);
    let needed = elements.and_then(|elements| stored.bytes(elements));
    if !sound || (stored.block().is_some() && needed != Some(end - begin)) {
        let shape = entry.shape;
        fail!(
            Code::Malformed,
            "{at}: {name} of type {} and shape {shape:?} cannot lie in bytes {begin} to {end}; \
                the file is damaged, fetch it again",
            stored.name()
        );
    }
    Ok(Tensor {
        name,
        shape: entry.shape,
        stored,
        file: file.clone(),
        offset: data + begin,
        bytes: end - begin,
    })
}

fn stored(dtype: &str) -> ElementType {
    match dtype {
        "F32" => ElementType::F32,
        "F16" => ElementType::F16,
        "BF16" => ElementType::BF16,
        "U8" => ElementType::U8,
        other => ElementType::Other(other.to_owned()),
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
    let index: Index = json::parse(file, index)?;
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
