//! Text to ids by Hugging Face's `tokenizers`, in the steps that its own tokenizer takes.

use tokenizers::models::bpe::BPE;
use tokenizers::{AddedVocabulary, Model, OffsetReferential, OffsetType, PreTokenizer};

use super::rules::{Normalizers, PreTokenizers};
use super::tokenizer::{Parts, bad};
use crate::error::Result;

pub(super) struct Encoder {
    pub added: AddedVocabulary,
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
        let model = builder.build().map_err(|e| bad(format!("the tokenizer's model is damaged: {e}; fetch it again")))?;
        let mut added = AddedVocabulary::new();
        added
            .add_tokens(parts.added.into_iter().map(|(_, token)| token), &model, Some(&normalizers))
            .map_err(|e| bad(format!("the tokenizer's added tokens are damaged: {e}; fetch it again")))?;
        Ok(Encoder { added, model, normalizers, pre_tokenizers })
    }

    /// The ids of a text, in which added tokens are recognised. What is none of them loses its marks.
    pub fn ids(&self, text: &str, mark: Option<char>) -> tokenizers::Result<Vec<u32>> {
        let mut text = self.added.extract_and_normalize(Some(&self.normalizers), text);
        if let Some(mark) = mark {
            text.normalize(|piece| piece.replace(mark, "").map(|_| ()))?;
        }
        self.pre_tokenizers.pre_tokenize(&mut text)?;
        text.tokenize(|piece| self.model.tokenize(piece.get()))?;
        let pieces = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Ok(pieces.into_iter().filter_map(|(_, _, tokens)| tokens.as_ref()).flatten().map(|token| token.id).collect())
    }
}
