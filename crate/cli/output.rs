//! What the command says: answers and tables on standard output, everything else on standard error.
//! Whatever prints comes here, since `println!` panics where the disk is full or nobody reads any
//! more; clippy keeps it out of the crate.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::exit;

use phi_wasm::{Error, Result};

/// A line on standard output.
pub fn line(text: impl Display) -> Result<()> {
    piece(format_args!("{text}\n"))
}

/// A piece of a text on standard output, where it is seen at once.
pub fn piece(text: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    written(write!(out, "{text}").and_then(|()| out.flush()))
}

/// What became of writing to standard output. Where nobody reads it any more the command is over:
/// what it was for has been read.
pub fn written(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        outcome => outcome.map_err(|error| Error::writing(Path::new("standard output"), &error)),
    }
}

/// What a file has in a sentence, without what a terminal would obey: it may be anybody's.
pub fn printable(text: &str) -> String {
    let of = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(of).collect()
}

/// A line on standard error. That it cannot be said is no reason to stop.
pub fn note(text: impl Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}
