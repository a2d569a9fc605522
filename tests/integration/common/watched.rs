//! A source that counts what is read of it, and whose line is cut after some reads or some bytes.

use std::cell::Cell;
use std::rc::Rc;

use phi_wasm::error::{Code, Error, Result};
use phi_wasm::model_cache::Hashed;
use phi_wasm::weights::Source;

/// Clones share the source and its counts.
pub struct Watched<S> {
    pub source: Rc<S>,
    /// Bytes that were asked for.
    pub read: Rc<Cell<u64>>,
    /// The most that was asked for at once.
    pub largest: Rc<Cell<usize>>,
    /// Reads until the line is cut.
    pub left: Rc<Cell<u32>>,
    /// How many bytes may be asked for before the line is cut.
    pub breaks_after: Rc<Cell<u64>>,
}

impl<S> Watched<S> {
    /// One whose line is not cut.
    pub fn new(source: S) -> Watched<S> {
        let (left, breaks_after) = (Rc::new(Cell::new(u32::MAX)), Rc::new(Cell::new(u64::MAX)));
        Watched {
            source: Rc::new(source),
            read: Rc::default(),
            largest: Rc::default(),
            left,
            breaks_after,
        }
    }
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Watched<S> {
        let Watched { source, read, largest, left, breaks_after } = self;
        let (source, left, breaks_after) =
            (Rc::clone(source), Rc::clone(left), Rc::clone(breaks_after));
        Watched { source, read: Rc::clone(read), largest: Rc::clone(largest), left, breaks_after }
    }
}

impl<S: Source> Source for Watched<S> {
    fn name(&self) -> String {
        self.source.name()
    }

    fn entry(&self) -> Option<&str> {
        self.source.entry()
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        self.source.size(file).await
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        self.largest.set(self.largest.get().max(into.len()));
        self.read.set(self.read.get() + into.len() as u64);
        if self.left.get() == 0 || self.read.get() > self.breaks_after.get() {
            return Err(Error::new(Code::Network, "the line was cut"));
        }
        self.left.set(self.left.get() - 1);
        self.source.read(file, offset, into).await
    }
}

impl<S: Source> Hashed for Watched<S> {}
