//! Durations as Go writes and reads them: `1m0s`, `500ms`, `1h30m`, `1.5s`.
//!
//! A port of `time.ParseDuration` and `Duration.String` (go/src/time/format.go, time.go), so that
//! every text that `etcd gateway` accepts is accepted and means the same to the nanosecond. Which
//! durations a flag takes is decided in `values.rs`.

use std::fmt;
use std::time::Duration;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Why a text is not a duration. Displays as a reason on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Not of the form `[-+]?([0-9]*(\.[0-9]*)?[a-z]+)+`, nor `0`.
    Malformed,
    /// A number without a unit, other than `0`.
    UnitMissing,
    /// A unit other than ns, us, ms, s, m, h.
    UnitUnknown(String),
    /// More nanoseconds than an `i64` can have: about 292 years.
    Overflow,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationError::Malformed => f.write_str("not a duration such as 500ms or 1m30s"),
            DurationError::UnitMissing => f.write_str("missing unit, as in 30s"),
            DurationError::UnitUnknown(unit) => {
                write!(f, "unknown unit {unit:?}; known are ns, us, ms, s, m, h")
            }
            DurationError::Overflow => f.write_str("too long"),
        }
    }
}

/// Reads a duration in Go's syntax. The result is in nanoseconds and may be negative.
///
/// # Errors
/// [`DurationError`] for every text for which Go's `time.ParseDuration` gives an error; and, unlike
/// Go, for two terms of 2^63 ns each, whose sum wraps around to 0 there.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut magnitude: u64 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = term(rest)?;
        // A term has at least a digit and a unit, so every turn of this loop shortens the text.
        assert!(after.len() < rest.len());
        magnitude = magnitude.checked_add(nanoseconds).ok_or(DurationError::Overflow)?;
        rest = after;
    }
    let signed = match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => 0i64.checked_add_unsigned(magnitude),
    };
    debug_assert!(signed.is_none_or(|value| value == 0 || (value < 0) == negative), "the sign");
    signed.ok_or(DurationError::Overflow)
}

/// The number with its unit at the start of `text`, in nanoseconds, and the text after it.
fn term(text: &str) -> Result<(u64, &str), DurationError> {
    let (integer, after_integer) = leading_integer(text)?;
    let (fraction, scale, rest) = match after_integer.strip_prefix('.') {
        Some(digits) => leading_fraction(digits),
        None => (0, 1.0, after_integer),
    };
    // The point does not count as a digit: ".s" has none before and none after it.
    let digits = text.len() - rest.len() - usize::from(after_integer.starts_with('.'));
    if digits == 0 {
        return Err(DurationError::Malformed);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let unit = unit_nanoseconds(&rest[..end])?;
    // In floating point as Go does it, with the same operations in the same order: exact
    // integers would make 0.3333333333333333333h one nanosecond less than its twenty minutes.
    let part = (fraction as f64 * (unit as f64 / scale)) as u64;
    debug_assert!(part <= unit, "a fraction above one");
    let nanoseconds = integer.checked_mul(unit).and_then(|whole| whole.checked_add(part));
    Ok((nanoseconds.ok_or(DurationError::Overflow)?, &rest[end..]))
}

/// The decimal digits at the start of `text`, possibly none, as a number, and the text after them.
fn leading_integer(text: &str) -> Result<(u64, &str), DurationError> {
    let end = digits_end(text);
    let mut value: u64 = 0;
    for digit in text[..end].bytes() {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
        value = next.ok_or(DurationError::Overflow)?;
    }
    Ok((value, &text[end..]))
}

/// The digits after a point: their value is the first result divided by the second. Digits for
/// which 63 bits are too few are read and ignored: they are far below a nanosecond.
fn leading_fraction(text: &str) -> (u64, f64, &str) {
    let end = digits_end(text);
    let mut value: u64 = 0;
    let mut scale = 1.0;
    for digit in text[..end].bytes() {
        if value > i64::MAX as u64 / 10 {
            break;
        }
        value = value * 10 + u64::from(digit - b'0');
        scale *= 10.0;
    }
    debug_assert!(value as f64 <= scale, "a fraction above one");
    (value, scale, &text[end..])
}

fn digits_end(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

fn unit_nanoseconds(unit: &str) -> Result<u64, DurationError> {
    match unit {
        "" => Err(DurationError::UnitMissing),
        "ns" => Ok(1),
        // U+00B5 (micro sign) and U+03BC (Greek letter mu) look the same; Go takes both.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1_000),
        "ms" => Ok(1_000_000),
        "s" => Ok(NANOSECONDS_PER_SECOND),
        "m" => Ok(60 * NANOSECONDS_PER_SECOND),
        "h" => Ok(3600 * NANOSECONDS_PER_SECOND),
        _ => Err(DurationError::UnitUnknown(unit.to_owned())),
    }
}

/// The duration as Go's `Duration.String` writes it: `0s`, `1.5ms`, `1m0s`, `2h0m0.5s`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nanoseconds = u64::from(duration.subsec_nanos());
    if seconds == 0 {
        return match nanoseconds {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => decimal(nanoseconds / 1_000, nanoseconds % 1_000, 3, "µs"),
            _ => decimal(nanoseconds / 1_000_000, nanoseconds % 1_000_000, 6, "ms"),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let tail = decimal(seconds % 60, nanoseconds, 9, "s");
    match (hours, minutes) {
        (0, 0) => tail,
        (0, _) => format!("{minutes}m{tail}"),
        _ => format!("{hours}h{minutes}m{tail}"),
    }
}

/// The whole milliseconds of a duration, as [`format_duration`] writes them: more digits of a time
/// that was measured would only look exact.
pub fn format_milliseconds(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format_duration(Duration::from_millis(milliseconds))
}

/// `whole.fraction` and the unit, where `fraction` counts units of 10^-`width`; no trailing zeros.
fn decimal(whole: u64, fraction: u64, width: usize, unit: &str) -> String {
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let digits = format!("{fraction:0width$}");
    debug_assert_eq!(digits.len(), width, "a fraction above one");
    format!("{whole}.{}{unit}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: i64 = 1_000;
    const MS: i64 = 1_000 * US;
    const SECOND: i64 = 1_000 * MS;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;

    #[track_caller]
    fn check(input: &str, want: i64) {
        assert_eq!(parse(input), Ok(want), "{input}");
    }

    #[track_caller]
    fn refuse(input: &str, want: DurationError) {
        assert_eq!(parse(input), Err(want), "{input}");
    }

    #[test]
    fn simple_values() {
        check("0", 0);
        check("-0", 0);
        check("+0", 0);
        check("0s", 0);
        check("-0s", 0);
        check("5s", 5 * SECOND);
        check("30s", 30 * SECOND);
        check("1478s", 1478 * SECOND);
        check("-5s", -5 * SECOND);
        check("+5s", 5 * SECOND);
        check("10ns", 10);
        check("500ms", 500 * MS);
        check("13m", 13 * MINUTE);
        check("14h", 14 * HOUR);
    }

    #[test]
    fn three_spellings_of_a_microsecond() {
        check("1us", US);
        check("1\u{b5}s", US);
        check("1\u{3bc}s", US);
        check("12µs34ns", 12 * US + 34);
    }

    #[test]
    fn fractions() {
        check("5.0s", 5 * SECOND);
        check("5.6s", 5 * SECOND + 600 * MS);
        check("5.s", 5 * SECOND);
        check("1.s", SECOND);
        check(".5s", 500 * MS);
        check("-.5s", -500 * MS);
        check("1.0s", SECOND);
        check("1.00s", SECOND);
        check("1.004s", SECOND + 4 * MS);
        check("1.0040s", SECOND + 4 * MS);
        check("100.00100s", 100 * SECOND + MS);
        check("1.5ns", 1);
        check("0.9ns", 0);
    }

    /// Cases of Go's own table (time_test.go) where the fraction has more digits than an i64.
    #[test]
    fn long_fractions_match_go() {
        check("0.100000000000000000000h", 6 * MINUTE);
        check("0.3333333333333333333h", 20 * MINUTE);
        check("0.830103483285477580700h", 49 * MINUTE + 48 * SECOND + 372_539_827);
        check("0.9223372036854775807h", 55 * MINUTE + 20 * SECOND + 413_933_267);
        check(&format!("0.{}1h", "0".repeat(10_000)), 0);
    }

    #[test]
    fn composed_values() {
        check("1m0s", MINUTE);
        check("3h30m", 3 * HOUR + 30 * MINUTE);
        check("10.5s4m", 4 * MINUTE + 10 * SECOND + 500 * MS);
        check("-2m3.4s", -(2 * MINUTE + 3 * SECOND + 400 * MS));
        check("1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3 * SECOND + 4 * MS + 5 * US + 6);
        check("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14 * SECOND + 425 * MS);
        check("1s1s", 2 * SECOND);
        check("52763797000ns", 52_763_797_000);
    }

    #[test]
    fn the_edge_of_the_range() {
        check("9007199254740993ns", (1 << 53) + 1);
        check("9223372036854775807ns", i64::MAX);
        check("9223372036854775.807us", i64::MAX);
        check("9223372036s854ms775us807ns", i64::MAX);
        check("-9223372036854775808ns", i64::MIN);
        check("-9223372036854775.808us", i64::MIN);
        check("-2562047h47m16.854775808s", i64::MIN);
        check(&format!("{}1s", "0".repeat(10_000)), SECOND);
    }

    #[test]
    fn overflow_is_an_error() {
        for input in [
            "9223372036854775808ns",
            "9223372036854775.808us",
            "9223372036854ms775us808ns",
            "9223372036854775809ns",
            "-9223372036854775809ns",
            "9223372036854775810ns",
            "92233720368547758070ns",
            "18446744073709551616ns",
            "99999999999999999999999s",
            "3000000h",
            "2562048h",
            "5124096h",
            "18446744073.99s",
            "9223372036854775807h",
            "9223372036854775808ns9223372036854775808ns",
            "9223372036854775807.9s",
        ] {
            refuse(input, DurationError::Overflow);
        }
    }

    #[test]
    fn malformed_values() {
        for input in ["", "-", "+", "s", ".", "-.", ".s", "+.s", "-s", "x", " 1s", "--1s", "+-1s"] {
            refuse(input, DurationError::Malformed);
        }
        for input in ["³s", "１s", "\u{b5}s", "é"] {
            refuse(input, DurationError::Malformed);
        }
    }

    #[test]
    fn units_are_required_and_known() {
        for input in ["3", "-3", "1.5", "1h1", "00", "0.0", "1.5.5s", "1..s"] {
            refuse(input, DurationError::UnitMissing);
        }
        for (input, unit) in [
            ("1d", "d"),
            ("1 m", " m"),
            ("1m ", "m "),
            ("1S", "S"),
            ("1sec", "sec"),
            ("1e3s", "e"),
            ("1s,2s", "s,"),
            ("1é", "é"),
            ("0x1s", "x"),
            ("1s-1s", "s-"),
        ] {
            refuse(input, DurationError::UnitUnknown(unit.to_owned()));
        }
    }

    #[test]
    fn messages_fit_one_line() {
        assert_eq!(
            DurationError::UnitUnknown("\n".to_owned()).to_string(),
            r#"unknown unit "\n"; known are ns, us, ms, s, m, h"#
        );
        assert_eq!(DurationError::UnitMissing.to_string(), "missing unit, as in 30s");
    }

    #[test]
    fn the_format_is_that_of_go() {
        for (nanoseconds, want) in [
            (0, "0s"),
            (1, "1ns"),
            (999, "999ns"),
            (1_000, "1µs"),
            (1_100, "1.1µs"),
            (999_999, "999.999µs"),
            (1_000_000, "1ms"),
            (2_200_000, "2.2ms"),
            (500_000_000, "500ms"),
            (999_999_999, "999.999999ms"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (3_000_000_001, "3.000000001s"),
            (30_000_000_000, "30s"),
            (60_000_000_000, "1m0s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (300_000_000_000, "5m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (i64::MAX as u64, "2562047h47m16.854775807s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanoseconds)), want);
        }
        assert_eq!(format_duration(Duration::MAX), "5124095576030431h0m15.999999999s");
    }

    #[test]
    fn what_is_formatted_parses_to_the_same() {
        let mut nanoseconds: u64 = 1;
        while nanoseconds <= i64::MAX as u64 / 7 {
            let text = format_duration(Duration::from_nanos(nanoseconds));
            check(&text, nanoseconds as i64);
            nanoseconds = nanoseconds * 7 + 3;
        }
    }
}
