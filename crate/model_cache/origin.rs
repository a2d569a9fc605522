//! What a cached model is made from, unit by unit, in any order: the chunks of a converted one, the
//! panels of any other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::journal::{Entry, Tag, digest, digest_of, tag};
use super::{HASHED, about, journal};
use crate::convert::texts;
use crate::error::{Code, Result, fail};
use crate::layout::Kind;
use crate::weights::checkpoint::{Checkpoint, Place, TextFiles};
use crate::weights::format::WeightFormat;
use crate::weights::panels::Step;
use crate::weights::plan::{Item, Plan};
use crate::weights::source::{Source, place, read_all};
use crate::weights::store::{FileEntry, LARGEST_JSON, MANIFEST, Manifest, chunk_hash};

/// Names that a cached model has for itself.
const OURS: [&str; 4] = [journal::FILE, about::FILE, HASHED, MANIFEST];

/// A run of bytes in a file of the cached model.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Which file, by its place in [`Origin::files`].
    pub file: usize,
    pub at: u64,
    pub len: u64,
}

/// What comes, and is stored, at once.
pub struct Unit {
    /// Where its bytes go, one after the other.
    pub extents: Vec<Extent>,
    /// What it is made from.
    pub tag: Tag,
    /// Where that lies: the files of the source in order, each from front to back.
    pub place: (Option<Arc<str>>, u64),
    content: Content,
}

enum Content {
    /// Bytes that are known already, until they are stored.
    Known(RefCell<Vec<u8>>),
    /// A chunk of a converted model's file.
    Chunk {
        file: String,
        at: u64,
        len: u64,
        sha256: String,
    },
    Vector {
        name: String,
        length: usize,
    },
    Panel {
        name: String,
        shape: [usize; 2],
        kind: Kind,
        step: Step,
    },
}

/// A source, and how a cached model comes from it.
pub struct Origin<S> {
    /// Names and sizes of the stored files, without the manifest.
    pub files: Vec<(String, u64)>,
    pub units: Vec<Unit>,
    /// Without hashes unless the source has them.
    pub manifest: Manifest,
    /// The manifest's own bytes, where the source has one.
    pub manifest_text: Option<Vec<u8>>,
    model: Model<S>,
}

enum Model<S> {
    Converted(S),
    Other { checkpoint: Box<Checkpoint<S>>, format: WeightFormat },
}

impl Unit {
    pub fn bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.len).sum()
    }

    /// What it is noted as, once [`Origin::make`] has made this.
    pub fn entry(&self, made: &[Vec<u8>]) -> Entry {
        let digest = match &self.content {
            // They have been hashed.
            Content::Chunk { sha256, .. } => digest_of(sha256),
            _ => digest(made),
        };
        Entry { origin: self.tag, digest }
    }

    /// Lets go of bytes that are stored by now: of a vocabulary, megabytes.
    pub fn forget(&self) {
        if let Content::Known(bytes) = &self.content {
            bytes.take();
        }
    }
}

impl<S: Source> Origin<S> {
    /// Looks at a model: its headers are read.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub async fn open(source: S, format: WeightFormat) -> Result<Origin<S>> {
        let alone = source
            .entry()
            .is_some_and(|file| !file.ends_with(".json") && !file.ends_with(".safetensors"));
        if !alone && let Some(bytes) = read_all(&source, MANIFEST, LARGEST_JSON).await? {
            return Origin::converted(source, bytes);
        }
        Origin::other(Checkpoint::open(source).await?, format).await
    }

    fn converted(source: S, text: Vec<u8>) -> Result<Origin<S>> {
        let at = place(MANIFEST, &source.name());
        let manifest = Manifest::parse(&at, &text)?;
        if let Some(name) = manifest
            .files
            .keys()
            .find(|name| name.contains(['/', '\\']) || OURS.contains(&name.as_str()))
        {
            fail!(Code::Malformed, "{at}: {name} is no name for a model's file");
        }
        let files: Vec<_> =
            manifest.files.iter().map(|(name, entry)| (name.clone(), entry.size)).collect();
        let mut units = Vec::new();
        for (file, (name, entry)) in manifest.files.iter().enumerate() {
            for (index, sha256) in entry.sha256.iter().enumerate() {
                let at = index as u64 * manifest.chunk;
                let len = manifest.chunk.min(entry.size - at);
                let content =
                    Content::Chunk { file: name.clone(), at, len, sha256: sha256.clone() };
                let place = (Some(name.as_str().into()), at);
                units.push(Unit {
                    extents: vec![Extent { file, at, len }],
                    tag: tag(&[sha256.as_bytes()]),
                    place,
                    content,
                });
            }
        }
        Ok(Origin {
            files,
            units,
            manifest,
            manifest_text: Some(text),
            model: Model::Converted(source),
        })
    }

    async fn other(checkpoint: Checkpoint<S>, format: WeightFormat) -> Result<Origin<S>> {
        let texts = texts(&checkpoint)?;
        let plan = checkpoint.plan(format.into(), &texts)?;
        let versions = checkpoint.versions().await?;
        let mut made = Vec::new();
        for shard in &plan.shards {
            for item in &shard.items {
                made.push(checkpoint.contents(item, format, &versions)?);
            }
        }
        let (files, units) = laid_out(&plan, made);
        let entries = files
            .iter()
            .map(|(name, size)| (name.clone(), FileEntry { size: *size, sha256: Vec::new() }))
            .collect();
        Ok(Origin {
            files,
            units,
            manifest: plan.manifest(entries),
            manifest_text: None,
            model: Model::Other { checkpoint: Box::new(checkpoint), format },
        })
    }

    /// Whether it is in the kinds of the first version.
    pub fn is_as_first(&self) -> bool {
        matches!(&self.model, Model::Other { format, .. } if format.as_first)
    }

    /// The same model in the kinds of the first version, or in its own.
    pub async fn replanned(self, as_first: bool) -> Result<Origin<S>> {
        match self.model {
            Model::Other { checkpoint, format } => {
                Origin::other(*checkpoint, WeightFormat { as_first, ..format }).await
            }
            Model::Converted(_) => Ok(self),
        }
    }

    /// Lets go of what it says of words: what is kept of that has been made, and the metadata take
    /// tens of megabytes.
    pub fn forget_words(&mut self) {
        if let Model::Other { checkpoint, .. } = &mut self.model {
            checkpoint.files = TextFiles::default();
        }
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.source().name()
    }

    /// Where its bytes come from.
    pub fn source(&self) -> &S {
        match &self.model {
            Model::Converted(source) => source,
            Model::Other { checkpoint, .. } => checkpoint.source(),
        }
    }

    /// The bytes of a unit, those of each extent.
    ///
    /// # Errors
    /// Those of reading; `corrupt` for a chunk that differs from its hash twice.
    pub async fn make(&self, unit: usize) -> Result<Vec<Vec<u8>>> {
        match (&self.units[unit].content, &self.model) {
            (Content::Known(bytes), _) => Ok(vec![bytes.borrow().clone()]),
            (Content::Chunk { file, at, len, sha256 }, Model::Converted(source)) => {
                let mut bytes = vec![0; *len as usize];
                for _ in 0..2 {
                    source.read(file, *at, &mut bytes).await?;
                    if chunk_hash(&bytes) == *sha256 {
                        return Ok(vec![bytes]);
                    }
                }
                let name = source.name();
                fail!(
                    Code::Corrupt,
                    "{file} in {name}: {len} bytes from {at} on differ from their SHA-256, twice; \
                        report it to whoever serves the model"
                )
            }
            (Content::Vector { name, length }, Model::Other { checkpoint, .. }) => {
                let values = checkpoint.vector(name, *length).await?;
                Ok(vec![bytemuck::cast_slice(&values).to_vec()])
            }
            (Content::Panel { name, shape, kind, step }, Model::Other { checkpoint, .. }) => {
                let place = checkpoint.place(name, shape)?;
                let (panel, _) = checkpoint.panel(&place, *kind, *step).await?;
                let planes = [panel.codes, panel.scales, panel.mins];
                Ok(planes.into_iter().filter(|plane| !plane.is_empty()).collect())
            }
            _ => fail!(Code::Internal, "a unit of another model was asked for"),
        }
    }
}

/// Which state of each file a model is made from, by name.
type Versions = BTreeMap<Arc<str>, String>;

/// How an item's bytes come, in pieces.
type Made = Vec<Piece>;

struct Piece {
    /// Its bytes' places in the item's planes: first byte and length.
    extents: Vec<(u64, u64)>,
    tag: Tag,
    place: (Option<Arc<str>>, u64),
    content: Content,
}

impl<S: Source> Checkpoint<S> {
    fn contents(&self, item: &Item, format: WeightFormat, versions: &Versions) -> Result<Made> {
        match item {
            Item::Vector { name, length } => {
                let stored = self.place(name, &[*length])?;
                let tag = tag(&[name.as_bytes(), made_from(&stored, None, versions).as_bytes()]);
                let content = Content::Vector { name: name.clone(), length: *length };
                Ok(vec![Piece {
                    extents: vec![(0, item.bytes())],
                    tag,
                    place: begins(&stored, 0, 0),
                    content,
                }])
            }
            Item::Matrix { name, shape, .. } => {
                let stored = self.place(name, shape)?;
                let kinds = self.kinds(name, &stored, format);
                let steps = self.steps(&stored).into_iter().map(|step| {
                    let from = made_from(&stored, Some(step.piece), versions);
                    Piece {
                        extents: item.extents(step.row, step.rows),
                        tag: tag(&[
                            name.as_bytes(),
                            from.as_bytes(),
                            format!("{} {step:?}", format.stored_name()).as_bytes(),
                        ]),
                        place: begins(&stored, step.piece, step.first_row),
                        content: Content::Panel {
                            name: name.clone(),
                            shape: *shape,
                            kind: kinds[step.piece],
                            step,
                        },
                    }
                });
                Ok(steps.collect())
            }
        }
    }
}

/// Where a row of a stored tensor begins.
fn begins(stored: &Place<'_>, piece: usize, row: usize) -> (Option<Arc<str>>, u64) {
    let Place::Pieces(pieces) = stored else { return (None, 0) };
    let (tensor, _) = pieces[piece];
    (Some(Arc::clone(&tensor.file)), tensor.offset + tensor.bytes / tensor.shape[0] * row as u64)
}

/// The stored tensors that something is made from, or one of them, each with the state of its file.
fn made_from(place: &Place<'_>, piece: Option<usize>, versions: &Versions) -> String {
    let Place::Pieces(pieces) = place else { return String::new() };
    let wanted =
        pieces.iter().enumerate().filter(|(index, _)| piece.is_none_or(|piece| piece == *index));
    wanted
        .map(|(_, (tensor, _))| {
            format!(
                "{} {} {:?} {:?};",
                tensor.name,
                tensor.offset,
                tensor.stored,
                versions.get(&tensor.file)
            )
        })
        .collect()
}

/// Files and units of a plan whose items come as `made` says, in the same order.
fn laid_out(plan: &Plan, made: Vec<Made>) -> (Vec<(String, u64)>, Vec<Unit>) {
    let (mut files, mut units, mut made) = (Vec::new(), Vec::new(), made.into_iter());
    for (name, bytes) in &plan.texts {
        units.push(known(files.len(), bytes));
        files.push((name.clone(), bytes.len() as u64));
    }
    for shard in &plan.shards {
        let file = files.len();
        units.push(known(file, &shard.header));
        let mut at = shard.header.len() as u64;
        for (item, pieces) in shard.items.iter().zip(&mut made) {
            for Piece { extents, tag, place, content } in pieces {
                let extents = extents
                    .into_iter()
                    .map(|(offset, len)| Extent { file, at: at + offset, len })
                    .collect();
                units.push(Unit { extents, tag, place, content });
            }
            at += item.bytes();
        }
        files.push((shard.name.clone(), at));
    }
    (files, units)
}

fn known(file: usize, bytes: &[u8]) -> Unit {
    let extents = vec![Extent { file, at: 0, len: bytes.len() as u64 }];
    let content = Content::Known(RefCell::new(bytes.to_vec()));
    Unit { extents, tag: tag(&[bytes]), place: (None, 0), content }
}
