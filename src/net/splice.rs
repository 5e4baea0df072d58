//! Pipes, and moving bytes through them without copying (splice(2), pipe(7)).
//!
//! A socket's pages are handed over to the pipe and on to the other socket. Decides nothing; that
//! a pipe is filled only when it is empty is the caller's affair.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::libc;
use nix::unistd::pipe2;

use super::errno::retry;
use crate::config::{PIPE_BYTES, PIPE_BYTES_MIN};

/// A pipe and its two ends.
#[derive(Debug)]
pub struct Pipe {
    read_end: OwnedFd,
    write_end: OwnedFd,
}

impl Pipe {
    /// A new one of [`PIPE_BYTES`] or, where less is allowed, of at least [`PIPE_BYTES_MIN`].
    ///
    /// # Errors
    /// EMFILE, ENFILE and ENOMEM of pipe2(2); EPERM when this user's pipes have reached
    /// fs.pipe-user-pages-soft, beyond which new ones are too small to be of use (pipe(7)).
    pub fn open() -> io::Result<Pipe> {
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let pipe = Pipe { read_end, write_end };
        match pipe.resize() {
            Some(bytes) if bytes >= PIPE_BYTES_MIN => Ok(pipe),
            _ => Err(Errno::EPERM.into()),
        }
    }

    /// Makes it as large as is allowed; the size in bytes that it then has.
    fn resize(&self) -> Option<usize> {
        // libc's type of the argument; every constant fits.
        let resized = fcntl(&self.write_end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as libc::c_int));
        let size = resized.or_else(|_| fcntl(&self.write_end, FcntlArg::F_GETPIPE_SZ));
        size.ok().and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// Moves at most `bytes_max` bytes from the socket into the pipe; 0 if the socket has come to
    /// its end, or before urgent data once the peer has closed.
    ///
    /// # Errors
    /// EAGAIN when the socket is empty, or the pipe full; EINVAL, ENOSYS and EPERM when the kernel
    /// or a sandbox does not splice; those of recv(2).
    pub fn fill(&self, source: impl AsFd, bytes_max: usize) -> io::Result<usize> {
        retry(|| Ok(splice(&source, None, &self.write_end, None, bytes_max, flags())?))
    }

    /// Moves at most `bytes_max` bytes from the pipe into the socket.
    ///
    /// # Errors
    /// EAGAIN when the socket takes nothing, or the pipe is empty; those of send(2).
    pub fn empty(&self, sink: impl AsFd, bytes_max: usize) -> io::Result<usize> {
        retry(|| Ok(splice(&self.read_end, None, &sink, None, bytes_max, flags())?))
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}
