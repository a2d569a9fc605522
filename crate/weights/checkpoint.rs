//! A model on its way in: what it is, what it holds, and where each tensor lies.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::blocks;
use super::config::{AttentionBias, Biases, Config, FromTensors, token_ids};
use super::gguf::{self, Metadata};
use super::names::{is_computed_with, pieces};
use super::safetensors::{self, Shards};
use super::source::{Source, place, read_all};
use super::spec::{self, EMBED_TOKENS, LM_HEAD, Naming};
use super::store::{LARGEST_JSON, MANIFEST, Manifest, MatrixEntry, Verified, plane_name};
use super::tensor::{Stored, Tensor};
use crate::error::{Code, Result, fail};
use crate::json;
use crate::layout;

pub use super::load::{Bits, WeightFormat, free};

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const TEMPLATE: &str = "chat_template.jinja";
const GENERATION: &str = "generation_config.json";
/// How the names of files with weights end.
const WEIGHTS: &str = ".safetensors";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Files of a model's directory besides its weights: whoever names one means the directory.
const BESIDE: [&str; 10] = [
    CONFIG,
    TOKENIZER,
    INDEX,
    MANIFEST,
    GENERATION,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    TEMPLATE,
];
/// Phi-4's tokenizer takes 16 MB, a manifest 100 kB, an index for as many tensors as we read less
/// than a megabyte.
const LARGEST_TEXT: u64 = 64 << 20;
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

/// What a checkpoint says about words.
#[derive(Clone, Debug)]
pub enum TextFiles {
    /// Files of a Hugging Face directory, and of our own converted form; each may be missing.
    HuggingFace {
        /// `tokenizer.json`.
        tokenizer_json: Option<Vec<u8>>,
        /// `tokenizer_config.json`.
        tokenizer_config: Option<Value>,
        /// `chat_template.jinja`.
        chat_template: Option<String>,
        /// `generation_config.json`.
        generation_config: Option<Value>,
    },
    /// A GGUF file's metadata.
    Gguf(Metadata),
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
    /// In the planes of our own converted form.
    Packed {
        /// How it is held.
        entry: MatrixEntry,
        /// The elements.
        codes: &'a Tensor,
        /// The scales, for kinds that have them.
        scales: Option<&'a Tensor>,
        /// The minima, for kinds that have them.
        mins: Option<&'a Tensor>,
    },
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
        let tensors = spec::tensors(&self.config);
        let names = tensors.iter().map(|tensor| &tensor.name[..]).chain([LM_HEAD]);
        let there = |name: &str| self.tensors.contains_key(name);
        let used: BTreeSet<String> = names
            .flat_map(|name| pieces(self.naming, &self.config, name, there))
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

    /// Which state of a file this is.
    pub(crate) async fn version(&self, file: &str) -> Result<String> {
        self.store.source.version(file).await
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
        let files = Self::weight_files(&store).await?;
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
                let file = Self::only_gguf(&store, &lacks).await?;
                Self::open_gguf(store, &file).await
            }
        }
    }

    /// The safetensors files of a directory.
    async fn weight_files(store: &Store<S>) -> Result<Option<Shards>> {
        if store.size(SINGLE).await?.is_some() {
            return Ok(Some(Shards { files: vec![SINGLE.to_owned()], ..Shards::default() }));
        }
        read_all(store, INDEX, LARGEST_JSON)
            .await?
            .map(|index| safetensors::shards(&place(INDEX, &store.name()), &index))
            .transpose()
    }

    /// The GGUF model of a directory that is no Hugging Face one.
    async fn only_gguf(store: &Store<S>, lacks: &str) -> Result<String> {
        let name = store.name();
        let Some(files) = store.source.list().await? else {
            fail!(
                Code::NotFound,
                "{name}: there is {lacks}; name the address of a model's directory or of a GGUF \
                    file, for a hub's model https://huggingface.co/OWNER/NAME"
            );
        };
        let is_empty = files.is_empty();
        let mut models =
            files.into_iter().filter(|file| gguf::is_gguf(file) && !is_later_part(file));
        match (models.next(), models.next()) {
            (Some(file), None) => Ok(file),
            (None, _) if is_empty => fail!(
                Code::NotAModel,
                "{name}: there are no files; a model is a GGUF file, or a directory with \
                    {CONFIG}, {TOKENIZER} and {SINGLE}"
            ),
            (None, _) => {
                fail!(
                    Code::NotAModel,
                    "{name}: not a model; there is {lacks}, and no GGUF file; name a model's \
                        directory or a GGUF file"
                )
            }
            (Some(one), Some(other)) => {
                fail!(
                    Code::NotAModel,
                    "{name}: there are several models, {one} and {other} among them; name one of \
                        the files"
                )
            }
        }
    }

    async fn open_huggingface(
        store: Store<S>,
        config: &[u8],
        shards: Shards,
    ) -> Result<Checkpoint<S>> {
        let at = place(CONFIG, &store.name());
        let mut config =
            Config::parse(&json::parse(&at, config)?).map_err(|error| error.at(&at))?;
        let mut tensors = BTreeMap::new();
        for file in &shards.files {
            insert_by_index(
                &mut tensors,
                safetensors::read_header(&store, file).await?,
                &shards,
                |file| place(file, &store.name()),
            )?;
        }
        // As transformers does: fine-tunes that trained the head leave it beside a configuration
        // that says it were tied.
        if config.tie_word_embeddings && has_own_head(&store, &tensors).await? {
            config.tie_word_embeddings = false;
        }
        // As in transformers, to which what is missing is zero: attention_bias speaks of both, and
        // many have no bias of the output.
        if config.architecture.traits().biases == Biases::Configured {
            let there = attention_bias(
                &tensors,
                [".q_proj.bias", ".k_proj.bias", ".v_proj.bias", ".qkv_proj.bias"],
                ".o_proj.bias",
            );
            config.attention_bias.qkv &= there.qkv;
            config.attention_bias.o &= there.o;
        }
        let (files, own) = Self::texts(&store).await?;
        let stop_tokens = if own.is_empty() { config.eos_token_ids.clone() } else { own };
        Ok(Checkpoint { config, stop_tokens, files, store, naming: Naming::HuggingFace, tensors })
    }

    /// What a Hugging Face directory says about words, and its own tokens that end an answer.
    async fn texts(store: &Store<S>) -> Result<(TextFiles, Vec<u32>)> {
        let read = async |file: &str| match read_all(store, file, LARGEST_JSON).await? {
            Some(bytes) => json::parse::<Value>(&place(file, &store.name()), &bytes).map(Some),
            None => Ok(None),
        };
        let generation_config = read(GENERATION).await?;
        let tokenizer_config = with_special_tokens(
            read("tokenizer_config.json").await?,
            read("special_tokens_map.json").await?,
        );
        let template = read_all(store, TEMPLATE, LARGEST_JSON).await?;
        let at = place(TEMPLATE, &store.name());
        if let Some(what) = template.as_deref().and_then(json::stand_in_of_text) {
            fail!(Code::Malformed, "{at}: {what}");
        }
        let Ok(chat_template) = template.map(String::from_utf8).transpose() else {
            fail!(Code::BadTemplate, "{at}: not UTF-8; save it as that");
        };
        let own =
            token_ids(generation_config.as_ref().and_then(|config| config.get("eos_token_id")));
        let own = own.map_err(|error| error.at(place(GENERATION, &store.name())))?;
        let tokenizer_json = read_all(store, TOKENIZER, LARGEST_TEXT).await?;
        Ok((
            TextFiles::HuggingFace {
                tokenizer_json,
                tokenizer_config,
                chat_template,
                generation_config,
            },
            own,
        ))
    }

    async fn open_gguf(store: Store<S>, file: &str) -> Result<Checkpoint<S>> {
        let mut header = gguf::read_header(&store, file).await?;
        let mut tensors = BTreeMap::new();
        let at = |file: &str| place(file, &store.name());
        let count = header.metadata.unsigned("split.count").unwrap_or(1);
        if count > 1 {
            let Some(parts) = gguf::split_names(file, count.min(MOST_SHARDS)) else {
                let file = at(file);
                fail!(
                    Code::Malformed,
                    "{file}: one of {count} parts, but not named as one, such as \
                        x-00001-of-{count:05}.gguf"
                );
            };
            for (number, part) in parts.iter().enumerate().filter(|(_, part)| *part != file) {
                let other = gguf::read_header(&store, part).await?;
                if other.metadata.unsigned("split.no") != Some(number as u64) {
                    fail!(
                        Code::Malformed,
                        "{}: its split.no does not say that it is part {number}, counted from 0",
                        at(part)
                    );
                }
                insert_all(&mut tensors, other.tensors, at)?;
                // Only the first part has the whole metadata.
                if number == 0 {
                    header.metadata = other.metadata;
                }
            }
        }
        insert_all(&mut tensors, header.tensors, at)?;
        let metadata = header.metadata;
        if let Some(promised) = metadata
            .unsigned("split.tensors.count")
            .filter(|&promised| promised != tensors.len() as u64)
        {
            fail!(
                Code::Malformed,
                "{}: the parts hold {} tensors, where {promised} are promised",
                at(file),
                tensors.len()
            );
        }
        let config = Config::from_gguf(&metadata, from_tensors(&store, &tensors).await?);
        let config = config.map_err(|error| error.at(at(file)))?;
        let stop_tokens = config.eos_token_ids.clone();
        Ok(Checkpoint {
            config,
            stop_tokens,
            files: TextFiles::Gguf(metadata),
            store,
            naming: Naming::Gguf,
            tensors,
        })
    }

    /// Finds a canonical tensor and checks its shape. The head is the embedding where they are
    /// tied.
    pub(crate) fn place(&self, name: &str, shape: &[usize]) -> Result<Place<'_>> {
        let name =
            if name == LM_HEAD && self.config.tie_word_embeddings { EMBED_TOKENS } else { name };
        if let (Some(verified), &[rows, cols]) = (&self.store.verified, shape) {
            let Some(entry) = verified.manifest().matrices.get(name) else {
                fail!(
                    Code::MissingTensor,
                    "{name}: {} does not have it",
                    place(MANIFEST, &self.store.name())
                );
            };
            return self.packed(name, [rows, cols], *entry);
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
        entry: MatrixEntry,
    ) -> Result<Place<'_>> {
        if [entry.rows, entry.cols] != [rows, cols] {
            fail!(
                Code::WrongShape,
                "{name} is [{}, {}]; [{rows}, {cols}] is needed",
                entry.rows,
                entry.cols
            );
        }
        let (quads, groups) = (rows.div_ceil(layout::QUAD), cols / layout::GROUP);
        let plane = |plane: &str, width: usize, stored: Stored| {
            let tensor = self.tensor(name, &plane_name(name, plane), &[quads, groups, width])?;
            if tensor.stored != stored {
                fail!(
                    Code::UnsupportedTensor,
                    "{} is of type {}; it must be {}",
                    tensor.name,
                    tensor.stored.name(),
                    stored.name()
                );
            }
            Ok(tensor)
        };
        Ok(Place::Packed {
            entry,
            codes: plane("codes", entry.kind.codes_per_group(), Stored::U8)?,
            scales: entry
                .kind
                .has_scales()
                .then(|| plane("scales", layout::QUAD, Stored::F16))
                .transpose()?,
            mins: entry
                .kind
                .has_mins()
                .then(|| plane("mins", layout::QUAD, Stored::F16))
                .transpose()?,
        })
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

impl TextFiles {
    /// What a model's files say about words. Its weights are not looked for: a `tokenizer.json`
    /// will do, or the header of a GGUF file.
    ///
    /// # Errors
    /// `not-found`, `not-a-model`, `bad-template`, those of a GGUF header, and the source's own.
    pub async fn open<S: Source>(source: S) -> Result<TextFiles> {
        let store = Store { source, verified: None };
        let file = match store.entry() {
            Some(file) if !is_of_directory(file) => file.to_owned(),
            _ if store.size(TOKENIZER).await?.is_some() => {
                return Ok(Checkpoint::texts(&store).await?.0);
            }
            _ => Checkpoint::only_gguf(&store, &format!("no {TOKENIZER}")).await?,
        };
        let header = gguf::read_header(&store, &file).await?;
        // Only the first part of several has the whole metadata.
        let count = header.metadata.unsigned("split.count").filter(|&count| count > 1);
        let parts = count.and_then(|count| gguf::split_names(&file, count.min(MOST_SHARDS)));
        match parts.and_then(|parts| parts.into_iter().next()).filter(|first| *first != file) {
            Some(first) => Ok(TextFiles::Gguf(gguf::read_header(&store, &first).await?.metadata)),
            None => Ok(TextFiles::Gguf(header.metadata)),
        }
    }
}

/// Whether a file's directory is the model.
fn is_of_directory(file: &str) -> bool {
    file.ends_with(WEIGHTS) || BESIDE.contains(&file)
}

fn insert_all(
    into: &mut BTreeMap<String, Tensor>,
    tensors: Vec<Tensor>,
    at: impl Fn(&str) -> String,
) -> Result<()> {
    for tensor in tensors {
        if let Some(other) = into.insert(tensor.name.clone(), tensor) {
            fail!(Code::Malformed, "{} is there twice, once in {}", other.name, at(&other.file));
        }
    }
    Ok(())
}

/// The same with an index, which says which copy of a tensor counts: edited models leave those that
/// others supersede.
fn insert_by_index(
    into: &mut BTreeMap<String, Tensor>,
    tensors: Vec<Tensor>,
    shards: &Shards,
    at: impl Fn(&str) -> String,
) -> Result<()> {
    for tensor in tensors {
        let named = shards.of.get(&tensor.name);
        match into.entry(tensor.name.clone()) {
            Entry::Vacant(place) => drop(place.insert(tensor)),
            Entry::Occupied(mut other) if named.is_some_and(|file| **file == *tensor.file) => {
                drop(other.insert(tensor))
            }
            Entry::Occupied(other) if named.is_some_and(|file| **file == *other.get().file) => {}
            Entry::Occupied(other) => fail!(
                Code::Malformed,
                "{} is there twice, once in {}",
                tensor.name,
                at(&other.get().file)
            ),
        }
    }
    Ok(())
}

/// Whether there is a head that differs from the embedding. Reads both up to the first difference.
async fn has_own_head(source: &impl Source, tensors: &BTreeMap<String, Tensor>) -> Result<bool> {
    const AT_ONCE: u64 = 4 << 20;
    let (Some(head), Some(embedding)) = (tensors.get(LM_HEAD), tensors.get(EMBED_TOKENS)) else {
        return Ok(false);
    };
    if (&head.stored, &head.shape) != (&embedding.stored, &embedding.shape) {
        return Ok(true);
    }
    for at in (0..head.bytes).step_by(AT_ONCE as usize) {
        let length = AT_ONCE.min(head.bytes - at) as usize;
        let (mut one, mut other) = (vec![0; length], vec![0; length]);
        source.read(&head.file, head.offset + at, &mut one).await?;
        source.read(&embedding.file, embedding.offset + at, &mut other).await?;
        if one != other {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file is part 2 or a later one of a split model.
fn is_later_part(file: &str) -> bool {
    let count = file.rsplit_once("-of-").and_then(|(_, of)| of.get(..5)?.parse().ok());
    count
        .filter(|&count| count <= MOST_SHARDS)
        .and_then(|count| gguf::split_names(file, count))
        .is_some_and(|names| names[0] != file)
}

/// Which biases there are, in any layer; those that others lack are missing then.
fn attention_bias(tensors: &BTreeMap<String, Tensor>, qkv: [&str; 4], o: &str) -> AttentionBias {
    let has = |end: &str| tensors.keys().any(|name| name.ends_with(end));
    AttentionBias { qkv: qkv.into_iter().any(has), o: has(o) }
}

/// Reads the small tensors that are really part of the configuration.
async fn from_tensors(
    source: &impl Source,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<FromTensors> {
    /// No head is wider than this, in pairs.
    const MOST_FACTORS: u64 = 1 << 12;
    let read = async |name: &str| {
        let Some(tensor) = tensors.get(name) else { return Ok(None) };
        if tensor.shape.len() != 1 || tensor.shape[0] > MOST_FACTORS {
            fail!(
                Code::WrongShape,
                "{name} has the shape {:?}; it must be one short row",
                tensor.shape
            );
        }
        let mut bytes = vec![0; tensor.bytes as usize];
        source.read(&tensor.file, tensor.offset, &mut bytes).await?;
        blocks::values(&tensor.stored, &bytes).map(Some)
    };
    let longrope =
        match (read("rope_factors_short.weight").await?, read("rope_factors_long.weight").await?) {
            (Some(short), Some(long)) => Some([short, long]),
            (None, None) => None,
            _ => fail!(
                Code::MissingTensor,
                "rope_factors_short.weight and rope_factors_long.weight: only one of them is there"
            ),
        };
    Ok(FromTensors {
        vocab_size: tensors
            .get("token_embd.weight")
            .and_then(|tensor| tensor.shape.first().copied()),
        tied: !tensors.contains_key("output.weight"),
        attention_bias: attention_bias(
            tensors,
            [".attn_q.bias", ".attn_k.bias", ".attn_v.bias", ".attn_qkv.bias"],
            ".attn_output.bias",
        ),
        longrope,
        factors: read("rope_freqs.weight").await?,
    })
}

/// `tokenizer_config.json` with the tokens that `special_tokens_map.json` names, where older models
/// have them: the map has the last word, but is not read beside a configuration that lists its
/// added tokens itself. So does transformers.
fn with_special_tokens(config: Option<Value>, map: Option<Value>) -> Option<Value> {
    let Some(Value::Object(map)) = map else { return config };
    let mut config = config.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if let Some(fields) = config.as_object_mut()
        && !fields.contains_key("added_tokens_decoder")
    {
        fields.extend(map);
    }
    Some(config)
}
