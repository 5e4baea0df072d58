//! Endpoints come and go: the set becomes what new specs say, and who stays keeps everything.
//!
//! Owns the comparison of the set with specs. Pairs are never touched: an endpoint that is removed
//! is remembered until the last of its pairs is gone.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Endpoint, EndpointId, EndpointSet, EndpointSpec, Slot};

/// What [`EndpointSet::reconcile`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    /// New endpoints, in the order of the specs.
    pub added: Vec<EndpointId>,
    /// Endpoints that are not to be dialed any more. Dials to them that are in flight should move
    /// on to another; their pairs may go on.
    pub removed: Vec<Removed>,
}

/// An endpoint that is wanted no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    /// Which; by now it may be forgotten.
    pub id: EndpointId,
    /// Its address, for the log.
    pub address: SocketAddr,
    /// Pairs that go on.
    pub pairs: u32,
}

impl EndpointSet {
    /// Makes the set what `specs` say. The address is the key: who stays keeps its id, health,
    /// pairs and place in the rotation, and takes the new priority and weight. An address that
    /// returns while its removed predecessor still has pairs is a new endpoint, and so is one that
    /// is to prove itself in another way. One that returns in time does so in the bad health that
    /// it left with.
    pub fn reconcile(&mut self, specs: &[EndpointSpec], now: Instant) -> Reconciled {
        let removed = self.remove_absent(specs, now);
        let mut added = Vec::new();
        for (position, spec) in specs.iter().enumerate() {
            if specs[..position].iter().any(|earlier| earlier.address == spec.address) {
                continue;
            }
            match self.find(spec) {
                Some(endpoint) => endpoint.adopt(spec),
                None => {
                    let endpoint = self.absentees.recall(spec, now, &self.limits);
                    added.push(self.insert(endpoint));
                }
            }
        }
        self.recentre();
        self.invariants();
        Reconciled { added, removed }
    }

    fn find(&mut self, spec: &EndpointSpec) -> Option<&mut Endpoint> {
        let mut endpoints = self.slots.iter_mut().filter_map(|slot| slot.endpoint.as_mut());
        endpoints.find(|endpoint| endpoint.is_meant_by(spec) && !endpoint.health.is_removed())
    }

    fn remove_absent(&mut self, specs: &[EndpointSpec], now: Instant) -> Vec<Removed> {
        let absent = |endpoint: &Endpoint| {
            let same_address = |spec: &&EndpointSpec| spec.address == endpoint.address;
            let wanted = specs.iter().find(same_address).is_some_and(|it| endpoint.is_meant_by(it));
            !wanted && !endpoint.health.is_removed()
        };
        let removed = |(id, endpoint): (EndpointId, &Endpoint)| {
            let Endpoint { address, pairs, .. } = *endpoint;
            absent(endpoint).then_some(Removed { id, address, pairs })
        };
        let removed: Vec<Removed> = self.iter().filter_map(removed).collect();
        for Removed { id, .. } in removed.iter().copied() {
            let left = *self.get(id).expect("its id was collected just above");
            self.absentees.remember(&left, now, &self.limits);
            let endpoint = self.endpoint_mut(id).expect("it is there still");
            endpoint.health.remove();
            endpoint.credit = 0;
            if endpoint.pairs == 0 {
                self.forget(id);
            }
        }
        removed
    }

    fn insert(&mut self, endpoint: Endpoint) -> EndpointId {
        debug_assert!(!endpoint.health.is_removed());
        let vacant = self.slots.iter().position(|slot| slot.endpoint.is_none());
        let index = vacant.unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot { generation: 0, endpoint: None });
        }
        self.slots[index].endpoint = Some(endpoint);
        self.slots[index].id(index)
    }
}

impl Endpoint {
    fn is_meant_by(&self, spec: &EndpointSpec) -> bool {
        self.address == spec.address && self.check == spec.check
    }

    /// Credit is counted in connections, so it outlasts a change of weight, and even one of class.
    fn adopt(&mut self, spec: &EndpointSpec) {
        debug_assert_eq!(self.address, spec.address);
        debug_assert!(!self.health.is_removed());
        self.priority = spec.priority;
        self.weight = spec.weight;
    }
}
