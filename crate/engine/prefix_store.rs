//! Pages that outlive the program: what a store of them is asked, and how an engine takes pages
//! from one and leaves them there.

use std::future::Future;
use std::pin::Pin;

use sha2::{Digest, Sha256};

use super::{Engine, Sequence};
use crate::backend::Backend;
use crate::error::Result;
use crate::model::kv;
use crate::model::pages::{Held, Page};
use crate::model::rope::Factors;
use crate::op::{Buf, KvPart, PAGE};

/// Tells a page by all that its keys and values depend on.
pub type Key = [u8; 32];

/// A page that a store is to keep.
pub struct NewPage<'a> {
    /// Its key.
    pub key: &'a Key,
    /// Its keys and values.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub owner: &'a str,
    /// The keys of its sequence's pages, its own among them: none of them gives way to it.
    pub chain: &'a [Key],
}

/// What a store is at.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Where pages are kept. It holds people's words.
pub trait PrefixStore {
    /// Tells the weights, as they are loaded, from all others.
    fn weights(&self) -> Key;

    /// Looks at what is there, which [`PrefixStore::has`] goes by. Whether more may be kept: not
    /// where somebody has deleted it.
    fn look(&self) -> Doing<'_, bool>;

    /// Whether a page was there at the last look.
    fn has(&self, key: &Key) -> bool;

    /// A page's bytes; nothing where it is not there, or is not what was written any more.
    fn read<'a>(&'a self, key: &'a Key) -> Doing<'a, Option<Vec<u8>>>;

    /// Keeps a page, where there is room, or pages that were not used for longer make some.
    /// Whether it was kept.
    fn write<'a>(&'a self, page: NewPage<'a>) -> Doing<'a, bool>;

    /// Takes note that pages were used, each of which builds on those before it.
    fn used<'a>(&'a self, chain: &'a [Key]) -> Doing<'a, ()>;
}

impl<B: Backend> Engine<B> {
    /// Bytes of a page as a store has it: the keys and values of all layers. A sequence's first one
    /// has several times as many where pages are sealed.
    pub fn page_bytes(&self) -> u64 {
        kv::page_bytes(self.config(), self.kind)
    }

    /// The keys of the whole pages of some tokens, each of which has those before it in it.
    fn chain(&self, weights: &Key, factors: Factors, tokens: &[u32]) -> Vec<Key> {
        let begin = Sha256::new()
            .chain_update(b"phi-wasm pages 1")
            .chain_update(weights)
            .chain_update(format!("{:?} {factors:?} {PAGE}", self.kind));
        let mut before: Key = begin.finalize().into();
        let next = tokens.chunks_exact(PAGE as usize).map(|page| {
            let words = page.iter().flat_map(|token| token.to_le_bytes()).collect::<Vec<_>>();
            before = Sha256::new().chain_update(before).chain_update(words).finalize().into();
            before
        });
        next.collect()
    }

    /// Takes the pages of these tokens' beginning that the cache does not have from a store, as far
    /// as it has them and as there is room; how many tokens the cache has then.
    ///
    /// # Errors
    /// The store's, and the device's.
    pub async fn recall(&mut self, store: &dyn PrefixStore, tokens: &[u32]) -> Result<usize> {
        let (page, factors) = (PAGE as usize, self.rope.factors(tokens.len()));
        let chain = self.chain(&store.weights(), factors, tokens);
        let found = self.pages.find(factors, tokens);
        // What is held until its page is sealed ends what can be gone on from.
        let is_sealed = self.kind.code_bits().is_some();
        let is_whole = |(at, pages): (usize, &Held)| !is_sealed || at == 0 || pages.len() == 1;
        let whole = found.pages.iter().enumerate().take_while(|&held| is_whole(held)).count();
        let known = whole.min(found.tokens / page);
        if known == chain.len() || !store.look().await? {
            return Ok(known * page);
        }
        let mut held = found.pages;
        held.truncate(known);
        for key in &chain[known..] {
            if !store.has(key) {
                break;
            }
            let Some(bytes) = store.read(key).await? else { break };
            let taken = if held.is_empty() {
                self.pages.take_open()
            } else {
                self.pages.take().map(|page| vec![page])
            };
            let Ok(pages) = taken else { break };
            if bytes.len() as u64 != self.page_bytes() * pages.len() as u64 {
                break;
            }
            for (page, bytes) in pages.iter().zip(bytes.chunks_exact(self.page_bytes() as usize)) {
                self.write_page(page, bytes)?;
            }
            held.push(pages);
        }
        if held.len() > known {
            self.pages.remember(factors, &tokens[..held.len() * page], &held);
            store.used(&chain[..held.len()]).await?;
        }
        Ok(held.len() * page)
    }

    /// Leaves a sequence's whole pages that a store does not have there, as this owner's.
    ///
    /// # Errors
    /// The store's, and the device's.
    pub async fn keep(
        &mut self,
        store: &dyn PrefixStore,
        sequence: &Sequence,
        owner: &str,
    ) -> Result<()> {
        self.check_own(sequence)?;
        let cached = &sequence.planned[..sequence.cached];
        let chain = self.chain(&store.weights(), sequence.factors, cached);
        if chain.is_empty() || !store.look().await? {
            return Ok(());
        }
        for (at, (key, pages)) in chain.iter().zip(&sequence.pages).enumerate() {
            if store.has(key) {
                continue;
            }
            let mut bytes = Vec::new();
            for page in pages {
                self.read_page(page, &mut bytes).await?;
            }
            if !store.write(NewPage { key, bytes, owner, chain: &chain }).await? {
                return store.used(&chain[..at]).await;
            }
        }
        store.used(&chain).await
    }

    /// Where a page's keys and values are in the parts of all layers.
    fn places(&self, page: &Page) -> Vec<(Buf, u64, usize)> {
        let at = u64::from(**page);
        let dim = self.config().head_dim;
        let both = |part: &KvPart| {
            let [keys, values] = part.page_bytes(dim);
            [(part.keys, at * keys, keys as usize), (part.values, at * values, values as usize)]
        };
        self.cache.iter().flatten().flat_map(both).collect()
    }

    fn write_page(&mut self, page: &Page, mut bytes: &[u8]) -> Result<()> {
        for (buf, offset, length) in self.places(page) {
            let (own, rest) = bytes.split_at(length);
            self.backend.write(buf, offset, own)?;
            bytes = rest;
        }
        Ok(())
    }

    async fn read_page(&mut self, page: &Page, into: &mut Vec<u8>) -> Result<()> {
        let places = self.places(page);
        let mut later = Vec::with_capacity(places.len());
        for &(buf, offset, length) in &places {
            later.push((self.backend.read_later(buf, offset, length)?, length));
        }
        for (later, length) in later {
            let begin = into.len();
            into.resize(begin + length, 0);
            self.backend.fetch(later, &mut into[begin..]).await?;
        }
        Ok(())
    }
}
