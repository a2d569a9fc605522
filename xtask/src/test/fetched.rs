//! Steps that fetch what they run on, or have it made by others.

use std::process::Command;

use anyhow::Result;

use super::steps::{FEATURES, cargo_test, node_tests};
use super::{Extent, readmes};
use crate::place::Place;
use crate::setup::coder::Qwen;
use crate::{setup, sh};

/// Templates are other people's work: they are fetched, and compared by their hashes with what the
/// repository has of them.
pub fn templates(place: &Place, extent: Extent) -> Result<()> {
    let folder = place.cache.join("templates");
    sh::show(place.command(place.python()).arg("tests/golden/make/templates.py").arg(&folder))?;
    sh::show(fetched(place, extent, "real_templates").env("PHI_TEMPLATES", folder))
}

/// llama.cpp's quantisers make the files.
pub fn mixes(place: &Place, extent: Extent) -> Result<()> {
    setup::llama_cpp(place)?;
    let folder = place.cache.join("mixes");
    sh::show(place.command(place.python()).arg("tests/golden/make/mixes.py").arg(&folder))?;
    sh::show(fetched(place, extent, "weights::mixes").env("PHI_MIXES", folder))
}

/// A model is rounded on a text for it, which takes minutes.
pub fn calibration(place: &Place, extent: Extent) -> Result<()> {
    let text = readmes::write(place)?;
    sh::show(fetched(place, extent, "calibrate::real").env("PHI_CALIBRATION", text))
}

/// Half a gigabyte or more is fetched for it.
pub fn qwen(place: &Place, extent: Extent, which: &Qwen) -> Result<()> {
    let model = which.fetch(place)?;
    let golden = place.root.join(format!("tests/golden/qwen/{}.json", which.size));
    let known = [("PHI_QWEN", model), ("PHI_QWEN_GOLDEN", golden)];
    sh::show(fetched(place, extent, "real_model::qwen").envs(known.clone()))?;
    sh::show(node_tests(place, "tests/browser/real", extent)?.envs(known))
}

/// Tests natively that only run once something was fetched for them.
fn fetched(place: &Place, extent: Extent, tests: &str) -> Command {
    let mut cargo = cargo_test(place, extent, "X86_64_UNKNOWN_LINUX_GNU", "");
    cargo.args(["--test=integration", FEATURES, "--", "--ignored", "--nocapture", tests]);
    cargo
}
