//! What a tokenizer is made of, whichever file it comes from.

use tokenizers::AddedToken;
use tokenizers::models::bpe::{Merges, Vocab};

use super::rules::Rules;

/// What both sources of a tokenizer come to.
#[derive(Default)]
pub(super) struct Parts {
    pub vocab: Vocab,
    pub merges: Merges,
    pub unk_token: Option<String>,
    pub fuse_unk: bool,
    pub byte_fallback: bool,
    pub ignore_merges: bool,
    /// Tokens that are found in a text before anything else is done to it, with their ids.
    pub added: Vec<(u32, AddedToken)>,
    pub rules: Rules,
    /// Ids that `encode` puts before and after a text when asked for special tokens.
    pub prefix: Vec<u32>,
    pub suffix: Vec<u32>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    /// Control tokens by the names that chat templates have for them, such as `bos_token`, as they
    /// are written.
    pub named: Vec<(String, String)>,
}
