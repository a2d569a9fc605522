//! Seconds that pass, by the browser's clock, which pages and workers have.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    now() / 1e3
}
