//! How often an endpoint that does not answer may be dialed again: back-off and jitter. Pure.
//!
//! Owns the arithmetic. When a retry is due is kept in `health.rs`; randomness is an argument.

use std::time::Duration;

/// Longest delay between two probes: what a Go duration can hold, 292 years. Longer ones are cut
/// to it, so that adding a delay to an [`Instant`](std::time::Instant) cannot overflow.
pub(super) const DELAY_LIMIT: Duration = Duration::from_secs(292 * 365 * 24 * 60 * 60);
const _: () = assert!(DELAY_LIMIT.as_nanos() < u64::MAX as u128, "nanoseconds fit 64 bits");

/// How often an endpoint that does not answer may be dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// First and shortest delay before a probe, above zero.
    pub delay_min: Duration,
    /// Longest delay before a probe, above zero. Below `delay_min` it is the only delay there is.
    pub delay_max: Duration,
    /// Shortest time between two dials that clients cause to one endpoint that is not active.
    pub last_resort_interval: Duration,
    /// How long the bad health of an endpoint that has left the set is remembered.
    pub absence_max: Duration,
    /// The most endpoints of which it is remembered at a time.
    pub absent_max: usize,
}

impl RetryLimits {
    /// The limits as the machine may rely on them.
    ///
    /// # Panics
    /// When a delay is zero: that would be a busy loop of probes. The configuration refuses it.
    pub(super) fn checked(mut self) -> RetryLimits {
        assert!(!self.delay_min.is_zero(), "the first retry needs a delay");
        assert!(!self.delay_max.is_zero(), "the retries need a delay");
        self.delay_min = self.delay_min.min(DELAY_LIMIT);
        self.delay_max = self.delay_max.min(DELAY_LIMIT);
        self
    }

    /// The shortest delay of all, and the first step.
    pub(super) fn floor(&self) -> Duration {
        let floor = self.delay_min.min(self.delay_max);
        debug_assert!(!floor.is_zero(), "probes without a pause");
        floor
    }

    /// The ceiling of the delay after this one.
    pub(super) fn step_after(&self, step: Duration) -> Duration {
        debug_assert!(step >= self.floor());
        debug_assert!(step <= self.delay_max, "a step beyond the longest delay");
        let next = step.saturating_mul(2).min(self.delay_max);
        debug_assert!(next > step || next == self.delay_max, "it stops below the longest delay");
        next
    }

    /// A delay, even over `[max(floor, step / 2), step]`, both ends included. The first one is
    /// exactly the floor: a member that only restarts is wanted back soon.
    pub(super) fn delay(&self, step: Duration, jitter: u64) -> Duration {
        debug_assert!(step >= self.floor());
        debug_assert!(step <= self.delay_max);
        let least = (step / 2).max(self.floor());
        let span = (step - least).as_nanos();
        debug_assert!(span < u128::from(u64::MAX), "the product has more than 128 bits");
        // Below `span + 1`, which fits 64 bits by DELAY_LIMIT: the cast loses nothing.
        let share = ((span + 1) * u128::from(jitter)) >> 64;
        debug_assert!(share <= span, "a share of more than the whole");
        let delay = least + Duration::from_nanos(share as u64);
        debug_assert!(delay >= least);
        debug_assert!(delay <= step);
        delay
    }
}
