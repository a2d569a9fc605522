//! Where synthetic models are kept: a folder of the cache for each, written once.

use std::path::{Path, PathBuf};

use phi_wasm::Result;
use phi_wasm::bench::shape::{FILE_BYTES, Shape};
use phi_wasm::weights::directory::NewDirectory;

use crate::cli::{cache, progress};

/// Counts changes to what is written, so that nothing older is taken for it.
const VERSION: u32 = 1;

/// The file to open; the model is written first, unless it is there.
pub fn ensure(shape: &Shape, cache: Option<&Path>) -> Result<PathBuf> {
    let cache = match cache {
        Some(cache) => cache.to_owned(),
        None => cache::folder()?,
    };
    let folder = cache.join(format!("synthetic-{}-v{VERSION}", shape.name));
    let file = folder.join(shape.first_file());
    if file.is_file() {
        return Ok(file);
    }
    // A folder appears whole or not at all.
    let mut directory = NewDirectory::begin(&folder)?;
    let bar = progress::bytes("writing a synthetic model");
    bar.set_length(shape.bytes());
    let written = shape.write(&mut directory, FILE_BYTES, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    written.and_then(|()| directory.finish())?;
    Ok(file)
}
