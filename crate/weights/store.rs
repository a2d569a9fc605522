//! Our converted form: what `phi convert` writes and what streams back without repacking.
//!
//! It is a directory that other tools can open too:
//!
//! | file | what it holds |
//! |---|---|
//! | `model.safetensors`, or `model-00001-of-000NN.safetensors` of about 1 GB and `model.safetensors.index.json` | the tensors |
//! | `config.json` | [`Config::to_json`](super::config::Config::to_json) |
//! | `generation_config.json` | `eos_token_id`: the stop tokens |
//! | `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja` | what the layer of words reads, where the model has them |
//! | `phi-manifest.json` | [`Manifest`]: what each matrix is, and the SHA-256 of every chunk of every other file |
//!
//! Tensors have the canonical names of [`Config::matrices`](super::config::Config::matrices) and
//! [`Config::vectors`](super::config::Config::vectors), with fused projections, and lie in the
//! files in the order in which a model uses them, so that each chunk is fetched about once. A
//! matrix `X.weight` of any kind is the planes of [`crate::layout`] as they lie in memory:
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `X.weight.codes` | `U8` | `[quads, groups, bytes of a quad's group]` |
//! | `X.weight.scales` | `F16`, or `U8` of K kinds | `[quads, groups, 4]` or `[quads, groups, 8]`, for kinds that have scales |
//! | `X.weight.mins` | `F16` | `[quads, groups, 4]`, for kinds that have minima |
//! | `X.weight.factors` | `F16` | `[quads, groups / 8, 8]` for `q4k` and `q5k`, `[quads, groups / 8, 4]` for `q6k` |
//!
//! with `quads = ceil(rows / 4)` and `groups = cols / 32`. Rows of padding are zero. Vectors are
//! `F32`, `[length]`, named as they are.
//!
//! A matrix of several kinds lies in bands, each of some rows of one kind, all but the last of a
//! multiple of four: `X.weight.0`, `X.weight.1` and so on are entries and have planes as if they
//! were matrices. The manifest is of version 2 then, which those who know of no bands refuse.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::source::{Source, truncated};
use crate::error::{Code, Error, Result, fail};
use crate::json;
use crate::layout::element_type::ElementType;
use crate::layout::{BLOCK, GROUP, Kind, QUAD, Scales};

/// The manifest's name; a directory that has it is a converted model.
pub const MANIFEST: &str = "phi-manifest.json";
/// What [`Manifest::format`] says.
pub const FORMAT: &str = "phi-wasm";
/// The version that we write.
pub const VERSION: u32 = 1;
/// The version that we write where a matrix lies in bands. Others are not read.
pub const BANDED: u32 = 2;
/// Bytes of a chunk that we write; each file's last one may be shorter.
pub const CHUNK: u64 = 8 << 20;
/// Larger indices, configurations and manifests are not sensible, in bytes.
pub(crate) const LARGEST_JSON: u64 = 32 << 20;
/// Larger chunks are not read: a whole one must be in memory to be checked.
const LARGEST_CHUNK: u64 = 64 << 20;

/// `phi-manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object of a converted model")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`] or [`BANDED`].
    pub version: u32,
    /// Bytes that each hash covers.
    pub chunk: u64,
    /// The matrices by canonical name, or their bands.
    pub matrices: BTreeMap<String, MatrixEntry>,
    /// All files but the manifest itself.
    pub files: BTreeMap<String, FileEntry>,
}

/// How a matrix, or a band of one, is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixEntry {
    /// The kind of its elements.
    pub kind: Kind,
    /// Output width, without padding.
    pub rows: usize,
    /// Input width, a multiple of 32.
    pub cols: usize,
}

/// What a file's bytes must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of each chunk in order, in lower-case hexadecimal.
    pub sha256: Vec<String>,
}

/// A plane of a matrix as a tensor.
pub(super) struct PlaneTensor {
    /// What comes after the matrix' name.
    pub plane: &'static str,
    pub stored: ElementType,
    pub shape: [usize; 3],
}

impl PlaneTensor {
    /// All of a matrix: codes, scales, and minima or factors.
    pub fn of(kind: Kind, rows: usize, cols: usize) -> Vec<PlaneTensor> {
        let (quads, groups) = (rows.div_ceil(QUAD), cols / GROUP);
        let tensor =
            |plane, stored, each, width| PlaneTensor { plane, stored, shape: [quads, each, width] };
        let halves = |plane| tensor(plane, ElementType::F16, groups, QUAD);
        let bytes = |plane, width| tensor(plane, ElementType::U8, groups, width);
        let factors = || tensor("factors", ElementType::F16, groups / BLOCK, kind.factors() * QUAD);
        let mut all = vec![bytes("codes", kind.codes_per_group())];
        match kind.scales() {
            Scales::None => {}
            Scales::Half => all.push(halves("scales")),
            Scales::HalfMin => all.extend([halves("scales"), halves("mins")]),
            _ => all.extend([bytes("scales", kind.scales_per_group()), factors()]),
        }
        all
    }

    /// Elements.
    pub fn len(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}

/// The name of a plane's tensor.
pub fn plane_name(matrix: &str, plane: &str) -> String {
    format!("{matrix}.{plane}")
}

/// The name of a matrix's band.
pub fn band_name(matrix: &str, number: usize) -> String {
    format!("{matrix}.{number}")
}

/// The hash of a chunk as the manifest spells it.
pub fn chunk_hash(bytes: &[u8]) -> String {
    hash_text(&Sha256::digest(bytes))
}

/// A hash in lower-case hexadecimal.
pub fn hash_text(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    /// The manifest as a file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest is plain data")
    }

    /// Reads and checks a manifest, which errors call `at`.
    ///
    /// # Errors
    /// `truncated` or `malformed` when it is cut or contradicts itself, `not-a-model` for another
    /// format or version.
    pub fn parse(at: &str, bytes: &[u8]) -> Result<Manifest> {
        let manifest = Manifest::parse_unhashed(at, bytes)?;
        for (file, entry) in &manifest.files {
            if entry.sha256.len() as u64 != entry.size.div_ceil(manifest.chunk) {
                fail!(
                    Code::Malformed,
                    "{at}: {file} has {} bytes but {} hashes",
                    entry.size,
                    entry.sha256.len()
                );
            }
        }
        Ok(manifest)
    }

    /// The entries of a matrix: itself, or its bands in order; none where it is not there.
    pub(super) fn bands_of(&self, name: &str) -> Vec<(String, MatrixEntry)> {
        let entry = |name: String| self.matrices.get(&name).map(|entry| (name, *entry));
        match entry(name.to_owned()) {
            Some(whole) => vec![whole],
            None => (0..).map_while(|number| entry(band_name(name, number))).collect(),
        }
    }

    /// Reads one that need not have hashes: where somebody else sees to it that bytes are right.
    pub(super) fn parse_unhashed(at: &str, bytes: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = json::parse(at, bytes)?;
        if manifest.format != FORMAT || ![VERSION, BANDED].contains(&manifest.version) {
            let (format, version) = (&manifest.format, manifest.version);
            fail!(
                Code::NotAModel,
                "{at}: {format} version {version}; we read {FORMAT} versions {VERSION} and \
                    {BANDED}, convert the model again"
            );
        }
        if manifest.chunk == 0 || manifest.chunk > LARGEST_CHUNK {
            fail!(
                Code::Malformed,
                "{at}: chunks of {} bytes; between 1 and {LARGEST_CHUNK} are read",
                manifest.chunk
            );
        }
        for (name, entry) in &manifest.matrices {
            let unit = entry.kind.unit();
            if entry.cols == 0 || !entry.cols.is_multiple_of(unit) || entry.rows == 0 {
                fail!(
                    Code::Malformed,
                    "{at}: {name} is [{}, {}]; columns come in groups of {unit}",
                    entry.rows,
                    entry.cols
                );
            }
        }
        Ok(manifest)
    }
}

/// Chunks that are kept, those used last: codes, scales and minima are read side by side, and
/// tensors share chunks where they meet.
const KEPT: usize = 4;

/// A source whose bytes are checked against a manifest before anybody sees them, unless the source
/// has done it.
pub(super) struct Verified {
    manifest: Manifest,
    /// The one used last comes first.
    recent: RefCell<VecDeque<Chunk>>,
}

struct Chunk {
    file: String,
    index: u64,
    bytes: Rc<Vec<u8>>,
}

impl Verified {
    pub fn new(manifest: Manifest) -> Verified {
        Verified { manifest, recent: RefCell::default() }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The size that the manifest promises, if the file is really that long.
    pub async fn size(&self, source: &impl Source, file: &str) -> Result<Option<u64>> {
        let Some(entry) = self.manifest.files.get(file) else { return Ok(None) };
        match source.size(file).await? {
            Some(size) if size < entry.size => {
                Err(truncated(file, &source.name(), size, entry.size))
            }
            Some(_) => Ok(Some(entry.size)),
            None => Err(Error::new(
                Code::NotFound,
                format!("{file} in {}: {MANIFEST} names it, but it is not there", source.name()),
            )),
        }
    }

    /// As [`Source::read`], from checked chunks.
    pub async fn read(
        &self,
        source: &impl Source,
        file: &str,
        offset: u64,
        into: &mut [u8],
    ) -> Result<()> {
        let Some(entry) = self.manifest.files.get(file) else {
            fail!(Code::NotFound, "{file} in {}: {MANIFEST} does not name it", source.name());
        };
        let end = offset.saturating_add(into.len() as u64);
        if end > entry.size {
            return Err(truncated(file, &source.name(), entry.size, end));
        }
        if source.checked() {
            return source.read(file, offset, into).await;
        }
        let mut at = offset;
        while at < end {
            let chunk = at / self.manifest.chunk;
            let begin = chunk * self.manifest.chunk;
            let bytes = self.chunk(source, file, entry, chunk).await?;
            let upto = end.min(begin + bytes.len() as u64);
            into[(at - offset) as usize..(upto - offset) as usize]
                .copy_from_slice(&bytes[(at - begin) as usize..(upto - begin) as usize]);
            at = upto;
        }
        Ok(())
    }

    async fn chunk(
        &self,
        source: &impl Source,
        file: &str,
        entry: &FileEntry,
        index: u64,
    ) -> Result<Rc<Vec<u8>>> {
        if let Some(bytes) = self.known(file, index) {
            return Ok(bytes);
        }
        let begin = index * self.manifest.chunk;
        let mut bytes = vec![0; (entry.size - begin).min(self.manifest.chunk) as usize];
        source.read(file, begin, &mut bytes).await?;
        if chunk_hash(&bytes) != entry.sha256[index as usize] {
            let (last, name) = (entry.sha256.len(), source.name());
            fail!(
                Code::Corrupt,
                "{file} in {name}: chunk {} of {last} differs from its SHA-256; fetch it again",
                index + 1
            );
        }
        let bytes = Rc::new(bytes);
        let mut recent = self.recent.borrow_mut();
        recent.truncate(KEPT - 1);
        recent.push_front(Chunk { file: file.to_owned(), index, bytes: bytes.clone() });
        Ok(bytes)
    }

    /// A chunk that was used lately, which now was used last.
    fn known(&self, file: &str, index: u64) -> Option<Rc<Vec<u8>>> {
        let mut recent = self.recent.borrow_mut();
        let at = recent.iter().position(|known| known.file == file && known.index == index)?;
        let chunk = recent.remove(at)?;
        let bytes = chunk.bytes.clone();
        recent.push_front(chunk);
        Some(bytes)
    }
}
