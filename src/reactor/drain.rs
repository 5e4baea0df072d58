//! The orderly end: listeners close, running pairs go on for at most the drain timeout.

use std::time::Duration;

use super::{Reactor, Timer};
use crate::config::{ACCEPTS_AT_DRAIN, ACCEPTS_PER_TURN};
use crate::net::Net;
use crate::observe::events::Event;
use crate::relay::ending::Cause;

/// Where the reactor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Clients are let in.
    Running,
    /// Nobody is let in; running pairs go on.
    Draining,
    /// No pair is left.
    Over,
}

impl<N: Net> Reactor<N> {
    pub(super) fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    /// The process was asked to end. Asked a second time, it does not wait for running pairs.
    pub(super) fn on_terminate(&mut self) {
        match self.life {
            Life::Running => self.begin_drain(),
            Life::Draining | Life::Over => self.end_all_pairs(),
        }
    }

    fn begin_drain(&mut self) {
        // Clients in the backlog believe that they are connected, and closing the listener
        // would reset them: whoever is there already is still let in. Not without bound, since
        // others may arrive faster than we go. Even if accepting is paused: something may be free.
        self.resume_accepting();
        for acceptor in &mut self.acceptors {
            acceptor.ready = true;
        }
        for _ in 0..ACCEPTS_AT_DRAIN / ACCEPTS_PER_TURN {
            self.accept();
        }
        self.life = Life::Draining;
        for acceptor in std::mem::take(&mut self.acceptors) {
            self.net.close_listener(acceptor.listener);
        }
        self.abandon_probes_of(|_| true);
        self.abandon_exchanges();
        self.recheck_waiting = true;
        let timeout = self.limits.drain_timeout;
        self.log_drain(timeout);
        if timeout.is_zero() {
            self.end_all_pairs();
        } else {
            self.wheel.arm(self.now + timeout, Timer::Drain);
        }
    }

    fn log_drain(&mut self, timeout: Duration) {
        let pairs = self.slots.len();
        self.log(match pairs > 0 && !timeout.is_zero() {
            true => Event::DrainingPairs { pairs, timeout },
            false => Event::Draining { pairs, timeout },
        });
    }

    /// Ends every pair that still runs, with a reset on both sides.
    pub(super) fn end_all_pairs(&mut self) {
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.slots[key].pair.end(Cause::DrainTimeout);
            self.settle(key);
        }
    }

    pub(super) fn end_if_drained(&mut self) {
        if self.life == Life::Draining && self.slots.is_empty() {
            self.life = Life::Over;
            self.journal.log_rest();
        }
    }
}
