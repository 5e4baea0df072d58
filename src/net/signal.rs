//! Signals as events: SIGTERM and SIGINT through a descriptor that the poll watches.
//!
//! No handler runs, so no call is interrupted and nothing has to be async-signal-safe. The
//! process has one thread; blocking the signals there blocks them everywhere. SIGPIPE needs
//! nothing: the standard library ignores it.

use std::io;
use std::os::fd::AsRawFd;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A descriptor that is readable when the process was asked to end.
pub struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Blocks the two signals' usual effect and opens the descriptor (signalfd(2)).
    ///
    /// # Errors
    /// When the kernel has no descriptor or memory for it.
    pub fn new() -> io::Result<Signals> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGINT);
        mask.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&mask, flags)?;
        Ok(Signals { descriptor })
    }

    /// How many signals came since the last call.
    pub fn take(&mut self) -> usize {
        let mut count = 0;
        while let Ok(Some(_)) = self.descriptor.read_signal() {
            count += 1;
        }
        count
    }
}

impl Source for Signals {
    fn register(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        SourceFd(&self.descriptor.as_raw_fd()).register(registry, token, on)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        SourceFd(&self.descriptor.as_raw_fd()).reregister(registry, token, on)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.descriptor.as_raw_fd()).deregister(registry)
    }
}
