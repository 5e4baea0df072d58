//! What is measured and shown of the process itself, and where that is written: the trait
//! [`Telemetry`], and its implementation for the real process. Nothing is decided by any of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::access_log::{AccessLog, WriteError};
use super::stderr;
use super::usage::{OpenDescriptors, usage};
use crate::usage::Usage;

/// What is measured and shown of the process itself.
pub trait Telemetry {
    /// The monotonic time at this very moment, to measure how long something takes. What is decided
    /// is decided by the time of the turn, see [`super::Net::now`].
    fn read_clock(&mut self) -> Instant;

    /// The time since the Unix epoch, which may be set at any moment.
    fn unix_time(&mut self) -> Duration;

    /// What this process uses of its host. Takes a few system calls, but for the first time, when
    /// it counts the descriptors one by one.
    fn usage(&mut self) -> Usage;

    /// Lines of the log that were dropped since they did not fit.
    fn log_lines_dropped(&mut self) -> u64;

    /// Appends whole lines to the access log. Does not block on a reader that is behind: what does
    /// not fit is dropped and counted. Does nothing where there is no access log.
    ///
    /// # Errors
    /// [`WriteError`] for the first failure after a success.
    fn write_access_log(&mut self, lines: &[u8]) -> Result<(), WriteError>;

    /// Ends the access log: writes how many of the last lines were dropped.
    fn finish_access_log(&mut self);

    /// Opens the file of the access log again, which may have been renamed, and returns its path;
    /// `None` where it has none.
    ///
    /// # Errors
    /// A message with the path; then the old file is kept.
    fn reopen_access_log(&mut self) -> Result<Option<PathBuf>, String>;

    /// Lines of the access log that were dropped; `None` where there is no access log.
    fn access_log_lines_dropped(&mut self) -> Option<u64>;
}

/// That of the real process.
#[derive(Debug, Default)]
pub struct ProcessTelemetry {
    pub(super) descriptors: OpenDescriptors,
    access_log: Option<AccessLog>,
}

impl ProcessTelemetry {
    /// Sets the access log.
    pub fn log_access_to(&mut self, access_log: AccessLog) {
        self.access_log = Some(access_log);
    }
}

impl Telemetry for ProcessTelemetry {
    fn read_clock(&mut self) -> Instant {
        Instant::now()
    }

    fn unix_time(&mut self) -> Duration {
        // Before 1970 only where the clock was never set.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn usage(&mut self) -> Usage {
        usage(&mut self.descriptors)
    }

    fn log_lines_dropped(&mut self) -> u64 {
        stderr::lines_dropped()
    }

    fn write_access_log(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        self.access_log.as_mut().map_or(Ok(()), |access_log| access_log.write(lines))
    }

    fn finish_access_log(&mut self) {
        if let Some(access_log) = &mut self.access_log {
            access_log.finish();
        }
    }

    fn reopen_access_log(&mut self) -> Result<Option<PathBuf>, String> {
        let Some(access_log) = &mut self.access_log else { return Ok(None) };
        access_log.reopen()?;
        Ok(access_log.path().map(Path::to_owned))
    }

    fn access_log_lines_dropped(&mut self) -> Option<u64> {
        self.access_log.as_ref().map(AccessLog::dropped)
    }
}
