//! `--prefix-cache`: a folder of pages of the cache, for the next time.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use clap::Args;
use phi_wasm::engine::{Key, PrefixStore};
use phi_wasm::prefix_cache::{PageStorage, PrefixCache};
use phi_wasm::weights::fingerprint::Fingerprint;
use phi_wasm::weights::store::hash_text;
use phi_wasm::{Error, Result};

/// Megabytes that pages may take unless something else is said.
const MEGABYTES: u64 = 2048;

/// Whether what is read is kept for the next time, and where.
#[derive(Clone, Debug, Default, Args)]
pub struct PrefixArgs {
    /// Keep what was read of prompts in this folder, for the next time that one begins alike:
    /// their keys and values, from which what was said can be told. Without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    prefix_cache: Option<PathBuf>,
    /// Megabytes that it may take, for each model; what was not used for longest goes first.
    #[arg(long, value_name = "MB", default_value_t = MEGABYTES, requires = "prefix_cache")]
    prefix_cache_mb: u64,
}

impl PrefixArgs {
    /// Notes of what is read of the weights, where they are wanted.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.prefix_cache.as_ref().map(|_| Fingerprint::default())
    }

    /// Opens the pages of some weights, each of so many bytes: every model has a folder of its own.
    pub fn open(&self, weights: Key, page_bytes: u64) -> Result<Option<Rc<dyn PrefixStore>>> {
        let Some(folder) = &self.prefix_cache else { return Ok(None) };
        let most = self.prefix_cache_mb.saturating_mul(1_000_000);
        let storage = FolderPages::open(&folder.join(hash_text(&weights[..8])))?;
        Ok(Some(Rc::new(PrefixCache::new(storage, weights, page_bytes, most)?)))
    }
}

/// A file for each page, of which the time tells when it was used.
#[derive(Debug)]
pub struct FolderPages(PathBuf);

impl FolderPages {
    /// Opens a folder, which is made where it is not there.
    ///
    /// # Errors
    /// `io`.
    pub fn open(folder: &Path) -> Result<FolderPages> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700); // It holds people's words.
        builder.recursive(true).create(folder).map_err(|error| Error::writing(folder, &error))?;
        Ok(FolderPages(folder.to_owned()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl PageStorage for FolderPages {
    async fn list(&self) -> Result<Option<Vec<String>>> {
        let failed = |error| Error::reading(&self.0, &error);
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // What another program has deleted in the meantime is not there.
            let used = entry.metadata().and_then(|data| data.modified());
            if let (Ok(used), Ok(name)) = (used, entry.file_name().into_string()) {
                names.push((used, name));
            }
        }
        names.sort();
        Ok(Some(names.into_iter().map(|(_, name)| name).collect()))
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::reading(&self.path(name), &error)),
        }
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // It holds people's words.
        let written = options.open(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| {
            // Half of it is of no use, and takes room.
            drop(fs::remove_file(&path));
            Error::writing(&path, &error)
        })
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::writing(&self.path(name), &error))
            }
            _ => Ok(()),
        }
    }

    /// Where a system does not tell times, or has none to be set, the order is that of writing.
    async fn touch(&self, names: &[String]) -> Result<()> {
        let now = SystemTime::now();
        for (name, at) in names.iter().zip(0..) {
            let used = now + Duration::from_micros(at);
            let file = File::options().write(true).open(self.path(name));
            drop(file.and_then(|file| file.set_modified(used)));
        }
        Ok(())
    }
}
