//! How long a pair may do nothing: half-closed without progress, or open and idle. Pure.
//!
//! A half-closed pair whose other direction never ends would hold two descriptors forever, so
//! it is closed after `--half-close-timeout` without progress. A fully open pair may be idle for
//! as long as it likes, as watches are, unless `--idle-timeout` says otherwise.
//!
//! Progress is a byte that moved, an end that became known, and what our kernel delivers of bytes
//! that were written long ago: a slow reader may live on a full send queue for minutes. The kernel
//! raises no event for that, so the queues are measured twice, soon after the last byte for
//! comparison and when time is up. Moving a byte costs no timer work: a timer that fires early asks
//! again.
//!
//! ```text
//!   since            1 s, or limit/8                         first measurement + limit
//!     │ last byte       │ first measurement: bytes unsent       │ fewer? start again
//! ────┴─────────────────┴───────────────────────────────────────┴─── as many? over
//! ```
//!
//! So a pair is never ended early, and late by a second at most.

use std::time::{Duration, Instant};

use super::ending::Cause;
use super::flow::FlowState;
use super::step::Side;
use super::{Limits, Pair, Phase};

/// The queues are first measured after this time, or this part of the limit if that is shorter.
const FIRST_MEASUREMENT: Duration = Duration::from_secs(1);
const FIRST_MEASUREMENT_DIVISOR: u32 = 8;
const _: () = assert!(FIRST_MEASUREMENT_DIVISOR > 1, "the first comes before time is up");

/// How long a pair may be without progress, above zero; `None` means forever.
#[derive(Clone, Copy, Debug)]
pub struct InactivityLimits {
    /// While one side has ended.
    pub half_closed: Option<Duration>,
    /// While neither has.
    pub open: Option<Duration>,
}

/// How long a pair has been without progress, as far as is known.
#[derive(Clone, Debug)]
pub(super) enum Inactivity {
    /// Something moved or changed then; the send queues were not measured since.
    Since(Instant),
    /// The queues were measured then and held `unsent` bytes in all; nothing moved since.
    Measured { at: Instant, unsent: usize },
}

impl Inactivity {
    pub(super) fn new(now: Instant) -> Inactivity {
        Inactivity::Since(now)
    }

    /// Something moved or changed.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Inactivity::Since(now);
    }

    /// When to measure the queues.
    #[inline]
    fn measure_at(&self, limit: Duration) -> Instant {
        debug_assert!(!limit.is_zero(), "without a limit a pair would be over before it began");
        match self {
            Inactivity::Since(since) => {
                *since + FIRST_MEASUREMENT.min(limit / FIRST_MEASUREMENT_DIVISOR)
            }
            Inactivity::Measured { at, .. } => *at + limit,
        }
    }

    /// Takes in that the queues hold `unsent` bytes in all. Returns whether the pair was without
    /// progress for too long.
    fn on_measurement(&mut self, unsent: usize, limit: Duration, now: Instant) -> bool {
        match self {
            Inactivity::Measured { unsent: before, .. } if unsent >= *before => {
                self.measure_at(limit) <= now
            }
            Inactivity::Since(_) | Inactivity::Measured { .. } => {
                *self = Inactivity::Measured { at: now, unsent };
                debug_assert!(self.measure_at(limit) > now, "measuring again at once would spin");
                false
            }
        }
    }
}

impl Pair {
    /// When the pair must be pumped again if nothing happens before. Changes with every `apply`,
    /// `on_ready`, `connect` and attempt; a call that comes too early is harmless.
    #[inline]
    pub fn next_deadline(&self, limits: &Limits) -> Option<Instant> {
        let inactive_at = self.measure_at(limits);
        let options_at = self.deferred.due_at();
        match &self.phase {
            Phase::Dialing(dialing) => dialing.deadline(),
            Phase::Relaying => [inactive_at, options_at].into_iter().flatten().min(),
            Phase::Flushing(flush) => {
                [inactive_at, options_at, flush.measure_at()].into_iter().flatten().min()
            }
            Phase::Closing(_) => None,
        }
    }

    /// Whether the send queues are to be measured now, to tell an inactive pair from a slow one.
    pub(super) fn is_inactivity_due(&self, limits: &Limits, now: Instant) -> bool {
        self.measure_at(limits).is_some_and(|at| at <= now)
    }

    /// The queues hold `unsent` bytes in all: ends the pair if that shows that nothing moves.
    pub(super) fn end_if_inactive(&mut self, unsent: usize, limits: &Limits, now: Instant) {
        debug_assert!(self.ending().is_none(), "measured after the end");
        let Some((limit, cause)) = self.inactivity_limit(limits) else { return };
        if self.inactivity.on_measurement(unsent, limit, now) {
            self.end(cause);
        }
    }

    #[inline]
    fn measure_at(&self, limits: &Limits) -> Option<Instant> {
        let (limit, cause) = self.inactivity_limit(limits)?;
        debug_assert_eq!(self.is_half_closed(), cause == Cause::HalfCloseTimeout, "another limit");
        Some(self.inactivity.measure_at(limit))
    }

    #[inline]
    fn inactivity_limit(&self, limits: &Limits) -> Option<(Duration, Cause)> {
        if self.is_half_closed() {
            Some((limits.inactivity.half_closed?, Cause::HalfCloseTimeout))
        } else {
            Some((limits.inactivity.open?, Cause::IdleTimeout))
        }
    }

    /// Whether one side has ended. An end that an event reported counts although it was not read
    /// yet: behind a sink that takes nothing it might never be.
    #[inline]
    pub(super) fn is_half_closed(&self) -> bool {
        Side::BOTH.into_iter().any(|side| {
            let ready = self.ready[side.index()];
            ready.closed || ready.error || self.flow(side).state() != FlowState::Open
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_over_one_limit_after_the_first_measurement() {
        for unsent in [0, 100] {
            let start = Instant::now();
            let mut inactivity = Inactivity::new(start);
            assert_eq!(inactivity.measure_at(LIMIT), start + SECOND);
            assert!(!inactivity.on_measurement(unsent, LIMIT, start + SECOND));
            assert_eq!(inactivity.measure_at(LIMIT), start + SECOND + LIMIT);
            assert!(
                !inactivity.on_measurement(unsent, LIMIT, start + LIMIT),
                "a measurement for another reason"
            );
            assert!(inactivity.on_measurement(unsent, LIMIT, start + SECOND + LIMIT));
        }
    }

    #[test]
    fn a_short_limit_is_looked_at_sooner() {
        let start = Instant::now();
        assert_eq!(Inactivity::new(start).measure_at(SECOND), start + SECOND / 8);
        assert_eq!(Inactivity::new(start).measure_at(3600 * SECOND), start + SECOND);
    }

    #[test]
    fn a_queue_that_shrinks_is_progress() {
        let start = Instant::now();
        let mut inactivity = Inactivity::new(start);
        assert!(!inactivity.on_measurement(100, LIMIT, start + SECOND));
        let second = start + SECOND + LIMIT;
        assert!(!inactivity.on_measurement(99, LIMIT, second));
        assert_eq!(inactivity.measure_at(LIMIT), second + LIMIT);
        assert!(
            !inactivity.on_measurement(0, LIMIT, second + LIMIT),
            "the last bytes were progress, too"
        );
        assert_eq!(inactivity.measure_at(LIMIT), second + 2 * LIMIT);
        assert!(inactivity.on_measurement(0, LIMIT, second + 2 * LIMIT));
    }

    #[test]
    fn progress_starts_again() {
        let start = Instant::now();
        let mut inactivity = Inactivity::new(start);
        assert!(!inactivity.on_measurement(0, LIMIT, start + SECOND));
        inactivity.restart(start + 7 * SECOND);
        assert_eq!(inactivity.measure_at(LIMIT), start + 8 * SECOND);
    }
}
