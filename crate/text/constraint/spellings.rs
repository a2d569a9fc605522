//! What tokens spell, as whoever knows grammars asks for it.

use crate::error::{Code, Result, fail};
use crate::text::Tokenizer;
use crate::text::tool_calls::tags;

/// Bytes of a token that are taken note of: the tree of tokens has no room for longer ones.
const MAX_TOKEN: usize = 1000;
/// Bytes of all tokens that the tree has room for, one node each at the most.
const MAX_TOKENS: usize = 1 << 22;

/// What a model's tokens spell.
pub struct Spellings {
    /// By id. A control token has its name after a byte that no text has, 0xff, and so has
    /// a tag around calls of tools, so that nothing else has a part of it; what is empty is never
    /// chosen.
    pub tokens: Vec<Vec<u8>>,
    /// Those that end an answer, and stand nowhere else.
    pub stop_tokens: Vec<u32>,
    /// How the model would spell a text. Without that no text is taken to have one spelling.
    pub encode: Option<Encode>,
}

/// The tokens of a text, where it has some.
pub type Encode = Box<dyn Fn(&str) -> Option<Vec<u32>> + Send + Sync>;

/// What the names of control tokens come after.
const CONTROL: u8 = 0xff;

impl Spellings {
    /// Those of a model's tokens, of which `stop_tokens` end an answer.
    ///
    /// # Errors
    /// `bad-tokenizer` for a vocabulary that is too large.
    pub fn of(tokenizer: &Tokenizer, vocab_size: u32, stop_tokens: &[u32]) -> Result<Spellings> {
        let spelling = |id: u32| match tokenizer.token_bytes(id) {
            _ if stop_tokens.contains(&id) => Vec::new(),
            Some(name) if tokenizer.is_special(id) || tags().any(|tag| tag.as_bytes() == name) => {
                [&[CONTROL], name].concat()
            }
            Some(bytes) => bytes.to_vec(),
            None => Vec::new(),
        };
        let mut tokens: Vec<_> = (0..vocab_size).map(spelling).collect();
        tokens.iter_mut().filter(|bytes| bytes.len() > MAX_TOKEN).for_each(Vec::clear);
        let all: usize = tokens.iter().map(Vec::len).sum();
        if all > MAX_TOKENS {
            fail!(
                Code::BadTokenizer,
                "the vocabulary's tokens have {all} bytes together, and answers can be held to a \
                    form with at most {MAX_TOKENS}"
            );
        }
        let stop_tokens = stop_tokens.iter().copied().filter(|&id| id < vocab_size).collect();
        let tokenizer = tokenizer.clone();
        let encode: Encode = Box::new(move |text| tokenizer.encode(text, false).ok());
        Ok(Spellings { tokens, stop_tokens, encode: Some(encode) })
    }
}
