//! The page with a real model: served, or asked by a headless browser.

use std::path::Path;

use anyhow::Result;

use crate::place::Place;
use crate::{build, setup, sh};

/// Serves until it is ended.
pub fn serve(place: &Place, port: u16) -> Result<()> {
    build::demo(place, || setup::model::fetch(place))?;
    sh::show(
        place
            .command("node")
            .arg("web/tools/serve.mjs")
            .arg(&place.cache)
            .args(["--port", &port.to_string()]),
    )
}

/// Prints what the page in headless Chromium answers.
pub fn ask(place: &Place, question: &str, backend: &str, screenshot: Option<&Path>) -> Result<()> {
    build::demo(place, || {
        setup::chromium()?;
        setup::model::fetch(place)
    })?;
    let mut node = place.command("node");
    node.arg("web/tools/ask.mjs").arg(&place.cache).args(["--backend", backend]);
    if let Some(file) = screenshot {
        node.arg("--screenshot").arg(std::path::absolute(file)?);
    }
    sh::show(node.args(["--", question]))
}
