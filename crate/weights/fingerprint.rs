//! What tells weights from all others: the hash of what was read of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::source::{Source, as_its_source};
use crate::error::Result;

/// What was read of weights. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint(Rc<RefCell<Reads>>);

/// Hashes of what was read, by file, offset and length.
type Reads = BTreeMap<(String, u64, usize), [u8; 32]>;

impl Fingerprint {
    /// The hash of all that was read up to now, in whatever order and however often, and of what
    /// is made of it.
    pub fn hash(&self, made: &str) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(made);
        for ((file, offset, length), hash) in self.0.borrow().iter() {
            hasher.update(format!("{file} {offset} {length} "));
            hasher.update(hash);
        }
        hasher.finalize().into()
    }
}

/// A source of which notes are taken, where somebody wants them.
#[derive(Debug)]
pub struct Fingerprinted<S> {
    source: S,
    fingerprint: Option<Fingerprint>,
}

impl<S: Source> Fingerprinted<S> {
    /// Has notes taken of what is read of a source.
    pub fn new(source: S, fingerprint: Option<Fingerprint>) -> Fingerprinted<S> {
        Fingerprinted { source, fingerprint }
    }
}

impl<S: Source> Source for Fingerprinted<S> {
    as_its_source!();

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        self.source.read(file, offset, into).await?;
        if let Some(Fingerprint(reads)) = &self.fingerprint {
            let hash = Sha256::digest(&*into).into();
            reads.borrow_mut().insert((file.to_owned(), offset, into.len()), hash);
        }
        Ok(())
    }
}
