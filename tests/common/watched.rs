//! A source that counts what is read of it, and whose line is cut after some reads.

use std::cell::Cell;
use std::rc::Rc;

use phi_wasm::error::{Code, Error, Result};
use phi_wasm::weights::{MemorySource, Source};

#[derive(Clone)]
pub struct Watched {
    pub source: MemorySource,
    /// Bytes that were read.
    pub read: Rc<Cell<u64>>,
    /// Reads until the line is cut.
    pub left: Rc<Cell<u32>>,
}

impl Watched {
    /// One whose line is cut after so many reads.
    pub fn new(source: MemorySource, reads: u32) -> Watched {
        Watched { source, read: Rc::default(), left: Rc::new(Cell::new(reads)) }
    }
}

impl Source for Watched {
    fn name(&self) -> String {
        self.source.name()
    }

    fn entry(&self) -> Option<&str> {
        self.source.entry()
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        self.source.size(file).await
    }

    async fn version(&self, file: &str) -> Result<String> {
        let bytes = &self.source.files[file];
        Ok(format!("{} {}", bytes.len(), bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>()))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        if self.left.get() == 0 {
            return Err(Error::new(Code::Network, "the cable was cut"));
        }
        self.left.set(self.left.get() - 1);
        self.read.set(self.read.get() + into.len() as u64);
        self.source.read(file, offset, into).await
    }
}
