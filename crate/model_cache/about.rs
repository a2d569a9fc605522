//! What a model's storage says of it to those who only list it.

use serde::{Deserialize, Serialize};

use super::files::{PAGE, read_all, write_over};
use super::storage::ModelStorage;
use crate::clock;
use crate::error::Result;

/// The file's name.
pub const FILE: &str = "about.json";
/// The version that we write.
const VERSION: u32 = 1;

/// `about.json`. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The version of all this.
    pub version: u32,
    /// What people call the model.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Bytes that are there, give or take 8 MiB while they come.
    pub stored: u64,
    /// Whether that is all.
    pub complete: bool,
    /// When it was begun.
    pub created: f64,
    /// When it was opened last.
    pub used: f64,
}

impl About {
    pub(super) fn new(source: &str, bytes: u64) -> About {
        let now = clock::milliseconds_since_1970();
        let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source).to_owned();
        About {
            version: VERSION,
            name,
            source: source.to_owned(),
            bytes,
            stored: 0,
            complete: false,
            created: now,
            used: now,
        }
    }

    pub(super) fn grow(&mut self, bytes: u64, stored: u64) {
        (self.bytes, self.stored, self.complete, self.used) =
            (bytes, stored, false, clock::milliseconds_since_1970());
    }

    pub(super) fn finish(&mut self) {
        (self.stored, self.complete, self.used) =
            (self.bytes, true, clock::milliseconds_since_1970());
    }

    /// What the storage says; `None` when that cannot be read.
    pub(super) async fn read(storage: &impl ModelStorage) -> Result<Option<About>> {
        let text = read_all(storage, FILE).await?.filter(|text| text.len() >= PAGE);
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    pub(super) async fn write(&self, storage: &impl ModelStorage) -> Result<()> {
        write_over(storage, FILE, serde_json::to_vec(self).expect("plain data turns into JSON"))
            .await
    }
}
