//! Readers for the types of values that the configuration has. Pure.
//!
//! The flag's row has the default and the range; the type of the field chooses the reader. A row of
//! another kind is a mistake in `sections.rs`, which every start shows, since it reads all fields.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;

use super::address::AddressError;
use super::admin::{AccessLogFormat, AccessLogPath};
use super::duration::{self, format_duration};
use super::flags::{DurationRange, Flag, Kind, Typed, UsageError, has_password, unquoted};
use super::health::{CloseOnFailure, CloseOnRemoval, HealthCheckMode};
use super::members::Preference;
use super::status::StatusOutput;
use super::unused::given;

/// A type that a flag's value can have.
pub(super) trait Value: Sized {
    /// Reads what was typed for the flag, or its default.
    ///
    /// # Errors
    /// [`UsageError`] for a text that is not of this type, and a value out of the flag's range.
    fn read(flag: &Flag, typed: &Typed) -> Result<Self, UsageError>;
}

/// The panic's message for a row of another kind.
const WRONG_KIND: &str = "the kind of the flag's row and the type of the field differ";

/// A list of addresses.
impl<T: FromStr<Err = AddressError>> Value for Vec<T> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Vec<T>, UsageError> {
        let Kind::List { default, max, .. } = flag.kind else { unreachable!("{WRONG_KIND}") };
        let texts = typed.all(flag);
        if texts.is_empty() && default.is_empty() {
            return Ok(Vec::new());
        }
        let default = [default.to_owned()];
        let mut items = Vec::new();
        for text in if texts.is_empty() { &default } else { texts } {
            if text.is_empty() {
                return Err(UsageError::invalid(flag, text, "empty list"));
            }
            for (index, item) in text.split(',').map(unquoted).enumerate() {
                // The item alone would be invisible in the message.
                if item.is_empty() {
                    return Err(UsageError::invalid(flag, text, "empty item in the list"));
                }
                if items.len() == max {
                    let reason = format!("more than {max} addresses");
                    return Err(UsageError::invalid(flag, item, reason));
                }
                let parsed = item.parse();
                items.push(parsed.map_err(|error| refused_item(flag, text, index, error))?);
            }
        }
        assert!(!items.is_empty());
        Ok(items)
    }
}

/// The error for the item at `index` of a list. A password with a comma in it is in two items, and
/// no message may repeat a part of it.
fn refused_item(flag: &Flag, text: &str, index: usize, reason: AddressError) -> UsageError {
    let rest: Vec<&str> = text.split(',').skip(index).map(unquoted).collect();
    let (item, rest) = (rest[0], rest.join(","));
    if reason.is_about_path() {
        return UsageError::invalid(flag, item, reason);
    }
    if let Some(shown) = [item, &rest].into_iter().find(|shown| has_password(shown)) {
        return UsageError::invalid(flag, shown, AddressError::UserInfo);
    }
    match item.rsplit_once('@') {
        // The password may begin in the item before, where it looks like host and port.
        Some((_user, host)) if index > 0 => {
            UsageError::invalid(flag, &format!("***@{host}"), AddressError::UserInfo)
        }
        _ => UsageError::invalid(flag, item, reason),
    }
}

/// A duration in the flag's range, rounded up to its unit.
impl Value for Duration {
    fn read(flag: &Flag, typed: &Typed) -> Result<Duration, UsageError> {
        let Kind::Duration(range) = &flag.kind else { unreachable!("{WRONG_KIND}") };
        match typed.last(flag) {
            None => Ok(range.default),
            Some(text) => {
                in_range(text, range).map_err(|reason| UsageError::invalid(flag, text, reason))
            }
        }
    }
}

fn in_range(text: &str, range: &DurationRange) -> Result<Duration, String> {
    let nanoseconds = duration::parse(text).map_err(|error| error.to_string())?;
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| "must not be negative".to_owned())?;
    let value = Duration::from_nanos(nanoseconds);
    if value > range.max {
        return Err(format!("must be at most {}", format_duration(range.max)));
    }
    if value.is_zero() && range.is_above_zero {
        return Err("must be above 0".to_owned());
    }
    let unit = range.unit.as_nanos() as u64;
    Ok(Duration::from_nanos(nanoseconds.div_ceil(unit) * unit))
}

/// A duration whose 0 switches off what it limits.
impl Value for Option<Duration> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<Duration>, UsageError> {
        let value = Duration::read(flag, typed)?;
        Ok(Some(value).filter(|value| !value.is_zero()))
    }
}

impl Value for bool {
    fn read(flag: &Flag, typed: &Typed) -> Result<bool, UsageError> {
        assert!(matches!(flag.kind, Kind::Boolean), "{WRONG_KIND}");
        let Some(text) = typed.last(flag) else { return Ok(false) };
        parse_boolean(text).ok_or_else(|| UsageError::invalid(flag, text, "must be true or false"))
    }
}

/// A number; where the flag is absent its default, or `None` if it has none.
impl Value for Option<usize> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<usize>, UsageError> {
        let Kind::Count { default, max } = flag.kind else { unreachable!("{WRONG_KIND}") };
        let Some(text) = typed.last(flag) else { return Ok(default) };
        // The standard library would take a plus sign as well.
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_digits && (1..=max).contains(&number) => Ok(Some(number)),
            _ => {
                let reason = format!("must be a number from 1 to {max}");
                Err(UsageError::invalid(flag, text, reason))
            }
        }
    }
}

/// A number that has a default.
impl Value for u32 {
    fn read(flag: &Flag, typed: &Typed) -> Result<u32, UsageError> {
        let number = Option::<usize>::read(flag, typed)?.expect("the flag's row has a default");
        Ok(u32::try_from(number).expect("the flag's row has a maximum below"))
    }
}

/// A port other than 0; `None` where the flag is absent.
impl Value for Option<u16> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<u16>, UsageError> {
        let number = Option::<usize>::read(flag, typed)?;
        Ok(number.map(|number| u16::try_from(number).expect("the flag's row has a maximum below")))
    }
}

impl Value for HealthCheckMode {
    fn read(flag: &Flag, typed: &Typed) -> Result<HealthCheckMode, UsageError> {
        let Kind::HealthCheck { default } = flag.kind else { unreachable!("{WRONG_KIND}") };
        let text = typed.last(flag).unwrap_or(default);
        text.parse().map_err(|reason| UsageError::invalid(flag, text, reason))
    }
}

impl Value for CloseOnFailure {
    fn read(flag: &Flag, typed: &Typed) -> Result<CloseOnFailure, UsageError> {
        let Some(text) = typed.last(flag) else { return Ok(CloseOnFailure::ByCheck) };
        let after = duration_or_never(flag, text)?;
        Ok(after.map_or(CloseOnFailure::Never, CloseOnFailure::After))
    }
}

impl Value for CloseOnRemoval {
    fn read(flag: &Flag, typed: &Typed) -> Result<CloseOnRemoval, UsageError> {
        let after = typed.last(flag).map(|text| duration_or_never(flag, text)).transpose()?;
        Ok(after.flatten().map_or(CloseOnRemoval::Never, CloseOnRemoval::After))
    }
}

/// `None` for `never`.
fn duration_or_never(flag: &Flag, text: &str) -> Result<Option<Duration>, UsageError> {
    let Kind::DurationOrNever { max } = flag.kind else { unreachable!("{WRONG_KIND}") };
    if text == "never" {
        return Ok(None);
    }
    let unit = Duration::from_nanos(1);
    let range = DurationRange { default: Duration::ZERO, is_above_zero: false, max, unit };
    let after = in_range(text, &range).map_err(|reason| {
        UsageError::invalid(flag, text, format_args!("{reason}; never is taken, too"))
    });
    after.map(Some)
}

/// The path of a file; `None` where the flag is absent or its value empty.
impl Value for Option<PathBuf> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<PathBuf>, UsageError> {
        assert!(matches!(flag.kind, Kind::Text { .. }), "{WRONG_KIND}");
        Ok(given(typed, flag).map(PathBuf::from))
    }
}

/// A preference; `None` where the flag is absent.
impl Value for Option<Preference> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<Preference>, UsageError> {
        let Kind::Word { words, .. } = flag.kind else { unreachable!("{WRONG_KIND}") };
        debug_assert_eq!(words, ["leader"], "a word without a meaning");
        match typed.last(flag) {
            None => Ok(None),
            Some("leader") => Ok(Some(Preference::Leader)),
            Some(text) => Err(UsageError::invalid(flag, text, "must be leader")),
        }
    }
}

/// A place for the access log; `None` where the flag is absent or its value empty.
impl Value for Option<AccessLogPath> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<AccessLogPath>, UsageError> {
        assert!(matches!(flag.kind, Kind::Text { .. }), "{WRONG_KIND}");
        Ok(given(typed, flag).map(AccessLogPath::from))
    }
}

impl Value for AccessLogFormat {
    fn read(flag: &Flag, typed: &Typed) -> Result<AccessLogFormat, UsageError> {
        let Kind::Word { words, default } = flag.kind else { unreachable!("{WRONG_KIND}") };
        debug_assert_eq!(words, ["logfmt", "json"], "a word without a meaning");
        match typed.last(flag).or(default) {
            Some("logfmt") => Ok(AccessLogFormat::Logfmt),
            Some("json") => Ok(AccessLogFormat::Json),
            other => {
                let text = other.unwrap_or_default();
                Err(UsageError::invalid(flag, text, "must be logfmt or json"))
            }
        }
    }
}

impl Value for StatusOutput {
    fn read(flag: &Flag, typed: &Typed) -> Result<StatusOutput, UsageError> {
        let Kind::Word { words, default } = flag.kind else { unreachable!("{WRONG_KIND}") };
        debug_assert_eq!(words, ["table", "json"], "a word without a meaning");
        match typed.last(flag).or(default) {
            Some("table") => Ok(StatusOutput::Table),
            Some("json") => Ok(StatusOutput::Json),
            other => {
                let text = other.unwrap_or_default();
                Err(UsageError::invalid(flag, text, "must be table or json"))
            }
        }
    }
}

/// A log level; `None` where the flag is absent.
impl Value for Option<LevelFilter> {
    fn read(flag: &Flag, typed: &Typed) -> Result<Option<LevelFilter>, UsageError> {
        assert!(matches!(flag.kind, Kind::Level { .. }), "{WRONG_KIND}");
        let Some(text) = typed.last(flag) else { return Ok(None) };
        let reason = "must be off, error, warn, info, debug or trace";
        text.parse().map(Some).map_err(|_| UsageError::invalid(flag, text, reason))
    }
}

/// Reads what Go's `strconv.ParseBool` reads, and so every boolean of etcd.
fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_boolean;

    #[test]
    fn what_go_reads_and_nothing_else() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_boolean(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_boolean(text), Some(false), "{text}");
        }
        for text in ["", "yes", "on", "2", "01", "tRUE", "true ", " f", "-1"] {
            assert_eq!(parse_boolean(text), None, "{text}");
        }
    }
}
