//! What every part of the reactor may use: sockets, the time of this turn, timers, counters, the
//! log, one buffer, and the check that no dial leads back to us. Never the other parts.

use std::time::Instant;

use super::exchanges::Exchanges;
use super::own_listeners::OwnListeners;
use super::token::Token;
use super::wheel::{TimerKey, Wheel};
use crate::address::Address;
use crate::arena::Key;
use crate::config::BUFFER_BYTES;
use crate::discovery::Unusable;
use crate::net::{Dial, Host, Net, NetError, Readiness};
use crate::observe::events::Event;
use crate::observe::journal::Journal;
use crate::observe::metrics::Metrics;
use crate::upstream::EndpointId;

/// What every part may use.
pub(super) struct Context<N: Net> {
    pub(super) net: N,
    /// The time of this turn.
    pub(super) now: Instant,
    pub(super) wheel: Wheel<Timer>,
    pub(super) metrics: Metrics,
    pub(super) journal: Journal,
    /// A timer is armed after which the journal writes what it has kept.
    pub(super) journal_timer_armed: bool,
    /// Payload and messages on their way through; nothing stays in it from one call to the next.
    pub(super) scratch: Box<[u8]>,
    pub(super) own_listeners: OwnListeners,
    /// Dialogues of our own, each of which belongs to one part.
    pub(super) exchanges: Exchanges<N>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// The pair's next deadline, or an earlier one that was not cancelled.
    Pair(Key),
    /// An inactive endpoint is due for a probe.
    Monitor(EndpointId),
    /// An exchange took too long.
    Exchange(Key),
    /// Accepting may be tried again.
    Accept,
    /// Pipes that no flow has wanted for a while are to be closed.
    SparePipes,
    /// A name is to be looked up again, or a name server was silent for too long.
    Discovery,
    /// Lines that the journal has kept are due.
    Journal,
    /// Draining took too long.
    Drain,
    /// Names to listen on took too long.
    Listen,
}

impl<N: Net> Context<N> {
    pub(super) fn new(net: N, now: Instant) -> Context<N> {
        Context {
            net,
            now,
            wheel: Wheel::new(now),
            metrics: Metrics::default(),
            journal: Journal::new(),
            journal_timer_armed: false,
            scratch: vec![0; BUFFER_BYTES].into_boxed_slice(),
            own_listeners: OwnListeners::default(),
            exchanges: Exchanges::default(),
        }
    }

    /// Sees that `timer` fires by `wanted`, or not at all without one; see [`Wheel::rearm`].
    #[inline]
    pub(super) fn rearm(
        &mut self,
        timer: &mut Option<TimerKey>,
        wanted: Option<Instant>,
        purpose: Timer,
    ) {
        self.wheel.rearm(timer, wanted, purpose);
    }

    /// Logs the event now or, if the journal keeps it, later. One that is not logged costs a
    /// comparison: each connection has one for debugging.
    #[inline]
    pub(super) fn log(&mut self, event: Event<'_>) {
        if event.is_enabled() {
            self.journal.log(event, self.now);
            self.arm_journal();
        }
    }

    /// Logs what the journal has kept for long enough.
    pub(super) fn on_journal_timer(&mut self) {
        self.journal_timer_armed = false;
        self.journal.log_due(self.now);
        self.arm_journal();
    }

    fn arm_journal(&mut self) {
        let deadline = self.journal.deadline().filter(|_| !self.journal_timer_armed);
        if let Some(deadline) = deadline {
            self.journal_timer_armed = true;
            self.wheel.arm(deadline, Timer::Journal);
        }
    }
}

impl<N: Net + Host> Context<N> {
    /// The listener of ours at which a connection to `address` would end. Asked for every dial,
    /// because addresses come and go; only an equal port under a wildcard asks the system for them.
    pub(super) fn own_listener(&mut self, address: &Address) -> Option<&Address> {
        let net = &mut self.net;
        self.own_listeners.reached_by(address, |ip| net.is_local(ip))
    }

    /// Checks that a route leads to an address that a name was resolved to, or that one typed
    /// address stands for. An address that was typed itself is dialed, whatever the routes say now.
    /// A host with addresses of both families is common, and a network with one of them is, too.
    ///
    /// # Errors
    /// [`Unusable::NoRoute`] when none does.
    pub(super) fn check_route(
        &mut self,
        address: &Address,
        is_resolved: bool,
    ) -> Result<(), Unusable> {
        match address.ip().filter(|_| is_resolved) {
            Some(ip) if !self.net.has_route(ip) => Err(Unusable::NoRoute),
            _ => Ok(()),
        }
    }

    /// Begins a connection to an endpoint, unless it would lead back to ourselves.
    ///
    /// # Errors
    /// When it would, or the attempt failed at once.
    pub(super) fn dial(&mut self, address: &Address, token: Token) -> Result<N::Stream, NetError> {
        if self.own_listener(address).is_some() {
            return Err(NetError::OwnAddress);
        }
        self.net.dial(address, token.pack())
    }

    /// The state of a dial to `address`; a connection that ends at its own socket or at one of our
    /// listeners counts as failed.
    pub(super) fn dial_result(
        &mut self,
        address: Option<&Address>,
        stream: &mut N::Stream,
        readiness: Readiness,
    ) -> Dial {
        self.own_listeners.dial_result(&mut self.net, address, stream, readiness)
    }
}
