//! Pipes, and moving bytes through them without copying (splice(2), pipe(7)).
//!
//! A socket's pages are handed over to the pipe and on to the other socket. Decides nothing; that
//! a pipe is filled only when it is empty is the caller's affair.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::libc;
use nix::unistd::pipe2;

use super::NetError;
use super::errno::{is_refusal, net_error, retry};
use crate::config::limits::{PIPE_BYTES, PIPE_BYTES_MIN};

/// A pipe and its two ends.
#[derive(Debug)]
pub struct Pipe {
    read_end: OwnedFd,
    write_end: OwnedFd,
}

impl Pipe {
    /// A new one of [`PIPE_BYTES`] or, where that is not allowed, of [`PIPE_BYTES_MIN`].
    ///
    /// # Errors
    /// `Descriptors` and `Memory` of pipe2(2). `Denied` when this user's pipes have reached
    /// fs.pipe-user-pages-soft, beyond which new ones are too small to be of use, or when
    /// fs.pipe-max-size is too small for one (pipe(7)). `NotSupported` when a sandbox refuses the
    /// call itself, which knows no EPERM of its own.
    pub fn open() -> Result<Pipe, NetError> {
        let (read_end, write_end) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| refused(errno.into()))?;
        let pipe = Pipe { read_end, write_end };
        // libc's type of the argument; both constants fit.
        let is_resized = pipe.resize(&[PIPE_BYTES, PIPE_BYTES_MIN].map(|size| size as libc::c_int));
        if is_resized {
            return Ok(pipe);
        }
        // What forbids to ask for the size as well is no limit.
        match fcntl(&pipe.write_end, FcntlArg::F_GETPIPE_SZ) {
            Ok(_) => Err(NetError::Denied),
            Err(errno) => Err(refused(errno.into())),
        }
    }

    /// Gives it the first of these sizes that is allowed; whether one was.
    fn resize(&self, sizes: &[libc::c_int]) -> bool {
        let resize = |size| fcntl(&self.write_end, FcntlArg::F_SETPIPE_SZ(size));
        sizes.iter().any(|&size| resize(size).is_ok_and(|actual| actual >= size))
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

fn refused(error: io::Error) -> NetError {
    if is_refusal(&error) { NetError::NotSupported } else { net_error(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_the_first_size_that_is_allowed() {
        let pipe = Pipe::open().expect("a pipe");
        let size = || fcntl(&pipe.write_end, FcntlArg::F_GETPIPE_SZ).expect("its size");
        // No pipe can have a negative size (EINVAL).
        assert!(pipe.resize(&[-1, 65_536]));
        assert_eq!(size(), 65_536);
        assert!(!pipe.resize(&[-1]));
        assert_eq!(size(), 65_536);
        assert!(pipe.resize(&[131_072, 65_536]));
        assert_eq!(size(), 131_072);
    }

    #[test]
    fn a_refusal_is_told_from_a_shortage() {
        for (errno, want) in [
            (libc::EPERM, NetError::NotSupported),
            (libc::EACCES, NetError::NotSupported),
            (libc::ENOSYS, NetError::NotSupported),
            (libc::EMFILE, NetError::Descriptors),
            (libc::ENFILE, NetError::Descriptors),
        ] {
            assert_eq!(refused(io::Error::from_raw_os_error(errno)), want, "errno {errno}");
        }
    }
}
