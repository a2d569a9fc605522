//! A directory that comes into being whole or not at all: where a model is written on a disk.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::write::Target;
use crate::error::{Code, Error, Result, fail};

/// A file that says of a directory in the making that it is one: what is not ours is never emptied.
const MARK: &str = ".phi-part";

/// The directory in the making.
#[derive(Debug)]
pub struct NewDirectory {
    destination: PathBuf,
    part: Part,
    file: Option<(PathBuf, File)>,
    complete: bool,
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
        let part = Part::claim(destination.with_file_name(part), destination)?;
        let new =
            NewDirectory { destination: destination.to_owned(), part, file: None, complete: false };
        // Somebody may have been complete between the look and the lock.
        may_become(destination)?;
        Ok(new)
    }

    fn close(&mut self) -> Result<()> {
        match self.file.take() {
            Some((path, file)) => file.sync_all().map_err(|error| Error::writing(&path, &error)),
            None => Ok(()),
        }
    }

    /// Gives it its name; until then it is removed when this is dropped.
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
    /// Makes it, or takes one that a run which was killed left behind, emptied.
    fn claim(path: PathBuf, destination: &Path) -> Result<Part> {
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
                    empty(&path).map_err(failed)?;
                } else if fs::read_dir(&path).map_err(failed)?.next().is_some() {
                    fail!(
                        Code::BadOption,
                        "{}: phi has not made what is there; move it, or name another directory",
                        path.display()
                    );
                }
                File::create(&mark).map_err(failed)?;
                return Ok(Part { path, _lock: lock });
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
        let made = File::create_new(&path).map_err(|error| Error::writing(&path, &error))?;
        self.file = Some((path, made));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((path, file)) => {
                file.write_all(bytes).map_err(|error| Error::writing(path, &error))
            }
            None => Ok(()),
        }
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.complete {
            self.file = None;
            // The error that led here is the one to tell.
            let _ = fs::remove_dir_all(&self.part.path);
        }
    }
}
