//! What time it is, and seconds that pass. A browser has no `std::time`; its clock is in
//! `web/clock.rs`.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How many seconds the local time is ahead of UTC now: none where no time zone is known, as under
/// WASI.
pub fn seconds_ahead_of_utc() -> i32 {
    chrono::Local::now().offset().local_minus_utc()
}

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    START.elapsed().as_secs_f64()
}

/// Milliseconds since 1970.
pub fn milliseconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}
