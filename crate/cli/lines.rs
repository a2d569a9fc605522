//! Lines from whoever converses, and Ctrl-C.

use std::io::{BufRead, IsTerminal, stdin};
use std::path::Path;

use phi_wasm::{Error, Result};

use super::options::STDIN;
use super::terminal::Editor;
pub use super::terminal::Interrupts;

/// Standard input's lines: typed, or from a file or another program, where there is no editor.
pub struct Lines(Option<Editor>);

impl Lines {
    /// Makes ready to read.
    pub fn open() -> Result<Lines> {
        stdin().is_terminal().then(Editor::open).transpose().map(Lines)
    }

    /// Whether somebody sits there.
    pub fn are_typed(&self) -> bool {
        self.0.is_some()
    }

    /// The next one; `None` at the end.
    pub fn read(&mut self) -> Result<Option<String>> {
        self.0.as_mut().map_or_else(plain, Editor::read)
    }
}

/// A line as it comes.
pub fn plain() -> Result<Option<String>> {
    let mut line = String::new();
    let read = stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::reading(Path::new(STDIN), &error))?;
    Ok((read > 0).then_some(line))
}
