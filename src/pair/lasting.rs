//! When a pair gets the socket options that only matter to one that lasts. Pure.
//!
//! Keepalive and the user timeout of a server connection bear on what happens after seconds. A
//! close that resets bears on a death of the process: its kernel closes the sockets of a pair, and
//! would show both peers an end behind whatever had arrived by then. Setting all of this takes
//! seven system calls, nearly half of what a short connection costs. So they are set once the
//! server connection has reached an age that most do not.

use std::time::Instant;

use super::Limits;

/// Whether the options are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lasting {
    /// They are not: there is no server connection yet.
    #[default]
    Unconnected,
    /// They are to be set then.
    DueAt(Instant),
    /// They are.
    Set,
}

impl Lasting {
    /// Of a pair whose server connection was established at `now`.
    pub(super) fn since(now: Instant, limits: &Limits) -> Lasting {
        Lasting::DueAt(now + limits.lasting_after)
    }

    /// When they are to be set.
    pub(super) fn due_at(self) -> Option<Instant> {
        match self {
            Lasting::Unconnected | Lasting::Set => None,
            Lasting::DueAt(at) => Some(at),
        }
    }

    pub(super) fn is_due(self, now: Instant) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }
}
