//! Moments as text. Owns the form alone.

use std::fmt;
use std::time::Duration;

/// A moment as RFC 3339 has it, in UTC and with milliseconds, as in `2026-11-28T21:00:00.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(
    /// Since the Unix epoch. What is after 9999-12-30T22:00:00.999Z, the last moment that can be
    /// written in any time zone with a year of four digits, is written as that.
    pub Duration,
);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = i64::try_from(self.0.as_millis()).ok();
        let moment = milliseconds.and_then(|count| jiff::Timestamp::from_millisecond(count).ok());
        let moment = moment.unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{moment:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_of_the_calendar_and_cut_to_milliseconds() {
        // By `date --utc --date=@N`.
        for (seconds, nanoseconds, want) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, 1_999_999, "2000-02-29T00:00:00.001Z"),
            (1_795_899_600, 123_000_000, "2026-11-28T21:00:00.123Z"),
            (4_107_542_399, 999_999_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
            (253_402_300_800, 0, "9999-12-30T22:00:00.999Z"),
            (u64::MAX, 0, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(Timestamp(Duration::new(seconds, nanoseconds)).to_string(), want);
        }
    }
}
