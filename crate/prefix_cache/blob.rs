//! What was read of a conversation, as one run of bytes that another session can take up.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `phi-wasm session` |
//! | 4 | the form's version, 1 |
//! | 32 | which weights |
//! | 4, then 4 each | tokens |
//! | 4 | pages |
//! | 32, 8, then as many | a page: its key, its length, its bytes |
//! | 32 | SHA-256 of all that |
//!
//! Numbers are little-endian.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use crate::engine::{Doing, Key, NewPage, PrefixStore};
use crate::error::{Code, Error, Result, fail};

const MAGIC: &[u8; 16] = b"phi-wasm session";
const VERSION: u32 = 1;
const HASH: usize = 32;

/// The pages of one conversation, and its tokens.
pub struct Blob {
    weights: Key,
    tokens: Vec<u32>,
    pages: RefCell<Vec<(Key, Vec<u8>)>>,
}

impl Blob {
    /// Of a conversation, without pages.
    pub fn new(weights: Key, tokens: Vec<u32>) -> Blob {
        Blob { weights, tokens, pages: RefCell::default() }
    }

    /// The conversation.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Whether it has no page.
    pub fn is_empty(&self) -> bool {
        self.pages.borrow().is_empty()
    }

    /// As bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        let pages = self.pages.into_inner();
        let length: usize = pages.iter().map(|(_, bytes)| HASH + 8 + bytes.len()).sum();
        let mut all = Vec::with_capacity(length + 4 * self.tokens.len() + 128);
        all.extend_from_slice(MAGIC);
        all.extend_from_slice(&VERSION.to_le_bytes());
        all.extend_from_slice(&self.weights);
        all.extend_from_slice(&(self.tokens.len() as u32).to_le_bytes());
        all.extend(self.tokens.iter().flat_map(|token| token.to_le_bytes()));
        all.extend_from_slice(&(pages.len() as u32).to_le_bytes());
        for (key, bytes) in pages {
            all.extend_from_slice(&key);
            all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            all.extend_from_slice(&bytes);
        }
        let hash = Sha256::digest(&all);
        all.extend_from_slice(&hash);
        all
    }

    /// From bytes, of a conversation with the model that has these weights.
    ///
    /// # Errors
    /// `corrupt` for what is no session, or not whole any more, and `bad-option` for another
    /// model's.
    pub fn parse(bytes: &[u8], weights: &Key) -> Result<Blob> {
        if !bytes.starts_with(MAGIC) {
            fail!(Code::Corrupt, "this is no session that was exported"; "give one that was");
        }
        let mut left = &bytes[MAGIC.len()..];
        let version = number(&mut left)?;
        if version != VERSION {
            fail!(
                Code::Corrupt,
                "the session has form {version}, and this version reads form {VERSION}";
                "export it again"
            );
        }
        let (all, hash) = bytes.split_last_chunk::<HASH>().ok_or_else(cut)?;
        if Sha256::digest(all)[..] != hash[..] {
            return Err(cut());
        }
        if take(&mut left, HASH)? != weights {
            fail!(
                Code::BadOption,
                "the session is another model's, or one's with weights in other bits";
                "load that, or ask anew"
            );
        }
        let tokens = (0..number(&mut left)?).map(|_| number(&mut left)).collect::<Result<_>>()?;
        let count = number(&mut left)?;
        let mut pages = Vec::new();
        for _ in 0..count {
            let (key, length) = (array(&mut left)?, array(&mut left)?);
            let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| cut())?;
            pages.push((key, take(&mut left, length)?.to_vec()));
        }
        Ok(Blob { weights: *weights, tokens, pages: RefCell::new(pages) })
    }
}

fn cut() -> Error {
    Error::new(Code::Corrupt, "the session was cut or changed since it was exported")
        .advise("take another copy of it, or export it again")
}

fn take<'a>(left: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    left.split_off(..length).ok_or_else(cut)
}

fn array<const N: usize>(left: &mut &[u8]) -> Result<[u8; N]> {
    take(left, N)?.try_into().map_err(|_| cut())
}

fn number(left: &mut &[u8]) -> Result<u32> {
    array(left).map(u32::from_le_bytes)
}

impl PrefixStore for Blob {
    fn weights(&self) -> Key {
        self.weights
    }

    fn look(&self) -> Doing<'_, bool> {
        Box::pin(async { Ok(true) })
    }

    fn has(&self, key: &Key) -> bool {
        self.pages.borrow().iter().any(|(known, _)| known == key)
    }

    fn read<'a>(&'a self, key: &'a Key) -> Doing<'a, Option<Vec<u8>>> {
        let pages = self.pages.borrow();
        let found = pages.iter().find(|(known, _)| known == key).map(|(_, bytes)| bytes.clone());
        Box::pin(async { Ok(found) })
    }

    fn write<'a>(&'a self, page: NewPage<'a>) -> Doing<'a, bool> {
        self.pages.borrow_mut().push((*page.key, page.bytes));
        Box::pin(async { Ok(true) })
    }

    fn used<'a>(&'a self, _chain: &'a [Key]) -> Doing<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
