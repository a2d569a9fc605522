//! Files whose SHA-256 their publisher tells: hashed while they come, from front to back, and
//! compared when all of them is there.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};

use crate::error::{Code, Result, fail};
use crate::weights::source::{DirSource, MemorySource, Source, as_its_source, place};
use crate::weights::store::hash_text;

/// What nobody asked for and lies between what was asked for is read up to this many bytes, so that
/// it is hashed, too. A file with a larger gap is not compared.
const GAP: u64 = 64 << 20;
/// Bytes that are read for it at once.
const PIECE: u64 = 1 << 20;

/// A source as a cache takes it: perhaps some of its files are hashed while they are read.
#[allow(async_fn_in_trait)] // Futures stay on the thread that made them.
pub trait Hashed: Source {
    /// How far the hashes of its files have come, for [`Hashed::go_on_hashing`] of another start;
    /// nothing where none is hashed.
    fn hashed(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes up what an earlier start gave as [`Hashed::hashed`].
    fn go_on_hashing(&self, _hashed: &[u8]) {}

    /// Compares what was read of its files with the hashes that are known of them.
    ///
    /// # Errors
    /// `corrupt` for one that is not what it should be.
    async fn compare(&self) -> Result<()> {
        Ok(())
    }
}

impl Hashed for DirSource {}
impl Hashed for MemorySource {}

/// A source some of whose files are hashed.
pub struct Published<S> {
    source: S,
    tallies: RefCell<BTreeMap<String, Tally>>,
}

/// How far the hash of a file has come.
#[derive(Clone)]
struct Tally {
    /// In hexadecimal.
    expected: String,
    /// Bytes that went into it.
    done: u64,
    hasher: Sha256,
}

/// A [`Tally`] as it lies in storage.
#[derive(Serialize, Deserialize)]
struct StoredTally {
    expected: String,
    done: u64,
    state: Vec<u8>,
}

impl Tally {
    fn new(expected: String) -> Tally {
        Tally { expected, done: 0, hasher: Sha256::new() }
    }

    /// Takes what is new of some bytes, unless something is missing before them.
    fn take(&mut self, at: u64, bytes: &[u8]) {
        let known = self.done.checked_sub(at).and_then(|known| bytes.get(known as usize..));
        if let Some(new) = known {
            self.hasher.update(new);
            self.done += new.len() as u64;
        }
    }
}

impl<S: Source> Published<S> {
    /// Hashes files of a source whose SHA-256 are these, by name, in hexadecimal.
    pub fn new(source: S, sha256: BTreeMap<String, String>) -> Published<S> {
        let tallies = sha256
            .into_iter()
            .map(|(file, expected)| (file, Tally::new(expected.to_ascii_lowercase())));
        Published { source, tallies: RefCell::new(tallies.collect()) }
    }

    /// Hashes what lies before `offset` and nobody has asked for.
    async fn catch_up(&self, file: &str, offset: u64) -> Result<()> {
        let mut piece = Vec::new();
        while let Some(done) =
            self.done(file).filter(|done| (1..=GAP).contains(&offset.saturating_sub(*done)))
        {
            piece.resize((offset - done).min(PIECE) as usize, 0);
            self.source.read(file, done, &mut piece).await?;
            self.take(file, done, &piece);
        }
        Ok(())
    }

    /// Bytes of a file that are hashed, if it is one of those that are.
    fn done(&self, file: &str) -> Option<u64> {
        self.tallies.borrow().get(file).map(|tally| tally.done)
    }

    fn take(&self, file: &str, at: u64, bytes: &[u8]) {
        if let Some(tally) = self.tallies.borrow_mut().get_mut(file) {
            tally.take(at, bytes);
        }
    }
}

impl<S: Source> Source for Published<S> {
    as_its_source!();

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        self.catch_up(file, offset).await?;
        self.source.read(file, offset, into).await?;
        self.take(file, offset, into);
        Ok(())
    }
}

impl<S: Source> Hashed for Published<S> {
    fn hashed(&self) -> Vec<u8> {
        let tallies = self.tallies.borrow();
        let stored = |tally: &Tally| StoredTally {
            expected: tally.expected.clone(),
            done: tally.done,
            state: tally.hasher.serialize().to_vec(),
        };
        let all: BTreeMap<&String, StoredTally> =
            tallies.iter().map(|(file, tally)| (file, stored(tally))).collect();
        if all.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&all).expect("plain data turns into JSON")
        }
    }

    fn go_on_hashing(&self, hashed: &[u8]) {
        let Ok(all) = serde_json::from_slice::<BTreeMap<String, StoredTally>>(hashed) else {
            return;
        };
        let mut tallies = self.tallies.borrow_mut();
        for (file, stored) in all {
            let state = stored
                .state
                .as_slice()
                .try_into()
                .ok()
                .and_then(|state| Sha256::deserialize(state).ok());
            if let (Some(hasher), Some(tally)) = (state, tallies.get_mut(&file))
                && stored.expected == tally.expected
                && stored.done > tally.done
            {
                *tally = Tally { hasher, done: stored.done, ..tally.clone() };
            }
        }
    }

    async fn compare(&self) -> Result<()> {
        let files: Vec<_> = self.tallies.borrow().keys().cloned().collect();
        for file in files {
            let size = self.source.size(&file).await?.unwrap_or(0);
            self.catch_up(&file, size).await?;
            let Some(tally) =
                self.tallies.borrow().get(&file).cloned().filter(|tally| tally.done == size)
            else {
                continue;
            };
            if hash_text(&tally.hasher.finalize()) != tally.expected {
                fail!(
                    Code::Corrupt,
                    "{} is not what its publisher's SHA-256 says; load it again, and report it if \
                        that does not help",
                    place(&file, &self.name())
                );
            }
        }
        Ok(())
    }
}
