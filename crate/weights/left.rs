//! A matrix that an earlier run left, whole: its panels again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::error::{Code, Error, Result};
use crate::layout::panel::Panel;
use crate::layout::quant::QuantError;
use crate::layout::{Kind, QUAD, planes};

/// Bytes of codes that are read together.
const AT_ONCE: u64 = 4 << 20;

/// The matrix: its planes lie in a file one after the other.
#[derive(Debug)]
pub struct Left {
    pub(super) file: File,
    /// Where they begin.
    pub(super) at: u64,
    pub(super) error: QuantError,
}

impl Left {
    /// What it lost when it was rounded.
    pub fn error(&self) -> QuantError {
        self.error
    }

    /// Its rows in order, some at a time.
    ///
    /// # Errors
    /// `io`, and those of `sink`.
    pub fn panels(
        &mut self,
        kind: Kind,
        [rows, cols]: [usize; 2],
        sink: &mut dyn FnMut(usize, Panel) -> Result<()>,
    ) -> Result<()> {
        let whole = planes(kind, rows, cols);
        let quads = (AT_ONCE / planes(kind, QUAD, cols).codes).max(1) as usize;
        for first in (0..rows).step_by(quads * QUAD) {
            let mut panel = Panel::new(kind, (quads * QUAD).min(rows - first), cols);
            let before = planes(kind, first, cols);
            let mut read = |at: u64, into: &mut [u8]| -> io::Result<()> {
                self.file.seek(SeekFrom::Start(self.at + at))?;
                self.file.read_exact(into)
            };
            let all = read(before.codes, &mut panel.codes)
                .and_then(|()| read(whole.codes + before.scales, &mut panel.scales))
                .and_then(|()| read(whole.codes + whole.scales + before.mins, &mut panel.mins));
            all.map_err(|error| {
                Error::new(Code::Io, format!("what an earlier run left cannot be read: {error}"))
            })?;
            sink(first, panel)?;
        }
        Ok(())
    }
}
