//! The values of the flags about health checks that are words or something else. Pure.

use std::str::FromStr;
use std::time::Duration;

use super::flags::{
    CLOSE_ON_FAILURE, CLOSE_RATE, HEALTH_FALL, HEALTH_INTERVAL, HEALTH_PORT, HEALTH_RISE,
    HEALTH_TIMEOUT, Typed,
};
use super::limits::HEALTH_PATH_BYTES_MAX;
use super::sections::Health;
use super::unused::{NoEffect, UnusedFlag};

/// What endpoints are asked in health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckMode {
    /// The status of a member of etcd, where an endpoint may be one and answers as one.
    Auto,
    /// Nothing.
    Off,
    /// The status of a member of etcd.
    Etcd,
    /// This path, which begins with a slash.
    Path(String),
}

/// When running connections of an endpoint that fails its checks are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseOnFailure {
    /// At once where endpoints are asked as etcd, otherwise never.
    ByCheck,
    /// Never.
    Never,
    /// So long after the failure.
    After(Duration),
}

/// When running connections of an endpoint that was removed are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseOnRemoval {
    /// Never.
    Never,
    /// So long after the removal.
    After(Duration),
}

impl FromStr for HealthCheckMode {
    type Err = String;

    fn from_str(text: &str) -> Result<HealthCheckMode, String> {
        match text {
            "auto" => Ok(HealthCheckMode::Auto),
            "off" => Ok(HealthCheckMode::Off),
            "etcd" => Ok(HealthCheckMode::Etcd),
            path if path.starts_with('/') => parse_path(path),
            _ => Err("must be auto, off, etcd, or a path that begins with /".to_owned()),
        }
    }
}

/// A path goes into a request as it is (RFC 9112, section 3.2.1), so it must not end a line, nor
/// have a blank in it.
fn parse_path(path: &str) -> Result<HealthCheckMode, String> {
    if let Some(found) = path.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        return Err(format!("{found:?} in the path; it is written as %XX"));
    }
    if path.len() > HEALTH_PATH_BYTES_MAX {
        return Err(format!("more than {HEALTH_PATH_BYTES_MAX} bytes"));
    }
    Ok(HealthCheckMode::Path(path.to_owned()))
}

/// The flags that have no effect. `has_questions`: members are asked for other reasons than their
/// health, too, within the same time.
pub(super) fn unused(typed: &Typed, health: &Health, has_questions: bool) -> Vec<UnusedFlag> {
    let off = (health.check == HealthCheckMode::Off).then_some(NoEffect::NoHealthCheck);
    let never_removed = health.close_on_removal == CloseOnRemoval::Never;
    let flags = [
        (HEALTH_INTERVAL, off),
        (HEALTH_TIMEOUT, off.filter(|_| !has_questions)),
        (HEALTH_RISE, off),
        (HEALTH_FALL, off),
        (HEALTH_PORT, off),
        (CLOSE_ON_FAILURE, off),
        (CLOSE_RATE, off.filter(|_| never_removed)),
    ];
    let unused = flags.into_iter();
    unused
        .filter_map(|(flag, reason)| UnusedFlag::find(&flag, typed.last(&flag)?, reason))
        .collect()
}

impl CloseOnFailure {
    /// How long after a failure connections are closed, `None` for never. `is_etcd`: the endpoint
    /// is asked as etcd.
    pub fn delay(self, is_etcd: bool) -> Option<Duration> {
        match self {
            CloseOnFailure::ByCheck => is_etcd.then_some(Duration::ZERO),
            CloseOnFailure::Never => None,
            CloseOnFailure::After(delay) => Some(delay),
        }
    }
}

impl CloseOnRemoval {
    /// How long after a removal connections are closed; `None` for never.
    pub fn delay(self) -> Option<Duration> {
        match self {
            CloseOnRemoval::Never => None,
            CloseOnRemoval::After(delay) => Some(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::{CLOSE_ON_REMOVAL, HEALTH_CHECK};
    use super::*;

    #[test]
    fn words_and_paths() {
        for (text, want) in [
            ("auto", HealthCheckMode::Auto),
            ("off", HealthCheckMode::Off),
            ("etcd", HealthCheckMode::Etcd),
            ("/readyz?verbose=1&a=%20", HealthCheckMode::Path("/readyz?verbose=1&a=%20".into())),
            ("/", HealthCheckMode::Path("/".into())),
        ] {
            assert_eq!(text.parse(), Ok(want));
        }
        let long = format!("/{}", "a".repeat(HEALTH_PATH_BYTES_MAX));
        for (text, want) in [
            ("", "must be auto, off, etcd, or a path"),
            ("Etcd", "must be auto, off, etcd, or a path"),
            ("readyz", "a path that begins with /"),
            ("/a b", "' ' in the path"),
            ("/a\r\nHost: b", "'\\r' in the path"),
            ("/ä", "'ä' in the path"),
            ("/a#b", "'#' in the path"),
            (&long, "more than 1024 bytes"),
        ] {
            let error = text.parse::<HealthCheckMode>().expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn connections_are_closed_by_default_only_where_etcd_has_said_that_it_does_not_serve() {
        let second = Duration::from_secs(1);
        for (value, of_etcd, of_others) in [
            (CloseOnFailure::ByCheck, Some(Duration::ZERO), None),
            (CloseOnFailure::Never, None, None),
            (CloseOnFailure::After(second), Some(second), Some(second)),
        ] {
            assert_eq!((value.delay(true), value.delay(false)), (of_etcd, of_others));
        }
    }

    /// The names of the flags of checks that have no effect next to these two.
    fn unused_with(check: &str, removal: &str, has_questions: bool) -> Vec<&'static str> {
        let values = [
            (&HEALTH_CHECK, check),
            (&HEALTH_INTERVAL, "1s"),
            (&HEALTH_TIMEOUT, "1s"),
            (&HEALTH_RISE, "1"),
            (&HEALTH_FALL, "1"),
            (&HEALTH_PORT, "1"),
            (&CLOSE_ON_FAILURE, "0s"),
            (&CLOSE_ON_REMOVAL, removal),
            (&CLOSE_RATE, "1"),
        ];
        let typed: Typed = values.into_iter().collect();
        let health = Health::from_typed(&typed).expect("valid");
        let unused = unused(&typed, &health, has_questions).into_iter();
        unused
            .map(|UnusedFlag { flag, reason }| {
                assert_eq!(reason, NoEffect::NoHealthCheck, "{flag}");
                flag
            })
            .collect()
    }

    #[test]
    fn flags_of_checks_have_no_effect_without_checks() {
        for check in ["auto", "etcd", "/a"] {
            assert_eq!(unused_with(check, "never", false), [""; 0], "{check}");
        }
        let always =
            ["health-interval", "health-rise", "health-fall", "health-port", "close-on-failure"];
        assert_eq!(unused_with("off", "1s", true), always);
        let all = unused_with("off", "never", false);
        let more = ["health-timeout", "close-rate"];
        assert!(always.iter().chain(&more).all(|flag| all.contains(flag)), "{all:?}");
        assert_eq!(all.len(), always.len() + more.len());
    }
}
