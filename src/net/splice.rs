//! Pipes, and moving bytes through them without copying (splice(2), pipe(7)).
//!
//! The pages of a socket are moved to the pipe and from there to the other socket. Decides nothing:
//! the caller sees to it that a pipe is filled only while it is empty.

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
    /// Opens a pipe of [`PIPE_BYTES`] or, where that is not allowed, of [`PIPE_BYTES_MIN`].
    ///
    /// # Errors
    /// `Descriptors` and `Memory` of pipe2(2). `Denied` when this user's pipes have reached
    /// fs.pipe-user-pages-soft, beyond which new ones are too small to be useful, or when
    /// fs.pipe-max-size is too small for one (pipe(7)). `NotSupported` when a sandbox refuses the
    /// call: its EPERM cannot be the kernel's, as pipe2(2) has none.
    pub fn open() -> Result<Pipe, NetError> {
        let (read_end, write_end) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| refused(errno.into()))?;
        let pipe = Pipe { read_end, write_end };
        // The argument is of libc's type, which both constants fit.
        let is_resized = pipe.resize(&[PIPE_BYTES, PIPE_BYTES_MIN].map(|size| size as libc::c_int));
        if is_resized {
            return Ok(pipe);
        }
        // A sandbox forbids to ask for the size as well; a limit does not.
        match fcntl(&pipe.write_end, FcntlArg::F_GETPIPE_SZ) {
            Ok(_) => Err(NetError::Denied),
            Err(errno) => Err(refused(errno.into())),
        }
    }

    /// Gives the pipe the first of these sizes that is allowed. Returns whether one was.
    fn resize(&self, sizes: &[libc::c_int]) -> bool {
        sizes.iter().any(|&size| {
            let actual = fcntl(&self.write_end, FcntlArg::F_SETPIPE_SZ(size));
            actual.is_ok_and(|actual| actual >= size)
        })
    }

    /// Moves at most `bytes_max` bytes from the socket into the pipe; 0 at the end of the socket's
    /// bytes, or before urgent data once the peer has closed.
    ///
    /// # Errors
    /// EAGAIN when the socket is empty or the pipe full; EINVAL, ENOSYS and EPERM when the kernel
    /// or a sandbox does not splice; those of recv(2).
    pub fn fill(&self, source: impl AsFd, bytes_max: usize) -> io::Result<usize> {
        retry(|| Ok(splice(&source, None, &self.write_end, None, bytes_max, flags())?))
    }

    /// Moves at most `bytes_max` bytes from the pipe into the socket.
    ///
    /// # Errors
    /// EAGAIN when the socket is full or the pipe empty; those of send(2).
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

    fn size(pipe: &Pipe) -> libc::c_int {
        fcntl(&pipe.write_end, FcntlArg::F_GETPIPE_SZ).expect("its size")
    }

    #[test]
    fn a_pipe_gets_the_first_size_that_is_allowed() {
        let pipe = Pipe::open().expect("a pipe");
        // No pipe can have a negative size (EINVAL).
        assert!(pipe.resize(&[-1, 65_536]));
        assert_eq!(size(&pipe), 65_536);
        assert!(!pipe.resize(&[-1]));
        assert_eq!(size(&pipe), 65_536);
        assert!(pipe.resize(&[131_072, 65_536]));
        assert_eq!(size(&pipe), 131_072);
    }

    #[test]
    fn a_refusal_differs_from_a_shortage() {
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
