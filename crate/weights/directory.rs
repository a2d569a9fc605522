//! A directory that comes into being whole or not at all: where a model is written on a disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::journal::{Finished, Journal};
use super::left::Left;
use super::store::hash_text;
use super::write::Target;
use crate::error::{Code, Error, Result, fail};
use crate::layout::quant::QuantError;

/// A file that says of a directory in the making that it is one: what is not ours is never emptied.
/// Where a later run may go on, it is the journal.
const MARK: &str = ".phi-part";

/// Bytes of what was left that are looked at together.
const AT_ONCE: usize = 1 << 20;

/// The directory in the making.
#[derive(Debug)]
pub struct NewDirectory {
    destination: PathBuf,
    part: Part,
    file: Option<Open>,
    /// Where a later run may go on.
    journal: Option<Journal>,
    complete: bool,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Of the matrix that is being written.
    hash: Sha256,
}

/// Where a directory is until it is complete, and the lock that keeps others out: it ends with this
/// process, however that ends.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Nothing where a system locks no directories.
    _lock: Option<File>,
}

impl NewDirectory {
    /// Begins it: the files go to `DESTINATION.phi-part`.
    ///
    /// # Errors
    /// `bad-option` for a destination that is a file or a directory with something in it, or where
    /// somebody has put another `.phi-part`, `in-use` where somebody else is making it, `io`.
    pub fn begin(destination: &Path) -> Result<NewDirectory> {
        Self::claimed(destination, None)
    }

    /// Begins it, or goes on with what was left of the same: `identity` tells, a line.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn resume(destination: &Path, identity: &str) -> Result<NewDirectory> {
        Self::claimed(destination, Some(identity))
    }

    fn claimed(destination: &Path, identity: Option<&str>) -> Result<NewDirectory> {
        let destination = &behind_links(destination)?;
        let Some(name) = destination.file_name() else {
            fail!(
                Code::BadOption,
                "{}: name a directory that is to be made",
                destination.display()
            );
        };
        may_become(destination)?;
        let mut part = name.to_owned();
        part.push(".phi-part");
        let path = destination.with_file_name(part);
        let (part, journal) = Part::claim(path, destination, identity)?;
        let new = NewDirectory {
            destination: destination.to_owned(),
            part,
            file: None,
            journal,
            complete: false,
        };
        // Somebody may have been complete between the look and the lock.
        may_become(destination)?;
        Ok(new)
    }

    fn close(&mut self) -> Result<()> {
        let Some(Open { path, file, bytes, .. }) = self.file.take() else { return Ok(()) };
        // An earlier run may have left more.
        let whole = file.set_len(bytes).and_then(|()| file.sync_all());
        whole.map_err(|error| Error::writing(&path, &error))
    }

    /// Gives it its name; until then it is removed when this is dropped, unless a later run may go
    /// on.
    ///
    /// # Errors
    /// `in-use` if somebody else has put something there meanwhile, `io`.
    pub fn finish(mut self) -> Result<()> {
        self.close()?;
        let mark = self.part.path.join(MARK);
        fs::remove_file(&mark).map_err(|error| Error::writing(&mark, &error))?;
        // Not every system renames onto a directory, even an empty one. None renames onto one with
        // something in it.
        let removed = match fs::remove_dir(&self.destination) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        match removed.and_then(|()| fs::rename(&self.part.path, &self.destination)) {
            Ok(()) => self.complete = true,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DirectoryNotEmpty
                        | ErrorKind::AlreadyExists
                        | ErrorKind::NotADirectory
                ) =>
            {
                return Err(somebody_else(&self.destination));
            }
            Err(error) => return Err(Error::writing(&self.destination, &error)),
        }
        Ok(())
    }
}

impl Open {
    /// What is there from here on, if it is what was finished.
    fn left(&self, bytes: u64, finished: &Finished) -> Option<Left> {
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.bytes)).ok()?;
        let (mut hash, mut here) = (Sha256::new(), (&mut file).take(bytes));
        let mut some = vec![0; AT_ONCE];
        loop {
            match here.read(&mut some).ok()? {
                0 => break,
                count => hash.update(&some[..count]),
            }
        }
        let is_whole = hash_text(&hash.finalize()) == finished.sha256;
        is_whole.then_some(Left { file, at: self.bytes, error: finished.error })
    }
}

/// The directory that a link stands for: it is what comes into being.
fn behind_links(destination: &Path) -> Result<PathBuf> {
    if !fs::symlink_metadata(destination).is_ok_and(|about| about.is_symlink()) {
        return Ok(destination.to_owned());
    }
    let nowhere = |_| {
        Error::new(
            Code::BadOption,
            format!("{}: a link to what is not there; name a directory", destination.display()),
        )
    };
    fs::canonicalize(destination).map_err(nowhere)
}

/// Whether a directory may be put there.
fn may_become(destination: &Path) -> Result<()> {
    let shown = destination.display();
    match fs::read_dir(destination).map(|mut items| items.next().is_some()) {
        Ok(true) => fail!(
            Code::BadOption,
            "{shown}: the directory is not empty; name a new one, or empty it first"
        ),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            fail!(
                Code::BadOption,
                "{shown}: there is a file of that name; name a directory that is to be made"
            )
        }
        Err(error) => Err(Error::writing(destination, &error)),
    }
}

impl Part {
    /// Makes it, or takes one that a run which was killed left behind: emptied, but for one of the
    /// same identity.
    fn claim(
        path: PathBuf,
        destination: &Path,
        identity: Option<&str>,
    ) -> Result<(Part, Option<Journal>)> {
        /// Each time somebody else was complete between two of our steps.
        const TRIES: usize = 20;
        let failed = |error: std::io::Error| Error::writing(&path, &error);
        for _ in 0..TRIES {
            fs::create_dir_all(&path).map_err(failed)?;
            let lock = match lock(&path) {
                Ok(lock) => lock,
                Err(TryLockError::WouldBlock) => return Err(somebody_else(destination)),
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::NotFound => continue,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            };
            if lock.as_ref().is_none_or(|lock| is_still_there(lock, &path)) {
                let mark = path.join(MARK);
                if mark.exists() {
                    let left = identity.and_then(|identity| Journal::read(&mark, identity));
                    if left.is_some() {
                        return Ok((Part { path, _lock: lock }, left));
                    }
                    empty(&path).map_err(failed)?;
                } else if fs::read_dir(&path).map_err(failed)?.next().is_some() {
                    fail!(
                        Code::BadOption,
                        "{}: phi has not made what is there; move it, or name another directory",
                        path.display()
                    );
                }
                File::create(&mark).map_err(failed)?;
                let begin = |identity| Journal::begin(&mark, identity);
                let journal = identity.map(begin).transpose().map_err(failed)?;
                return Ok((Part { path, _lock: lock }, journal));
            }
        }
        Err(somebody_else(destination))
    }
}

/// Locks a directory. Where a system or a disk does not know how, `None`: there the last rename
/// alone tells who was first.
fn lock(path: &Path) -> std::result::Result<Option<File>, TryLockError> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let directory = File::open(path).map_err(TryLockError::Error)?;
    match directory.try_lock() {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Whether what was locked is what has the name now: whoever had the lock before may have renamed
/// or removed it.
#[cfg(unix)]
fn is_still_there(lock: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |about: &fs::Metadata| (about.dev(), about.ino());
    match (lock.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => identity(&one) == identity(&other),
        _ => false,
    }
}

/// Nothing is locked there.
#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}

/// Removes what is in a directory.
fn empty(path: &Path) -> std::io::Result<()> {
    for item in fs::read_dir(path)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            fs::remove_dir_all(item.path())?;
        } else {
            fs::remove_file(item.path())?;
        }
    }
    Ok(())
}

fn somebody_else(destination: &Path) -> Error {
    let shown = destination.display();
    Error::new(
        Code::InUse,
        format!(
            "{shown}: somebody else is writing there; wait until that is done, or name another \
                directory"
        ),
    )
}

impl Target for NewDirectory {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.close()?;
        let path = self.part.path.join(file);
        // What is there has the same bytes, as far as it goes.
        let goes_on = self.journal.is_some();
        let made = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .create_new(!goes_on)
            .open(&path);
        let file = made.map_err(|error| Error::writing(&path, &error))?;
        self.file = Some(Open { path, file, bytes: 0, hash: Sha256::new() });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(Open { path, file, bytes: written, hash }) => {
                *written += bytes.len() as u64;
                if self.journal.is_some() {
                    hash.update(bytes);
                }
                file.write_all(bytes).map_err(|error| Error::writing(path, &error))
            }
            None => Ok(()),
        }
    }

    fn matrix(&mut self, name: &str, bytes: u64) -> Result<Option<Left>> {
        let (Some(open), Some(journal)) = (&mut self.file, &mut self.journal) else {
            return Ok(None);
        };
        open.hash = Sha256::new();
        let Some(finished) = journal.next(name) else { return Ok(None) };
        let left = open.left(bytes, &finished);
        if left.is_none() {
            journal.forget().map_err(|error| Error::writing(&open.path, &error))?;
        }
        Ok(left)
    }

    fn matrix_ends(&mut self, name: &str, error: QuantError) -> Result<()> {
        let (Some(open), Some(journal)) = (&mut self.file, &mut self.journal) else {
            return Ok(());
        };
        // Of what the journal has, nothing is missing.
        let ended = open.file.sync_data().and_then(|()| {
            let sha256 = hash_text(&open.hash.finalize_reset());
            journal.add(&Finished { name: name.to_owned(), sha256, error })
        });
        ended.map_err(|error| Error::writing(&open.path, &error))
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        let goes_on = self.journal.as_ref().is_some_and(|journal| !journal.is_empty());
        if !self.complete && !goes_on {
            self.file = None;
            // The error that led here is the one to tell.
            let _ = fs::remove_dir_all(&self.part.path);
        }
    }
}
