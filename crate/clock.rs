//! Seconds that pass. A browser has no `std::time::Instant`; its clock is in `web/clock.rs`.

use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Seconds since some moment in the past.
pub fn seconds() -> f64 {
    START.elapsed().as_secs_f64()
}
