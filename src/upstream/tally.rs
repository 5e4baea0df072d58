//! Counters of dials, by result, and of one endpoint. Count; decide nothing.
//!
//! Those of an endpoint are a part of it: they begin with it, and end when it is forgotten, with
//! the last of its pairs.

use super::{CheckResult, DialFailure};

/// Dials of one kind, by result.
///
/// `begun = succeeded + failed + abandoned + in flight`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dials {
    /// Those that began, in flight or decided.
    pub begun: u64,
    /// Those that became a connection and, of a probe, showed what they had to.
    pub succeeded: u64,
    /// Those that were given up undecided: the endpoint or the client was gone, or the process came
    /// to its end.
    pub abandoned: u64,
    failed: [u64; DialFailure::COUNT],
}

impl Dials {
    /// Counts one that failed for this reason.
    pub fn fail(&mut self, reason: DialFailure) {
        self.failed[reason.index()] += 1;
    }

    /// Those that failed for reasons with this index, see [`DialFailure::index`].
    pub fn failed_by(&self, index: usize) -> u64 {
        debug_assert!(index < DialFailure::COUNT, "not an index of a failure");
        self.failed[index]
    }

    /// Those that failed, for whatever reason.
    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Those that are not decided yet.
    ///
    /// # Panics
    /// When more were decided than had begun.
    pub fn in_flight(&self) -> u64 {
        let decided = self.succeeded + self.failed() + self.abandoned;
        self.begun.checked_sub(decided).expect("a dial has one result")
    }
}

/// Health checks, by result.
///
/// `begun = passed + failed + abandoned + in flight`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// Those that began, in flight or decided.
    pub begun: u64,
    /// Those by which the endpoint serves.
    pub passed: u64,
    /// Those by which it does not, or was not reached, for whatever reason.
    pub failed: u64,
    /// Those that were given up undecided: the endpoint was gone, or the process came to its end.
    pub abandoned: u64,
}

impl CheckCounts {
    /// Counts the result of one.
    pub fn add(&mut self, result: CheckResult) {
        match result {
            CheckResult::Passed => self.passed += 1,
            CheckResult::Failed(_) | CheckResult::Unexpected { .. } => self.failed += 1,
        }
    }

    /// Those that are not decided yet.
    ///
    /// # Panics
    /// When more were decided than had begun.
    pub fn in_flight(&self) -> u64 {
        let decided = self.passed + self.failed + self.abandoned;
        self.begun.checked_sub(decided).expect("a check has one result")
    }
}

/// What happened at one endpoint since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Dials for clients.
    pub dials: Dials,
    /// Dials of the monitor.
    pub probes: Dials,
    /// Health checks.
    pub checks: CheckCounts,
    /// Payload of pairs that have ended, bytes: from clients, and from the endpoint.
    pub bytes: [u64; 2],
    /// Times that it came into rotation, and out of it.
    pub became_active: u64,
    pub became_inactive: u64,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{Check, EndpointSet, EndpointSpec, RetryLimits};
    use super::*;
    use crate::address::Address;

    #[test]
    fn figures_of_an_endpoint_last_until_its_last_pair_is_gone() {
        let now = Instant::now();
        let mut set = EndpointSet::new(RetryLimits {
            delay_min: Duration::from_secs(1),
            delay_max: Duration::from_secs(60),
            last_resort_interval: Duration::from_millis(100),
            absence_max: Duration::from_secs(600),
            absent_max: 512,
        });
        let address = Address::from(([10, 0, 0, 1], 1));
        let spec = EndpointSpec {
            address,
            priority: 0,
            weight: 0,
            check: Check::Connect,
            health_check: None,
        };
        let id = set.reconcile(std::slice::from_ref(&spec), now).added[0];
        for _ in 0..4 {
            set.dial_begun(id, now);
        }
        set.dial_succeeded(id, now);
        set.pair_opened(id);
        set.dial_failed(id, now, DialFailure::Refused, now, 0).expect("evidence");
        set.dial_abandoned(id);
        let later = now + Duration::from_secs(60);
        assert!(set.begin_probe(id, later));
        set.probe_abandoned(id, later);
        let later = later + Duration::from_secs(60);
        assert!(set.begin_probe(id, later));
        set.probe_succeeded(id, later).expect("it is back");
        set.reconcile(&[], later);
        let tally = *set.get(id).expect("it has a pair").tally();
        assert_eq!((tally.dials.begun, tally.dials.in_flight()), (4, 1));
        assert_eq!((tally.probes.begun, tally.probes.abandoned, tally.probes.succeeded), (2, 1, 1));
        assert_eq!((tally.became_inactive, tally.became_active), (1, 1));
        set.pair_opened(id);
        set.pair_closed(id, [3, 4]);
        assert_eq!(set.get(id).map(|endpoint| endpoint.tally().bytes), Some([3, 4]));
        set.pair_closed(id, [1, 1]);
        assert!(set.get(id).is_none());
        let id = set.reconcile(&[spec], later).added[0];
        assert_eq!(set.get(id).map(|endpoint| *endpoint.tally()), Some(Tally::default()));
    }

    #[test]
    fn a_dial_is_in_flight_until_it_has_its_result() {
        let mut dials = Dials { begun: 4, ..Dials::default() };
        assert_eq!(dials.in_flight(), 4);
        dials.succeeded = 1;
        dials.abandoned = 1;
        dials.fail(DialFailure::Refused);
        dials.fail(DialFailure::Mistrusted { reason: "expired", authority: None });
        assert_eq!((dials.in_flight(), dials.failed()), (0, 2));
        assert_eq!(
            dials.failed_by(DialFailure::Mistrusted { reason: "other", authority: None }.index()),
            1
        );
    }
}
