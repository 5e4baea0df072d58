//! What always holds of a pair, as its type says, checked where debug assertions are on. Pure.

use super::ending::{Cause, EndedIn, Ending};
use super::flow::{Flow, FlowState};
use super::step::{Budget, Side};
use super::{DeferredOptions, Limits, Pair, Phase};
use std::time::Instant;

impl Pair {
    /// To be called after each change.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        match &self.phase {
            Phase::Dialing(dialing) => {
                assert!(self.flows.iter().all(Flow::is_untouched), "read before there is a server");
                assert_eq!(self.deferred, DeferredOptions::NothingDue, "options of no server");
                dialing.invariants();
            }
            Phase::Relaying => {
                for side in Side::BOTH {
                    assert_ne!(self.flow(side).state(), FlowState::Broken, "a loss is forgotten");
                }
            }
            Phase::Flushing(flush) => {
                let [from, to] = [flush.lost, flush.lost.other()].map(|side| self.flow(side));
                assert_eq!(to.state(), FlowState::Broken, "bytes for a side that is lost");
                assert_ne!(from.state(), FlowState::Broken, "the last bytes of it are discarded");
            }
            Phase::Closing(ending) => self.check_ending(*ending),
        }
    }

    fn check_ending(&self, ending: Ending) {
        let is_complete = ending.cause == Cause::Completed;
        assert_eq!(ending.is_orderly(), is_complete, "a failure that looks like an end");
        if is_complete {
            assert_eq!(ending.phase, EndedIn::Relaying, "complete without a server");
            assert!(self.is_complete(), "bytes, an end or an error are left");
        }
        if ending.phase == EndedIn::Dialing {
            assert!(self.flows.iter().all(Flow::is_untouched), "read before there is a server");
        }
    }

    /// Whether a pair that has nothing to do is woken up in the future alone: else the reactor
    /// would spin. What follows from the deadline of an attempt is not decided here.
    pub(super) fn sleeps_until_later(&self, limits: &Limits, now: Instant) -> bool {
        let is_idle = self.next(&Budget::new(1), limits, now).is_none();
        !is_idle
            || !self.phase.is_connected()
            || self.next_deadline(limits).is_none_or(|at| at > now)
    }
}

impl Phase {
    /// Whether bytes may flow.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self, Phase::Relaying | Phase::Flushing(_))
    }
}
