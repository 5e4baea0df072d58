//! A pair before its server connection stands: which endpoint is being dialed, which were tried.
//!
//! Whom to dial next is chosen by `endpoint/pick.rs`; the dial itself is made by the reactor.

use std::time::Instant;

use crate::endpoint::EndpointId;

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
    tried: Vec<EndpointId>,
    attempt: Option<Attempt>,
    /// Until when the client may wait for a descriptor or memory of ours; set by the first
    /// shortage, for good, so that one client cannot wait for ever.
    starved_until: Option<Instant>,
    /// Whom the attempt was for that could not begin. It was this client's turn there, and in the
    /// rotation nobody else gets it.
    postponed: Option<EndpointId>,
}

impl Dialing {
    /// Endpoints that failed this client, each once, in the order tried.
    pub fn tried(&self) -> &[EndpointId] {
        &self.tried
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<Attempt> {
        self.attempt
    }

    pub(super) fn begin(&mut self, attempt: Attempt) {
        assert!(self.attempt.is_none(), "two attempts at once");
        assert!(!self.tried.contains(&attempt.endpoint), "an endpoint is tried twice");
        self.attempt = Some(attempt);
    }

    /// When the attempt, or else the wait for resources, has lasted for too long.
    pub fn deadline(&self) -> Option<Instant> {
        match self.attempt {
            Some(attempt) => Some(attempt.deadline),
            None => self.starved_until,
        }
    }

    /// The attempt could not even begin: it is taken back, and its endpoint stays untried.
    pub(super) fn starve(&mut self, until: Instant) {
        self.postponed = self.attempt.take().map(|attempt| attempt.endpoint);
        self.starved_until.get_or_insert(until);
    }

    pub(super) fn take_postponed(&mut self) -> Option<EndpointId> {
        self.postponed.take()
    }

    pub(super) fn fail(&mut self) -> Option<Attempt> {
        let attempt = self.attempt.take()?;
        self.tried.push(attempt.endpoint);
        Some(attempt)
    }
}
