//! How a page says a model is to be loaded.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Code, Result, fail};
use crate::op::KvKind;
use crate::session::{LoadOptions, Wanted};
use crate::weights::checkpoint::Bits;

/// `LoadOptions` as JavaScript spells them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Read beside it: it may be more than plain data.
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    /// What shall compute.
    #[serde(default)]
    pub backend: Wanted,
    bits: Option<u32>,
    ctx_len: Option<usize>,
    kv: Option<Kv>,
    #[serde(default)]
    pub threads: usize,
    #[serde(default)]
    pub retune: bool,
    #[serde(default)]
    pub known_gpus: String,
    #[serde(default)]
    pub known_backends: String,
    #[serde(default)]
    pub software_gpu: bool,
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kv {
    F16,
    F32,
}

impl Options {
    /// Those of a session.
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
