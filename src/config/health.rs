//! The values of the flags about health checks that are words or something else. Pure.

use std::str::FromStr;
use std::time::Duration;

use super::limits::HEALTH_PATH_BYTES_MAX;

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
}
