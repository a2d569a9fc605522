//! Where a page's model comes from.

use super::files::FileSource;
use super::http::HttpSource;
use super::vault::JsVault;
use crate::error::Result;
use crate::kept::Kept;
use crate::weights::source::Source;

/// A server's files, or the user's.
#[derive(Debug)]
pub enum Origin {
    /// Behind an address.
    Http(HttpSource),
    /// Picked by the user.
    Files(FileSource),
}

/// The same, kept or not.
pub enum PageSource {
    /// As it comes.
    Passing(Origin),
    /// By way of the browser's storage.
    Kept(Kept<Origin, JsVault>),
}

/// Asks whichever of an enum's two it is.
macro_rules! either {
    ($name:ident { $one:ident, $other:ident }) => {
        impl Source for $name {
            fn name(&self) -> String {
                either!(@ $name { $one, $other } self, source => source.name())
            }

            fn entry(&self) -> Option<&str> {
                either!(@ $name { $one, $other } self, source => source.entry())
            }

            async fn list(&self) -> Result<Option<Vec<String>>> {
                either!(@ $name { $one, $other } self, source => source.list().await)
            }

            fn checked(&self) -> bool {
                either!(@ $name { $one, $other } self, source => source.checked())
            }

            async fn version(&self, file: &str) -> Result<String> {
                either!(@ $name { $one, $other } self, source => source.version(file).await)
            }

            async fn size(&self, file: &str) -> Result<Option<u64>> {
                either!(@ $name { $one, $other } self, source => source.size(file).await)
            }

            async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
                either!(@ $name { $one, $other } self, source => source.read(file, offset, into).await)
            }
        }
    };
    (@ $name:ident { $one:ident, $other:ident } $self:ident, $source:ident => $does:expr) => {
        match $self {
            $name::$one($source) => $does,
            $name::$other($source) => $does,
        }
    };
}

either!(Origin { Http, Files });
either!(PageSource { Passing, Kept });
