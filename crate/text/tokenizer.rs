//! Text to token ids and back.
//!
//! Encoding is Hugging Face's `tokenizers`; decoding is our own table of bytes, so that a stream of
//! ids becomes text exactly and in constant time a token. A tokenizer comes from either of two
//! sources, which both end in the same [`Parts`].

mod to_json;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tokenizers::Model;
use tokenizers::models::bpe::{Merges, Vocab};

use super::added::is_blank;
use super::encoder::Encoder;
use super::least::Least;
use super::parts::Parts;
use super::prompt::{Prompt, Spellings};
use super::rules::{Rules, spelling};
use super::tokens::{Entry, Spelling, TokenKind, TokenTable};
use super::vocabulary::Vocabulary;
use super::{bad, tokenizer_json};
use crate::error::{Code, Result, fail};

/// Tokens after which a turn is over, in the models that we read. They count where the vocabulary
/// holds them as special.
const END_OF_TURN: [&str; 8] = [
    "<|end|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "</s>",
];

/// Bytes of white space in a row: on twice as many the library's regular expressions give up, and
/// the text is lost without a word.
const MAX_BLANK: usize = 500_000;

/// Bytes of all added tokens together, ten times what any vocabulary has.
const MAX_ADDED: usize = 1 << 20;

/// A byte-level or SentencePiece BPE tokenizer.
#[derive(Clone)]
pub struct Tokenizer {
    encoder: Arc<Encoder>,
    rules: Rules,
    tokens: TokenTable,
    least: Option<Least>,
    strips_leading_space: bool,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    named: Vec<(String, String)>,
}

impl Tokenizer {
    /// From a Hugging Face `tokenizer.json` and, where there is one, the parsed
    /// `tokenizer_config.json` beside it.
    ///
    /// The configuration names the BOS and EOS tokens, and its `add_bos_token` and `add_eos_token`,
    /// when present, overrule what the JSON file puts around a text.
    ///
    /// # Errors
    /// [`Code::BadTokenizer`]: not JSON, not a BPE model, or one that contradicts itself.
    pub fn from_json(tokenizer_json: &[u8], tokenizer_config: Option<&Value>) -> Result<Tokenizer> {
        Tokenizer::from_parts(tokenizer_json::read(tokenizer_json, tokenizer_config)?)
    }

    /// From what a GGUF file's metadata hold.
    ///
    /// # Errors
    /// [`Code::BadTokenizer`]: a model or pre-tokenizer that we do not read, or lists that
    /// contradict each other.
    pub fn from_vocabulary(vocabulary: Vocabulary) -> Result<Tokenizer> {
        Tokenizer::from_parts(vocabulary.into_parts()?)
    }

    fn from_parts(mut parts: Parts) -> Result<Tokenizer> {
        let (spelling, strips_leading_space) = spelling(&parts.rules.decoder)?;
        let added: usize = parts.added.iter().map(|(_, token)| token.content.len()).sum();
        if added > MAX_ADDED {
            fail!(
                Code::BadTokenizer,
                "the tokenizer's added tokens have {added} bytes, and {MAX_ADDED} are the most \
                    that we read"
            );
        }
        // The library numbers added tokens itself; in the model's vocabulary they keep the ids that
        // the file gives them.
        for (id, token) in &parts.added {
            if let Some(other) = parts.vocab.insert(token.content.clone(), *id)
                && other != *id
            {
                fail!(
                    Code::BadTokenizer,
                    "token {:?} has both id {other} and id {id}; the tokenizer's file is damaged",
                    token.content
                );
            }
        }
        let tokens = token_table(&parts, spelling)?;
        check_merges(&parts.vocab, &parts.merges)?;
        if let Some(unk) = &parts.unk_token
            && !parts.vocab.contains_key(unk)
        {
            fail!(
                Code::BadTokenizer,
                "the unknown token {unk:?} is not in the vocabulary; the tokenizer's file is \
                    damaged"
            );
        }
        for id in parts.prefix.iter().chain(&parts.suffix).chain(&parts.bos).chain(&parts.eos) {
            if tokens.kind(*id) == TokenKind::Absent {
                fail!(
                    Code::BadTokenizer,
                    "id {id}, which begins or ends a text, has no token; the tokenizer's file is \
                        damaged"
                );
            }
        }
        Ok(Tokenizer {
            least: Least::of(&parts, spelling),
            rules: parts.rules.clone(),
            tokens,
            strips_leading_space,
            prefix: parts.prefix.clone(),
            suffix: parts.suffix.clone(),
            bos: parts.bos,
            eos: parts.eos,
            named: std::mem::take(&mut parts.named),
            encoder: Arc::new(Encoder::new(parts)?),
        })
    }

    /// The ids of `text`. Special tokens written in the text are recognised.
    ///
    /// `add_special` adds BOS and EOS, if the tokenizer's own configuration does so: leave it off
    /// for a chat template's output, which writes its own. A byte that the vocabulary has no token
    /// for is left out, as the reference does.
    ///
    /// # Errors
    /// [`Code::PromptTooLong`], if half a million bytes of white space stand in a row;
    /// [`Code::BadTokenizer`], if the tokenizer's rules fail on the text.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let ids = self.encode_prompt(&Prompt::plain(text))?;
        Ok(if add_special { [&self.prefix, &ids[..], &self.suffix].concat() } else { ids })
    }

    /// What [`Tokenizer::encode`] puts before a text.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// The ids of a rendered conversation: the template's control tokens are recognised, those that
    /// a message spells stay text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        check_blank(&prompt.marked)?;
        self.encoder.ids(prompt).map_err(|e| bad(format!("this text cannot be tokenized: {e}")))
    }

    /// Refuses a prompt that cannot fit a context of `ctx_len` tokens, before it is tokenized.
    /// `what` is the name that it has in the sentence.
    ///
    /// # Errors
    /// [`Code::PromptTooLong`]. What passes may be too long all the same.
    pub fn check_room(&self, what: &str, prompt: &Prompt, ctx_len: usize) -> Result<()> {
        let least =
            self.least.as_ref().map_or(0, |least| least.tokens(&prompt.marked, prompt.mark));
        if least > ctx_len {
            fail!(
                Code::PromptTooLong,
                "{what} has {} bytes, which are {least} tokens at the least, and the context \
                    holds {ctx_len}",
                prompt.text().len();
                "shorten it or load with a longer context"
            );
        }
        Ok(())
    }

    /// The text of `ids`; bytes that are not UTF-8 become U+FFFD. `skip_special` leaves control
    /// tokens out.
    ///
    /// # Errors
    /// [`Code::BadToken`] for an id that no token has.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            let Some(token) = self.token_bytes(id) else {
                fail!(
                    Code::BadToken,
                    "id {id} has no token: the vocabulary holds {} ids",
                    self.vocab_len()
                );
            };
            if !(skip_special && self.is_special(id)) {
                bytes.extend_from_slice(token);
            }
        }
        let text = if self.strips_leading_space {
            bytes.strip_prefix(b" ").unwrap_or(&bytes)
        } else {
            &bytes
        };
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// The raw bytes that a token stands for (a control token's are its name), or `None` when no
    /// token has this id.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.tokens.bytes(id)
    }

    /// One more than the highest id that a token has. The model's head may have more rows: padding.
    pub fn vocab_len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no token has this id. Such ids must never be sampled.
    pub fn is_padding(&self, id: u32) -> bool {
        self.tokens.kind(id) == TokenKind::Absent
    }

    /// The ids that must never be sampled by a model whose head has `vocab_size` rows, in order.
    pub fn padding(&self, vocab_size: usize) -> impl Iterator<Item = u32> + '_ {
        (0..vocab_size as u32).filter(|&id| self.is_padding(id))
    }

    /// The id of the token that is written exactly so: `<|end|>`, or `Ġthe` in a byte-level
    /// vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.encoder.model.token_to_id(token)
    }

    /// Whether `id` is a control token, which is not part of the text.
    pub fn is_special(&self, id: u32) -> bool {
        self.tokens.kind(id) == TokenKind::Special
    }

    /// The token that begins a text, if the tokenizer's configuration names one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text, if the tokenizer's configuration names one.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// How a control token is written; empty for none.
    pub fn written(&self, id: Option<u32>) -> String {
        String::from_utf8_lossy(id.and_then(|id| self.token_bytes(id)).unwrap_or_default())
            .into_owned()
    }

    /// Control tokens by the names that chat templates have for them, such as `bos_token`, as they
    /// are written.
    pub fn named_tokens(&self) -> &[(String, String)] {
        &self.named
    }

    /// How added tokens are spelt.
    pub(super) fn spellings(&self) -> Spellings {
        let added = || self.encoder.added.by_id.values().filter(|token| !is_blank(token));
        let spelt = |special: bool| {
            added()
                .filter(|token| token.special == special)
                .map(|token| token.content.clone())
                .collect()
        };
        Spellings::new(spelt(true), spelt(false))
    }

    /// Ids of the well-known end-of-turn tokens that this vocabulary holds, to be used beside
    /// `generation_config`'s own.
    pub fn end_of_turn_ids(&self) -> Vec<u32> {
        END_OF_TURN
            .iter()
            .filter_map(|name| self.id(name))
            .filter(|&id| self.is_special(id))
            .collect()
    }

    /// Whether a text begins with a space that stands for nothing, as SentencePiece's do.
    pub fn strips_leading_space(&self) -> bool {
        self.strips_leading_space
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_len", &self.vocab_len())
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .finish_non_exhaustive()
    }
}

/// Refuses a run of white space that is too long.
fn check_blank(text: &str) -> Result<()> {
    if text.split(|c: char| !c.is_whitespace()).any(|blank| blank.len() > MAX_BLANK) {
        fail!(Code::PromptTooLong, "the text has more than {MAX_BLANK} bytes of white space in a \
            row"; "shorten it");
    }
    Ok(())
}

fn token_table(parts: &Parts, spelling: Spelling) -> Result<TokenTable> {
    let model =
        parts.vocab.iter().map(|(text, &id)| Entry { id, text, added: false, special: false });
    let added = parts.added.iter().map(|(id, token)| Entry {
        id: *id,
        text: &token.content,
        added: true,
        special: token.special,
    });
    TokenTable::new(model.chain(added), spelling)
}

/// The library refuses merges of what is not in the vocabulary, but panics on one longer than every
/// token.
fn check_merges(vocab: &Vocab, merges: &Merges) -> Result<()> {
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    if let Some((left, right)) =
        merges.iter().find(|(left, right)| left.len() + right.len() > longest)
    {
        fail!(
            Code::BadTokenizer,
            "the merge {left:?} + {right:?} is longer than any token; the tokenizer's file is \
                damaged"
        );
    }
    Ok(())
}
