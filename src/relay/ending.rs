//! Why a pair ended: the first cause and the phase it struck in, in the words of log and metrics.
//!
//! Owns names only. Which cause applies is decided in `relay/mod.rs` and by the reactor.

use std::fmt;

use super::step::{Fault, Side};

/// The first thing that made a pair end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Both sides ended in order and everything was delivered.
    Completed,
    /// The connection of one side was lost.
    Lost(Side, Fault),
    /// Every endpoint that could be tried was tried and failed.
    NoEndpoint,
    /// No endpoint is active and none may be dialed again yet.
    TurnedAway,
    /// We had no descriptor, port or memory for it.
    LocalShortage,
    /// Half-closed, and no byte moved for `--half-close-timeout`.
    HalfCloseTimeout,
    /// Fully open, and no byte moved for `--idle-timeout`.
    IdleTimeout,
    /// Still running when `--drain-timeout` was over, or when a second signal came.
    DrainTimeout,
}

/// The phase in which the first cause struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedIn {
    /// No server connection stood yet.
    Dialing,
    /// Bytes could flow.
    Relaying,
    /// One side was lost, and what it had sent was not delivered to the other in full.
    Flushing,
}

/// Cause and phase together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What happened first.
    pub cause: Cause,
    /// When.
    pub phase: EndedIn,
}

impl Ending {
    /// Whether both sides may be shown an orderly end. In every other case they get a reset: no
    /// failure may look like a clean end of file.
    pub fn is_orderly(self) -> bool {
        self.cause == Cause::Completed
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Cause::Completed => "completed",
            Cause::Lost(side, fault) => return write!(f, "{side}_{fault}"),
            Cause::NoEndpoint => "no_endpoint",
            Cause::TurnedAway => "rejected",
            Cause::LocalShortage => "local_shortage",
            Cause::HalfCloseTimeout => "half_close_timeout",
            Cause::IdleTimeout => "idle_timeout",
            Cause::DrainTimeout => "drain_timeout",
        };
        f.write_str(word)
    }
}

impl fmt::Display for EndedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndedIn::Dialing => "dialing",
            EndedIn::Relaying => "relaying",
            EndedIn::Flushing => "flushing",
        })
    }
}
