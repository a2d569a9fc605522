//! What time it is, and seconds that pass, by the browser's clock, which pages and workers have.

use js_sys::Date;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// How many seconds the local time is ahead of UTC now.
pub fn seconds_ahead_of_utc() -> i32 {
    -60 * Date::new_0().get_timezone_offset() as i32
}

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    now() / 1e3
}

/// Milliseconds since 1970.
pub fn milliseconds_since_1970() -> f64 {
    Date::now()
}
