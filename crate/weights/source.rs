//! Where a model's bytes come from.
//!
//! Readers ask for ranges of named files and never for a whole tensor, so that a directory, memory,
//! a server or a browser's storage can stand behind them alike. Adding a storage is one [`Source`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::error::{Code, Error, Result, fail};
use crate::json;

/// No system has longer files.
pub(super) const LONGEST_FILE: u64 = i64::MAX as u64;

/// Files of one model, read by ranges.
#[allow(async_fn_in_trait)] // Futures stay on the thread that made them.
pub trait Source {
    /// What messages call it: a path or an address.
    fn name(&self) -> String;

    /// The file that the user named, or `None` for a directory or a base address.
    fn entry(&self) -> Option<&str>;

    /// The names of the files, where they can be listed. A server cannot.
    async fn list(&self) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Whether bytes were checked before they were put where they are, so that nobody needs to do
    /// it again.
    fn checked(&self) -> bool {
        false
    }

    /// What tells this state of a file from a later one; the size at the least.
    async fn version(&self, file: &str) -> Result<String> {
        Ok(format!("{:?}", self.size(file).await?))
    }

    /// Bytes of a file, or `None` when it is not there.
    async fn size(&self, file: &str) -> Result<Option<u64>>;

    /// Fills `into` with the file's bytes from `offset` on.
    ///
    /// # Errors
    /// `truncated` when the file ends before, `not-found` when it is not there, `io` or `network`
    /// when reading fails.
    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()>;
}

/// All of a [`Source`] but reading, of one that has another as its `source`: as that one has it.
macro_rules! as_its_source {
    () => {
        fn name(&self) -> String {
            self.source.name()
        }

        fn entry(&self) -> Option<&str> {
            self.source.entry()
        }

        async fn list(&self) -> Result<Option<Vec<String>>> {
            self.source.list().await
        }

        fn checked(&self) -> bool {
            self.source.checked()
        }

        async fn version(&self, file: &str) -> Result<String> {
            self.source.version(file).await
        }

        async fn size(&self, file: &str) -> Result<Option<u64>> {
            self.source.size(file).await
        }
    };
}
pub(crate) use as_its_source;

/// A whole small file, or `None` when it is not there.
///
/// # Errors
/// `malformed` above `limit` bytes, and those of [`Source::read`].
pub async fn read_all(source: &impl Source, file: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(size) = source.size(file).await? else { return Ok(None) };
    if size > limit {
        fail!(
            Code::Malformed,
            "{}: {size} bytes, where at most {limit} are sensible",
            place(file, &source.name())
        );
    }
    let mut bytes = vec![0; size as usize];
    source.read(file, 0, &mut bytes).await?;
    Ok(Some(bytes))
}

/// A file of a source, for people. A source that is one file has its name already.
pub fn place(file: &str, source: &str) -> String {
    let is_named = source
        .strip_suffix(file)
        .is_some_and(|before| before.is_empty() || before.ends_with(['/', '\\']));
    if is_named { source.to_owned() } else { format!("{file} in {source}") }
}

/// The error of a file that ends before what is said to be in it.
pub fn truncated(file: &str, source: &str, size: u64, promised: u64) -> Error {
    let place = place(file, source);
    Error::new(
        Code::Truncated,
        format!(
            "{place} has {size} bytes, where {promised} are promised; the file was cut short, \
                fetch it again"
        ),
    )
}

/// The error of a file that should be there, and is not.
pub(super) fn missing(place: &str) -> Error {
    Error::new(
        Code::NotFound,
        format!("{place} is not there, and the model needs it; fetch it too"),
    )
}

/// The error of a file that ends before it has said what is in it.
pub(super) fn truncated_header(place: &str, size: u64) -> Error {
    Error::new(
        Code::Truncated,
        format!(
            "{place} has {size} bytes and ends within its header; the file was cut short, fetch \
                it again"
        ),
    )
}

/// The error of a file that does not begin as one of its format does.
pub(super) fn foreign(place: &str, why: &str, begin: &[u8]) -> Error {
    Error::new(Code::NotAModel, format!("{place}: {}", json::stand_in(begin).unwrap_or(why)))
}

/// A directory, or one file in it, through the file system.
///
/// A file stays open once it was looked at, so that one which is replaced meanwhile is read as it
/// was, and one that is written over meanwhile is refused: half of one model and half of another
/// would answer something. Clones share the open files.
#[derive(Clone, Debug)]
pub struct DirSource {
    root: PathBuf,
    entry: Option<String>,
    open: Arc<Mutex<BTreeMap<String, OpenFile>>>,
}

/// A file, and what tells whether it is still the one that was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    state: State,
}

/// Length, and when it was last written, where the system says.
type State = (u64, Option<SystemTime>);

impl OpenFile {
    fn state(&self) -> std::io::Result<State> {
        let about = self.file.metadata()?;
        Ok((about.len(), about.modified().ok()))
    }
}

impl DirSource {
    /// A directory that holds a model, or one file that is a model.
    ///
    /// # Errors
    /// `not-found` when nothing is there, `not-a-model` for a device or a pipe, `io` when it cannot
    /// be looked at.
    pub fn open(path: impl AsRef<Path>) -> Result<DirSource> {
        let path = path.as_ref();
        let about = fs::metadata(path).map_err(|error| Error::reading(path, &error))?;
        if about.is_dir() {
            return Ok(DirSource { root: path.to_path_buf(), entry: None, open: Arc::default() });
        }
        if !about.is_file() {
            fail!(
                Code::NotAModel,
                "{}: neither a file nor a directory; a model is read here and there, so save it \
                    as a file",
                path.display()
            );
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            fail!(
                Code::NotFound,
                "{}: the file's name is not valid Unicode, rename it",
                path.display()
            );
        };
        let root =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(DirSource {
            root: root.to_path_buf(),
            entry: Some(name.to_owned()),
            open: Arc::default(),
        })
    }

    /// The open files, with this one among them if it is there.
    fn open_files(
        &self,
        file: &str,
    ) -> std::io::Result<MutexGuard<'_, BTreeMap<String, OpenFile>>> {
        // Whoever panicked had no file half read: every read begins with where it reads.
        let mut files = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.contains_key(file) {
            let path = self.root.join(file);
            // Looked at first: some systems open a directory, and some say no more than that they
            // may not.
            if fs::metadata(&path)?.is_file() {
                let mut opened = OpenFile { file: File::open(&path)?, state: (0, None) };
                opened.state = opened.state()?;
                files.insert(file.to_owned(), opened);
            }
        }
        Ok(files)
    }
}

impl Source for DirSource {
    fn name(&self) -> String {
        self.entry.as_ref().map_or_else(
            || self.root.display().to_string(),
            |file| self.root.join(file).display().to_string(),
        )
    }

    fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    async fn list(&self) -> Result<Option<Vec<String>>> {
        let mut names = Vec::new();
        for item in fs::read_dir(&self.root).map_err(|error| Error::reading(&self.root, &error))? {
            let item = item.map_err(|error| Error::reading(&self.root, &error))?;
            names.extend(item.file_name().into_string());
        }
        names.sort();
        Ok(Some(names))
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        match self.open_files(file) {
            Ok(files) => Ok(files.get(file).map(|open| open.state.0)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::reading(&self.root.join(file), &error)),
        }
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let path = self.root.join(file);
        let failed = |error: std::io::Error| Error::reading(&path, &error);
        let mut files = self.open_files(file).map_err(failed)?;
        let Some(open) = files.get_mut(file) else {
            return Err(failed(ErrorKind::NotFound.into()));
        };
        open.file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let read = open.file.read_exact(into);
        // After reading: what was written meanwhile shows then.
        if open.state().map_err(failed)? != open.state {
            fail!(
                Code::Io,
                "{}: the file was written over while the model was read from it; load the model \
                    again",
                path.display()
            );
        }
        match read {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(truncated(
                file,
                &self.name(),
                open.state.0,
                offset.saturating_add(into.len() as u64),
            )),
            other => other.map_err(failed),
        }
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    /// The files by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The file that stands for the model, if one does.
    pub entry: Option<String>,
}

impl MemorySource {
    /// A directory of files.
    pub fn directory<N: Into<String>>(
        files: impl IntoIterator<Item = (N, Vec<u8>)>,
    ) -> MemorySource {
        MemorySource {
            files: files.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect(),
            entry: None,
        }
    }

    /// One file.
    pub fn file(name: &str, bytes: Vec<u8>) -> MemorySource {
        MemorySource {
            files: BTreeMap::from([(name.to_owned(), bytes)]),
            entry: Some(name.to_owned()),
        }
    }
}

impl Source for MemorySource {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    async fn list(&self) -> Result<Option<Vec<String>>> {
        Ok(Some(self.files.keys().cloned().collect()))
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.files.get(file).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let Some(bytes) = self.files.get(file) else {
            return Err(missing(&place(file, &self.name())));
        };
        let end = offset.saturating_add(into.len() as u64);
        if end > bytes.len() as u64 {
            return Err(truncated(file, "memory", bytes.len() as u64, end));
        }
        into.copy_from_slice(&bytes[offset as usize..end as usize]);
        Ok(())
    }
}
