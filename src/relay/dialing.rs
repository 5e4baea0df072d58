//! A pair before its server connection stands: which endpoint is being dialed, which were tried.
//!
//! Whom to dial next is chosen by `upstream/pick.rs`; the dial itself is made by the reactor.

use std::net::SocketAddr;
use std::time::Instant;

use crate::upstream::EndpointId;

/// One attempt to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whom.
    pub endpoint: EndpointId,
    /// Since when.
    pub started_at: Instant,
    /// Until when.
    pub deadline: Instant,
}

/// What a pair does before its server connection stands. The client is not read meanwhile, so
/// that the next endpoint gets everything.
#[derive(Clone, Debug, Default)]
pub struct Dialing {
    tried: Vec<SocketAddr>,
    attempt: Option<Attempt>,
    /// Until when the client may be held back; set by the first reason to, for good, so that one
    /// client cannot wait for ever.
    held_until: Option<Instant>,
    /// The last reason.
    hold: Hold,
    /// Whom the attempt was for that could not begin. It was this client's turn there, and in the
    /// rotation nobody else gets it.
    postponed: Option<EndpointId>,
}

/// What a client waits for that is not being dialed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// A descriptor or memory of ours.
    #[default]
    Shortage,
    /// An endpoint that may turn up, or prove itself, at any moment.
    Endpoint,
}

impl Dialing {
    /// Addresses of the endpoints that failed this client, each once, in the order tried. One that
    /// leaves the set and comes back is another endpoint at the same address: in a set that changes
    /// all the time a client would never have tried them all.
    pub fn tried(&self) -> &[SocketAddr] {
        &self.tried
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<Attempt> {
        self.attempt
    }

    pub(super) fn begin(&mut self, attempt: Attempt) {
        assert!(self.attempt.is_none(), "two attempts at once");
        self.attempt = Some(attempt);
    }

    /// When the attempt, or else the wait, has lasted for too long.
    pub fn deadline(&self) -> Option<Instant> {
        match self.attempt {
            Some(attempt) => Some(attempt.deadline),
            None => self.held_until,
        }
    }

    /// What it waits for, if for anything, while no attempt is under way.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// An attempt that could not even begin is taken back, and its endpoint stays untried.
    pub(super) fn hold_back(&mut self, hold: Hold, until: Instant) {
        self.postponed = self.attempt.take().map(|attempt| attempt.endpoint);
        self.held_until.get_or_insert(until);
        self.hold = hold;
    }

    pub(super) fn take_postponed(&mut self) -> Option<EndpointId> {
        self.postponed.take()
    }

    pub(super) fn fail(&mut self, address: Option<SocketAddr>) -> Option<Attempt> {
        let attempt = self.attempt.take()?;
        debug_assert!(address.is_none_or(|it| !self.tried.contains(&it)), "it is tried twice");
        self.tried.extend(address);
        Some(attempt)
    }
}
