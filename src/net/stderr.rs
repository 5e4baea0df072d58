//! Standard error for the log: a reader that has stopped reading must not stop the gateway.
//!
//! A pipe without a reader takes 64 KiB and then blocks its writer, and the reactor has one thread.
//! So a line is written only if it fits; otherwise it is dropped and counted, and before the next
//! line that fits there is one with the number of dropped lines. Before the first line that does
//! not fit is dropped, there is a short wait: a pipe may have a single page (pipe(7)) and a reader
//! that is only a little behind. O_NONBLOCK is not an alternative: it belongs to the open file,
//! which other processes share, such as the shell that started this one.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use super::room::{PIPE_BYTES, has_room};

/// The wait for a reader that is behind.
const PATIENCE_MILLISECONDS: u8 = 10;
/// Shortest time between two such waits.
const PATIENCE_INTERVAL: Duration = Duration::from_secs(1);

/// Lines that were dropped since the start. The log is one for the process, and so is this: the
/// `log` crate owns the writer.
static LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log were dropped since the start.
pub(super) fn lines_dropped() -> u64 {
    LINES_DROPPED.load(Ordering::Relaxed)
}

/// A writer that takes one line of the log in each call of `write`.
#[derive(Debug)]
pub struct LineWriter {
    /// Words the line with the number of dropped lines, its newline included.
    notice: fn(u64) -> String,
    /// Lines that were dropped since the last one that was written.
    missing: u64,
    waited_at: Option<Instant>,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.missing > 0 {
            let notice = (self.notice)(self.missing);
            if self.write_if_it_fits(notice.as_bytes())? {
                self.missing = 0;
            }
        }
        if !self.write_if_it_fits(line)? {
            self.missing += 1;
            LINES_DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineWriter {
    /// A writer that has not written anything.
    pub fn new(notice: fn(u64) -> String) -> LineWriter {
        LineWriter { notice, missing: 0, waited_at: None }
    }

    /// Writes the line piece by piece. False if there is no room for a piece: it is lost with the
    /// rest.
    fn write_if_it_fits(&mut self, line: &[u8]) -> io::Result<bool> {
        for piece in line.chunks(PIPE_BYTES) {
            if !has_room(io::stderr(), PollTimeout::ZERO) && !self.wait_for_room() {
                return Ok(false);
            }
            io::stderr().write_all(piece)?;
        }
        Ok(true)
    }

    /// Waits for the reader, unless it did so a moment ago. False if there is no room after that.
    fn wait_for_room(&mut self) -> bool {
        let now = Instant::now();
        if self.waited_at.is_some_and(|at| now.duration_since(at) < PATIENCE_INTERVAL) {
            return false;
        }
        self.waited_at = Some(now);
        has_room(io::stderr(), PollTimeout::from(PATIENCE_MILLISECONDS))
    }
}
