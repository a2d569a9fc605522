//! The tokenizer inside a GGUF file, made into what Hugging Face's converters would have made of
//! it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokenizers::AddedToken;

use super::parts::Parts;
use super::pre_tokenizers::{byte_level, pre_tokenizer};
use super::tokens::byte_piece;
use crate::error::{Code, Result, fail};

/// What a GGUF file's metadata hold under `tokenizer.ggml.*`, as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vocabulary {
    /// `model`: `gpt2` for byte-level BPE, `llama` for SentencePiece.
    pub model: String,
    /// `pre`: the name of the pre-tokenizer; empty means `default`. SentencePiece has none.
    pub pre: String,
    /// `tokens`, by id. An empty one is padding.
    pub tokens: Vec<String>,
    /// `token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused (padding), 6
    /// byte. May be empty.
    pub token_types: Vec<i32>,
    /// `merges`, best first, each two tokens with a space between. SentencePiece has none: its
    /// scores say the same.
    pub merges: Vec<String>,
    /// `scores`, by id; SentencePiece only.
    pub scores: Vec<f32>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `unknown_token_id`.
    pub unk: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `add_bos_token`. Absent, the tokenizer's kind decides: SentencePiece adds it, and so do
    /// Llama 3 and Tekken.
    pub add_bos: Option<bool>,
    /// `add_eos_token`; absent means no.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`; absent means that SentencePiece adds one. Byte-level BPE never does.
    pub add_space_prefix: Option<bool>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// A longer piece is damage: looking for its merges takes the square of its length.
const MAX_PIECE: usize = 512;
/// Bytes of all merges together: more than ten times what any vocabulary has.
const MAX_MERGED: usize = 1 << 26;

impl Vocabulary {
    /// The parts of a tokenizer. See [`super::Tokenizer::from_vocabulary`].
    pub(super) fn into_parts(mut self) -> Result<Parts> {
        self.apply_defaults();
        self.check()?;
        let mut parts = Parts {
            added: self.added_tokens(),
            bos: self.bos,
            eos: self.eos,
            named: self.named_tokens(),
            ..Parts::default()
        };
        for (id, token) in self.tokens.iter().enumerate() {
            if self.is_token(id)
                && let Some(other) = parts.vocab.insert(token.clone(), id as u32)
            {
                fail!(
                    Code::BadTokenizer,
                    "token {token:?} has both id {other} and id {id}; the file is damaged"
                );
            }
        }
        let adds_bos = match self.model.as_str() {
            "gpt2" => self.byte_level(&mut parts)?,
            "llama" => self.sentence_piece(&mut parts)?,
            other => {
                fail!(
                    Code::BadTokenizer,
                    "this file's tokenizer is of kind {other:?}; \"gpt2\" and \"llama\" are the \
                        ones that we read"
                )
            }
        };
        if self.add_bos.unwrap_or(adds_bos) {
            parts.prefix = self.bos.into_iter().collect();
        }
        if self.add_eos.unwrap_or(false) {
            parts.suffix = self.eos.into_iter().collect();
        }
        Ok(parts)
    }

    /// SentencePiece's own ids, where a file names none: those of LLaMA's first converters did not.
    fn apply_defaults(&mut self) {
        if self.model == "llama" {
            for (id, default) in [(&mut self.unk, 0), (&mut self.bos, 1), (&mut self.eos, 2)] {
                *id = id.or((default < self.tokens.len() as u32).then_some(default));
            }
        }
    }

    /// The lists must be of one length, and the named ids within it.
    fn check(&self) -> Result<()> {
        let n = self.tokens.len();
        if n == 0 {
            fail!(
                Code::BadTokenizer,
                "this file holds no tokens (tokenizer.ggml.tokens); convert the model again with \
                 its tokenizer"
            );
        }
        for (what, len) in [("token types", self.token_types.len()), ("scores", self.scores.len())]
        {
            if len != 0 && len != n {
                fail!(
                    Code::BadTokenizer,
                    "this file holds {n} tokens but {len} {what}; it is damaged"
                );
            }
        }
        if let Some(id) = self.token_types.iter().position(|kind| !(0..=6).contains(kind)) {
            fail!(
                Code::BadTokenizer,
                "token {id} is of kind {}, which no GGUF file has; the file is damaged",
                self.token_types[id]
            );
        }
        for (what, id) in
            [("bos", self.bos), ("eos", self.eos), ("unknown", self.unk), ("padding", self.pad)]
        {
            if let Some(id) = id
                && id as usize >= n
            {
                fail!(
                    Code::BadTokenizer,
                    "the {what} token's id {id} is outside the vocabulary of {n} tokens; the file \
                        is damaged"
                );
            }
        }
        Ok(())
    }

    fn kind(&self, id: usize) -> i32 {
        self.token_types.get(id).copied().unwrap_or(1)
    }

    fn is_token(&self, id: usize) -> bool {
        self.kind(id) != UNUSED && !self.tokens[id].is_empty()
    }

    fn named_tokens(&self) -> Vec<(String, String)> {
        let ids = [
            ("bos_token", self.bos),
            ("eos_token", self.eos),
            ("unk_token", self.unk),
            ("pad_token", self.pad),
        ];
        ids.into_iter()
            .filter_map(|(name, id)| {
                Some((name.to_owned(), self.tokens.get(id? as usize)?.clone()))
            })
            .collect()
    }

    /// Control tokens are special, user-defined ones are not; both are found in a text before it is
    /// split.
    fn added_tokens(&self) -> Vec<(u32, AddedToken)> {
        let is_phi3 = self.model == "llama"
            && ["<|end|>", "<|assistant|>"]
                .iter()
                .all(|name| self.tokens.iter().any(|t| t == name));
        (0..self.tokens.len())
            .filter(|&id| {
                self.is_token(id) && matches!(self.kind(id), UNKNOWN | CONTROL | USER_DEFINED)
            })
            .map(|id| {
                let content = self.tokens[id].as_str();
                // GGUF has no place for this: Phi-3's control tokens swallow the white space after
                // them.
                let rstrip = is_phi3 && !["<unk>", "<s>", "<|endoftext|>"].contains(&content);
                (
                    id as u32,
                    AddedToken::from(content, self.kind(id) != USER_DEFINED)
                        .normalized(false)
                        .rstrip(rstrip),
                )
            })
            .collect()
    }

    /// Byte-level BPE. Returns whether such a tokenizer adds BOS when the file does not say.
    fn byte_level(&self, parts: &mut Parts) -> Result<bool> {
        let pre = pre_tokenizer(&self.pre)?;
        parts.merges = self.merges.iter().map(|merge| split_merge(merge)).collect::<Result<_>>()?;
        parts.rules.pre_tokenizer = pre.splits;
        parts.rules.decoder = byte_level(false);
        parts.ignore_merges = pre.ignore_merges;
        Ok(pre.adds_bos)
    }

    /// SentencePiece BPE. Returns whether such a tokenizer adds BOS when the file does not say.
    fn sentence_piece(&self, parts: &mut Parts) -> Result<bool> {
        if self.scores.is_empty() {
            fail!(
                Code::BadTokenizer,
                "this file's SentencePiece tokenizer has no scores; convert the model again"
            );
        }
        let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let mut normalizers = vec![space];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if self.add_space_prefix.unwrap_or(true) {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        parts.rules.normalizer = json!({"type": "Sequence", "normalizers": normalizers});
        parts.rules.decoder = json!({"type": "Sequence", "decoders": decoders});
        parts.merges = self.merges_by_score()?;
        parts.unk_token = self.unk.map(|id| self.tokens[id as usize].clone());
        parts.fuse_unk = true;
        parts.byte_fallback = true;
        Ok(true)
    }

    /// SentencePiece joins the two neighbours whose whole has the best score: every way to cut a
    /// piece in two is a merge, best whole first. Ties are in the order of Hugging Face's
    /// converter.
    fn merges_by_score(&self) -> Result<Vec<(String, String)>> {
        let is_piece = |id: usize| {
            self.is_token(id) && self.kind(id) == 1 && byte_piece(&self.tokens[id]).is_none()
        };
        let pieces: HashMap<&str, usize> = (0..self.tokens.len())
            .filter(|&id| is_piece(id))
            .map(|id| (self.tokens[id].as_str(), id))
            .collect();
        let mut merges = Vec::new();
        let mut merged = 0;
        for whole in (0..self.tokens.len()).filter(|&id| is_piece(id)) {
            let text = self.tokens[whole].as_str();
            if text.len() > MAX_PIECE {
                fail!(
                    Code::BadTokenizer,
                    "token {whole} is {} bytes long, and {MAX_PIECE} are more than any piece has; \
                        the file is damaged",
                    text.len()
                );
            }
            if merged > MAX_MERGED {
                fail!(
                    Code::BadTokenizer,
                    "this file's tokens can be put together in too many ways; it is damaged"
                );
            }
            for (cut, _) in text.char_indices().skip(1) {
                let (left, right) = text.split_at(cut);
                if let (Some(&l), Some(&r)) = (pieces.get(left), pieces.get(right)) {
                    merges.push((whole, l, r));
                    merged += text.len();
                }
            }
        }
        let chars = |id: usize| self.tokens[id].chars().count();
        merges.sort_by_cached_key(|&(whole, l, r)| {
            (
                Descending(self.scores[whole]),
                usize::MAX - chars(l),
                usize::MAX - chars(r),
                whole,
                l,
                r,
            )
        });
        Ok(merges
            .into_iter()
            .map(|(_, l, r)| (self.tokens[l].clone(), self.tokens[r].clone()))
            .collect())
    }
}

/// A score, the greatest first.
struct Descending(f32);

impl Ord for Descending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

impl PartialOrd for Descending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Descending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Descending {}

/// `"Ġ t"`: a token never begins with a plain space, so the first one after its first byte is
/// between the two.
fn split_merge(merge: &str) -> Result<(String, String)> {
    match merge.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => fail!(
            Code::BadTokenizer,
            "the merge {merge:?} is not two tokens with a space between; the file is damaged"
        ),
    }
}
