//! Plain data between the engine and whoever drives it from another language: how a model is to be loaded, how far that is, what was
//! loaded, how a conversation is rendered. Requests are OpenAI's ([`crate::openai`]); answers are told in [`crate::session::Event`]s.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Code, Result, fail};
use crate::op::KvKind;
use crate::session::{Description, LoadOptions, Wanted};
use crate::text::options::Options;
use crate::text::template::Ending;
use crate::weights::checkpoint::Bits;

/// How a model is to be loaded.
#[derive(Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "LoadOptions", optional_fields))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadRequest {
    /// The address of a file or of a directory (ending in "/"), the files themselves, or the id of a model that is all in storage.
    #[serde(default, rename = "model")]
    #[cfg_attr(test, ts(type = "string | Blob | File[] | { stored: string; name: string }"))]
    _model: IgnoredAny, // Read beside it: it may be more than plain data.
    /// What shall compute; auto unless said otherwise.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub backend: Wanted,
    /// How weights that come unquantised are held; 4 unless said otherwise.
    #[cfg_attr(test, ts(optional, type = "4 | 5 | 8 | 16 | 32"))]
    bits: Option<u32>,
    /// Positions to allocate; the model's own, at most 4096, unless said otherwise.
    ctx_len: Option<usize>,
    /// How keys and values are held; f16, or f32 with 32-bit weights, unless said otherwise.
    #[cfg_attr(test, ts(inline))]
    kv: Option<Kv>,
    /// Threads of the CPU; as many as the device has, up to 16, unless said otherwise. More than one needs a module with threads.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub threads: usize,
    /// Time again which kernels are fastest on this GPU, and whether the CPU is faster; otherwise that is done once for each GPU, browser
    /// and version of the engine.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub retune: bool,
    /// What `tunedGpus` gave.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub known_gpus: String,
    /// What `measuredBackends` gave.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub known_backends: String,
    /// Whether `auto` measures a GPU that is a program on the CPU, too; otherwise it takes the CPU.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub software_gpu: bool,
    /// The SHA-256 of files, by name and in hexadecimal, that their publisher tells: a model that is kept is compared with them.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub sha256: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
enum Kv {
    F16,
    F32,
}

impl LoadRequest {
    /// The options of a session.
    ///
    /// # Errors
    /// `bad-option` for a number of bits in which no weights are held.
    pub fn for_session(&self) -> Result<LoadOptions> {
        let bits = match self.bits {
            None => Bits::default(),
            Some(bits) => match Bits::ALL.into_iter().find(|known| known.number() == bits) {
                Some(known) => known,
                None => fail!(Code::BadOption, "bits is {bits}; it must be 4, 5, 8, 16 or 32"),
            },
        };
        let kv = self.kv.map(|kv| match kv {
            Kv::F16 => KvKind::F16,
            Kv::F32 => KvKind::F32,
        });
        Ok(LoadOptions { format: bits.into(), ctx_len: self.ctx_len, kv })
    }
}

/// How far loading is.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Progress", optional_fields))]
pub struct LoadProgress {
    /// What is done.
    #[cfg_attr(test, ts(inline))]
    pub phase: Phase,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Bytes of the model that are kept, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
}

/// What is done with a model's bytes.
#[derive(Clone, Copy, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// They come from elsewhere.
    Downloading,
    /// They come from storage or files.
    Loading,
    /// They are completed in storage.
    Preparing,
    /// They are hashed again.
    Checking,
}

/// What was loaded, and what computes it.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Description", optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct LoadedModel {
    /// As the session has it.
    #[serde(flatten)]
    pub description: Description,
    /// Which of the two computes.
    #[cfg_attr(test, ts(type = "\"gpu\" | \"cpu\""))]
    pub device: &'static str,
    /// Where the model is kept.
    #[cfg_attr(test, ts(type = "\"opfs\" | \"indexeddb\" | \"none\""))]
    pub storage: String,
    /// The id that it has there; absent where it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_id: Option<String>,
    /// Why it is not what was asked for, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// How a conversation is rendered for the model.
#[derive(Debug, PartialEq)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename_all = "camelCase", optional_fields))]
pub struct TemplateOptions {
    /// Descriptions of tools, in OpenAI's shape as most templates want it.
    #[cfg_attr(test, ts(optional, type = "object[]"))]
    pub tools: Option<Vec<Value>>,
    /// Whether the beginning of the model's answer comes last: yes, unless said otherwise.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub add_generation_prompt: bool,
    /// End within the last message, the assistant's.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub continue_final: bool,
}

impl TemplateOptions {
    /// From JSON, where every field may be left out.
    ///
    /// # Errors
    /// `bad-option`, naming the option, its value and what it may be.
    pub fn from_json(json: &Value) -> Result<TemplateOptions> {
        let options = Options::of(json, "a chat template", &["tools", "addGenerationPrompt", "continueFinal"])?;
        let tools = match options.get("tools") {
            None => None,
            Some(Value::Array(tools)) => Some(tools.clone()),
            Some(_) => fail!(Code::BadOption, "tools is no list; give a description each"),
        };
        let add_generation_prompt = options.get("addGenerationPrompt").is_none() || options.flag("addGenerationPrompt")?;
        Ok(TemplateOptions { tools, add_generation_prompt, continue_final: options.flag("continueFinal")? })
    }

    /// How the prompt ends.
    pub fn ending(&self) -> Ending {
        match self {
            TemplateOptions { continue_final: true, .. } => Ending::Continued,
            TemplateOptions { add_generation_prompt: true, .. } => Ending::Answer,
            TemplateOptions { .. } => Ending::Closed,
        }
    }
}
