//! What a model's files say about words.

use serde_json::Value;

use super::directory::{is_of_directory, only_gguf};
use super::{GENERATION, MOST_SHARDS, Store, TEMPLATE, TOKENIZER};
use crate::error::{Code, Result, fail};
use crate::json;
use crate::weights::config::token_ids;
use crate::weights::gguf::{self, Metadata};
use crate::weights::source::{Source, place, read_all};
use crate::weights::store::LARGEST_JSON;

/// Phi-4's tokenizer takes 16 MB.
const LARGEST_TEXT: u64 = 64 << 20;

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

impl Default for TextFiles {
    /// Nothing.
    fn default() -> TextFiles {
        TextFiles::HuggingFace {
            tokenizer_json: None,
            tokenizer_config: None,
            chat_template: None,
            generation_config: None,
        }
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
                return Ok(read(&store).await?.0);
            }
            _ => only_gguf(&store, &format!("no {TOKENIZER}")).await?,
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

/// What a Hugging Face directory says about words, and its own tokens that end an answer.
pub(super) async fn read(store: &Store<impl Source>) -> Result<(TextFiles, Vec<u32>)> {
    let parsed = async |file: &str| match read_all(store, file, LARGEST_JSON).await? {
        Some(bytes) => json::parse::<Value>(&place(file, &store.name()), &bytes).map(Some),
        None => Ok(None),
    };
    let generation_config = parsed(GENERATION).await?;
    let tokenizer_config = with_special_tokens(
        parsed("tokenizer_config.json").await?,
        parsed("special_tokens_map.json").await?,
    );
    let template = read_all(store, TEMPLATE, LARGEST_JSON).await?;
    let at = place(TEMPLATE, &store.name());
    if let Some(what) = template.as_deref().and_then(json::stand_in_of_text) {
        fail!(Code::Malformed, "{at}: {what}");
    }
    let Ok(chat_template) = template.map(String::from_utf8).transpose() else {
        fail!(Code::BadTemplate, "{at}: not UTF-8; save it as that");
    };
    let own = token_ids(generation_config.as_ref().and_then(|config| config.get("eos_token_id")));
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
