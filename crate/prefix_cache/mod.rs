//! Pages of the cache that outlive the program: what was read once need not be read again after a
//! reload.
//!
//! A [`PageStorage`] has a page under a name that tells its key, whose it is and how long it is:
//! first its hash, then its bytes. What a kill tore, or a disk forgot, has another hash, and does
//! not count. Where there is no room, the page that was not used for longest goes first, and ends
//! go before what they build on.

mod blob;
mod storage;

use std::cell::RefCell;

pub use blob::Blob;
use sha2::{Digest, Sha256};
pub use storage::{MemoryPages, PageStorage};

use crate::engine::{Doing, Key, NewPage, PrefixStore};
use crate::error::{Code, Result, fail};
use crate::weights::store::hash_text;

/// Bytes of the hash that a page begins with.
const HASH: usize = 32;

/// Pages of some weights in a storage, and how many bytes they may take.
pub struct PrefixCache<S> {
    storage: S,
    weights: Key,
    max_bytes: u64,
    /// What was there at the last look, what was not used for longest first.
    entries: RefCell<Vec<Entry>>,
}

/// A page that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    bytes: u64,
}

/// The beginning of names that tells a key.
fn name_of(key: &Key) -> String {
    hash_text(&key[..20])
}

/// The part of a name that tells whose page it is, from which nobody can tell the owner.
pub fn owner_tag(owner: &str) -> String {
    hash_text(&Sha256::digest(owner)[..8])
}

impl Entry {
    fn new(key: &Key, owner: &str, bytes: u64) -> Entry {
        Entry { name: format!("{}.{}.{bytes}", name_of(key), owner_tag(owner)), bytes }
    }

    /// What a name tells; nothing where it is not one of ours.
    fn parse(name: String) -> Option<Entry> {
        let mut parts = name.split('.');
        let is_hex = |part: &str, length| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let ours = is_hex(parts.next()?, 40) && is_hex(parts.next()?, 16);
        let bytes = parts.next()?.parse().ok()?;
        (ours && parts.next().is_none()).then_some(Entry { name, bytes })
    }
}

impl<S: PageStorage> PrefixCache<S> {
    /// Pages of so many bytes in a storage, which may take so many bytes in all.
    ///
    /// # Errors
    /// `bad-option` where not even one page fits.
    pub fn new(storage: S, weights: Key, page_bytes: u64, max_bytes: u64) -> Result<Self> {
        if max_bytes < page_bytes {
            fail!(
                Code::BadOption,
                "prompts that are kept may take {max_bytes} bytes, and 64 tokens take \
                    {page_bytes}"; "allow more"
            );
        }
        Ok(PrefixCache { storage, weights, max_bytes, entries: RefCell::default() })
    }

    fn find(&self, key: &Key) -> Option<String> {
        let (name, entries) = (name_of(key), self.entries.borrow());
        entries.iter().find(|entry| entry.name.starts_with(&name)).map(|entry| entry.name.clone())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.entries.borrow_mut().retain(|entry| entry.name != name);
        self.storage.remove(name).await
    }

    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let Some(name) = self.find(key) else { return Ok(None) };
        let Some(mut bytes) = self.storage.read(&name).await? else { return Ok(None) };
        let is_whole = bytes
            .split_first_chunk::<HASH>()
            .is_some_and(|(hash, page)| Sha256::digest(page)[..] == hash[..]);
        if !is_whole {
            self.remove(&name).await?;
            return Ok(None);
        }
        bytes.drain(..HASH);
        Ok(Some(bytes))
    }

    async fn leave(&self, page: NewPage<'_>) -> Result<bool> {
        let NewPage { key, bytes, owner, chain } = page;
        let entry = Entry::new(key, owner, (HASH + bytes.len()) as u64);
        if !self.make_room(entry.bytes, chain).await? {
            return Ok(false);
        }
        self.storage.write(&entry.name, &[&Sha256::digest(&bytes)[..], &bytes].concat()).await?;
        self.entries.borrow_mut().push(entry);
        Ok(true)
    }

    /// Removes what was not used for longest, but for pages of `chain`, until there is room.
    async fn make_room(&self, bytes: u64, chain: &[Key]) -> Result<bool> {
        let spared: Vec<String> = chain.iter().map(name_of).collect();
        loop {
            let first = {
                let entries = self.entries.borrow();
                let taken: u64 = entries.iter().map(|entry| entry.bytes).sum();
                if taken + bytes <= self.max_bytes {
                    return Ok(true);
                }
                let is_free = |entry: &&Entry| !spared.iter().any(|s| entry.name.starts_with(s));
                entries.iter().find(is_free).map(|entry| entry.name.clone())
            };
            let Some(name) = first else { return Ok(false) };
            self.remove(&name).await?;
        }
    }
}

impl<S: PageStorage> PrefixStore for PrefixCache<S> {
    fn weights(&self) -> Key {
        self.weights
    }

    fn look(&self) -> Doing<'_, bool> {
        Box::pin(async {
            let names = self.storage.list().await?;
            let is_there = names.is_some();
            let entries = names.into_iter().flatten().filter_map(Entry::parse).collect();
            self.entries.replace(entries);
            Ok(is_there)
        })
    }

    fn has(&self, key: &Key) -> bool {
        self.find(key).is_some()
    }

    fn read<'a>(&'a self, key: &'a Key) -> Doing<'a, Option<Vec<u8>>> {
        Box::pin(self.take(key))
    }

    fn write<'a>(&'a self, page: NewPage<'a>) -> Doing<'a, bool> {
        Box::pin(self.leave(page))
    }

    fn used<'a>(&'a self, chain: &'a [Key]) -> Doing<'a, ()> {
        Box::pin(async {
            let names: Vec<_> = chain.iter().rev().filter_map(|key| self.find(key)).collect();
            self.storage.touch(&names).await
        })
    }
}
