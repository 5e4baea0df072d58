//! Room for writing without being blocked, for logs whose reader may have stopped reading. Owns the
//! rule; each log has its own way with lines that do not fit.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Bytes for which a pipe has room when poll(2) calls it writable (PIPE_BUF, pipe(7)).
pub(super) const PIPE_BYTES: usize = 4096;

/// Whether [`PIPE_BYTES`] can be written without being blocked, now or within `patience`.
pub(super) fn has_room(file: impl AsFd, patience: PollTimeout) -> bool {
    let mut descriptors = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    // 0: a write would block. An error counts as room, since the write reports it.
    poll(&mut descriptors, patience) != Ok(0)
}
