//! The vocabulary between a pair and the reactor: sides, steps and their outcomes.
//!
//! Names only; which step follows from what is decided in `relay/mod.rs` and `relay/flow.rs`.

use std::fmt;

/// The two connections of a pair; a flow is named after the side it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The connection that came in.
    Client,
    /// The connection that we opened.
    Server,
}

impl Side {
    /// Both sides, the client first.
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// The opposite side.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// 0 or 1, for arrays with an entry per side.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "client",
            Side::Server => "server",
        })
    }
}

/// One thing that a pair wants done. Flows are named by their source side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read from this side. The step after `Moved` is `Write` of the same flow, so that the bytes
    /// can be written from where they were read to.
    Read(Side),
    /// Write pending bytes of this flow.
    Write(Side),
    /// Splice from this side into an empty pipe. The step after `Moved` is `SpliceOut` of the same
    /// flow, so that the pipe is usually empty again at once.
    SpliceIn(Side),
    /// Splice pending bytes of this flow out of its pipe.
    SpliceOut(Side),
    /// Pass this flow's end on: shut the write side of the other socket.
    Shut(Side),
    /// Take the waiting error out of this socket.
    TakeError(Side),
    /// Ask both sockets how many written bytes the peer has not acknowledged.
    MeasureUnsent,
    /// Set the options that were deferred, on both sockets.
    SetDeferredOptions,
}

impl Step {
    /// Whether it gets pending bytes out.
    pub fn is_write(self) -> bool {
        matches!(self, Step::Write(_) | Step::SpliceOut(_))
    }
}

/// How a connection was lost, as far as the log distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer reset it, or does not read what we write.
    Reset,
    /// Keepalive probes or sent data went unanswered for too long.
    TimedOut,
    /// The network reported that the peer cannot be reached.
    Unreachable,
    /// Any other error.
    Other,
}

impl Fault {
    /// How many faults there are; see [`Fault::index`].
    pub const COUNT: usize = Fault::ALL.len();

    /// All faults, each at its [`Fault::index`].
    pub const ALL: [Fault; 4] = [Fault::Reset, Fault::TimedOut, Fault::Unreachable, Fault::Other];

    /// 0 to [`Fault::COUNT`] - 1, for arrays with an entry per fault.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Reset => "reset",
            Fault::TimedOut => "timed_out",
            Fault::Unreachable => "unreachable",
            Fault::Other => "failed",
        })
    }
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `Read`, `Write` and splices: bytes were moved; `short` if fewer than there was room for. Of
    /// a splice that says nothing about the socket.
    Moved {
        /// How many, above zero.
        bytes: usize,
        /// Of a read or write: whether the socket then had no more, or took no more.
        short: bool,
    },
    /// `Read`: the peer ended in order. `SpliceIn`: maybe; a read will show.
    Eof,
    /// `Read`, `Write` and splices: not now.
    WouldBlock,
    /// `SpliceIn`: there is no pipe at present.
    NoPipe,
    /// `Shut`, `SetDeferredOptions`: done.
    Done,
    /// `TakeError`: there was none after all.
    NoError,
    /// `MeasureUnsent`: bytes that the peer has not acknowledged, indexed by [`Side::index`] of the
    /// socket.
    Unsent([usize; 2]),
    /// `Read`, `Write`, `Shut`, `TakeError` and splices: the connection is lost.
    Failed(Fault),
}

/// Bytes that the flow of each side may still read in this turn.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Indexed by [`Side::index`] of the source.
    pub bytes: [usize; 2],
}

impl Budget {
    /// `bytes` for each flow.
    pub fn new(bytes: usize) -> Budget {
        debug_assert!(bytes > 0, "a turn in which nothing may be read");
        Budget { bytes: [bytes; 2] }
    }

    /// Whether one of the flows may read no more.
    pub fn is_spent(&self) -> bool {
        self.bytes.contains(&0)
    }

    /// The flow from `source` read `bytes`; the last read may overdraw.
    pub fn spend(&mut self, source: Side, bytes: usize) {
        debug_assert!(bytes > 0, "a read of nothing costs nothing");
        let left = &mut self.bytes[source.index()];
        *left = left.saturating_sub(bytes);
    }
}
