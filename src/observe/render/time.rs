//! Moments as text. Owns the form alone.

use std::fmt;
use std::time::Duration;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A moment as RFC 3339 has it, in UTC and with milliseconds, as in `2026-11-28T21:00:00.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(
    /// Since the Unix epoch. What is after 9999-12-30T22:00:00.999Z, the last moment that can be
    /// written in any time zone with a year of four digits, is written as that.
    pub Duration,
);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", moment(self.0))
    }
}

/// A moment as HTTP has it (RFC 9110, 5.6.7), as in `Sat, 28 Nov 2026 21:00:00 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate(
    /// Since the Unix epoch; with the last moment of [`Timestamp`].
    pub Duration,
);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DateTimePrinter::new()
            .print_timestamp_rfc9110(&moment(self.0), StdFmtWrite(f))
            .map_err(|_| fmt::Error)
    }
}

/// The moment so long after the Unix epoch, to the millisecond, or the last one there is.
fn moment(since_epoch: Duration) -> jiff::Timestamp {
    let milliseconds = i64::try_from(since_epoch.as_millis()).ok();
    let moment = milliseconds.and_then(|count| jiff::Timestamp::from_millisecond(count).ok());
    moment.unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        // By `date --utc --rfc-email --date=@N`, but for the zone.
        for (seconds, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_899_600, "Sat, 28 Nov 2026 21:00:00 GMT"),
            (u64::MAX, "Thu, 30 Dec 9999 22:00:00 GMT"),
        ] {
            assert_eq!(HttpDate(Duration::from_secs(seconds)).to_string(), want);
        }
    }

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
