//! Signals: the effect of each, and a descriptor that reports those with a request.
//!
//! No handler runs, so no call is interrupted and nothing has to be async-signal-safe. The signals
//! that are read are blocked, in the only thread, and read from the descriptor (signalfd(2)), those
//! without effect included. All others have the kernel's default action: faults of the process and
//! SIGQUIT end it with a core file, job control stops and continues it. The standard library
//! ignores SIGPIPE.
//!
//! The mask is set as a whole, so that one inherited from a parent does not count, and by the
//! kernel's call: the C library reserves up to three real-time signals for itself (nptl(7)), which
//! its functions omit, so that a stray one would end the process.

use std::array;
use std::ffi::c_ulong;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::libc::{self, c_int};
use nix::sys::signal::{self as system, SigHandler};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::errno::retry;
use super::{Event, Signal};

/// Signals without effect: they are for programs that ask for them, and would end one that does
/// not.
const IGNORED: [c_int; 10] = [
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];
/// The first real-time signal. None from here to [`SIGNAL_MAX`] has an effect.
const REAL_TIME_MIN: c_int = 32;
/// The highest number of a signal (`_NSIG`).
const SIGNAL_MAX: c_int = 64;

/// Bytes of a set of signals in the kernel.
const SET_BYTES: usize = 8;
/// Bytes of one report (`struct signalfd_siginfo`).
const REPORT_BYTES: usize = size_of::<libc::signalfd_siginfo>();
/// Most reports of one read.
const REPORTS: usize = 16;

/// A descriptor that is readable after a signal.
pub struct Signals {
    descriptor: File,
}

impl Signals {
    /// Sets the effect of every signal and opens the descriptor.
    ///
    /// # Errors
    /// The error of a call, for want of descriptors or memory.
    pub fn new() -> io::Result<Signals> {
        leave_children_to_the_kernel()?;
        let set = SignalSet::to_read(is_ignored);
        set.block()?;
        Ok(Signals { descriptor: set.open()? })
    }

    /// Appends the requests since the last call.
    pub fn take(&mut self, events: &mut Vec<Event>) {
        let mut reports = [0; REPORTS * REPORT_BYTES];
        while let Ok(bytes @ 1..) = retry(|| self.descriptor.read(&mut reports)) {
            // The first member of a report is the signal's number.
            let numbers = reports[..bytes].chunks_exact(REPORT_BYTES).filter_map(|report| {
                let number = report.first_chunk()?;
                c_int::try_from(u32::from_ne_bytes(*number)).ok()
            });
            events.extend(numbers.filter_map(request).map(Event::Signal));
        }
    }
}

/// The request that a signal stands for; `None` for one without effect.
fn request(signal: c_int) -> Option<Signal> {
    match signal {
        libc::SIGTERM => Some(Signal::Terminate),
        libc::SIGINT => Some(Signal::Interrupt),
        libc::SIGHUP => Some(Signal::HangUp),
        _ => None,
    }
}

/// A set of signals: a bit for each, the lowest for signal 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SignalSet(u64);

impl SignalSet {
    /// The signals to read. SIGHUP and SIGINT are ignored where the parent set them to be, as
    /// nohup(1) and shells, for their background jobs, intend; SIGTERM is never meant by that.
    fn to_read(is_ignored: impl Fn(c_int) -> bool) -> SignalSet {
        let optional =
            [libc::SIGHUP, libc::SIGINT].into_iter().filter(|signal| !is_ignored(*signal));
        let all = IGNORED.into_iter().chain(REAL_TIME_MIN..=SIGNAL_MAX).chain([libc::SIGTERM]);
        SignalSet(all.chain(optional).fold(0, |set, signal| set | 1 << (signal - 1)))
    }

    /// The set in words as the kernel reads it: the low word first, in any order of bytes.
    fn words(self) -> [c_ulong; SET_BYTES / size_of::<c_ulong>()] {
        array::from_fn(|index| (self.0 >> (index * c_ulong::BITS as usize)) as c_ulong)
    }

    /// Blocks the signals of the set, and no others.
    fn block(self) -> io::Result<()> {
        let words = self.words();
        // SAFETY: the kernel reads SET_BYTES from `words`, which has as many, and writes nothing.
        let result = unsafe {
            let before: *mut c_ulong = ptr::null_mut();
            let set = words.as_ptr();
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, set, before, SET_BYTES)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Opens a descriptor that reports the signals of the set.
    fn open(self) -> io::Result<File> {
        let words = self.words();
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: the kernel reads SET_BYTES from `words`, which has as many, and writes nothing.
        let result =
            unsafe { libc::syscall(libc::SYS_signalfd4, -1, words.as_ptr(), SET_BYTES, flags) };
        match RawFd::try_from(result) {
            // SAFETY: the kernel has just made the descriptor, which so has no other owner.
            Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }.into()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether the parent set the signal to be ignored; this program does not.
fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer for the new action changes nothing; the old one is written to memory
    // that is valid for it.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the action is plain numbers and a function that is never called; zeros are valid.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Makes the kernel reap children (waitpid(2)), at no cost to the loop, by ignoring SIGCHLD; those
/// that ended before are reaped here. This program starts none: a shell that became this process
/// leaves its children to it, and processes that end leave theirs to process 1 of a container.
fn leave_children_to_the_kernel() -> io::Result<()> {
    // SAFETY: no handler is installed, and none was there to be replaced.
    unsafe { system::signal(system::Signal::SIGCHLD, SigHandler::SigIgn) }?;
    let any = WaitPidFlag::WNOHANG;
    while waitpid(None, Some(any)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_a_bit_each_and_the_low_word_comes_first() {
        let set = SignalSet::to_read(|_| false);
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, 32, 33, 34, 64] {
            assert_eq!(set.0 >> (signal - 1) & 1, 1, "{signal}");
        }
        for signal in [
            libc::SIGQUIT,
            libc::SIGKILL,
            libc::SIGSEGV,
            libc::SIGPIPE,
            libc::SIGCHLD,
            libc::SIGTSTP,
            libc::SIGSYS,
        ] {
            assert_eq!(set.0 >> (signal - 1) & 1, 0, "{signal}");
        }
        let bytes: Vec<u8> = SignalSet(1 | 1 << 63)
            .words()
            .into_iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0x80]);
    }

    #[test]
    fn a_signal_that_the_parent_ignores_is_not_read_but_for_sigterm() {
        let all = SignalSet::to_read(|_| false);
        for ignored in [libc::SIGHUP, libc::SIGINT] {
            let others = SignalSet::to_read(|signal| signal == ignored);
            assert_eq!(all.0 & !others.0, 1 << (ignored - 1), "{ignored}");
        }
        assert_eq!(SignalSet::to_read(|signal| signal == libc::SIGTERM), all);
        assert_eq!(SignalSet::to_read(|signal| signal == libc::SIGUSR1), all);
    }

    #[test]
    fn three_signals_have_a_request() {
        let found = (1..=SIGNAL_MAX).filter_map(|signal| Some((signal, request(signal)?)));
        let want = [
            (libc::SIGHUP, Signal::HangUp),
            (libc::SIGINT, Signal::Interrupt),
            (libc::SIGTERM, Signal::Terminate),
        ];
        assert_eq!(found.collect::<Vec<_>>(), want);
    }
}
