//! When a server connection gets the options that only matter to one that lasts. Pure.
//!
//! Keepalive and the user timeout bear on what happens after seconds, and setting them takes five
//! system calls: a third of what a short connection costs. So they are set once the connection has
//! reached an age that most do not.

use std::time::Instant;

use super::Limits;

/// Whether the options are still to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lasting {
    /// They are set, or there is no connection to set them for, or none to set.
    #[default]
    Settled,
    /// They are to be set then.
    DueAt(Instant),
}

impl Lasting {
    /// Of a connection that stands since `now`.
    pub(super) fn since(now: Instant, limits: &Limits) -> Lasting {
        limits.lasting_after.map_or(Lasting::Settled, |age| Lasting::DueAt(now + age))
    }

    /// When they are to be set.
    pub(super) fn due_at(self) -> Option<Instant> {
        match self {
            Lasting::Settled => None,
            Lasting::DueAt(at) => Some(at),
        }
    }

    pub(super) fn is_due(self, now: Instant) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    pub(super) fn settle(&mut self) {
        *self = Lasting::Settled;
    }
}
