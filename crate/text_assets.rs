//! What a checkpoint's files say of words: its tokenizer, its chat template and the tokens that end
//! an answer.

use crate::error::{Code, Result, fail};
use crate::text::constraint::Spellings;
use crate::text::template::ChatTemplate;
use crate::text::{Tokenizer, Vocabulary};
use crate::weights::checkpoint::{Checkpoint, TextFiles};
use crate::weights::gguf::Metadata;
use crate::weights::source::Source;

/// Where a GGUF file has the template for conversations with tools.
pub const TOOLS_TEMPLATE: &str = "tokenizer.chat_template.tool_use";

/// Everything about a model's text.
#[derive(Debug)]
pub struct TextAssets {
    /// Text to ids and back.
    pub tokenizer: Tokenizer,
    /// Messages to text, or why this model cannot converse: it may still continue a text.
    pub template: Result<ChatTemplate>,
    /// Tokens that end an answer: those that the model's files name, and the vocabulary's own ends
    /// of turn.
    pub stop_tokens: Vec<u32>,
}

impl TextAssets {
    /// Reads a checkpoint's tokenizer and template.
    ///
    /// # Errors
    /// `bad-tokenizer` when there is none or it cannot be read.
    pub fn of<S>(checkpoint: &Checkpoint<S>) -> Result<TextAssets> {
        TextAssets::read(&checkpoint.files, &checkpoint.stop_tokens)
    }

    /// Reads a model's tokenizer and template without its weights, which need not be there; the
    /// stop tokens are the vocabulary's alone.
    ///
    /// # Errors
    /// Those of [`TextFiles::open`] and [`TextAssets::of`].
    pub async fn open(source: impl Source) -> Result<TextAssets> {
        TextAssets::read(&TextFiles::open(source).await?, &[])
    }

    /// What the tokens of a model spell, for whoever makes what keeps answers to forms.
    ///
    /// # Errors
    /// `bad-tokenizer` for a vocabulary that is too large.
    pub fn spellings(&self, vocab_size: u32) -> Result<Spellings> {
        Spellings::of(&self.tokenizer, vocab_size, &self.stop_tokens)
    }

    fn read(files: &TextFiles, stop_tokens: &[u32]) -> Result<TextAssets> {
        let (tokenizer, template_source, for_tools) = match files {
            TextFiles::HuggingFace { tokenizer_json, tokenizer_config, chat_template, .. } => {
                let Some(json) = tokenizer_json else {
                    fail!(
                        Code::BadTokenizer,
                        "the model has no tokenizer.json; put the one that belongs to it beside \
                            config.json"
                    );
                };
                // A file of its own stands in place of all that the configuration has.
                let in_config = tokenizer_config.as_ref().filter(|_| chat_template.is_none());
                let source = in_config.and_then(ChatTemplate::source_in).map(str::to_owned);
                (
                    Tokenizer::from_json(json, tokenizer_config.as_ref())?,
                    chat_template.clone().or(source),
                    in_config.and_then(ChatTemplate::source_for_tools),
                )
            }
            TextFiles::Gguf(metadata) => (
                Tokenizer::from_vocabulary(vocabulary(metadata)?)?,
                metadata.text("tokenizer.chat_template").map(str::to_owned),
                metadata.text(TOOLS_TEMPLATE),
            ),
        };
        let template = ChatTemplate::for_tokenizer(&tokenizer, template_source.as_deref());
        let template = match for_tools {
            Some(source) => template.and_then(|template| template.with_tools(source)),
            None => template,
        };
        let mut stop_tokens = stop_tokens.to_vec();
        stop_tokens.extend(tokenizer.end_of_turn_ids());
        stop_tokens.sort_unstable();
        stop_tokens.dedup();
        Ok(TextAssets { tokenizer, template, stop_tokens })
    }
}

/// The tokenizer's part of a GGUF file's metadata.
fn vocabulary(metadata: &Metadata) -> Result<Vocabulary> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let Some(tokens) = metadata.texts(&key("tokens")) else {
        fail!(
            Code::BadTokenizer,
            "the GGUF file holds no tokenizer.ggml.tokens; its tokenizer is missing"
        );
    };
    let text = |name: &str| metadata.text(&key(name)).unwrap_or_default().to_owned();
    let id = |name: &str| metadata.unsigned(&key(name)).and_then(|id| u32::try_from(id).ok());
    let flag = |name: &str| metadata.bool(&key(name));
    let types = metadata.integers(&key("token_type")).unwrap_or_default();
    Ok(Vocabulary {
        model: text("model"),
        pre: text("pre"),
        tokens: tokens.to_vec(),
        // A type outside i32 is none that exists; the tokenizer refuses it by its number.
        token_types: types
            .into_iter()
            .map(|kind| i32::try_from(kind).unwrap_or(i32::MAX))
            .collect(),
        merges: metadata.texts(&key("merges")).unwrap_or_default().to_vec(),
        scores: metadata.floats(&key("scores")).unwrap_or_default(),
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        unk: id("unknown_token_id"),
        pad: id("padding_token_id"),
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        add_space_prefix: flag("add_space_prefix"),
    })
}
