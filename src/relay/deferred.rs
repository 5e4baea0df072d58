//! When a pair gets the socket options that a short connection is spared. Pure.
//!
//! Keepalive and the user timeout of a server connection bear on what happens after seconds. A
//! close that resets bears on a death of the process: its kernel closes the sockets of a pair, and
//! would show both peers an end behind whatever had arrived by then. Setting all of this takes
//! seven system calls, nearly half of what a short connection costs. So they are set once the
//! server connection has reached an age that most do not.

use std::time::Instant;

use super::ending::EndedIn;
use super::{Limits, Pair, Phase};

/// Whether the options are still to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DeferredOptions {
    /// They are set, or there is no server connection yet. As two states, each message would pay
    /// for telling them apart.
    #[default]
    NothingDue,
    /// They are to be set then.
    DueAt(Instant),
}

impl DeferredOptions {
    /// Those of a pair whose server connection was established at `now`.
    pub(super) fn since(now: Instant, limits: &Limits) -> DeferredOptions {
        let options = DeferredOptions::DueAt(now + limits.deferred_options_after);
        debug_assert!(options.due_at().is_some_and(|at| at >= now), "due before it began");
        options
    }

    /// When they are to be set.
    pub(super) fn due_at(self) -> Option<Instant> {
        match self {
            DeferredOptions::NothingDue => None,
            DeferredOptions::DueAt(at) => Some(at),
        }
    }

    pub(super) fn is_due(self, now: Instant) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }
}

impl Pair {
    /// Whether both sockets are set to end with a reset when they are closed.
    pub fn resets_on_close(&self) -> bool {
        let was_connected = match &self.phase {
            Phase::Dialing(_) => false,
            Phase::Relaying | Phase::Flushing(_) => true,
            Phase::Closing(ending) => ending.phase != EndedIn::Dialing,
        };
        was_connected && self.deferred == DeferredOptions::NothingDue
    }
}
