//! Standard error for the log: a reader that has stopped reading must not stop the gateway.
//!
//! A pipe that nobody empties takes 64 KiB and then blocks whoever writes to it, and the reactor
//! has one thread. So a line is written only if it fits; otherwise it is dropped and counted, and
//! before the next line that fits comes one that says how many were. The first line that does not
//! fit is worth a short wait: a pipe may be one page small (pipe(7)) and its reader only a little
//! behind. O_NONBLOCK would not do: it belongs to the open file, which others, such as the shell
//! that started us, use too.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a pipe has room for when poll(2) calls it writable (PIPE_BUF, pipe(7)).
const PIPE_BYTES: usize = 4096;

/// The wait for a reader that is behind: so long, and once in so long.
const PATIENCE_MILLISECONDS: u8 = 10;
const PATIENCE_INTERVAL: Duration = Duration::from_secs(1);

/// Lines that were dropped since the start. A process has one standard error.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log were dropped since the start.
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Takes one line of the log in each call of `write`.
#[derive(Debug)]
pub struct LineWriter {
    /// Words the line that says how many are missing before it, with its end.
    notice: fn(u64) -> String,
    /// Lines that are missing since the last one that was written.
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
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineWriter {
    /// Nothing written so far.
    pub fn new(notice: fn(u64) -> String) -> LineWriter {
        LineWriter { notice, missing: 0, waited_at: None }
    }

    /// Writes piece by piece; false if there was no room for one, which then is lost with the rest.
    fn write_if_it_fits(&mut self, line: &[u8]) -> io::Result<bool> {
        for piece in line.chunks(PIPE_BYTES) {
            if !has_room(PollTimeout::ZERO) && !self.wait_for_room() {
                return Ok(false);
            }
            io::stderr().write_all(piece)?;
        }
        Ok(true)
    }

    /// Waits for the reader, unless that was done a moment ago; false if it was in vain.
    fn wait_for_room(&mut self) -> bool {
        let now = Instant::now();
        let is_recent = |at| now.duration_since(at) < PATIENCE_INTERVAL;
        if self.waited_at.is_some_and(is_recent) {
            return false;
        }
        self.waited_at = Some(now);
        has_room(PollTimeout::from(PATIENCE_MILLISECONDS))
    }
}

fn has_room(patience: PollTimeout) -> bool {
    let stderr = io::stderr();
    let mut descriptors = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // None is ready: it would block. An error is for the write to find.
    poll(&mut descriptors, patience) != Ok(0)
}
