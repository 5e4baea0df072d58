//! Endpoints come and go: the set becomes what new specs say, and those that stay keep everything.
//!
//! Owns the comparison of the set with specs. Pairs are never touched: an endpoint that is removed
//! is remembered until the last of its pairs is gone.

use std::time::Instant;

use super::members::Members;
use super::{Endpoint, EndpointId, EndpointSet, EndpointSpec, pick};
use crate::address::Address;

/// What [`EndpointSet::reconcile`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    /// New endpoints, in the order of the specs.
    pub added: Vec<EndpointId>,
    /// Endpoints that are no longer to be dialed. Dials to them that are in flight should move on
    /// to another; their pairs may go on.
    pub removed: Vec<Removed>,
}

/// An endpoint that is no longer wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The endpoint; by now it may be forgotten.
    pub id: EndpointId,
    /// Its address, for the log.
    pub address: Address,
    /// Pairs that go on.
    pub pairs: u32,
}

impl EndpointSet {
    /// Makes the set what `specs` say. The address is the key: an endpoint that stays keeps its id,
    /// health, pairs and place in the rotation, and takes the new priority, weight and health
    /// check. An address that returns while its removed predecessor still has pairs is a new
    /// endpoint, and so is one that gets another check. One that returns in time does so in the bad
    /// health that it left with.
    pub fn reconcile(&mut self, specs: &[EndpointSpec], now: Instant) -> Reconciled {
        let before = if cfg!(debug_assertions) { self.members.live_and_pairs() } else { (0, 0) };
        let removed = self.remove_absent(specs, now);
        let mut added = Vec::new();
        for (position, spec) in specs.iter().enumerate() {
            if specs[..position].iter().any(|earlier| earlier.address == spec.address) {
                continue;
            }
            match self.find(spec) {
                Some(endpoint) => endpoint.update_spec(spec, now),
                None => {
                    debug_assert!(self.addresses().all(|one| *one != spec.address), "two of one");
                    let endpoint = self.absentees.recall(spec, now, &self.limits);
                    added.push(self.members.insert(endpoint));
                }
            }
        }
        pick::rotation::recentre(&mut self.members);
        debug_assert!(self.holds(specs), "other endpoints than asked for");
        debug_assert_eq!(
            self.members.live_and_pairs(),
            (before.0 + added.len() - removed.len(), before.1),
            "an endpoint came or went unnoticed, or pairs with it"
        );
        self.invariants();
        Reconciled { added, removed }
    }

    /// Whether each spec has its endpoint, and each live endpoint a spec.
    fn holds(&self, specs: &[EndpointSpec]) -> bool {
        let is_met = specs.iter().all(|spec| self.addresses().any(|one| *one == spec.address));
        is_met && self.members.live().all(|(_, endpoint)| endpoint.is_wanted_by(specs))
    }

    fn find(&mut self, spec: &EndpointSpec) -> Option<&mut Endpoint> {
        let (id, _) = self.members.live().find(|(_, endpoint)| endpoint.is_meant_by(spec))?;
        self.members.get_mut(id)
    }

    fn remove_absent(&mut self, specs: &[EndpointSpec], now: Instant) -> Vec<Removed> {
        let absent = self.members.live().filter(|(_, endpoint)| !endpoint.is_wanted_by(specs));
        let removed: Vec<Removed> = absent.map(|(id, endpoint)| endpoint.removed_as(id)).collect();
        self.members.remove_anew(&removed, now);
        for Removed { id, .. } in &removed {
            let endpoint = self.members.get_mut(*id).expect("its id was collected just above");
            self.absentees.remember(endpoint, now, &self.limits);
            endpoint.health.remove(now);
            endpoint.credit = 0;
            if endpoint.pairs == 0 {
                self.members.forget(*id);
            }
        }
        debug_assert!(
            removed
                .iter()
                .all(|gone| { self.get(gone.id).map_or(0, Endpoint::pairs) == gone.pairs }),
            "a removal ends no pair"
        );
        removed
    }

    /// Endpoints that were removed and have pairs, with the time since when, while another one is
    /// known to serve. Not those whose address is there again.
    pub fn leavers(&self) -> impl Iterator<Item = (EndpointId, Instant)> {
        let can_replace = self.members.live().any(|(_, endpoint)| endpoint.is_serving());
        let leavers = self.iter().filter_map(|(id, endpoint)| {
            let removed_at = endpoint.health.removed_at()?;
            let is_back = self.addresses().any(|address| *address == endpoint.address);
            (!is_back).then_some((id, removed_at))
        });
        leavers.filter(move |_| can_replace)
    }
}

impl Members {
    /// The number of live endpoints, and of the pairs of all: what a change of the set conserves.
    fn live_and_pairs(&self) -> (usize, u64) {
        (self.live().count(), self.iter().map(|(_, endpoint)| u64::from(endpoint.pairs)).sum())
    }

    /// Has the time since the removal of an address begin anew also for those of its pairs that are
    /// left of the time before: it was back meanwhile.
    fn remove_anew(&mut self, removed: &[Removed], now: Instant) {
        let gone = self.iter().filter(|(_, endpoint)| endpoint.health.is_removed());
        let again = gone.filter(|(_, gone)| removed.iter().any(|one| one.address == gone.address));
        let again: Vec<EndpointId> = again.map(|(id, _)| id).collect();
        for id in again {
            let endpoint = self.get_mut(id).expect("its id was collected just above");
            endpoint.health.remove_anew(now);
        }
    }
}

impl Endpoint {
    fn is_meant_by(&self, spec: &EndpointSpec) -> bool {
        self.address == spec.address && self.check == spec.check
    }

    /// Whether the first spec of its address, which is the one that counts, means this endpoint.
    fn is_wanted_by(&self, specs: &[EndpointSpec]) -> bool {
        let spec = specs.iter().find(|spec| spec.address == self.address);
        spec.is_some_and(|spec| self.is_meant_by(spec))
    }

    fn removed_as(&self, id: EndpointId) -> Removed {
        Removed { id, address: self.address.clone(), pairs: self.pairs }
    }

    /// Takes priority and weight over. Credit is counted in connections, so it outlasts a change of
    /// weight, and even one of class.
    fn update_spec(&mut self, spec: &EndpointSpec, now: Instant) {
        debug_assert!(self.is_meant_by(spec), "the spec of another endpoint");
        debug_assert!(!self.health.is_removed(), "an update of what is gone");
        self.priority = spec.priority;
        self.weight = spec.weight;
        self.update_health_check(spec, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Check, DialFailure, RetryLimits};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A set, of which these ports are listed at a time in seconds.
    struct Bench {
        set: EndpointSet,
        start: Instant,
    }

    impl Bench {
        fn new() -> Bench {
            let limits = RetryLimits {
                delay_min: SECOND,
                delay_max: SECOND,
                last_resort_interval: SECOND / 10,
                absence_max: SECOND,
                absent_max: 1,
            };
            Bench { set: EndpointSet::new(limits), start: Instant::now() }
        }

        fn list(&mut self, ports: &[u16], at: u32) -> Vec<EndpointId> {
            let specs = ports.iter().map(|port| EndpointSpec {
                address: ([10, 0, 0, 1], *port).into(),
                priority: 0,
                weight: 1,
                check: Check::Connect,
                health_check: None,
            });
            let specs: Vec<EndpointSpec> = specs.collect();
            self.set.reconcile(&specs, self.start + at * SECOND).added
        }

        /// Those that were removed and have pairs, with the seconds when they were.
        fn leavers(&self) -> Vec<(EndpointId, u64)> {
            let leavers = self.set.leavers();
            leavers.map(|(id, at)| (id, (at - self.start).as_secs())).collect()
        }
    }

    #[test]
    fn pairs_outlive_their_endpoint_until_it_was_away_for_long_enough() {
        let mut bench = Bench::new();
        let ids = bench.list(&[1, 2, 3], 0);
        bench.set.pair_opened(ids[0]);
        bench.set.pair_opened(ids[0]);
        bench.set.dial_succeeded(ids[2], bench.start);
        assert_eq!(bench.leavers(), []);
        bench.list(&[3], 1);
        assert_eq!(bench.leavers(), [(ids[0], 1)], "another one had no pairs");
        bench.list(&[3, 4], 2);
        assert_eq!(bench.leavers(), [(ids[0], 1)], "that is of no consequence");
        let again = bench.list(&[1, 3], 3);
        assert_eq!(bench.leavers(), [], "it is back");
        bench.set.pair_opened(again[0]);
        bench.list(&[3], 4);
        assert_eq!(bench.leavers(), [(ids[0], 4), (again[0], 4)], "the time begins anew");
        bench.set.pair_closed(ids[0], [0, 0]);
        bench.set.pair_closed(ids[0], [0, 0]);
        assert_eq!(bench.leavers(), [(again[0], 4)]);
    }

    #[test]
    fn an_endpoint_is_left_only_while_another_one_serves() {
        let mut bench = Bench::new();
        let ids = bench.list(&[1, 2], 0);
        bench.set.pair_opened(ids[0]);
        bench.list(&[], 1);
        assert_eq!(bench.leavers(), [], "nothing else is there");
        let other = bench.list(&[2], 2)[0];
        assert_eq!(bench.leavers(), [], "nothing may be there");
        let now = bench.start + 3 * SECOND;
        bench.set.dial_succeeded(other, now);
        assert_eq!(bench.leavers(), [(ids[0], 1)]);
        bench.set.dial_failed(other, now, DialFailure::Refused, now, 0);
        assert_eq!(bench.leavers(), [], "the other one cannot be dialed");
        bench.set.dial_succeeded(other, now);
        assert_eq!(bench.leavers(), [(ids[0], 1)]);
    }
}
