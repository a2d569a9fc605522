//! Plain data between the engine and whoever drives it from another language: how a model is to be
//! loaded, how far that is, what was loaded, how a conversation is rendered. Requests are OpenAI's
//! ([`crate::openai`]); answers are told in [`crate::session::Event`]s.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Code, Result, fail};
use crate::op::KvKind;
use crate::session::{Description, LoadOptions, Wanted};
use crate::text::options::NamedOptions;
use crate::text::template::Ending;
use crate::weights::format::Bits;

/// Bytes that what was read may take unless something else is said.
const CACHE_BYTES: u64 = 1_000_000_000;

/// How a model is to be loaded, wherever it is.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename_all = "camelCase", optional_fields))]
pub struct LoadSettings {
    /// What shall compute; auto unless said otherwise.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub backend: Wanted,
    /// How weights that come unquantised are held; 4 unless said otherwise.
    #[cfg_attr(test, ts(optional, type = "4 | 5 | 8 | 16 | 32"))]
    bits: Option<Bits>,
    /// Positions to allocate; the model's own, at most 4096, unless said otherwise.
    ctx_len: Option<usize>,
    /// How keys and values are held; int8, or f32 with 32-bit weights, unless said otherwise.
    #[cfg_attr(test, ts(optional, type = "\"int8\" | \"int4\" | \"f16\" | \"f32\""))]
    kv: Option<KvKind>,
    /// Threads of the CPU; as many as the device has, up to 16, unless said otherwise. More than
    /// one needs a module with threads.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub threads: usize,
    /// Time again which kernels are fastest on this GPU, and whether the CPU is faster; otherwise
    /// that is done once for each GPU, browser and version of the engine.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub retune: bool,
    /// What `tunedGpus` gave.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub known_gpus: String,
    /// What `measuredBackends` gave.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub known_backends: String,
    /// Bytes that what was read may take where it outlives the program; 1 GB unless said otherwise.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub cache_bytes: u64,
    /// Whether `auto` measures a GPU that is a program on the CPU, too; otherwise it takes the CPU.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub software_gpu: bool,
    /// The SHA-256 of files, by name and in hexadecimal, that their publisher tells: a model that
    /// is kept is compared with them.
    #[cfg_attr(test, ts(as = "Option<_>"))]
    pub sha256: BTreeMap<String, String>,
}

impl LoadSettings {
    /// From JSON, where every field may be left out, and which may name the model besides.
    ///
    /// # Errors
    /// `bad-option`, naming the option, its value and what it may be.
    pub fn from_json(json: &Value) -> Result<LoadSettings> {
        const NAMES: [&str; 12] = [
            "model",
            "backend",
            "bits",
            "ctxLen",
            "kv",
            "threads",
            "retune",
            "knownGpus",
            "knownBackends",
            "softwareGpu",
            "cacheBytes",
            "sha256",
        ];
        let given = NamedOptions::of(json, "load", &NAMES)?;
        let text = |name| {
            given
                .read(name, "a text", |text| text.as_str().map(str::to_owned))
                .map(Option::unwrap_or_default)
        };
        let count = |name| {
            let needed = "a whole number from 0 to 4294967295";
            Ok(given.whole(name, 0..=u32::MAX.into(), needed)?.map(|number| number as usize))
        };
        let backend = |name: &Value| match name.as_str()? {
            "auto" => Some(Wanted::Auto),
            "gpu" => Some(Wanted::Gpu),
            "cpu" => Some(Wanted::Cpu),
            _ => None,
        };
        let kv = |name: &Value| match name.as_str()? {
            "int8" => Some(KvKind::Int8),
            "int4" => Some(KvKind::Int4),
            "f16" => Some(KvKind::F16),
            "f32" => Some(KvKind::F32),
            _ => None,
        };
        let hashes = |files: &Value| {
            files
                .as_object()?
                .iter()
                .map(|(file, hash)| Some((file.clone(), hash.as_str()?.to_owned())))
                .collect()
        };
        let bits = |number: &Value| number.as_f64().and_then(Bits::of);
        Ok(LoadSettings {
            backend: given.read("backend", "auto, gpu or cpu", backend)?.unwrap_or_default(),
            bits: given.read("bits", Bits::WANTED, bits)?,
            ctx_len: count("ctxLen")?,
            kv: given.read("kv", "int8, int4, f16 or f32", kv)?,
            threads: count("threads")?.unwrap_or_default(),
            retune: given.flag("retune")?,
            known_gpus: text("knownGpus")?,
            known_backends: text("knownBackends")?,
            software_gpu: given.flag("softwareGpu")?,
            cache_bytes: given
                .whole("cacheBytes", 1..=1 << 53, "a whole number from 1 to 2^53")?
                .map_or(CACHE_BYTES, |bytes| bytes as u64),
            sha256: given
                .read("sha256", "an object of hashes by the names of files", hashes)?
                .unwrap_or_default(),
        })
    }

    /// The options of a session.
    pub fn for_session(&self) -> LoadOptions {
        LoadOptions {
            format: self.bits.unwrap_or_default().into(),
            ctx_len: self.ctx_len,
            kv: self.kv,
        }
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
        let options = NamedOptions::of(
            json,
            "a chat template",
            &["tools", "addGenerationPrompt", "continueFinal"],
        )?;
        let tools = match options.get("tools") {
            None => None,
            Some(Value::Array(tools)) => Some(tools.clone()),
            Some(_) => fail!(Code::BadOption, "tools is no list; give a description each"),
        };
        let add_generation_prompt =
            options.get("addGenerationPrompt").is_none() || options.flag("addGenerationPrompt")?;
        Ok(TemplateOptions {
            tools,
            add_generation_prompt,
            continue_final: options.flag("continueFinal")?,
        })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn load_options_are_read_as_pages_write_them() {
        let given = json!({
            "model": {}, "backend": "cpu", "bits": 8, "ctxLen": 512, "kv": "f32", "threads": 2,
            "sha256": {"a": "00"},
        });
        let settings = LoadSettings::from_json(&given).unwrap();
        let LoadOptions { format, ctx_len, kv } = settings.for_session();
        assert_eq!((settings.backend, settings.threads, settings.retune), (Wanted::Cpu, 2, false));
        assert_eq!((format, ctx_len, kv), (Bits::ALL[2].into(), Some(512), Some(KvKind::F32)));
        assert_eq!(settings.sha256["a"], "00");
        let LoadOptions { format, ctx_len, kv } =
            LoadSettings::from_json(&json!({"model": "m"})).unwrap().for_session();
        assert_eq!((format, ctx_len, kv), (Bits::default().into(), None, None));
        for (given, sentence) in [
            (
                json!({"bits": 9}),
                "bits is 9: it must be 4, 5, 8, 16, 32 or an average from 2.5 to 8, like 3.5 or \
                    5.25",
            ),
            (json!({"backend": "npu"}), "backend is \"npu\": it must be auto, gpu or cpu"),
            (json!({"kv": "q8"}), "kv is \"q8\": it must be int8, int4, f16 or f32"),
            (
                json!({"threads": -1}),
                "threads is -1: it must be a whole number from 0 to 4294967295",
            ),
            (
                json!({"sha256": {"a": 1}}),
                "sha256 is an object: it must be an object of hashes by the names of files",
            ),
            (
                json!({"contextLength": 1}),
                "contextLength is no option of load: check its spelling, or leave it out",
            ),
        ] {
            assert_eq!(LoadSettings::from_json(&given).unwrap_err().message, sentence, "{given}");
        }
    }

    #[test]
    fn a_prompt_ends_as_its_options_say() {
        for (given, ending) in [
            (json!(null), Ending::Answer),
            (json!({"tools": [{}]}), Ending::Answer),
            (json!({"addGenerationPrompt": false}), Ending::Closed),
            (json!({"continueFinal": true}), Ending::Continued),
        ] {
            assert_eq!(TemplateOptions::from_json(&given).unwrap().ending(), ending, "{given}");
        }
        assert!(TemplateOptions::from_json(&json!({"tools": {}})).is_err());
    }
}
