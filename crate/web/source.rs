//! Where a page's model comes from.

use super::files::FileSource;
use super::http::HttpSource;
use crate::error::Result;
use crate::weights::source::Source;

/// A server's files, or the user's.
#[derive(Debug)]
pub enum PageSource {
    /// Behind an address.
    Http(HttpSource),
    /// Picked by the user.
    Files(FileSource),
}

/// Asks whichever it is.
macro_rules! ask {
    ($source:expr, $known:ident => $does:expr) => {
        match $source {
            PageSource::Http($known) => $does,
            PageSource::Files($known) => $does,
        }
    };
}

impl Source for PageSource {
    fn name(&self) -> String {
        ask!(self, source => source.name())
    }

    fn entry(&self) -> Option<&str> {
        ask!(self, source => source.entry())
    }

    async fn list(&self) -> Result<Option<Vec<String>>> {
        ask!(self, source => source.list().await)
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        ask!(self, source => source.size(file).await)
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        ask!(self, source => source.read(file, offset, into).await)
    }
}
