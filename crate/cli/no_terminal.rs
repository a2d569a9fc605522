//! A terminal in builds that cannot ask for more than lines, such as the WASI module.

use std::io::{Write, stderr};

use phi_wasm::Result;

use super::plain_lines;

/// Reads lines as they come.
pub struct Editor;

impl Editor {
    /// Makes ready to read.
    pub fn open() -> Result<Editor> {
        Ok(Editor)
    }

    /// The next line; `None` at the end of input.
    pub fn read(&mut self) -> Result<Option<String>> {
        // A prompt that cannot be shown is no reason to stop.
        let _ = stderr().write_all(b"> ");
        plain_lines::read()
    }
}

/// Ctrl-C, which ends the module: its host heeds it.
pub struct Interrupts;

impl Interrupts {
    /// Nothing to do.
    pub fn heed() -> Result<Interrupts> {
        Ok(Interrupts)
    }

    /// Nothing to do.
    pub fn stop_answers(&self) -> Answering {
        Answering
    }
}

/// While an answer is given.
pub struct Answering;

impl Answering {
    /// Whether the answer was told to stop: never, for nobody could.
    pub fn is_stopped(&self) -> bool {
        false
    }
}
