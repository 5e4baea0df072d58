//! A pair before its server connection is established: the attempt or the wait that is under way,
//! and the endpoints that were tried. Pure.
//!
//! ```text
//!                 ┌── failed, or endpoint gone ──┐
//!                 ▼                              │
//!   accepted ─► Waiting ───── picked ──────► Attempting ── established ─► Relaying
//!                 ▲                              │
//!                 └─ taken up again ─ Postponed ◄┘ our own resources fall short
//! ```
//!
//! Which endpoint is next is decided in `upstream/pick`; the reactor makes the dial.

use std::time::Instant;

use super::{Pair, Phase};
use crate::address::Address;
use crate::upstream::EndpointId;

/// One attempt to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The endpoint that is dialed.
    pub endpoint: EndpointId,
    /// When the dial began.
    pub started_at: Instant,
    /// When the dial counts as failed.
    pub deadline: Instant,
}

/// What a pair does before its server connection is established. The client is not read meanwhile,
/// so that the next endpoint gets everything.
#[derive(Clone, Debug, Default)]
pub struct Dialing {
    state: State,
    tried: Vec<Address>,
    /// When waiting ends. Set by the first wait for all of them, so that no client waits without
    /// end.
    give_up_at: Option<Instant>,
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No attempt: the next endpoint is about to be picked, or the client waits for one.
    #[default]
    Waiting,
    /// An endpoint is being dialed.
    Attempting(Attempt),
    /// The attempt could not begin for want of our own resources. It was this client's turn at that
    /// endpoint, and in the rotation no other client gets it.
    Postponed(EndpointId),
}

/// What a client waits for while no attempt is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A descriptor or memory of ours.
    Resources,
    /// An endpoint that may be found, or pass its check, at any moment.
    Endpoint,
}

impl Dialing {
    /// Addresses of the endpoints that failed this client, each once, in the order tried. An
    /// endpoint that leaves the set and comes back is another one at the same address: in a set
    /// that changes all the time a client would never have tried them all.
    pub fn tried(&self) -> &[Address] {
        &self.tried
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.state {
            State::Attempting(attempt) => Some(attempt),
            State::Waiting | State::Postponed(_) => None,
        }
    }

    /// What the client waits for; `None` while an attempt is under way.
    pub fn wait(&self) -> Option<Wait> {
        match self.state {
            State::Attempting(_) => None,
            State::Postponed(_) => Some(Wait::Resources),
            State::Waiting => Some(Wait::Endpoint),
        }
    }

    /// When the attempt, or else the wait, has lasted for too long; `None` before the first of
    /// either.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Attempting(attempt) => Some(attempt.deadline),
            State::Waiting | State::Postponed(_) => self.give_up_at,
        }
    }

    pub(super) fn begin(&mut self, attempt: Attempt) {
        assert_eq!(self.state, State::Waiting, "an attempt next to another");
        assert!(attempt.started_at <= attempt.deadline, "an attempt that is over before it begins");
        self.state = State::Attempting(attempt);
        debug_assert_eq!(self.wait(), None, "an attempt next to a wait");
    }

    /// Ends the attempt as one that failed at `address`. `None` if none was under way.
    pub(super) fn fail(&mut self, address: Option<Address>) -> Option<Attempt> {
        let attempt = self.attempt()?;
        debug_assert!(address.as_ref().is_none_or(|one| !self.tried.contains(one)), "tried twice");
        self.tried.extend(address);
        self.state = State::Waiting;
        Some(attempt)
    }

    /// Waits until `give_up_at`, or until the time given for the first wait. For resources it is an
    /// attempt that waits: it is taken back, and its endpoint stays untried. Returns whether it is
    /// the first wait.
    pub(super) fn wait_for(&mut self, wait: Wait, give_up_at: Instant) -> bool {
        self.state = match (wait, self.state) {
            (Wait::Resources, State::Attempting(attempt)) => State::Postponed(attempt.endpoint),
            (Wait::Endpoint, State::Waiting) => State::Waiting,
            (_, state) => panic!("a wait for {wait:?} in the state {state:?}"),
        };
        let is_first = self.give_up_at.is_none();
        self.give_up_at.get_or_insert(give_up_at);
        debug_assert_eq!(self.wait(), Some(wait), "another wait than asked for");
        debug_assert!(self.deadline().is_some_and(|at| at <= give_up_at), "it was put off");
        is_first
    }

    /// Takes up the attempt that was postponed; `None` if none was.
    pub(super) fn take_postponed(&mut self) -> Option<EndpointId> {
        let State::Postponed(endpoint) = self.state else { return None };
        assert!(self.give_up_at.is_some(), "postponed without an end");
        self.state = State::Waiting;
        Some(endpoint)
    }

    /// Each address was tried once, and a postponed attempt has an end.
    pub(super) fn invariants(&self) {
        for (at, address) in self.tried.iter().enumerate() {
            assert!(!self.tried[..at].contains(address), "{address} was tried twice");
        }
        if let State::Attempting(attempt) = self.state {
            assert!(attempt.started_at <= attempt.deadline, "over before it begins");
        }
        let is_endless = matches!(self.state, State::Postponed(_)) && self.give_up_at.is_none();
        assert!(!is_endless, "postponed without an end");
    }
}

impl Pair {
    /// Addresses of the endpoints that failed this client; empty once a server connection is
    /// established.
    pub fn tried(&self) -> &[Address] {
        self.phase.dialing().map_or(&[], Dialing::tried)
    }

    /// The attempt that is under way.
    pub fn attempt(&self) -> Option<Attempt> {
        self.phase.dialing().and_then(Dialing::attempt)
    }

    /// What the client waits for; `None` if an attempt is under way, or dialing is over.
    pub fn wait(&self) -> Option<Wait> {
        self.phase.dialing().and_then(Dialing::wait)
    }

    /// Dialing of `attempt.endpoint` begins.
    ///
    /// # Panics
    /// When the pair is not dialing, or another attempt is under way.
    pub fn begin_attempt(&mut self, attempt: Attempt) {
        let Phase::Dialing(dialing) = &mut self.phase else {
            panic!("an attempt outside of dialing: {:?}", self.phase);
        };
        dialing.begin(attempt);
        self.invariants();
    }

    /// The attempt failed; its endpoint counts as tried. `None` if none was under way.
    pub fn fail_attempt(&mut self, address: Option<Address>) -> Option<Attempt> {
        let attempt = self.phase.dialing_mut()?.fail(address);
        self.invariants();
        attempt
    }

    /// The client waits, at most until the time given when it first had to. For our own resources
    /// it is the attempt that waits: it could not begin, and its endpoint stays untried.
    ///
    /// # Panics
    /// When it is to wait for resources without an attempt, or for an endpoint during one.
    pub fn wait_for(&mut self, wait: Wait, give_up_at: Instant) -> bool {
        let dialing = self.phase.dialing_mut();
        let is_first = dialing.is_some_and(|dialing| dialing.wait_for(wait, give_up_at));
        self.invariants();
        is_first
    }

    /// The endpoint to which an attempt could not begin, given once; `None` if there is none.
    pub fn take_postponed(&mut self) -> Option<EndpointId> {
        let postponed = self.phase.dialing_mut()?.take_postponed();
        self.invariants();
        postponed
    }
}

impl Phase {
    fn dialing(&self) -> Option<&Dialing> {
        match self {
            Phase::Dialing(dialing) => Some(dialing),
            _ => None,
        }
    }

    fn dialing_mut(&mut self) -> Option<&mut Dialing> {
        match self {
            Phase::Dialing(dialing) => Some(dialing),
            _ => None,
        }
    }
}
