//! Storage that outlives the program: where a cached model lies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::{Code, Result, fail};
use crate::weights::source::truncated;

/// Files of one model, written anywhere in them. Whoever has it open is the only one.
#[allow(async_fn_in_trait)] // Futures stay on the thread that made them.
pub trait ModelStorage {
    /// What messages call it.
    fn name(&self) -> String;

    /// Finds out whether there is room for that many bytes more.
    ///
    /// # Errors
    /// Of every method: `io`, and `storage-lost` when the storage was cleared meanwhile. Of this
    /// one `storage-full`, too.
    async fn ask_for_room(&self, bytes: u64) -> Result<()>;

    /// Bytes of a file, or `None` when it is not there.
    async fn size(&self, file: &str) -> Result<Option<u64>>;

    /// Fills `into` with the file's bytes from `offset` on.
    ///
    /// # Errors
    /// `truncated` when the file ends before.
    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()>;

    /// Writes within a file's size.
    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Gives a file a size, and makes it when it is not there.
    ///
    /// # Errors
    /// `storage-full` when there is no room.
    async fn resize(&self, file: &str, size: u64) -> Result<()>;

    /// Removes a file, if it is there.
    async fn remove(&self, file: &str) -> Result<()>;

    /// Returns when all that was written will be there even if the program is killed.
    async fn flush(&self, file: &str) -> Result<()>;
}

/// One in memory, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    /// The files by name.
    pub files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
}

impl ModelStorage for MemoryStorage {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn ask_for_room(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.files.borrow().get(file).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let files = self.files.borrow();
        let bytes = files.get(file).map_or(&[][..], Vec::as_slice);
        let end = offset.saturating_add(into.len() as u64);
        if end > bytes.len() as u64 {
            return Err(truncated(file, &self.name(), bytes.len() as u64, end));
        }
        into.copy_from_slice(&bytes[offset as usize..end as usize]);
        Ok(())
    }

    async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut files = self.files.borrow_mut();
        let end = offset.saturating_add(bytes.len() as u64) as usize;
        match files.get_mut(file).and_then(|held| held.get_mut(offset as usize..end)) {
            Some(place) => place.copy_from_slice(bytes),
            None => fail!(Code::Internal, "{file}: written beyond its size"),
        }
        Ok(())
    }

    async fn resize(&self, file: &str, size: u64) -> Result<()> {
        self.files.borrow_mut().entry(file.to_owned()).or_default().resize(size as usize, 0);
        Ok(())
    }

    async fn remove(&self, file: &str) -> Result<()> {
        self.files.borrow_mut().remove(file);
        Ok(())
    }

    async fn flush(&self, _file: &str) -> Result<()> {
        Ok(())
    }
}
