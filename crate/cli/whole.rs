//! Files that have all of what is written, or stay as they were.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process;

/// Writes a file that has all of it, or stays as it was: the new one takes the old one's place once
/// it is on the disk.
pub fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // Where a link leads, the file is; a terminal or a pipe holds nothing that could be lost, and
    // nothing may take its place.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if file.metadata().is_ok_and(|about| !about.is_file()) {
        return fs::write(file, bytes);
    }
    let mut part = OsString::from(&file);
    // Two programs may write one file at once. WASI has no processes, and asking for the number of
    // one ends it.
    let program = if cfg!(target_family = "wasm") { 0 } else { process::id() };
    part.push(format!(".{program}.phi-part"));
    let write = || {
        let mut out = File::create(&part)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&part, &file)
    };
    let written = write();
    if written.is_err() {
        // Why it could not be written is the news.
        let _ = fs::remove_file(&part);
    }
    written
}
