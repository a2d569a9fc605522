//! Standard input's lines as they come, which nobody edits.

use std::io::{BufRead, stdin};
use std::path::Path;

use phi_wasm::{Error, Result};

use super::options::STDIN;

/// The next line; `None` at the end of input.
pub fn read() -> Result<Option<String>> {
    let mut line = String::new();
    let read = stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::reading(Path::new(STDIN), &error))?;
    Ok((read > 0).then_some(line))
}
