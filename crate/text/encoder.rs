//! Text to ids by Hugging Face's `tokenizers`, in the steps that its own tokenizer takes.

use tokenizers::models::bpe::BPE;
use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizer, Token};

use super::added::AddedTokens;
use super::bad;
use super::parts::Parts;
use super::prompt::Prompt;
use super::rules::{Normalizers, PreTokenizers};
use crate::error::Result;

pub(super) struct Encoder {
    pub added: AddedTokens,
    pub model: BPE,
    normalizers: Normalizers,
    pre_tokenizers: PreTokenizers,
}

impl Encoder {
    pub fn new(parts: Parts) -> Result<Encoder> {
        let normalizers = Normalizers::read(&parts.rules.normalizer)?;
        let pre_tokenizers = PreTokenizers::read(&parts.rules.pre_tokenizer)?;
        let mut builder = BPE::builder()
            .vocab_and_merges(parts.vocab, parts.merges)
            .fuse_unk(parts.fuse_unk)
            .byte_fallback(parts.byte_fallback)
            .ignore_merges(parts.ignore_merges);
        if let Some(unk) = parts.unk_token {
            builder = builder.unk_token(unk);
        }
        let model = builder
            .build()
            .map_err(|e| bad(format!("the tokenizer's model is damaged: {e}; fetch it again")))?;
        let added = AddedTokens::new(parts.added, &normalizers)?;
        Ok(Encoder { added, model, normalizers, pre_tokenizers })
    }

    /// The ids of a text, in which added tokens are recognised.
    pub fn ids(&self, prompt: &Prompt) -> tokenizers::Result<Vec<u32>> {
        let mut text = self.added.extract_and_normalize(prompt, &self.normalizers)?;
        self.pre_tokenizers.pre_tokenize(&mut text)?;
        text.tokenize(|piece| self.tokens(piece.get(), prompt))?;
        let pieces = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Ok(pieces
            .into_iter()
            .filter_map(|(_, _, tokens)| tokens.as_ref())
            .flatten()
            .map(|token| token.id)
            .collect())
    }

    /// Of a piece in which no added token is. Where words that are in the vocabulary are not put
    /// together by merges, one may be a control token all the same: what people say is spelt by its
    /// letters then.
    fn tokens(&self, piece: &str, prompt: &Prompt) -> tokenizers::Result<Vec<Token>> {
        let tokens = self.model.tokenize(piece)?;
        if !prompt.is_rendered || !tokens.iter().any(|token| self.added.is_control(token.id)) {
            return Ok(tokens);
        }
        let letters = piece.chars().map(|c| self.model.tokenize(c.encode_utf8(&mut [0; 4])));
        Ok(letters.collect::<tokenizers::Result<Vec<_>>>()?.concat())
    }
}
