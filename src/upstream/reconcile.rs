//! Endpoints come and go: the set becomes what new specs say, and those that stay keep everything.
//!
//! Owns the comparison of the set with specs. Pairs are never touched: an endpoint that is removed
//! is remembered until the last of its pairs is gone.

use std::time::Instant;

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
        let before = if cfg!(debug_assertions) { self.live_and_pairs() } else { (0, 0) };
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
            self.live_and_pairs(),
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

    /// The number of live endpoints, and of the pairs of all: what a change of the set conserves.
    fn live_and_pairs(&self) -> (usize, u64) {
        (self.count(), self.iter().map(|(_, endpoint)| u64::from(endpoint.pairs)).sum())
    }

    fn find(&mut self, spec: &EndpointSpec) -> Option<&mut Endpoint> {
        let (id, _) = self.members.live().find(|(_, endpoint)| endpoint.is_meant_by(spec))?;
        self.members.get_mut(id)
    }

    fn remove_absent(&mut self, specs: &[EndpointSpec], now: Instant) -> Vec<Removed> {
        let absent = self.members.live().filter(|(_, endpoint)| !endpoint.is_wanted_by(specs));
        let removed: Vec<Removed> = absent.map(|(id, endpoint)| endpoint.removed_as(id)).collect();
        for Removed { id, .. } in &removed {
            let endpoint = self.members.get_mut(*id).expect("its id was collected just above");
            self.absentees.remember(endpoint, now, &self.limits);
            endpoint.health.remove();
            endpoint.credit = 0;
            if endpoint.pairs == 0 {
                self.members.forget(*id);
            }
        }
        debug_assert!(
            removed.iter().all(|gone| self.pairs(gone.id) == gone.pairs),
            "a removal ends no pair"
        );
        removed
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
