//! Where a host keeps pages.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::Result;

/// Bytes by names, of a few megabytes each. Several programs may have it at once: what one
/// writes, others may find, and may find torn.
#[allow(async_fn_in_trait)] // One thread drives it.
pub trait PageStorage {
    /// All names, what was not used for longest first; nothing where it was deleted after it was
    /// opened, and nothing may be kept any more.
    ///
    /// # Errors
    /// The host's.
    async fn list(&self) -> Result<Option<Vec<String>>>;

    /// The bytes of a name, if there are any.
    ///
    /// # Errors
    /// The host's.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Keeps bytes under a name, as the latest that was used.
    ///
    /// # Errors
    /// `storage-full`, and the host's.
    async fn write(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Removes a name, if it is there.
    ///
    /// # Errors
    /// The host's.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Takes note that names were used, the last of them last.
    ///
    /// # Errors
    /// The host's.
    async fn touch(&self, names: &[String]) -> Result<()>;
}

/// Pages in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryPages {
    /// What was not used for longest comes first; nothing where all was deleted.
    pub pages: Rc<RefCell<Option<Vec<NamedPage>>>>,
}

/// A name and its bytes.
type NamedPage = (String, Vec<u8>);

impl MemoryPages {
    /// Without any page.
    pub fn new() -> MemoryPages {
        MemoryPages { pages: Rc::new(RefCell::new(Some(Vec::new()))) }
    }
}

impl PageStorage for MemoryPages {
    async fn list(&self) -> Result<Option<Vec<String>>> {
        let names = |pages: &Vec<NamedPage>| pages.iter().map(|(name, _)| name.clone()).collect();
        Ok(self.pages.borrow().as_ref().map(names))
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let pages = self.pages.borrow();
        let found = pages.iter().flatten().find(|(known, _)| known == name);
        Ok(found.map(|(_, bytes)| bytes.clone()))
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.remove(name).await?;
        if let Some(pages) = &mut *self.pages.borrow_mut() {
            pages.push((name.to_owned(), bytes.to_vec()));
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        if let Some(pages) = &mut *self.pages.borrow_mut() {
            pages.retain(|(known, _)| known != name);
        }
        Ok(())
    }

    async fn touch(&self, names: &[String]) -> Result<()> {
        if let Some(pages) = &mut *self.pages.borrow_mut() {
            let order = |(name, _): &NamedPage| names.iter().position(|used| used == name);
            pages.sort_by_key(|page| order(page).map_or(0, |at| at + 1));
        }
        Ok(())
    }
}
