//! Signals: what each of them does, and a descriptor that tells of those that ask for something.
//!
//! No handler runs, so no call is interrupted and nothing has to be async-signal-safe. The
//! signals that are dealt with here are blocked, in the one thread that there is, and read from
//! the descriptor (signalfd(2)), those of no effect included. All others keep what the kernel
//! does: faults of the process and SIGQUIT end it with a core file, job control stops and continues
//! it. SIGPIPE is ignored by the standard library.
//!
//! The mask is set whole, so that one inherited from a parent does not count, and by the kernel's
//! own call: the C library keeps up to three real-time signals for itself (nptl(7)), which its
//! functions leave out, so that a stray one would end the process.

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

/// Signals that have no effect: they are for programs that have asked for them, and would end one
/// that has not.
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
/// All from here to [`SIGNAL_MAX`] have no effect, either.
const REAL_TIME_MIN: c_int = 32;
/// The highest number of a signal (`_NSIG`).
const SIGNAL_MAX: c_int = 64;

/// Bytes of a set of signals, and of one report (`struct signalfd_siginfo`), as the kernel has
/// them.
const SET_BYTES: usize = 8;
const REPORT_BYTES: usize = size_of::<libc::signalfd_siginfo>();
/// Reports that are read at a time.
const REPORTS: usize = 16;

/// A descriptor that is readable when a signal came.
pub struct Signals {
    descriptor: File,
}

impl Signals {
    /// Gives every signal its effect, and opens the descriptor.
    ///
    /// # Errors
    /// When the kernel has no descriptor or memory for it.
    pub fn new() -> io::Result<Signals> {
        leave_children_to_the_kernel()?;
        let set = SignalSet::dealt_with(is_ignored);
        set.block()?;
        Ok(Signals { descriptor: set.open()? })
    }

    /// Appends what was asked for since the last call.
    pub fn take(&mut self, events: &mut Vec<Event>) {
        let mut reports = [0; REPORTS * REPORT_BYTES];
        while let Ok(bytes @ 1..) = retry(|| self.descriptor.read(&mut reports)) {
            // The first member of each is the signal's number.
            let numbers = reports[..bytes].chunks_exact(REPORT_BYTES).filter_map(|report| {
                let number = report.first_chunk()?;
                c_int::try_from(u32::from_ne_bytes(*number)).ok()
            });
            events.extend(numbers.filter_map(asked_for).map(Event::Signal));
        }
    }
}

/// What a signal asks for.
fn asked_for(signal: c_int) -> Option<Signal> {
    match signal {
        libc::SIGTERM => Some(Signal::Terminate),
        libc::SIGINT => Some(Signal::Interrupt),
        libc::SIGHUP => Some(Signal::HangUp),
        _ => None,
    }
}

/// Signals, a bit for each: the lowest is signal 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SignalSet(u64);

impl SignalSet {
    /// The signals that are read. One that a parent has set to be ignored stays ignored, as
    /// nohup(1) and shells for their background jobs want it; SIGTERM alone is never meant by that.
    fn dealt_with(is_ignored: impl Fn(c_int) -> bool) -> SignalSet {
        let asking = [libc::SIGHUP, libc::SIGINT].into_iter().filter(|signal| !is_ignored(*signal));
        let all = IGNORED.into_iter().chain(REAL_TIME_MIN..=SIGNAL_MAX).chain([libc::SIGTERM]);
        SignalSet(all.chain(asking).fold(0, |set, signal| set | 1 << (signal - 1)))
    }

    /// As the kernel wants it: the low word first, whatever the order of bytes.
    fn words(self) -> [c_ulong; SET_BYTES / size_of::<c_ulong>()] {
        array::from_fn(|index| (self.0 >> (index * c_ulong::BITS as usize)) as c_ulong)
    }

    /// Blocks these, and no others.
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

    /// A new descriptor that tells of these.
    fn open(self) -> io::Result<File> {
        let words = self.words();
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: the kernel reads SET_BYTES from `words`, which has as many, and writes nothing.
        let result =
            unsafe { libc::syscall(libc::SYS_signalfd4, -1, words.as_ptr(), SET_BYTES, flags) };
        match RawFd::try_from(result) {
            // SAFETY: a descriptor that the kernel has just made for us, and nobody else has.
            Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }.into()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether the parent has set the signal to be ignored: nothing here does.
fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer for the new action changes nothing; the old one is written to memory
    // that is valid for it.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it is plain numbers and a function that is never called; zeros are valid for it.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Children are none of ours: a shell that became this process left them, or, to process 1 of a
/// container, whoever ended before them. While SIGCHLD is ignored the kernel buries them by itself
/// (waitpid(2)), at no cost to the loop; those that ended before are waited for here.
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
        let set = SignalSet::dealt_with(|_| false);
        let bit = |signal: c_int| set.0 >> (signal - 1) & 1 == 1;
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, 32, 33, 34, 64] {
            assert!(bit(signal), "{signal}");
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
            assert!(!bit(signal), "{signal}");
        }
        let bytes: Vec<u8> = SignalSet(1 | 1 << 63)
            .words()
            .into_iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0x80]);
    }

    #[test]
    fn what_the_parent_ignores_is_not_read_but_for_sigterm() {
        let all = SignalSet::dealt_with(|_| false);
        let ignored = |signal| {
            let left_out = all.0 & !SignalSet::dealt_with(|it| it == signal).0;
            left_out == 1 << (signal - 1)
        };
        assert!(ignored(libc::SIGHUP) && ignored(libc::SIGINT));
        assert_eq!(SignalSet::dealt_with(|it| it == libc::SIGTERM), all);
        assert_eq!(SignalSet::dealt_with(|it| it == libc::SIGUSR1), all);
    }

    #[test]
    fn only_three_signals_ask_for_something() {
        let asked = (1..=SIGNAL_MAX).filter_map(|signal| Some((signal, asked_for(signal)?)));
        let want = [
            (libc::SIGHUP, Signal::HangUp),
            (libc::SIGINT, Signal::Interrupt),
            (libc::SIGTERM, Signal::Terminate),
        ];
        assert_eq!(asked.collect::<Vec<_>>(), want);
    }
}
