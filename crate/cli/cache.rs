//! The folder for what can be made again: synthetic models, and what was measured.

use std::path::PathBuf;
use std::{env, fs};

use phi_wasm::backend::Backend;
use phi_wasm::engine::Engine;
use phi_wasm::{Code, Error, Result};

use super::{output, whole};

/// `PHI_WASM_CACHE`, or a folder of the user's.
pub fn folder() -> Result<PathBuf> {
    let given = env::var_os("PHI_WASM_CACHE").map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".cache/phi-wasm"));
    let none = || {
        Error::new(
            Code::BadOption,
            "there is no home directory for the cache; name a folder with PHI_WASM_CACHE",
        )
    };
    given.or_else(home).ok_or_else(none)
}

/// Which kernels are fastest on which GPU.
pub const GPUS: &str = "gpus.json";
/// Which of GPU and CPU is faster.
pub const BACKENDS: &str = "backends.json";

/// What is known; nothing where that cannot be read.
#[cfg(all(feature = "gpu", not(target_os = "wasi")))]
pub fn known(file: &str) -> String {
    folder().ok().and_then(|folder| fs::read_to_string(folder.join(file)).ok()).unwrap_or_default()
}

/// Keeps what loading found out about a GPU, if anything.
pub fn keep_tuned<B: Backend>(engine: &Engine<B>) {
    if let Some(tuned) = engine.tuned() {
        keep(GPUS, tuned);
    }
}

/// Keeps what was measured: without it the next load measures it again.
pub fn keep(file: &str, text: &str) {
    let kept = folder().and_then(|folder| {
        let file = folder.join(file);
        let written =
            fs::create_dir_all(&folder).and_then(|()| whole::write(&file, text.as_bytes()));
        written.map_err(|error| Error::writing(&file, &error))
    });
    if let Err(error) = kept {
        output::note(format_args!(
            "phi: what was measured is measured again the next time: {error}"
        ));
    }
}
