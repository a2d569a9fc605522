//! What files a converted model consists of: all names, sizes and headers, known before the first
//! weight is read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, INDEX, SINGLE};
use super::format::WeightFormat;
use super::source::Source;
use super::spec::{self, Shape, TensorSpec};
use super::store::{
    BANDED, CHUNK, FORMAT, FileEntry, Manifest, MatrixEntry, PlaneTensor, VERSION, band_name,
    plane_name,
};
use crate::error::Result;
use crate::layout::element_type::ElementType;
use crate::layout::{Band, Kind, planes};

/// How a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// How weights are held.
    pub format: WeightFormat,
    /// A file of weights ends before the matrix that would make it larger, unless that is its only
    /// one.
    pub shard_bytes: u64,
}

impl<H: Into<WeightFormat>> From<H> for ConvertOptions {
    /// Files of 1 GiB.
    fn from(format: H) -> ConvertOptions {
        ConvertOptions { format: format.into(), shard_bytes: 1 << 30 }
    }
}

/// The files, in the order in which they are written; the manifest comes after them.
pub(crate) struct Plan {
    /// Small ones, whole.
    pub texts: Vec<(String, Vec<u8>)>,
    /// Those of weights.
    pub shards: Vec<Shard>,
}

/// A safetensors file.
pub(crate) struct Shard {
    pub name: String,
    /// What comes before the tensors.
    pub header: Vec<u8>,
    /// The tensors, as they follow each other.
    pub items: Vec<Item>,
}

impl Plan {
    /// The manifest, once it is known what the files' bytes are.
    pub fn manifest(&self, files: BTreeMap<String, FileEntry>) -> Manifest {
        let items = || self.shards.iter().flat_map(|shard| &shard.items);
        let version = if items().any(Item::is_banded) { BANDED } else { VERSION };
        let matrices = items().flat_map(Item::entries).collect();
        Manifest { format: FORMAT.to_owned(), version, chunk: CHUNK, matrices, files }
    }
}

impl<S: Source> Checkpoint<S> {
    /// Plans the model's converted form, with these small files in it.
    pub(crate) fn plan(&self, options: ConvertOptions, texts: &[(&str, Vec<u8>)]) -> Result<Plan> {
        let items = spec::tensors(&self.config)
            .map(|tensor| self.planned(tensor, options.format))
            .collect::<Result<Vec<_>>>()?;
        let shards = shards(items, options.shard_bytes);
        let mut texts: Vec<_> =
            texts.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        if let [_, _, ..] = shards[..] {
            texts.push((INDEX.to_owned(), index(&shards).to_string().into_bytes()));
        }
        let count = shards.len();
        let named = shards.into_iter().enumerate().map(|(number, items)| Shard {
            name: shard_name(number, count),
            header: header(&items),
            items,
        });
        Ok(Plan { texts, shards: named.collect() })
    }

    fn planned(&self, tensor: TensorSpec, format: WeightFormat) -> Result<Item> {
        let name = tensor.name;
        Ok(match tensor.shape {
            Shape::Matrix(shape) => {
                Item::Matrix { bands: self.bands(&name, shape, format)?, name, shape }
            }
            Shape::Vector(length) => Item::Vector { name, length },
        })
    }
}

/// A tensor of the model.
pub(crate) enum Item {
    Matrix { name: String, shape: [usize; 2], bands: Vec<Band> },
    Vector { name: String, length: usize },
}

/// A tensor of a safetensors file: name, element type, shape, bytes.
type Plane = (String, ElementType, Vec<usize>, u64);

impl Item {
    /// Kind, number and bytes of the weights of each band.
    pub fn held(&self) -> Vec<(Kind, u64, u64)> {
        match self {
            Item::Matrix { shape: [_, cols], bands, .. } => bands
                .iter()
                .map(|band| (band.kind, (band.rows * cols) as u64, band.planes(*cols).bytes()))
                .collect(),
            Item::Vector { length, .. } => vec![(Kind::F32, *length as u64, self.bytes())],
        }
    }

    pub fn bytes(&self) -> u64 {
        self.planes().iter().map(|(.., bytes)| bytes).sum()
    }

    /// Where some rows of one band lie among the bytes: first byte and length in each plane.
    pub fn extents(&self, row: usize, rows: usize) -> Vec<(u64, u64)> {
        let (mut at, mut first) = (0, 0);
        let Item::Matrix { shape: [_, cols], bands, .. } = self else { return Vec::new() };
        for band in bands {
            let whole = band.planes(*cols);
            if row < first + band.rows {
                let [before, own] = [row - first, rows].map(|rows| planes(band.kind, rows, *cols));
                let (scales, mins) = (at + whole.codes, at + whole.codes + whole.scales);
                let extents = [
                    (at + before.codes, own.codes),
                    (scales + before.scales, own.scales),
                    (mins + before.mins, own.mins),
                ];
                return extents.into_iter().filter(|(_, len)| *len > 0).collect();
            }
            (at, first) = (at + whole.bytes(), first + band.rows);
        }
        Vec::new()
    }

    fn is_banded(&self) -> bool {
        matches!(self, Item::Matrix { bands, .. } if bands.len() > 1)
    }

    /// What the manifest says: of a matrix that has one kind, or of each band.
    fn entries(&self) -> Vec<(String, MatrixEntry)> {
        let Item::Matrix { name, shape: [_, cols], bands } = self else { return Vec::new() };
        let entry = |(number, band): (usize, &Band)| {
            let name = if bands.len() == 1 { name.clone() } else { band_name(name, number) };
            (name, MatrixEntry { kind: band.kind, rows: band.rows, cols: *cols })
        };
        bands.iter().enumerate().map(entry).collect()
    }

    /// What the file holds for it, in order.
    fn planes(&self) -> Vec<Plane> {
        match self {
            Item::Vector { name, length } => {
                vec![(name.clone(), ElementType::F32, vec![*length], *length as u64 * 4)]
            }
            Item::Matrix { .. } => {
                let plane = |name: &str, tensor: PlaneTensor| {
                    let bytes = tensor.stored.bytes(tensor.len()).unwrap_or_default();
                    let shape = tensor.shape.to_vec();
                    (plane_name(name, tensor.plane), tensor.stored, shape, bytes)
                };
                let of_band = |(name, MatrixEntry { kind, rows, cols }): (String, MatrixEntry)| {
                    let tensors = PlaneTensor::of(kind, rows, cols).into_iter();
                    tensors.map(move |tensor| plane(&name, tensor))
                };
                self.entries().into_iter().flat_map(of_band).collect()
            }
        }
    }
}

/// Cuts the tensors into files of at most `most` bytes, unless one matrix alone is larger.
fn shards(items: Vec<Item>, most: u64) -> Vec<Vec<Item>> {
    let (mut shards, mut size): (Vec<Vec<Item>>, u64) = (vec![Vec::new()], 0);
    for item in items {
        let bytes = item.bytes();
        match shards.last_mut() {
            Some(shard) if shard.is_empty() || size + bytes <= most => {
                shard.push(item);
                size += bytes;
            }
            _ => {
                shards.push(vec![item]);
                size = bytes;
            }
        }
    }
    shards
}

fn shard_name(number: usize, count: usize) -> String {
    if count == 1 {
        SINGLE.to_owned()
    } else {
        format!("model-{:05}-of-{count:05}.safetensors", number + 1)
    }
}

/// `model.safetensors.index.json`.
fn index(shards: &[Vec<Item>]) -> Value {
    let mut map = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        for (name, ..) in shard.iter().flat_map(Item::planes) {
            map.insert(name, shard_name(number, shards.len()));
        }
    }
    let total: u64 = shards.iter().flatten().map(Item::bytes).sum();
    json!({"metadata": {"total_size": total}, "weight_map": map})
}

/// A file's length and header, padded so that the tensors are aligned to 8 bytes: all their sizes
/// are. Names are sorted, so that a model has one form.
fn header(shard: &[Item]) -> Vec<u8> {
    let mut map = BTreeMap::from([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut offset = 0;
    for (name, dtype, shape, bytes) in shard.iter().flat_map(Item::planes) {
        let (end, dtype) = (offset + bytes, dtype.name());
        map.insert(name, json!({"data_offsets": [offset, end], "dtype": dtype, "shape": shape}));
        offset = end;
    }
    let mut text = json!(map).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), &text[..]].concat()
}
