//! A directory that comes into being whole or not at all: where a model is written on a disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::write::Target;
use crate::error::{Code, Error, Result, fail};

/// The directory in the making.
#[derive(Debug)]
pub struct NewDirectory {
    destination: PathBuf,
    /// Where it is until it is complete.
    part: PathBuf,
    file: Option<(PathBuf, File)>,
    complete: bool,
}

impl NewDirectory {
    /// Begins it: the files go to `DESTINATION.phi-part`.
    ///
    /// # Errors
    /// `bad-option` for a destination that is a file or a directory with something in it, `io`.
    pub fn begin(destination: &Path) -> Result<NewDirectory> {
        let shown = destination.display();
        let Some(name) = destination.file_name() else {
            fail!(Code::BadOption, "{shown}: name a directory that is to be made");
        };
        match fs::read_dir(destination).map(|mut items| items.next().is_some()) {
            Ok(true) => {
                fail!(Code::BadOption, "{shown}: the directory is not empty; name a new one, or empty it first")
            }
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::NotADirectory => fail!(Code::BadOption, "{shown}: there is a file of that name"),
            Err(error) => return Err(write_error(destination, &error)),
        }
        let mut part = name.to_owned();
        part.push(".phi-part");
        let part = destination.with_file_name(part);
        // A run that was killed left it behind.
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(&part, &error)),
            _ => {}
        }
        fs::create_dir_all(&part).map_err(|error| write_error(&part, &error))?;
        Ok(NewDirectory { destination: destination.to_owned(), part, file: None, complete: false })
    }

    fn close(&mut self) -> Result<()> {
        match self.file.take() {
            Some((path, file)) => file.sync_all().map_err(|error| write_error(&path, &error)),
            None => Ok(()),
        }
    }

    /// Gives it its name; until then it is removed when this is dropped.
    ///
    /// # Errors
    /// `io`.
    pub fn finish(mut self) -> Result<()> {
        self.close()?;
        // Not every system renames onto a directory, even an empty one.
        match fs::remove_dir(&self.destination) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write_error(&self.destination, &error)),
            _ => {}
        }
        fs::rename(&self.part, &self.destination).map_err(|error| write_error(&self.destination, &error))?;
        self.complete = true;
        Ok(())
    }
}

impl Target for NewDirectory {
    fn begin(&mut self, file: &str) -> Result<()> {
        self.close()?;
        let path = self.part.join(file);
        let made = File::create(&path).map_err(|error| write_error(&path, &error))?;
        self.file = Some((path, made));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((path, file)) => file.write_all(bytes).map_err(|error| write_error(path, &error)),
            None => Ok(()),
        }
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.complete {
            self.file = None;
            // The error that led here is the one to tell.
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

fn write_error(path: &Path, error: &std::io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::new(Code::Io, format!("{path}: the disk is full; make room, or name a directory on another disk, and try again"))
        }
        ErrorKind::PermissionDenied => Error::new(Code::Io, format!("{path}: not allowed to write there; name another directory")),
        _ => Error::new(Code::Io, format!("{path}: cannot be written: {error}")),
    }
}
