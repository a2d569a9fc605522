//! The date and time that templates ask for.

use chrono::format::StrftimeItems;
use chrono::{DateTime, FixedOffset};
use minijinja::{ErrorKind, State};

use crate::clock;

/// A moment, and how far the clocks of a place are from UTC then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Seconds that the local time is ahead of UTC.
    pub offset: i32,
}

impl Moment {
    /// The present one, here.
    pub(super) fn now() -> Moment {
        Moment {
            seconds: (clock::milliseconds_since_1970() / 1e3) as i64,
            offset: clock::seconds_ahead_of_utc(),
        }
    }
}

/// A moment as `strftime_now` writes it.
pub(super) fn strftime(
    state: &State,
    moment: Moment,
    format: &str,
) -> std::result::Result<String, minijinja::Error> {
    // Each sign of it may be a whole date.
    state.consume_fuel(format.len() as u64)?;
    let now = DateTime::from_timestamp(moment.seconds, 0).zip(FixedOffset::east_opt(moment.offset));
    let items = StrftimeItems::new(format).parse();
    match (now, items) {
        (Some((now, offset)), Ok(items)) => {
            Ok(now.with_timezone(&offset).format_with_items(items.iter()).to_string())
        }
        _ => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now({format:?}) is no date that can be written"),
        )),
    }
}
