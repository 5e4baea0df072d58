//! How much an exchange reads in one turn. A server that sends without end, and faster than we
//! read, would otherwise keep the loop from everything else. Events of a socket come once for what
//! has arrived, so the exchange goes on by a timer.

use std::time::Instant;

use crate::arena::Key;
use crate::config::limits::{EXCHANGE_BUDGET_BYTES, EXCHANGE_PAUSE};
use crate::net::Net;
use crate::reactor::context::{Context, Timer};
use crate::reactor::wheel::TimerKey;

/// What an exchange has read in the present turn.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// The time of the turn that the bytes were read in.
    turn: Option<Instant>,
    bytes: usize,
    /// The timer at which reading goes on; `None` while an event of the socket is waited for.
    pub(super) timer: Option<TimerKey>,
}

impl Pacing {
    /// Whether more may be read in the turn of this time.
    pub(super) fn may_read(&mut self, now: Instant) -> bool {
        if self.turn != Some(now) {
            (self.turn, self.bytes) = (Some(now), 0);
        }
        self.bytes < EXCHANGE_BUDGET_BYTES
    }

    /// Notes that bytes were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl<N: Net> Context<N> {
    /// Lets an exchange go on in a later turn.
    pub(super) fn pause_exchange(&mut self, key: Key) {
        let Context { wheel, exchanges, now, .. } = self;
        let timer = &mut exchanges.table[key].pacing.timer;
        timer.get_or_insert_with(|| wheel.arm(*now + EXCHANGE_PAUSE, Timer::ExchangePause(key)));
    }

    /// Notes that the pause of an exchange is over, which then has to be advanced.
    pub(in crate::reactor) fn end_exchange_pause(&mut self, key: Key) {
        debug_assert!(self.exchanges.owner(key).is_some(), "a timer outlived its exchange");
        if let Some(exchange) = self.exchanges.table.get_mut(key) {
            exchange.pacing.timer = None;
        }
    }
}
