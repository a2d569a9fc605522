//! A model on its way in: what it is, what it holds, and where each tensor lies.
//!
//! `directory` says what lies in one, `open_huggingface` and `open_gguf` read the headers of either
//! form, and `texts` what is said about words.

mod directory;
mod open_gguf;
mod open_huggingface;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use directory::{is_of_directory, only_gguf, weight_files};
pub use texts::TextFiles;

use super::config::{AttentionBias, Config};
use super::names::{is_computed_with, pieces};
use super::source::{Source, place, read_all};
use super::spec::{self, EMBED_TOKENS, LM_HEAD, Naming};
use super::store::{
    LARGEST_JSON, MANIFEST, Manifest, MatrixEntry, PlaneTensor, Verified, plane_name,
};
use super::tensor::Tensor;
use crate::error::{Code, Result, fail};
use crate::layout::QUAD;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const TEMPLATE: &str = "chat_template.jinja";
const GENERATION: &str = "generation_config.json";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// How the names of files with weights end.
const WEIGHTS: &str = ".safetensors";
/// More files than any model has.
const MOST_SHARDS: u64 = 10_000;

/// An opened model: its header is read and checked, its weights are still where they were.
pub struct Checkpoint<S> {
    /// Its numbers.
    pub config: Config,
    /// Tokens that end an answer: `generation_config.json`'s, else those of the configuration.
    pub stop_tokens: Vec<u32>,
    /// What the layer of words makes its tokenizer and chat template from.
    pub files: TextFiles,
    pub(super) store: Store<S>,
    pub(super) naming: Naming,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

/// A source, checked against a manifest where there is one.
pub(super) struct Store<S> {
    source: S,
    verified: Option<Verified>,
}

impl<S: Source> Source for Store<S> {
    fn name(&self) -> String {
        self.source.name()
    }

    fn entry(&self) -> Option<&str> {
        self.source.entry()
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        match &self.verified {
            Some(verified) => verified.size(&self.source, file).await,
            None => self.source.size(file).await,
        }
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        match &self.verified {
            Some(verified) => verified.read(&self.source, file, offset, into).await,
            None => self.source.read(file, offset, into).await,
        }
    }
}

/// Where the rows of a canonical tensor lie.
pub(crate) enum Place<'a> {
    /// In stored tensors, one after the other; each with whether its heads' rows are interleaved.
    Pieces(Vec<(&'a Tensor, bool)>),
    /// In the bands of our own converted form, one after the other.
    Packed(Vec<PackedBand<'a>>),
}

/// The planes of a band.
#[derive(Clone, Copy)]
pub(crate) struct PackedBand<'a> {
    /// How it is held.
    pub entry: MatrixEntry,
    /// The elements.
    pub codes: &'a Tensor,
    /// The scales, for kinds that have them.
    pub scales: Option<&'a Tensor>,
    /// The minima, for kinds that have them.
    pub mins: Option<&'a Tensor>,
}

impl<S: Source> Checkpoint<S> {
    /// Recognises a Hugging Face directory, a GGUF file, a directory that holds one GGUF model, or
    /// our own converted form; reads the headers, and checks that every tensor which the
    /// configuration needs is there, in its shape, of a type that we read.
    ///
    /// # Errors
    /// `not-found`, `not-a-model`, `truncated`, `malformed`, `unsupported-architecture`,
    /// `unsupported-tensor`, `missing-tensor`, `wrong-shape`, `bad-config`, `corrupt`, and the
    /// source's own.
    pub async fn open(source: S) -> Result<Checkpoint<S>> {
        let store = Store { source, verified: None };
        let checkpoint = match store.entry().map(str::to_owned) {
            Some(file) if is_of_directory(&file) => Self::open_directory(store).await?,
            Some(file) => Self::open_gguf(store, &file).await?,
            None => Self::open_directory(store).await?,
        };
        for tensor in spec::tensors(&checkpoint.config) {
            checkpoint.place(&tensor.name, tensor.shape.dims())?;
        }
        checkpoint.refuse_unused()?;
        Ok(checkpoint)
    }

    /// Refuses a tensor of a layer or of the head that nobody uses: without it the model would be
    /// another one.
    fn refuse_unused(&self) -> Result<()> {
        if self.store.verified.is_some() {
            // Our own form has what the model had that it was made from.
            return Ok(());
        }
        let names = spec::tensors(&self.config).map(|tensor| tensor.name);
        let names = names.chain([LM_HEAD.to_owned()]);
        let there = |name: &str| self.tensors.contains_key(name);
        let used: BTreeSet<String> = names
            .flat_map(|name| pieces(self.naming, &self.config, &name, there))
            .map(|piece| piece.name)
            .collect();
        match self.tensors.values().find(|tensor| {
            !used.contains(&tensor.name) && is_computed_with(self.naming, &tensor.name)
        }) {
            None => Ok(()),
            Some(Tensor { name, file, .. }) => fail!(
                Code::UnsupportedArchitecture,
                "{name} in {}: the model computes with this tensor and we do not, so its answers \
                    would be wrong; run a model without it",
                place(file, &self.store.name())
            ),
        }
    }

    /// The tensors as the files hold them, by name.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.values()
    }

    /// Which state of each file this is, by name.
    pub(crate) async fn versions(&self) -> Result<BTreeMap<Arc<str>, String>> {
        let mut versions = BTreeMap::new();
        for tensor in self.tensors() {
            if !versions.contains_key(&tensor.file) {
                let version = self.store.source.version(&tensor.file).await?;
                versions.insert(tensor.file.clone(), version);
            }
        }
        Ok(versions)
    }

    /// Where the model lies.
    pub fn source(&self) -> &S {
        &self.store.source
    }

    async fn open_directory(mut store: Store<S>) -> Result<Checkpoint<S>> {
        if let Some(bytes) = read_all(&store, MANIFEST, LARGEST_JSON).await? {
            let at = place(MANIFEST, &store.name());
            let manifest = if store.source.checked() {
                Manifest::parse_unhashed(&at, &bytes)?
            } else {
                Manifest::parse(&at, &bytes)?
            };
            store.verified = Some(Verified::new(manifest));
        }
        let files = weight_files(&store).await?;
        let is_part = |named: &str| {
            files.as_ref().is_some_and(|shards| shards.files.iter().any(|file| file == named))
        };
        if let Some(other) = store.entry().filter(|file| file.ends_with(WEIGHTS) && !is_part(file))
        {
            let other = place(other, &store.name());
            fail!(
                Code::NotAModel,
                "{other}: not part of a model there; name a directory with {CONFIG} and {SINGLE} \
                    or {INDEX}"
            );
        }
        match (read_all(&store, CONFIG, LARGEST_JSON).await?, files) {
            (Some(config), Some(files)) => Self::open_huggingface(store, &config, files).await,
            (config, _) => {
                let lacks = if config.is_some() {
                    format!("neither {SINGLE} nor {INDEX}")
                } else {
                    format!("no {CONFIG}")
                };
                let file = only_gguf(&store, &lacks).await?;
                Self::open_gguf(store, &file).await
            }
        }
    }

    /// Finds a canonical tensor and checks its shape. The head is the embedding where they are
    /// tied.
    pub(crate) fn place(&self, name: &str, shape: &[usize]) -> Result<Place<'_>> {
        let name =
            if name == LM_HEAD && self.config.tie_word_embeddings { EMBED_TOKENS } else { name };
        if let (Some(verified), &[rows, cols]) = (&self.store.verified, shape) {
            return self.packed(name, [rows, cols], &verified.manifest().bands_of(name));
        }
        let mut found = Vec::new();
        for piece in pieces(self.naming, &self.config, name, |name| self.tensors.contains_key(name))
        {
            let mut expected = shape.to_vec();
            if let (Some(rows), Some(first)) = (piece.rows, expected.first_mut()) {
                *first = rows;
            }
            let tensor = self.tensor(name, &piece.name, &expected)?;
            if !tensor.stored.is_float() && tensor.stored.quantised_kind().is_none() {
                fail!(
                    Code::UnsupportedTensor,
                    "{} is of type {}, which we don't read",
                    tensor.name,
                    tensor.stored.name()
                );
            }
            found.push((tensor, piece.interleaved));
        }
        let rows: u64 = found.iter().map(|(tensor, _)| tensor.shape[0]).sum();
        if rows != shape[0] as u64 {
            fail!(Code::WrongShape, "{name} has {rows} rows; {} are needed", shape[0]);
        }
        Ok(Place::Pieces(found))
    }

    fn packed(
        &self,
        name: &str,
        [rows, cols]: [usize; 2],
        bands: &[(String, MatrixEntry)],
    ) -> Result<Place<'_>> {
        let [.., (_, last)] = bands else {
            fail!(
                Code::MissingTensor,
                "{name}: {} does not have it",
                place(MANIFEST, &self.store.name())
            );
        };
        let mut held = 0usize;
        for (band, entry) in bands {
            if !held.is_multiple_of(QUAD) || entry.cols != last.cols {
                fail!(
                    Code::WrongShape,
                    "{band} is [{}, {}] after {held} rows; bands are as wide as the last, and \
                        begin after a multiple of {QUAD} rows",
                    entry.rows,
                    entry.cols
                );
            }
            held = held.saturating_add(entry.rows);
        }
        if [held, last.cols] != [rows, cols] {
            fail!(
                Code::WrongShape,
                "{name} is [{held}, {}]; [{rows}, {cols}] is needed",
                last.cols
            );
        }
        bands
            .iter()
            .map(|(name, entry)| self.packed_band(name, *entry))
            .collect::<Result<_>>()
            .map(Place::Packed)
    }

    fn packed_band(&self, name: &str, entry: MatrixEntry) -> Result<PackedBand<'_>> {
        let plane = |plane: PlaneTensor| {
            let tensor = self.tensor(name, &plane_name(name, plane.plane), &plane.shape)?;
            if tensor.stored != plane.stored {
                fail!(
                    Code::UnsupportedTensor,
                    "{} is of type {}; it must be {}",
                    tensor.name,
                    tensor.stored.name(),
                    plane.stored.name()
                );
            }
            Ok(tensor)
        };
        let planes = PlaneTensor::of(entry.kind, entry.rows, entry.cols);
        let mut planes = planes.into_iter().map(plane).collect::<Result<Vec<_>>>()?.into_iter();
        let codes = planes.next().expect("every kind has codes");
        Ok(PackedBand { entry, codes, scales: planes.next(), mins: planes.next() })
    }

    fn tensor(&self, canonical: &str, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let Some(tensor) = self.tensors.get(name) else {
            let stored =
                if canonical == name { String::new() } else { format!(", stored as {name},") };
            fail!(
                Code::MissingTensor,
                "{canonical}{stored} is not in {}; the model needs it",
                self.store.name()
            );
        };
        if !tensor.shape.iter().eq(shape.iter().map(|&n| n as u64).collect::<Vec<_>>().iter()) {
            fail!(
                Code::WrongShape,
                "{name} has the shape {:?}; the configuration needs {shape:?}",
                tensor.shape
            );
        }
        Ok(tensor)
    }
}

/// Which biases there are, in any layer; those that others lack are missing then.
fn attention_bias(tensors: &BTreeMap<String, Tensor>, qkv: [&str; 4], o: &str) -> AttentionBias {
    let has = |end: &str| tensors.keys().any(|name| name.ends_with(end));
    AttentionBias { qkv: qkv.into_iter().any(has), o: has(o) }
}
