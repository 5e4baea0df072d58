//! What always holds of a watch, as its type says, checked where debug assertions are on. Pure.

use super::{Phase, Status, Watch};
use crate::config::{DNS_RETRY_MAX, DNS_RETRY_MIN, ERRORS_REPORTED_MAX};
use crate::discovery::round::{ResolveError, Round};
use crate::proto::dns::Subject;

impl Watch {
    /// To be called after each change.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.known.invariants();
        match self.subject() {
            Subject::Host => assert!(self.services().is_empty(), "services of a host"),
            Subject::Service => assert!(self.addresses().next().is_none(), "addresses of a set"),
        }
        match &self.phase {
            Phase::Asking(round) => self.check_round(round),
            Phase::Idle { .. } => self.check_outcome(),
        }
        self.check_reported();
        self.check_pauses();
    }

    fn check_round(&self, round: &Round) {
        round.invariants();
        assert!(self.asked_at.is_some(), "asked at no time");
        assert!(round.outstanding > 0, "nothing would end the look-up");
        let kinds = self.subject().kinds();
        assert!(round.outstanding + round.parked.len() <= kinds.len());
        for (answered, _) in &round.parked {
            assert!(kinds.contains(&answered.kind), "not asked for");
            assert!(self.known.is_of_another(answered), "parked without need");
        }
    }

    fn check_outcome(&self) {
        let is_empty = self.known.is_empty();
        match self.status {
            Status::Resolved => assert!(!is_empty, "nothing was found"),
            Status::Failed(ResolveError::Failed(_)) => {}
            Status::Unknown | Status::Failed(_) => {
                assert!(is_empty, "something is known although there is nothing");
            }
        }
        assert!(!self.is_settled() || self.asked_at.is_some(), "an outcome without a look-up");
    }

    fn check_reported(&self) {
        assert!(self.reported.len() <= ERRORS_REPORTED_MAX);
        for (at, error) in self.reported.iter().enumerate() {
            assert!(!self.reported[..at].contains(error), "an error reported twice");
        }
    }

    fn check_pauses(&self) {
        assert!(self.pause >= DNS_RETRY_MIN, "repeated without a pause");
        assert!(self.pause <= DNS_RETRY_MAX, "a server that comes back is noticed too late");
        let has_failed = matches!(self.status, Status::Failed(ResolveError::Failed(_)));
        assert!(self.silences == 0 || has_failed, "silent, and it answered");
    }

    /// Whether the log knows of what is true now.
    pub(super) fn is_reported(&self) -> bool {
        match self.status {
            Status::Unknown => true,
            Status::Resolved => self.reported.is_empty(),
            Status::Failed(error) => self.reported.contains(&error),
        }
    }
}
