//! Telling the page how far loading has come.

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::json::to_js;
use crate::wire::LoadProgress;

/// A listener that throws must not end the download.
pub fn report(on_progress: &Function, told: &LoadProgress) {
    drop(on_progress.call1(&JsValue::UNDEFINED, &to_js(told)));
}
