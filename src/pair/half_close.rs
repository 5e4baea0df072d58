//! How long a pair may do nothing: half-closed without progress, or open and quiet. Pure.
//!
//! A half-closed pair whose other direction never ends would hold two descriptors for ever, so
//! it is closed after `--half-close-timeout` without a byte. A fully open pair may be quiet for
//! as long as it likes, as watches are, unless `--idle-timeout` says otherwise. Deadlines follow
//! from `moved_at`, so moving a byte costs no timer work: a timer that fires early asks again.

use std::time::{Duration, Instant};

use super::ending::Cause;
use super::flow::FlowState;
use super::step::Side;
use super::{Pair, Phase};

/// How long a pair may be without progress; `None` means for ever.
#[derive(Clone, Copy, Debug)]
pub struct QuietLimits {
    /// While one side has ended.
    pub half_closed: Option<Duration>,
    /// While neither has.
    pub open: Option<Duration>,
}

impl Pair {
    /// When the pair must be looked at again if nothing happens before. Changes with every
    /// `apply`, `on_ready`, `connect` and attempt; a look that comes too early is harmless.
    pub fn next_deadline(&self, limits: &QuietLimits) -> Option<Instant> {
        match &self.phase {
            Phase::Dialing(dialing) => dialing.attempt().map(|attempt| attempt.deadline),
            Phase::Relaying => self.quiet_deadline(limits).map(|(deadline, _)| deadline),
            Phase::Flushing(flush) => {
                let quiet = self.quiet_deadline(limits).map(|(deadline, _)| deadline);
                [quiet, flush.check_at()].into_iter().flatten().min()
            }
            Phase::Closing(_) => None,
        }
    }

    /// Ends the pair if it did nothing for too long.
    pub fn end_if_quiet(&mut self, limits: &QuietLimits, now: Instant) {
        if !matches!(self.phase, Phase::Relaying | Phase::Flushing(_)) {
            return;
        }
        match self.quiet_deadline(limits) {
            Some((deadline, cause)) if deadline <= now => self.end(cause),
            _ => {}
        }
    }

    fn quiet_deadline(&self, limits: &QuietLimits) -> Option<(Instant, Cause)> {
        let (limit, cause) = if self.is_half_closed() {
            (limits.half_closed?, Cause::HalfCloseTimeout)
        } else {
            (limits.open?, Cause::IdleTimeout)
        };
        Some((self.moved_at + limit, cause))
    }

    /// Whether one side has ended. An end that an event told of counts although it was not read
    /// yet: behind a sink that takes nothing it might never be.
    fn is_half_closed(&self) -> bool {
        Side::BOTH.into_iter().any(|side| {
            let ready = self.ready[side.index()];
            ready.closed || ready.error || self.flow(side).state() != FlowState::Open
        })
    }
}
