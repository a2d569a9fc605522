//! Seconds that pass, by the browser's clock.

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    js_sys::Date::now() / 1e3
}
