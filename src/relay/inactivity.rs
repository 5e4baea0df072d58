//! How long a pair may do nothing: half-closed without progress, or open and quiet. Pure.
//!
//! A half-closed pair whose other direction never ends would hold two descriptors for ever, so
//! it is closed after `--half-close-timeout` without progress. A fully open pair may be quiet for
//! as long as it likes, as watches are, unless `--idle-timeout` says otherwise.
//!
//! Progress is a byte that moved, an end that became known, and what our kernel delivers of bytes
//! that were written long ago: a slow reader may live on a full send queue for minutes. The kernel
//! does not tell, so the queues are looked at twice, soon after the last byte for comparison and
//! when time is up. Moving a byte costs no timer work: a timer that fires early asks again.
//!
//! ```text
//!   since            1 s, or limit/8                          first look + limit
//!     │ last byte       │ first look: so many bytes unsent        │ fewer? start again
//! ────┴─────────────────┴─────────────────────────────────────────┴─── as many? over
//! ```
//!
//! So a pair is never ended early, and late by a second at most.

use std::time::{Duration, Instant};

use super::ending::Cause;
use super::flow::FlowState;
use super::step::Side;
use super::{Limits, Pair, Phase};

/// The first look comes after this time, or this part of the limit if that is shorter.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const FIRST_LOOK_DIVISOR: u32 = 8;

/// How long a pair may be without progress; `None` means for ever.
#[derive(Clone, Copy, Debug)]
pub struct QuietLimits {
    /// While one side has ended.
    pub half_closed: Option<Duration>,
    /// While neither has.
    pub open: Option<Duration>,
}

/// What is known of a pair's last progress.
#[derive(Clone, Debug)]
pub(super) enum Quiet {
    /// Something moved or changed then; the send queues were not looked at since.
    Since(Instant),
    /// The queues were looked at then and held so many bytes in all; nothing moved since.
    Looked { at: Instant, unsent: usize },
}

impl Quiet {
    pub(super) fn new(now: Instant) -> Quiet {
        Quiet::Since(now)
    }

    /// Something moved or changed.
    pub(super) fn progress(&mut self, now: Instant) {
        *self = Quiet::Since(now);
    }

    /// When to look at the queues.
    fn look_at(&self, limit: Duration) -> Instant {
        match self {
            Quiet::Since(since) => *since + FIRST_LOOK.min(limit / FIRST_LOOK_DIVISOR),
            Quiet::Looked { at, .. } => *at + limit,
        }
    }

    /// The queues hold so many bytes in all. Returns whether the pair was quiet for too long.
    fn observe(&mut self, unsent: usize, limit: Duration, now: Instant) -> bool {
        match self {
            Quiet::Looked { unsent: before, .. } if unsent >= *before => self.look_at(limit) <= now,
            Quiet::Since(_) | Quiet::Looked { .. } => {
                *self = Quiet::Looked { at: now, unsent };
                false
            }
        }
    }
}

impl Pair {
    /// When the pair must be looked at again if nothing happens before. Changes with every
    /// `apply`, `on_ready`, `connect` and attempt; a look that comes too early is harmless.
    pub fn next_deadline(&self, limits: &Limits) -> Option<Instant> {
        let look_at = self.quiet_limit(limits).map(|(limit, _)| self.quiet.look_at(limit));
        let lasting_at = self.lasting.due_at();
        match &self.phase {
            Phase::Dialing(dialing) => dialing.deadline(),
            Phase::Relaying => [look_at, lasting_at].into_iter().flatten().min(),
            Phase::Flushing(flush) => {
                [look_at, lasting_at, flush.check_at()].into_iter().flatten().min()
            }
            Phase::Closing(_) => None,
        }
    }

    /// Whether the send queues are to be looked at now, to tell a quiet pair from a slow one.
    pub(super) fn is_look_due(&self, limits: &Limits, now: Instant) -> bool {
        let limit = self.quiet_limit(limits);
        limit.is_some_and(|(limit, _)| self.quiet.look_at(limit) <= now)
    }

    /// The queues hold so many bytes in all: ends the pair if that shows that nothing moves.
    pub(super) fn end_if_quiet(&mut self, unsent: usize, limits: &Limits, now: Instant) {
        let Some((limit, cause)) = self.quiet_limit(limits) else { return };
        if self.quiet.observe(unsent, limit, now) {
            self.end(cause);
        }
    }

    fn quiet_limit(&self, limits: &Limits) -> Option<(Duration, Cause)> {
        if self.is_half_closed() {
            Some((limits.quiet.half_closed?, Cause::HalfCloseTimeout))
        } else {
            Some((limits.quiet.open?, Cause::IdleTimeout))
        }
    }

    /// Whether one side has ended. An end that an event told of counts although it was not read
    /// yet: behind a sink that takes nothing it might never be.
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
    fn it_is_over_one_limit_after_the_first_look() {
        for unsent in [0, 100] {
            let start = Instant::now();
            let mut quiet = Quiet::new(start);
            assert_eq!(quiet.look_at(LIMIT), start + SECOND);
            assert!(!quiet.observe(unsent, LIMIT, start + SECOND));
            assert_eq!(quiet.look_at(LIMIT), start + SECOND + LIMIT);
            assert!(!quiet.observe(unsent, LIMIT, start + LIMIT), "a look for another reason");
            assert!(quiet.observe(unsent, LIMIT, start + SECOND + LIMIT));
        }
    }

    #[test]
    fn a_short_limit_is_looked_at_sooner() {
        let start = Instant::now();
        assert_eq!(Quiet::new(start).look_at(SECOND), start + SECOND / 8);
        assert_eq!(Quiet::new(start).look_at(3600 * SECOND), start + SECOND);
    }

    #[test]
    fn a_queue_that_shrinks_is_progress() {
        let start = Instant::now();
        let mut quiet = Quiet::new(start);
        quiet.observe(100, LIMIT, start + SECOND);
        let second = start + SECOND + LIMIT;
        assert!(!quiet.observe(99, LIMIT, second));
        assert_eq!(quiet.look_at(LIMIT), second + LIMIT);
        assert!(!quiet.observe(0, LIMIT, second + LIMIT), "the last bytes were progress, too");
        assert_eq!(quiet.look_at(LIMIT), second + 2 * LIMIT);
        assert!(quiet.observe(0, LIMIT, second + 2 * LIMIT));
    }

    #[test]
    fn progress_starts_again() {
        let start = Instant::now();
        let mut quiet = Quiet::new(start);
        quiet.observe(0, LIMIT, start + SECOND);
        quiet.progress(start + 7 * SECOND);
        assert_eq!(quiet.look_at(LIMIT), start + 8 * SECOND);
    }
}
