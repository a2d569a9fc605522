//! Where a page's model comes from.

use wasm_bindgen::prelude::*;

use super::files::FileSource;
use super::http::HttpSource;
use super::js;
use super::storage::JsStorage;
use crate::error::{Code, Result, fail};
use crate::model_cache::{CachedModel, Hashed, Published};
use crate::weights::source::Source;

/// A server's files, the user's, or what the browser's storage has of either. One type, so that a
/// module holds one copy of what loads it.
pub enum PageSource {
    /// Behind an address.
    Http(HttpSource),
    /// Picked by the user.
    Files(FileSource),
    /// Nowhere but in storage.
    Stored(StoredModel),
    /// One of the others, some of whose files are hashed while they come.
    Published(Box<Published<PageSource>>),
    /// One of the others, in the cache.
    Cached(CachedModel<PageSource, JsStorage>),
}

impl PageSource {
    /// What the page named: an address, files, or what is stored.
    pub fn named(model: &JsValue) -> Result<PageSource> {
        if let Some(address) = model.as_string() {
            return Ok(PageSource::Http(HttpSource::new(&address)?));
        }
        if let Some(files) = FileSource::of(model) {
            return Ok(PageSource::Files(files));
        }
        let [id, name] = ["stored", "name"].map(|name| js::get(model, name).as_string());
        match id.zip(name) {
            Some((id, name)) => Ok(PageSource::Stored(StoredModel { id, name })),
            None => {
                fail!(Code::BadOption, "model is neither an address nor files; give one of them")
            }
        }
    }
}

/// A model that is all in storage, so that nobody asks where it came from.
pub struct StoredModel {
    /// What it is stored under.
    pub id: String,
    /// What messages call it.
    pub name: String,
}

impl Source for StoredModel {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn entry(&self) -> Option<&str> {
        None
    }

    async fn size(&self, _file: &str) -> Result<Option<u64>> {
        fail!(
            Code::NotFound,
            "{} is not all in the browser's storage; load it from where it came from",
            self.name
        )
    }

    async fn read(&self, file: &str, _offset: u64, _into: &mut [u8]) -> Result<()> {
        self.size(file).await.map(drop)
    }
}

/// Asks whichever it is.
macro_rules! whichever {
    ($self:ident, $source:ident => $does:expr) => {
        match $self {
            PageSource::Http($source) => $does,
            PageSource::Files($source) => $does,
            PageSource::Stored($source) => $does,
            PageSource::Published($source) => $does,
            PageSource::Cached($source) => $does,
        }
    };
    // In a box: what these two ask is one of ours again.
    ($self:ident, $source:ident => await $does:expr) => {
        match $self {
            PageSource::Http($source) => $does.await,
            PageSource::Files($source) => $does.await,
            PageSource::Stored($source) => $does.await,
            PageSource::Published($source) => Box::pin($does).await,
            PageSource::Cached($source) => Box::pin($does).await,
        }
    };
}

impl Source for PageSource {
    fn name(&self) -> String {
        whichever!(self, source => source.name())
    }

    fn entry(&self) -> Option<&str> {
        whichever!(self, source => source.entry())
    }

    async fn list(&self) -> Result<Option<Vec<String>>> {
        whichever!(self, source => await source.list())
    }

    fn checked(&self) -> bool {
        whichever!(self, source => source.checked())
    }

    async fn version(&self, file: &str) -> Result<String> {
        whichever!(self, source => await source.version(file))
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        whichever!(self, source => await source.size(file))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        whichever!(self, source => await source.read(file, offset, into))
    }
}

impl Hashed for PageSource {
    fn hashed(&self) -> Vec<u8> {
        if let PageSource::Published(source) = self { source.hashed() } else { Vec::new() }
    }

    fn go_on_hashing(&self, hashed: &[u8]) {
        if let PageSource::Published(source) = self {
            source.go_on_hashing(hashed);
        }
    }

    async fn compare(&self) -> Result<()> {
        if let PageSource::Published(source) = self { source.compare().await } else { Ok(()) }
    }
}
