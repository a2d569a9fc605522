//! `phi convert`: any model that we read, into the form that streams without repacking.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Code, Error, Result, fail};
use crate::weights::checkpoint::{Checkpoint, TextFiles};
use crate::weights::source::Source;
use crate::weights::write::{Options, Report, Target};
use crate::words::Words;

/// How far a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of weights that were read.
    pub done: u64,
    /// Bytes of weights in the source.
    pub total: u64,
}

/// Converts a model into a new directory: weights that come unquantised as the options say, others as loading would hold them.
///
/// The files are written to `DESTINATION.phi-part`, which becomes `destination` when all are complete; whatever goes wrong before
/// removes it. Memory is bounded by panels of a few megabytes and one matrix's scales, whatever the size of the model.
///
/// # Errors
/// Those of opening and reading a model, `malformed` for weights that are NaN or infinite, `bad-option` for a destination that is
/// a file or a directory with something in it, `io` when writing fails.
pub async fn convert<S: Source>(
    source: S,
    destination: &Path,
    options: impl Into<Options>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let checkpoint = Checkpoint::open(source).await?;
    let texts = texts(&checkpoint)?;
    let mut directory = NewDirectory::begin(destination)?;
    let mut now = Progress { done: 0, total: checkpoint.weight_bytes() };
    let mut count = |bytes| {
        now.done += bytes;
        progress(now);
    };
    let report = checkpoint.write(&mut directory, options, &texts, &mut count).await?;
    directory.finish()?;
    Ok(report)
}

/// The files beside the weights, by name.
fn texts<S>(checkpoint: &Checkpoint<S>) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (tokenizer_json, tokenizer_config, chat_template, generation_config) = match &checkpoint.files {
        TextFiles::HuggingFace { tokenizer_json, tokenizer_config, chat_template, generation_config } => {
            (tokenizer_json.clone(), tokenizer_config.clone(), chat_template.clone(), generation_config.clone())
        }
        TextFiles::Gguf(metadata) if metadata.texts("tokenizer.ggml.tokens").is_some() => {
            let tokenizer = Words::of(checkpoint)?.tokenizer;
            let config = json!({
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": tokenizer.bos().map(|id| tokenizer.written(Some(id))),
                "eos_token": tokenizer.eos().map(|id| tokenizer.written(Some(id))),
                "chat_template": metadata.text("tokenizer.chat_template"),
                "clean_up_tokenization_spaces": false,
            });
            (Some(tokenizer.to_json()?), Some(config), None, None)
        }
        TextFiles::Gguf(_) => (None, None, None, None),
    };
    let mut generation_config = generation_config.unwrap_or_else(|| json!({}));
    if generation_config["eos_token_id"].is_null() {
        generation_config["eos_token_id"] = json!(checkpoint.stop_tokens);
    }
    let mut texts = vec![("config.json", pretty(&checkpoint.config.to_json())), ("generation_config.json", pretty(&generation_config))];
    texts.extend(tokenizer_json.map(|bytes| ("tokenizer.json", bytes)));
    texts.extend(tokenizer_config.map(|config| ("tokenizer_config.json", pretty(&config))));
    texts.extend(chat_template.map(|template| ("chat_template.jinja", template.into_bytes())));
    Ok(texts)
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A directory that comes into being whole or not at all.
struct NewDirectory {
    destination: PathBuf,
    /// Where it is until it is complete.
    part: PathBuf,
    file: Option<(PathBuf, File)>,
    complete: bool,
}

impl NewDirectory {
    fn begin(destination: &Path) -> Result<NewDirectory> {
        let shown = destination.display();
        let Some(name) = destination.file_name() else {
            fail!(Code::BadOption, "{shown}: name a directory that is to be made");
        };
        match fs::read_dir(destination).map(|mut items| items.next().is_some()) {
            Ok(true) => {
                fail!(Code::BadOption, "{shown}: the directory is not empty; name a new one, or empty it first")
            }
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::NotADirectory => fail!(Code::BadOption, "{shown}: there is a file of that name"),
            Err(error) => return Err(write_error(destination, &error)),
        }
        let mut part = name.to_owned();
        part.push(".phi-part");
        let part = destination.with_file_name(part);
        // A conversion that was killed left it behind.
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(&part, &error)),
            _ => {}
        }
        fs::create_dir_all(&part).map_err(|error| write_error(&part, &error))?;
        Ok(NewDirectory { destination: destination.to_owned(), part, file: None, complete: false })
    }

    fn close(&mut self) -> Result<()> {
        match self.file.take() {
            Some((path, file)) => file.sync_all().map_err(|error| write_error(&path, &error)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<()> {
        self.close()?;
        // Not every system renames onto a directory, even an empty one.
        match fs::remove_dir(&self.destination) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(&self.destination, &error)),
            _ => {}
        }
        fs::rename(&self.part, &self.destination).map_err(|error| write_error(&self.destination, &error))?;
        self.complete = true;
        Ok(())
    }
}

impl Target for NewDirectory {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.close()?;
        let path = self.part.join(file);
        let made = File::create(&path).map_err(|error| write_error(&path, &error))?;
        self.file = Some((path, made));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((path, file)) => file.write_all(bytes).map_err(|error| write_error(path, &error)),
            None => Ok(()),
        }
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.complete {
            self.file = None;
            // The error that led here is the one to tell.
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

fn write_error(path: &Path, error: &std::io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::new(Code::Io, format!("{path}: the disk is full; make room, or name a directory on another disk, and convert again"))
        }
        ErrorKind::PermissionDenied => Error::new(Code::Io, format!("{path}: not allowed to write there; name another directory")),
        _ => Error::new(Code::Io, format!("{path}: cannot be written: {error}")),
    }
}
