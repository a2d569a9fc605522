//! What of a directory in the making is finished: a line for each matrix, so that a later run need
//! not do it again.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::layout::quant::QuantError;

/// A matrix that is there whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub name: String,
    /// Of its bytes.
    pub sha256: String,
    pub error: QuantError,
}

/// The journal: what it is of, then what is finished.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// What an earlier run finished and this one has not come to, and how long the lines are.
    before: VecDeque<(Finished, u64)>,
    /// Bytes up to there.
    bytes: u64,
    is_empty: bool,
}

impl Journal {
    /// An empty one.
    pub fn begin(path: &Path, identity: &str) -> io::Result<Journal> {
        let mut file = File::create(path)?;
        let line = format!("{identity}\n");
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        let (before, bytes) = (VecDeque::new(), line.len() as u64);
        Ok(Journal { file, before, bytes, is_empty: true })
    }

    /// What an earlier run left of the same. Of a line that was not completed nothing is known.
    pub fn read(path: &Path, identity: &str) -> Option<Journal> {
        let text = fs::read_to_string(path).ok()?;
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().filter(|line| line.strip_suffix('\n') == Some(identity))?;
        let finished = |line: &str| Some((Finished::parse(line)?, line.len() as u64));
        let before: VecDeque<_> = lines.map_while(finished).collect();
        let file = OpenOptions::new().write(true).open(path).ok()?;
        let is_empty = before.is_empty();
        let mut journal = Journal { file, before, bytes: first.len() as u64, is_empty };
        if is_empty {
            journal.forget().ok()?;
        }
        Some(journal)
    }

    /// Whether no run has finished anything.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What an earlier run finished next, if it is this.
    pub fn next(&mut self, name: &str) -> Option<Finished> {
        self.before.front().filter(|(finished, _)| finished.name == name).cloned().map(|it| it.0)
    }

    /// All that an earlier run finished from here on is worth nothing.
    pub fn forget(&mut self) -> io::Result<()> {
        self.before.clear();
        self.file.set_len(self.bytes)
    }

    /// A matrix is finished.
    pub fn add(&mut self, finished: &Finished) -> io::Result<()> {
        self.is_empty = false;
        if let Some((before, length)) = self.before.pop_front() {
            if before == *finished {
                self.bytes += length;
                return Ok(());
            }
            self.forget()?;
        }
        let line = finished.line();
        self.file.seek(SeekFrom::Start(self.bytes))?;
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        self.file.sync_data()
    }
}

impl Finished {
    fn line(&self) -> String {
        let [power, error] = [self.error.power, self.error.error].map(f64::to_bits);
        format!("{} {} {power:x} {error:x}\n", self.name, self.sha256)
    }

    fn parse(line: &str) -> Option<Finished> {
        let fields: Vec<_> = line.strip_suffix('\n')?.split(' ').collect();
        let [name, sha256, power, error] = fields[..] else { return None };
        let number = |text| u64::from_str_radix(text, 16).ok().map(f64::from_bits);
        let error = QuantError { power: number(power)?, error: number(error)? };
        Some(Finished { name: name.to_owned(), sha256: sha256.to_owned(), error })
    }
}
