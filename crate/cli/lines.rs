//! Lines from whoever converses, and Ctrl-C.

use std::io::{IsTerminal, stdin};

use phi_wasm::Result;

use super::plain_lines;
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
        self.0.as_mut().map_or_else(plain_lines::read, Editor::read)
    }
}
