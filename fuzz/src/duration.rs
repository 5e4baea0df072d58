//! Durations: the same value as Go's `time.ParseDuration` gives, and a format that reads back.
//!
//! The oracle reads characters into wide integers that cannot overflow and checks the range once,
//! at the end. It must not call the product, nor share a limit with it.

use std::iter::Peekable;
use std::str::{self, Chars};
use std::time::Duration;

use etcd_gateway::config::duration::{DurationError, format_duration, parse};

use super::assert_one_line;

/// Reads the bytes as a text, and their beginning as a number of nanoseconds.
pub fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        check_text(text);
    }
    if let Some((first, _)) = data.split_first_chunk() {
        let number = u64::from_le_bytes(*first);
        check_format(number);
        // Most numbers of 64 bits are centuries: check shorter ones as well.
        check_format(number >> (number % 64));
    }
}

fn check_text(text: &str) {
    let parsed = parse(text);
    match &parsed {
        Ok(nanoseconds) => {
            assert_eq!(expected(text), Some(*nanoseconds), "{text:?}");
            check_signs(text, *nanoseconds);
            // Another term adds to what is there, unless that is the bare 0.
            assert_eq!(parse(&format!("{text}0s")), parsed, "{text:?}");
            check_format(nanoseconds.unsigned_abs());
        }
        Err(error) => {
            assert_eq!(expected(text), None, "{text:?}: {error:?}");
            assert_one_line(&error.to_string());
            check_reason(text, error);
        }
    }
}

fn check_signs(text: &str, nanoseconds: i64) {
    let unsigned = match text.strip_prefix(['-', '+']) {
        Some(unsigned) => unsigned,
        None => {
            assert!(nanoseconds >= 0, "{text:?}");
            text
        }
    };
    assert!(nanoseconds >= 0 || text.starts_with('-'), "{text:?}");
    // The least value has no opposite within the range.
    if nanoseconds > i64::MIN {
        let magnitude = nanoseconds.abs();
        assert_eq!(parse(unsigned), Ok(magnitude), "{text:?}");
        assert_eq!(parse(&format!("+{unsigned}")), Ok(magnitude), "{text:?}");
        assert_eq!(parse(&format!("-{unsigned}")), Ok(-magnitude), "{text:?}");
    }
}

/// The reason must be true of the text.
fn check_reason(text: &str, error: &DurationError) {
    match error {
        DurationError::UnitUnknown(unit) => {
            assert!(text.contains(unit.as_str()), "{text:?}: {unit:?}");
            assert!(!unit.is_empty() && !unit.contains(|c: char| c.is_ascii_digit()), "{text:?}");
            assert_eq!(expected(&format!("1{unit}")), None, "{text:?}: {unit:?}");
        }
        DurationError::UnitMissing | DurationError::Overflow => {
            assert!(text.contains(|c: char| c.is_ascii_digit()), "{text:?}: {error:?}");
        }
        DurationError::Malformed => {}
    }
}

fn check_format(number: u64) {
    let text = format_duration(Duration::from_nanos(number));
    assert_eq!(text, expected_format(number));
    let parsed = parse(&text);
    match i64::try_from(number) {
        Ok(nanoseconds) => assert_eq!(parsed, Ok(nanoseconds), "{text:?}"),
        Err(_) => assert_eq!(parsed, Err(DurationError::Overflow), "{text:?}"),
    }
}

/// The nanoseconds that Go's `time.ParseDuration` returns for a text; `None` where it refuses.
pub fn expected(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut sum: u128 = 0;
    let mut rest = unsigned.chars().peekable();
    while rest.peek().is_some() {
        let integer = take(&mut rest, |c| c.is_ascii_digit());
        let fraction = match rest.next_if_eq(&'.') {
            Some(_) => take(&mut rest, |c| c.is_ascii_digit()),
            None => String::new(),
        };
        let unit = take(&mut rest, |c| c != '.' && !c.is_ascii_digit());
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit = nanoseconds_of(&unit)?;
        sum += number(&integer) * unit + part(&fraction, unit);
    }
    // Unlike in Go, where two terms of 2^63 are accepted, and their sum wraps around to 0.
    let magnitude = i128::try_from(sum).ok()?;
    i64::try_from(if text.starts_with('-') { -magnitude } else { magnitude }).ok()
}

fn take(rest: &mut Peekable<Chars>, belongs: fn(char) -> bool) -> String {
    let mut taken = String::new();
    while let Some(c) = rest.next_if(|c| belongs(*c)) {
        taken.push(c);
    }
    taken
}

fn nanoseconds_of(unit: &str) -> Option<u128> {
    let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
    let sizes =
        [1, 1_000, 1_000, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000];
    units.iter().position(|known| *known == unit).map(|at| sizes[at])
}

/// The value of digits. For a value above that of any duration, some number above it.
fn number(digits: &str) -> u128 {
    digits
        .bytes()
        .fold(0, |value, digit| (value * 10 + u128::from(digit - b'0')).min(u128::MAX >> 64))
}

/// The nanoseconds of a fraction. Go multiplies in floating point, which shows in the last
/// nanosecond; exact arithmetic bounds the difference.
fn part(fraction: &str, unit: u128) -> u128 {
    // Go reads digits as long as they fit into 63 bits.
    let (mut digits, mut scale) = (0, 1.0);
    for digit in fraction.bytes() {
        let longer = digits * 10 + u128::from(digit - b'0');
        if longer > 1 << 63 {
            break;
        }
        (digits, scale) = (longer, scale * 10.0);
    }
    let floating = (digits as f64 * (unit as f64 / scale)) as u128;

    // Twenty-four digits are far beyond any nanosecond, and their product fits.
    let exact_digits = &fraction[..fraction.len().min(24)];
    let exact_scale = 10_u128.pow(exact_digits.len() as u32);
    let product = number_exact(exact_digits) * unit;
    let (exact, rest) = (product / exact_scale, product % exact_scale);
    // Rounding may cross a whole nanosecond only within a hundredth of it.
    let is_whole = unit.is_multiple_of(exact_scale);
    let lowest = exact - u128::from(!is_whole && rest < exact_scale / 100 && exact > 0);
    let highest = exact + u128::from(rest > exact_scale / 100 * 99);
    assert!((lowest..=highest).contains(&floating), ".{fraction} of {unit}: {floating} {exact}");
    floating
}

fn number_exact(digits: &str) -> u128 {
    digits.bytes().fold(0, |value, digit| value * 10 + u128::from(digit - b'0'))
}

/// Go's `Duration.String`, from the last character to the first.
fn expected_format(nanoseconds: u64) -> String {
    let (unit, mut digits) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 0),
        1_000..1_000_000 => ("µs", 3),
        1_000_000..1_000_000_000 => ("ms", 6),
        _ => ("s", 9),
    };
    let mut reversed: Vec<char> = unit.chars().rev().collect();
    let mut rest = nanoseconds;
    let mut is_started = false;
    while digits > 0 {
        let digit = rest % 10;
        is_started |= digit != 0;
        if is_started {
            reversed.push(char::from(b'0' + digit as u8));
        }
        (rest, digits) = (rest / 10, digits - 1);
    }
    if is_started {
        reversed.push('.');
    }
    if unit == "s" {
        push_reversed(&mut reversed, rest % 60);
        for (unit, count) in [('m', rest / 60 % 60), ('h', rest / 3600)] {
            let is_shown = if unit == 'm' { rest >= 60 } else { count > 0 };
            if is_shown {
                reversed.push(unit);
                push_reversed(&mut reversed, count);
            }
        }
    } else {
        push_reversed(&mut reversed, rest);
    }
    reversed.iter().rev().collect()
}

fn push_reversed(reversed: &mut Vec<char>, number: u64) {
    reversed.extend(number.to_string().chars().rev());
}
