//! Where synthetic models are kept: a folder of the cache for each, written once.

use std::env;
use std::path::{Path, PathBuf};

use phi_wasm::bench::shape::{FILE_BYTES, Shape};
use phi_wasm::weights::directory::NewDirectory;
use phi_wasm::{Code, Error, Result};

use crate::cli::progress;

/// Counts changes to what is written, so that nothing older is taken for it.
const VERSION: u32 = 1;

/// The file to open; the model is written first, unless it is there.
pub fn ensure(shape: &Shape, cache: Option<&Path>) -> Result<PathBuf> {
    let cache = match cache {
        Some(cache) => cache.to_owned(),
        None => default_cache()?,
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

fn default_cache() -> Result<PathBuf> {
    let given = env::var_os("PHI_WASM_CACHE").map(PathBuf::from);
    let home = || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(|home| PathBuf::from(home).join(".cache/phi-wasm"));
    let none = || Error::new(Code::BadOption, "there is no home directory for the cache; name a folder with --cache");
    given.or_else(home).ok_or_else(none)
}
