//! `phi convert`: any model that we read, into the form that streams without repacking.

use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::error::Result;
use crate::json;
use crate::text_assets::{TOOLS_TEMPLATE, TextAssets};
use crate::weights::checkpoint::{Checkpoint, TextFiles};
use crate::weights::directory::NewDirectory;
use crate::weights::gguf::Metadata;
use crate::weights::source::Source;
use crate::weights::write::{Alone, ConvertOptions, Report, Rounding};

/// How far a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertProgress {
    /// Bytes of weights that were read.
    pub done: u64,
    /// Bytes of weights in the source.
    pub total: u64,
}

/// Converts a model into a new directory: weights that come unquantised as the options say, others
/// as loading would hold them.
///
/// The files are written to `DESTINATION.phi-part`, which becomes `destination` when all are
/// complete; whatever goes wrong before removes it. Memory is bounded by panels of a few megabytes
/// and one matrix's scales, whatever the size of the model.
///
/// # Errors
/// Those of opening and reading a model, `malformed` for weights that are NaN or infinite,
/// `bad-option` for a destination that is a file or a directory with something in it, `in-use`
/// where somebody else is writing it, `io` when writing fails.
pub async fn convert<S: Source>(
    source: S,
    destination: &Path,
    options: impl Into<ConvertOptions>,
    progress: &mut dyn FnMut(ConvertProgress),
) -> Result<Report> {
    let checkpoint = Checkpoint::open(source).await?;
    convert_rounded(&checkpoint, destination, options.into(), (&mut Alone, None), progress).await
}

/// Converts an opened model, rounded so. With an identity, a line that tells what comes out, it
/// goes on with what was left of the same.
pub(crate) async fn convert_rounded<S: Source, R: Rounding<S>>(
    checkpoint: &Checkpoint<S>,
    destination: &Path,
    options: ConvertOptions,
    (rounding, identity): (&mut R, Option<&str>),
    progress: &mut dyn FnMut(ConvertProgress),
) -> Result<Report> {
    if let TextFiles::HuggingFace { tokenizer_json: Some(tokenizer), .. } = &checkpoint.files {
        // Whatever stands in its place is copied, and makes the new model as useless as this one.
        json::parse::<IgnoredAny>("tokenizer.json", tokenizer)?;
    }
    let texts = texts(checkpoint)?;
    let mut directory = match identity {
        Some(identity) => NewDirectory::resume(destination, identity)?,
        None => NewDirectory::begin(destination)?,
    };
    let mut now = ConvertProgress { done: 0, total: checkpoint.weight_bytes() };
    let mut count = |bytes| {
        now.done += bytes;
        progress(now);
    };
    let report =
        checkpoint.write_rounded(&mut directory, options, &texts, (rounding, &mut count)).await?;
    directory.finish()?;
    Ok(report)
}

/// The files beside the weights, by name.
pub(crate) fn texts<S>(checkpoint: &Checkpoint<S>) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (tokenizer_json, tokenizer_config, chat_template, generation_config) =
        match &checkpoint.files {
            TextFiles::HuggingFace {
                tokenizer_json,
                tokenizer_config,
                chat_template,
                generation_config,
            } => (
                tokenizer_json.clone(),
                tokenizer_config.clone(),
                chat_template.clone(),
                generation_config.clone(),
            ),
            TextFiles::Gguf(metadata) if metadata.texts("tokenizer.ggml.tokens").is_some() => {
                let tokenizer = TextAssets::of(checkpoint)?.tokenizer;
                let mut config = json!({
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    "chat_template": chat_templates(metadata),
                    "clean_up_tokenization_spaces": false,
                });
                for (name, written) in tokenizer.named_tokens() {
                    config[name] = written.as_str().into();
                }
                (Some(tokenizer.to_json()?), Some(config), None, None)
            }
            TextFiles::Gguf(_) => (None, None, None, None),
        };
    let mut generation_config = generation_config.unwrap_or_else(|| json!({}));
    if generation_config["eos_token_id"].is_null() {
        generation_config["eos_token_id"] = json!(checkpoint.stop_tokens);
    }
    let mut texts = vec![
        ("config.json", pretty(&checkpoint.config.to_json())),
        ("generation_config.json", pretty(&generation_config)),
    ];
    texts.extend(tokenizer_json.map(|bytes| ("tokenizer.json", bytes)));
    texts.extend(tokenizer_config.map(|config| ("tokenizer_config.json", pretty(&config))));
    texts.extend(chat_template.map(|template| ("chat_template.jinja", template.into_bytes())));
    Ok(texts)
}

/// A GGUF file's templates, as `tokenizer_config.json` has one or several.
fn chat_templates(metadata: &Metadata) -> Value {
    let default = metadata.text("tokenizer.chat_template");
    match metadata.text(TOOLS_TEMPLATE) {
        None => json!(default),
        Some(for_tools) => [("default", default), ("tool_use", Some(for_tools))]
            .into_iter()
            .filter_map(|(name, source)| Some(json!({ "name": name, "template": source? })))
            .collect(),
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
