//! Pauses: for a while after a shortage of descriptors or memory the gateway lets no client in.

use std::time::Duration;

use etcd_gateway::config::ACCEPT_PAUSE;

use super::TICK;

#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// When the gateway last met a shortage; none once something became free since.
    short_at: Option<Duration>,
    /// When it last met one, whatever became free since.
    last_short_at: Option<Duration>,
    /// When the pause that is on began, and in which turn.
    paused: Option<(Duration, u64)>,
    /// The last turn in which a pause was over by itself, or may have been.
    ended_in: u64,
    /// Until when there may or may not be one.
    in_doubt_until: Duration,
    /// The last reading of the clock.
    clock_at: Duration,
}

impl Pauses {
    /// The gateway met a shortage while no pause was on; `is_unpaused`: in something that it does
    /// only then.
    pub(super) fn begin(&mut self, now: Duration, turn: u64, is_unpaused: bool) {
        // In the turn that ends a pause this may still fall into it, and begin none.
        if !is_unpaused && (self.ended_in == turn || now < self.in_doubt_until) {
            self.in_doubt_until = now + ACCEPT_PAUSE + TICK;
        } else {
            self.paused = Some((now, turn));
        }
    }

    pub(super) fn note_shortage(&mut self, now: Duration) {
        self.short_at = Some(now);
        self.last_short_at = Some(now);
    }

    /// Whether the gateway has met a shortage in this turn.
    pub(super) fn is_short(&self, now: Duration) -> bool {
        self.last_short_at == Some(now)
    }

    /// The gateway has read the clock; `is_waived`: whether pauses do not count in this turn.
    pub(super) fn clock_is_read(&mut self, now: Duration, turn: u64, is_waived: bool) {
        let before = std::mem::replace(&mut self.clock_at, now);
        if before < self.in_doubt_until {
            self.ended_in = turn;
        }
        if let Some((since, _)) = self.paused
            && (is_waived || !self.is_on(now))
        {
            self.paused = None;
            self.ended_in = turn;
            // Its timer fires at the next tick.
            self.in_doubt_until = since + ACCEPT_PAUSE + TICK;
        }
    }

    pub(super) fn is_on(&self, now: Duration) -> bool {
        self.paused.is_some_and(|(since, _)| now < since + ACCEPT_PAUSE)
    }

    /// Whether the pause that is on began in that turn.
    pub(super) fn began_in(&self, turn: u64) -> bool {
        self.paused.is_some_and(|(_, begun)| begun == turn)
    }

    /// Whether a shortage is so recent that a pause is in order.
    pub(super) fn may_be_on(&self, now: Duration) -> bool {
        self.short_at.is_some_and(|at| now < at + ACCEPT_PAUSE + TICK)
    }

    /// Something is given up, and with it a descriptor free.
    pub(super) fn lift(&mut self) {
        (self.short_at, self.paused) = (None, None);
    }
}
