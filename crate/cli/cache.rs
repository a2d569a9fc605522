//! The folder for what can be made again: synthetic models, and what is known of GPUs.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use phi_wasm::backend::Backend;
use phi_wasm::engine::Engine;
use phi_wasm::{Code, Error, Result};

use super::output;

/// `PHI_WASM_CACHE`, or a folder of the user's.
pub fn folder() -> Result<PathBuf> {
    let given = env::var_os("PHI_WASM_CACHE").map(PathBuf::from);
    let home = || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(|home| PathBuf::from(home).join(".cache/phi-wasm"));
    let none = || Error::new(Code::BadOption, "there is no home directory for the cache; name a folder with PHI_WASM_CACHE");
    given.or_else(home).ok_or_else(none)
}

/// What is known of GPUs; nothing where that cannot be read.
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
pub fn known_gpus() -> String {
    folder().ok().and_then(|folder| fs::read_to_string(folder.join(GPUS)).ok()).unwrap_or_default()
}

/// Keeps what loading found out, if anything: without it the next load finds it out again.
pub fn keep_tuned<B: Backend>(engine: &Engine<B>) {
    let Some(tuned) = engine.tuned() else { return };
    let kept = folder().and_then(|folder| {
        keep(&folder, tuned).map_err(|error| Error::new(Code::Io, format!("{} cannot be written: {error}", folder.join(GPUS).display())))
    });
    if let Err(error) = kept {
        output::note(format_args!("phi: which of the GPU's kernels are fastest is timed again the next time: {error}"));
    }
}

const GPUS: &str = "gpus.json";

/// The file changes whole or not at all.
fn keep(folder: &Path, tuned: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("{GPUS}.{}", std::process::id()));
    let written = fs::write(&unfinished, tuned).and_then(|()| fs::rename(&unfinished, folder.join(GPUS)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished); // It is of no use; that it stays harms nobody.
    }
    written
}
