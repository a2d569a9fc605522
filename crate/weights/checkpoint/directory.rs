//! What a model's directory holds: which of its files are the model.

use super::{CONFIG, GENERATION, INDEX, MOST_SHARDS, SINGLE, Store, TEMPLATE, TOKENIZER, WEIGHTS};
use crate::error::{Code, Result, fail};
use crate::weights::gguf;
use crate::weights::safetensors::{self, Shards};
use crate::weights::source::{Source, place, read_all};
use crate::weights::store::{LARGEST_JSON, MANIFEST};

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

/// Whether a file's directory is the model.
pub(super) fn is_of_directory(file: &str) -> bool {
    file.ends_with(WEIGHTS) || BESIDE.contains(&file)
}

/// The safetensors files of a directory.
pub(super) async fn weight_files(store: &Store<impl Source>) -> Result<Option<Shards>> {
    if store.size(SINGLE).await?.is_some() {
        return Ok(Some(Shards { files: vec![SINGLE.to_owned()], ..Shards::default() }));
    }
    read_all(store, INDEX, LARGEST_JSON)
        .await?
        .map(|index| safetensors::shards(&place(INDEX, &store.name()), &index))
        .transpose()
}

/// The GGUF model of a directory that is no Hugging Face one.
pub(super) async fn only_gguf(store: &Store<impl Source>, lacks: &str) -> Result<String> {
    let name = store.name();
    let Some(files) = store.source.list().await? else {
        fail!(
            Code::NotFound,
            "{name}: there is {lacks}; name the address of a model's directory or of a GGUF \
                file, for a hub's model https://huggingface.co/OWNER/NAME"
        );
    };
    let is_empty = files.is_empty();
    let mut models = files.into_iter().filter(|file| gguf::is_gguf(file) && !is_later_part(file));
    match (models.next(), models.next()) {
        (Some(file), None) => Ok(file),
        (None, _) if is_empty => fail!(
            Code::NotAModel,
            "{name}: there are no files; a model is a GGUF file, or a directory with {CONFIG}, \
                {TOKENIZER} and {SINGLE}"
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

/// Whether a file is part 2 or a later one of a split model.
fn is_later_part(file: &str) -> bool {
    let count = file.rsplit_once("-of-").and_then(|(_, of)| of.get(..5)?.parse().ok());
    count
        .filter(|&count| count <= MOST_SHARDS)
        .and_then(|count| gguf::split_names(file, count))
        .is_some_and(|names| names[0] != file)
}
