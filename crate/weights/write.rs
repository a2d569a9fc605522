//! Writing our converted form, from front to back: panels go out as they come in.
//!
//! Kinds and shapes are known before the first weight is read, and with them every header. A matrix's codes pass straight
//! through; only its scales and minima wait until the codes are written, a sixteenth of the weights' number in bytes each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, INDEX, SINGLE};
use super::config::{Config, EMBED_TOKENS, LM_HEAD, NORM, layer_tensor};
use super::layout::{GROUP, Kind, QUAD, planes};
use super::load::{Hold, Origin};
use super::panel::Panel;
use super::quant::Fit;
use super::source::Source;
use super::store::{CHUNK, FORMAT, FileEntry, MANIFEST, Manifest, MatrixEntry, VERSION, hash_text, plane_name};
use crate::error::Result;

/// How a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How weights are held.
    pub hold: Hold,
    /// A file of weights ends before the matrix that would make it larger, unless that is its only one.
    pub shard_bytes: u64,
}

impl<H: Into<Hold>> From<H> for Options {
    /// Files of 1 GiB.
    fn from(hold: H) -> Options {
        Options { hold: hold.into(), shard_bytes: 1 << 30 }
    }
}

/// Where the files of a model go: each from front to back, one after the other.
pub trait Target {
    /// Begins a file. The one before is complete.
    ///
    /// # Errors
    /// `io`.
    fn begin(&mut self, file: &str) -> Result<()>;

    /// Appends to the file begun last.
    ///
    /// # Errors
    /// `io`.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
}

/// What became of the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The kinds that occur. Norms count as f32.
    pub kinds: Vec<Held>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The tensors of a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Their kind.
    pub kind: Kind,
    /// How many there are.
    pub tensors: usize,
    /// Weights in all of them.
    pub weights: u64,
    /// Bytes in all of them, scales and padding included.
    pub bytes: u64,
    /// How well those fit that had to be quantised or rounded; others are kept exactly.
    pub fit: Fit,
}

impl Held {
    /// Bits a weight, all told.
    pub fn bits(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.weights as f64
    }
}

impl Report {
    fn count(&mut self, kind: Kind, weights: u64, bytes: u64, fit: Fit) {
        let at = self.kinds.iter().position(|held| held.kind == kind).unwrap_or_else(|| {
            self.kinds.push(Held { kind, tensors: 0, weights: 0, bytes: 0, fit: Fit::default() });
            self.kinds.len() - 1
        });
        let held = &mut self.kinds[at];
        held.tensors += 1;
        held.weights += weights;
        held.bytes += bytes;
        held.fit += fit;
    }
}

impl<S: Source> Checkpoint<S> {
    /// Writes the model in our converted form: its weights, the files of `texts` (names and contents) and the manifest, last.
    /// `progress` hears how many bytes of the source were read since it last heard.
    ///
    /// # Errors
    /// Those of reading, `malformed` for weights that are NaN or infinite, and the target's own.
    pub async fn write<T: Target>(
        &self,
        target: &mut T,
        options: impl Into<Options>,
        texts: &[(&str, Vec<u8>)],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report> {
        let Options { hold, shard_bytes } = options.into();
        let mut out = Hashing { target, files: BTreeMap::new(), current: None };
        let mut report = Report::default();
        for (name, bytes) in texts {
            out.begin(name)?;
            out.append(bytes)?;
        }
        let items = in_order(&self.config).into_iter().map(|item| self.planned(item, hold)).collect::<Result<Vec<_>>>()?;
        let shards = shards(items, shard_bytes);
        if let [_, _, ..] = shards[..] {
            out.begin(INDEX)?;
            out.append(index(&shards).to_string().as_bytes())?;
        }
        for (number, shard) in shards.iter().enumerate() {
            out.begin(&shard_name(number, shards.len()))?;
            out.append(&header(shard))?;
            for item in shard {
                let fit = match *item {
                    Item::Matrix { ref name, shape, .. } => self.write_matrix(&mut out, name, shape, hold, progress).await?,
                    Item::Vector { ref name, length } => {
                        let values = self.vector(name, length).await?;
                        out.append(bytemuck::cast_slice(&values))?;
                        Fit::default()
                    }
                };
                report.count(item.kind(), item.weights(), item.bytes(), fit);
            }
        }
        let matrices = shards.iter().flatten().filter_map(Item::entry).collect();
        let files = out.finish();
        let manifest = Manifest { format: FORMAT.to_owned(), version: VERSION, chunk: CHUNK, matrices, files };
        let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
        target.begin(MANIFEST)?;
        target.append(&manifest)?;
        let files = Manifest::parse(&manifest)?.files;
        report.bytes = manifest.len() as u64 + files.values().map(|file| file.size).sum::<u64>();
        Ok(report)
    }

    fn planned(&self, item: Item, hold: Hold) -> Result<Item> {
        Ok(match item {
            Item::Matrix { name, shape, .. } => Item::Matrix { kind: self.kind_of(&name, shape, hold)?, name, shape },
            vector => vector,
        })
    }

    async fn write_matrix<T: Target>(
        &self,
        out: &mut Hashing<'_, T>,
        name: &str,
        shape: [usize; 2],
        hold: Hold,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Fit> {
        let (mut scales, mut mins, mut fit) = (Vec::new(), Vec::new(), Fit::default());
        let mut take = |_: usize, panel: Panel, origin: Origin| {
            out.append(&panel.codes)?;
            scales.extend_from_slice(&panel.scales);
            mins.extend_from_slice(&panel.mins);
            fit += origin.fit;
            progress(origin.bytes);
            Ok(())
        };
        self.each_panel(name, shape, hold, &mut take).await?;
        out.append(bytemuck::cast_slice(&scales))?;
        out.append(bytemuck::cast_slice(&mins))?;
        Ok(fit)
    }
}

/// A tensor of the model.
enum Item {
    Matrix { name: String, shape: [usize; 2], kind: Kind },
    Vector { name: String, length: usize },
}

/// The tensors in the order in which a model uses them; kinds are not known yet.
fn in_order(config: &Config) -> Vec<Item> {
    let shapes: BTreeMap<_, _> = config.matrices().into_iter().collect();
    let lengths: BTreeMap<_, _> = config.vectors().into_iter().collect();
    let matrix = |name: String| Item::Matrix { shape: shapes[&name], name, kind: Kind::F32 };
    let vector = |name: String| Item::Vector { length: lengths[&name], name };
    let mut items = vec![matrix(EMBED_TOKENS.to_owned())];
    for layer in 0..config.num_hidden_layers {
        items.push(vector(layer_tensor(layer, "input_layernorm")));
        items.push(matrix(layer_tensor(layer, "self_attn.qkv_proj")));
        items.push(matrix(layer_tensor(layer, "self_attn.o_proj")));
        items.push(vector(layer_tensor(layer, "post_attention_layernorm")));
        items.push(matrix(layer_tensor(layer, "mlp.gate_up_proj")));
        items.push(matrix(layer_tensor(layer, "mlp.down_proj")));
    }
    items.push(vector(NORM.to_owned()));
    if !config.tie_word_embeddings {
        items.push(matrix(LM_HEAD.to_owned()));
    }
    items
}

/// A tensor of a safetensors file: name, element type, shape, bytes.
type Plane = (String, &'static str, Vec<usize>, u64);

impl Item {
    fn kind(&self) -> Kind {
        match self {
            Item::Matrix { kind, .. } => *kind,
            Item::Vector { .. } => Kind::F32,
        }
    }

    fn weights(&self) -> u64 {
        match self {
            Item::Matrix { shape: [rows, cols], .. } => *rows as u64 * *cols as u64,
            Item::Vector { length, .. } => *length as u64,
        }
    }

    fn bytes(&self) -> u64 {
        self.planes().iter().map(|(.., bytes)| bytes).sum()
    }

    fn entry(&self) -> Option<(String, MatrixEntry)> {
        match self {
            Item::Matrix { name, shape: [rows, cols], kind } => Some((name.clone(), MatrixEntry { kind: *kind, rows: *rows, cols: *cols })),
            Item::Vector { .. } => None,
        }
    }

    /// What the file holds for it, in order.
    fn planes(&self) -> Vec<Plane> {
        match self {
            Item::Vector { name, length } => vec![(name.clone(), "F32", vec![*length], *length as u64 * 4)],
            Item::Matrix { name, shape: [rows, cols], kind } => {
                let (quads, groups) = (rows.div_ceil(QUAD), cols / GROUP);
                let sizes = planes(*kind, *rows, *cols);
                let codes = (plane_name(name, "codes"), "U8", vec![quads, groups, kind.codes_per_group()], sizes.codes);
                let halves = [("scales", sizes.scales), ("mins", sizes.mins)].into_iter().filter(|(_, bytes)| *bytes > 0);
                let halves = halves.map(|(plane, bytes)| (plane_name(name, plane), "F16", vec![quads, groups, QUAD], bytes));
                std::iter::once(codes).chain(halves).collect()
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
    if count == 1 { SINGLE.to_owned() } else { format!("model-{:05}-of-{count:05}.safetensors", number + 1) }
}

/// `model.safetensors.index.json`.
fn index(shards: &[Vec<Item>]) -> Value {
    let mut map = Map::new();
    for (number, shard) in shards.iter().enumerate() {
        for (name, ..) in shard.iter().flat_map(Item::planes) {
            map.insert(name, shard_name(number, shards.len()).into());
        }
    }
    let total: u64 = shards.iter().flatten().map(Item::bytes).sum();
    json!({"metadata": {"total_size": total}, "weight_map": map})
}

/// A file's length and header, padded so that the tensors are aligned to 8 bytes: all their sizes are.
fn header(shard: &[Item]) -> Vec<u8> {
    let mut map = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut offset = 0;
    for (name, dtype, shape, bytes) in shard.iter().flat_map(Item::planes) {
        map.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + bytes]}));
        offset += bytes;
    }
    let mut text = Value::Object(map).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), &text[..]].concat()
}

/// Hashes what passes through to a target.
struct Hashing<'a, T> {
    target: &'a mut T,
    files: BTreeMap<String, FileEntry>,
    current: Option<Current>,
}

/// The file that is being written.
struct Current {
    name: String,
    entry: FileEntry,
    /// Of the chunk that is not complete.
    hash: Sha256,
}

impl<T: Target> Hashing<'_, T> {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.end();
        self.target.begin(file)?;
        self.current = Some(Current { name: file.to_owned(), entry: FileEntry { size: 0, sha256: Vec::new() }, hash: Sha256::new() });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.target.append(bytes)?;
        if let Some(current) = &mut self.current {
            current.count(bytes);
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut current) = self.current.take() {
            if !current.entry.size.is_multiple_of(CHUNK) {
                current.end_chunk();
            }
            self.files.insert(current.name, current.entry);
        }
    }

    fn finish(mut self) -> BTreeMap<String, FileEntry> {
        self.end();
        self.files
    }
}

impl Current {
    fn count(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (CHUNK - self.entry.size % CHUNK) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.entry.size += now.len() as u64;
            if self.entry.size.is_multiple_of(CHUNK) {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    fn end_chunk(&mut self) {
        self.entry.sha256.push(hash_text(&self.hash.finalize_reset()));
    }
}
