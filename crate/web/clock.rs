//! Seconds that pass, by the browser's clock, which pages and workers have.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn date_now() -> f64;
}

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    now() / 1e3
}

/// Milliseconds since 1970.
pub fn milliseconds_since_1970() -> f64 {
    date_now()
}
