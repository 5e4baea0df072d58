//! Adoption: the set of endpoints becomes what discovery has found, and whoever waits for one goes
//! on. Pairs that run are never touched; dials to endpoints that are gone move on to another.

use std::net::SocketAddr;

use log::{info, warn};

use super::Reactor;
use crate::discovery::Found;
use crate::endpoint::{EndpointId, EndpointSpec, Proof, Reconciled, Removed};
use crate::net::Net;

impl<N: Net> Reactor<N> {
    /// Takes over what was found, but for endpoints that lead back to us and those that no route
    /// leads to.
    pub(super) fn adopt(&mut self, found: &[Found]) {
        let usable = self.usable(found);
        let specs: Vec<EndpointSpec> = usable.iter().map(|it| it.spec).collect();
        let Reconciled { added, removed } = self.endpoints.reconcile(&specs, self.now);
        for Removed { id, address, pairs } in removed.iter().copied() {
            info!("endpoint removed endpoint={address} pairs={pairs}");
            self.forget_probe(id);
        }
        for id in added {
            self.greet(id, &usable);
        }
        if !removed.is_empty() {
            self.leave(&removed);
        }
    }

    /// Dials in flight that lead to endpoints which are gone are given up.
    fn leave(&mut self, removed: &[Removed]) {
        let is_removed = |endpoint: EndpointId| removed.iter().any(|gone| gone.id == endpoint);
        self.abandon_probes_of(is_removed);
        let is_dialed =
            |pair: &crate::pair::Pair| pair.attempt().is_some_and(|it| is_removed(it.endpoint));
        let slots = self.slots.iter().filter(|(_, slot)| is_dialed(&slot.pair));
        for key in slots.map(|(key, _)| key).collect::<Vec<_>>() {
            self.leave_attempt(key);
        }
    }

    /// Tells of a new endpoint, and has one that must prove itself do so at once.
    fn greet(&mut self, id: EndpointId, found: &[Found]) {
        let Some(endpoint) = self.endpoints.get(id) else { return };
        let (address, proof) = (endpoint.address(), endpoint.proof());
        let (priority, weight) = (endpoint.priority(), endpoint.weight());
        let name = found.iter().find(|it| it.spec.address == address);
        let name = name.map_or("", |it| it.name.as_str());
        info!("endpoint added endpoint={address} name={name} priority={priority} weight={weight}");
        if proof == Proof::Handshake {
            self.probe(id);
        }
    }

    fn usable(&mut self, found: &[Found]) -> Vec<Found> {
        let mut usable = found.to_vec();
        let mut own = Vec::new();
        usable.retain(|it| match self.own_listener(it.spec.address) {
            Some(listener) => {
                own.push((it.spec.address, listener));
                false
            }
            None => true,
        });
        self.tell_own(own);
        // A host with addresses of both families is common, and a network with one of them is,
        // too. Where nothing can be reached at all, that says more of our link than of them.
        let net = &mut self.net;
        let mut is_reachable = |it: &Found| !it.is_resolved || net.has_route(it.spec.address.ip());
        let reachable: Vec<Found> = usable.iter().filter(|it| is_reachable(it)).cloned().collect();
        if reachable.is_empty() { usable } else { reachable }
    }

    /// Tells of addresses that lead back to us, each once for as long as it is listed.
    fn tell_own(&mut self, own: Vec<(SocketAddr, SocketAddr)>) {
        for (address, listener) in &own {
            if !self.finder.own.contains(address) {
                let reason = format!("leads back to our own listener {listener}");
                warn!("endpoint left out endpoint={address} reason={reason:?}");
            }
        }
        self.finder.own = own.into_iter().map(|(address, _)| address).collect();
    }
}
