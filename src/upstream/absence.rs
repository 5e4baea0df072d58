//! Bad health that outlives absence: name servers may give a part of a large set with each answer,
//! so that an endpoint leaves and comes back, and what was found out about it is still true. Pure.
//!
//! Owns what is remembered of endpoints that have left the set, bounded in number and time. They
//! are not dialed meanwhile, but soon after they come back: a source that lists only what works, as
//! Kubernetes does of a headless service, has just said that they do. Good health is not
//! remembered: an endpoint without a check is active like a new one, and one with a check has to
//! pass it each time it comes.

use std::time::Instant;

use super::backoff::RetryLimits;
use super::health::Health;
use super::{Check, Endpoint, EndpointSpec};
use crate::address::Address;
use crate::recent::Recent;

/// The endpoints that have left in bad health.
#[derive(Debug)]
pub(super) struct Absentees {
    all: Recent<Address, Absentee>,
}

#[derive(Debug)]
struct Absentee {
    check: Check,
    health: Health,
    dialed_at: Option<Instant>,
}

impl Absentees {
    /// No endpoint has left so far.
    pub(super) fn new(limits: &RetryLimits) -> Absentees {
        Absentees { all: Recent::new(limits.absence_max, limits.absent_max) }
    }

    /// Remembers the health of an endpoint that leaves, if it is a bad one.
    pub(super) fn remember(&mut self, endpoint: &Endpoint, now: Instant, limits: &RetryLimits) {
        let Some(health) = endpoint.health.in_absence(limits) else { return };
        let Endpoint { check, dialed_at, .. } = *endpoint;
        debug_assert!(health.retry_at().is_some(), "its probe would never end");
        debug_assert!(dialed_at.is_none_or(|at| at <= now), "dialed in the future");
        self.all.insert(endpoint.address.clone(), Absentee { check, health, dialed_at }, now);
        self.all.forget(now);
    }

    /// Builds the endpoint of a spec: with the health that it left with, if that was bad.
    pub(super) fn recall(
        &mut self,
        spec: &EndpointSpec,
        now: Instant,
        limits: &RetryLimits,
    ) -> Endpoint {
        let mut endpoint = Endpoint::new(spec, now, limits);
        let absentee = self.all.take(&spec.address, now);
        if let Some(absentee) = absentee.filter(|absentee| absentee.check == spec.check) {
            debug_assert!(!absentee.health.is_active(), "good health is not remembered");
            endpoint.health = absentee.health.on_return(now, limits);
            endpoint.dialed_at = absentee.dialed_at;
            debug_assert!(endpoint.health.outage().is_some(), "cured by its absence");
            debug_assert!(endpoint.dialed_at.is_none_or(|at| at <= now), "dialed in the future");
        }
        debug_assert!(!endpoint.health.is_removed(), "it has just come");
        debug_assert_eq!((endpoint.pairs, endpoint.credit), (0, 0), "a new endpoint");
        endpoint
    }
}

impl Health {
    /// The health to remember once the endpoint has left; `None` if it is good. A probe that is
    /// under way then is given up: it counts as one that says nothing, but not as none.
    fn in_absence(&self, limits: &RetryLimits) -> Option<Health> {
        match *self {
            Health::Inactive { .. } => Some(*self),
            Health::Probing { started_at, outage } => {
                debug_assert!(started_at >= outage.since, "a probe of an earlier outage");
                Some(Health::Inactive { retry_at: started_at + limits.floor(), outage })
            }
            Health::Active { .. } | Health::Removed { .. } => None,
        }
    }

    /// The remembered health once the endpoint is back: its pause is over soon.
    fn on_return(self, now: Instant, limits: &RetryLimits) -> Health {
        debug_assert!(self.outage().is_some(), "good health is not remembered");
        match self {
            Health::Inactive { retry_at, outage } => {
                Health::Inactive { retry_at: retry_at.min(now + limits.floor()), outage }
            }
            Health::Probing { .. } | Health::Active { .. } | Health::Removed { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{ChangeKind, DialFailure, EndpointId, EndpointSet};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: RetryLimits = RetryLimits {
        delay_min: SECOND,
        delay_max: Duration::from_secs(60),
        last_resort_interval: Duration::from_millis(100),
        absence_max: Duration::from_secs(600),
        absent_max: 3,
    };

    fn spec(port: u16, check: Check) -> EndpointSpec {
        EndpointSpec {
            address: ([10, 0, 0, 1], port).into(),
            priority: 0,
            weight: 1,
            check,
            health_check: None,
        }
    }

    struct Bench {
        set: EndpointSet,
        now: Instant,
        check: Check,
    }

    impl Bench {
        fn new(check: Check) -> Bench {
            Bench { set: EndpointSet::new(LIMITS), now: Instant::now(), check }
        }

        /// From now on these are there. Gives the one that came last.
        fn list(&mut self, ports: &[u16]) -> Option<EndpointId> {
            let specs: Vec<_> = ports.iter().map(|port| spec(*port, self.check)).collect();
            self.set.reconcile(&specs, self.now).added.pop()
        }

        fn fail(&mut self, id: EndpointId) {
            let now = self.now;
            self.set.dial_begun(id, now);
            self.set.dial_failed(id, now, DialFailure::Refused, now, 0).expect("evidence");
        }

        fn retry_at(&self, id: EndpointId) -> Option<Instant> {
            match self.set.get(id).expect("it is there").health() {
                Health::Inactive { retry_at, .. } => Some(*retry_at),
                _ => None,
            }
        }
    }

    #[test]
    fn an_endpoint_that_leaves_in_bad_health_returns_with_it() {
        let mut bench = Bench::new(Check::Connect);
        let id = bench.list(&[1]).expect("new");
        bench.fail(id);
        let due = bench.retry_at(id);
        bench.list(&[2]);
        bench.now += SECOND / 2;
        let id = bench.list(&[1, 2]).expect("it is back");
        assert_eq!((bench.retry_at(id), bench.set.active_count()), (due, 1));
        assert_eq!(bench.set.pick(&[], bench.now).map(|picked| picked == id), Some(false));
        bench.now += SECOND;
        assert!(bench.set.begin_probe(id, bench.now), "due while it was away, if need be");
        let change = bench.set.probe_succeeded(id, bench.now).expect("it is back");
        assert_eq!(change.kind, ChangeKind::BecameActive { down_for: 3 * SECOND / 2 });
        bench.list(&[2]);
        let id = bench.list(&[1, 2]).expect("it is back");
        assert_eq!(bench.retry_at(id), None, "that outage is over");
    }

    #[test]
    fn a_probe_that_was_under_way_is_not_repeated_at_once() {
        let mut bench = Bench::new(Check::Connect);
        let id = bench.list(&[1]).expect("new");
        bench.fail(id);
        bench.now += SECOND;
        assert!(bench.set.begin_probe(id, bench.now));
        let begun = bench.now;
        bench.list(&[2]);
        bench.now += SECOND / 10;
        let id = bench.list(&[1, 2]).expect("it is back");
        assert_eq!(bench.retry_at(id), Some(begun + SECOND));
        assert!(!bench.set.begin_probe(id, bench.now));
    }

    #[test]
    fn growing_pauses_go_on_growing() {
        let mut bench = Bench::new(Check::Tls);
        let mut id = bench.list(&[1]).expect("new");
        for step in [1, 2, 4, 8] {
            bench.now = bench.retry_at(id).expect("it fails").max(bench.now);
            assert!(bench.set.begin_probe(id, bench.now));
            bench.set.probe_failed(id, DialFailure::Refused, bench.now, u64::MAX).expect("timer");
            assert_eq!(bench.retry_at(id), Some(bench.now + 2 * step * SECOND));
            bench.list(&[2]);
            bench.now += SECOND / 2;
            id = bench.list(&[1, 2]).expect("it is back");
        }
    }

    #[test]
    fn what_is_back_is_probed_soon() {
        let mut bench = Bench::new(Check::Connect);
        let id = bench.list(&[1]).expect("new");
        bench.fail(id);
        for _ in 0..9 {
            bench.now = bench.retry_at(id).expect("it fails");
            assert!(bench.set.begin_probe(id, bench.now));
            bench.set.probe_failed(id, DialFailure::Refused, bench.now, u64::MAX).expect("timer");
        }
        assert_eq!(bench.retry_at(id), Some(bench.now + LIMITS.delay_max));
        bench.list(&[2]);
        bench.now += SECOND;
        let id = bench.list(&[1, 2]).expect("it is back");
        assert_eq!(bench.retry_at(id), Some(bench.now + LIMITS.delay_min), "and not at once");
    }

    #[test]
    fn it_has_an_end() {
        let mut bench = Bench::new(Check::Connect);
        let id = bench.list(&[1]).expect("new");
        bench.fail(id);
        bench.list(&[2]);
        bench.now += LIMITS.absence_max;
        let id = bench.list(&[1, 2]).expect("it is back");
        assert_eq!(bench.retry_at(id), None, "that was long ago");
    }

    #[test]
    fn only_so_many_are_remembered_and_only_as_they_were() {
        let mut bench = Bench::new(Check::Connect);
        for port in 1..=4 {
            let id = bench.list(&[port]).expect("new");
            bench.fail(id);
        }
        bench.list(&[5]);
        assert_eq!(bench.set.absentees.all.count(), LIMITS.absent_max);
        let id = bench.list(&[1, 5]).expect("back");
        assert_eq!(bench.retry_at(id), None, "the first is forgotten");
        let id = bench.list(&[1, 2, 5]).expect("back");
        assert!(bench.retry_at(id).is_some());
        bench.check = Check::Tls;
        let id = bench.list(&[3]).expect("new");
        let outage = *bench.set.get(id).expect("there").health().outage().expect("unproven");
        assert_eq!(outage.reason, DialFailure::Unproven, "it has to prove itself as any other");
    }

    #[test]
    fn an_endpoint_whose_pairs_go_on_is_remembered_too() {
        let mut bench = Bench::new(Check::Connect);
        let old = bench.list(&[1]).expect("new");
        bench.set.pair_opened(old);
        bench.fail(old);
        bench.list(&[2]);
        let new = bench.list(&[1, 2]).expect("back");
        assert_ne!(old, new);
        assert!(bench.retry_at(new).is_some());
        bench.set.pair_closed(old, [0; 2]);
        assert_eq!(bench.set.count(), 2);
    }
}
