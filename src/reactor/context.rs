//! The context, which every part of the reactor may use: sockets, the time of this turn, timers,
//! counters, the log, one buffer, and the check that no dial leads back to this gateway. It does
//! not contain the other parts.

use std::time::Instant;

use super::admin::Pause;
use super::exchanges::Exchanges;
use super::observer::Observer;
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

/// The context of all parts.
pub(super) struct Context<N: Net> {
    pub(super) net: N,
    /// The time of this turn.
    pub(super) now: Instant,
    pub(super) wheel: Wheel<Timer>,
    pub(super) metrics: Metrics,
    pub(super) journal: Journal,
    /// Whether the timer is armed after which the journal writes the events that it has kept.
    pub(super) journal_timer_armed: bool,
    /// A buffer for payload and messages that pass through; nothing stays in it between calls.
    pub(super) scratch: Box<[u8]>,
    pub(super) own_listeners: OwnListeners,
    /// Dialogues of the gateway itself, each of which belongs to one part.
    pub(super) exchanges: Exchanges<N>,
    /// `None` where nothing is shown.
    pub(super) observer: Option<Box<Observer>>,
}

/// The purpose of a timer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// The next deadline of a pair, or an earlier one that was not cancelled.
    Pair(Key),
    /// The next probe of an inactive endpoint.
    Monitor(EndpointId),
    /// The next health check of an endpoint.
    Check(EndpointId),
    /// The time limit of an exchange.
    Exchange(Key),
    /// The end of a pause of an exchange that has read much in one turn.
    ExchangePause(Key),
    /// The end of a pause of accepting.
    Accept,
    /// The closing of pipes that no flow has needed for a while.
    SparePipes,
    /// The next look-up of a name, or the time limit of a name server.
    Discovery,
    /// The writing of events that the journal has kept.
    Journal,
    /// The next look at pairs whose client waits for an answer.
    Silence,
    /// The next closing of a pair whose endpoint fails.
    Closing,
    /// The drain timeout.
    Drain,
    /// The next look at what pairs have delivered.
    Sample,
    /// The end of a pause of the admin side.
    Admin(Pause),
    /// A time limit or a repetition of looking up names to listen on.
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
            observer: None,
        }
    }

    /// Makes `timer` fire by `wanted`, or never if that is `None`; see [`Wheel::rearm`].
    #[inline]
    pub(super) fn rearm(
        &mut self,
        timer: &mut Option<TimerKey>,
        wanted: Option<Instant>,
        purpose: Timer,
    ) {
        self.wheel.rearm(timer, wanted, purpose);
    }

    /// Logs the event now, or later if the journal keeps it. One that is not logged costs a
    /// comparison: each connection has one for debugging.
    #[inline]
    pub(super) fn log(&mut self, event: Event<'_>) {
        if event.is_enabled() {
            self.journal.log(event, self.now, self.metrics.pairs_open);
            self.arm_journal();
        }
    }

    /// Logs the events that the journal has kept and that are due.
    pub(super) fn on_journal_timer(&mut self) {
        self.journal_timer_armed = false;
        self.journal.log_due(self.now, self.metrics.pairs_open);
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
    /// The listener of this gateway at which a connection to `address` would arrive. Checked for
    /// every dial, because the addresses of a host change; the system is asked for them only where
    /// the port is equal and the listener has a wildcard address.
    pub(super) fn own_listener(&mut self, address: &Address) -> Option<&Address> {
        let net = &mut self.net;
        self.own_listeners.reached_by(address, |ip| net.is_local(ip))
    }

    /// Checks that there is a route to an address that was found for a name, or for an endpoint
    /// that means several addresses. An address that was typed itself is dialed whatever the routes
    /// are. Endpoints with addresses of both families are common, and so are networks with one.
    ///
    /// # Errors
    /// [`Unusable::NoRoute`] when there is no route.
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

    /// Begins a connection to an endpoint, unless it would lead back to this gateway.
    ///
    /// # Errors
    /// [`NetError`] when it would, or the attempt failed at once.
    pub(super) fn dial(&mut self, address: &Address, token: Token) -> Result<N::Stream, NetError> {
        if self.own_listener(address).is_some() {
            return Err(NetError::OwnAddress);
        }
        self.net.dial(address, token.pack())
    }

    /// The state of a dial to `address`. A connection that arrived at its own socket or at a
    /// listener of this gateway counts as failed.
    pub(super) fn dial_result(
        &mut self,
        address: Option<&Address>,
        stream: &mut N::Stream,
        readiness: Readiness,
    ) -> Dial {
        self.own_listeners.dial_result(&mut self.net, address, stream, readiness)
    }
}
