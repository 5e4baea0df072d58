//! Adoption: the set of endpoints becomes what discovery has found, and whoever waits for one goes
//! on. Pairs that run are never touched; dials to endpoints that are gone move on to another.

use std::net::SocketAddr;

use super::Reactor;
use super::dial::own_listener;
use crate::discovery::{Found, Unusable};
use crate::net::Net;
use crate::observe::events::Event;
use crate::relay::Pair;
use crate::upstream::{EndpointId, EndpointSpec, Health, Reconciled, Removed};

impl<N: Net> Reactor<N> {
    /// Takes over what was found, if that may be other than before.
    pub(super) fn adopt(&mut self) {
        let Reactor { net, acceptors, finder, .. } = self;
        let mut usability = |address: SocketAddr, is_resolved: bool| {
            match own_listener(net, acceptors, address) {
                Some(listener) => Err(Unusable::OwnListener(listener)),
                // A host with addresses of both families is common, and a network with one of
                // them is, too. What was typed is dialed, whatever the routes say now.
                None if is_resolved && !net.has_route(address.ip()) => Err(Unusable::NoRoute),
                None => Ok(()),
            }
        };
        let Some(found) = finder.discovery.take_found(&mut usability, self.now) else { return };
        let found = found.to_vec();
        let specs: Vec<EndpointSpec> = found.iter().map(|it| it.spec).collect();
        let Reconciled { added, removed } = self.endpoints.reconcile(&specs, self.now);
        for Removed { id, address, pairs } in removed.iter().copied() {
            self.log(Event::EndpointRemoved { endpoint: &address, pairs });
            self.forget_probe(id);
        }
        self.recheck_waiting |= !added.is_empty();
        for id in added {
            self.greet(id, &found);
        }
        if !removed.is_empty() {
            self.leave(&removed);
            self.seek_if_none_active();
        }
    }

    /// Dials in flight that lead to endpoints which are gone are given up.
    fn leave(&mut self, removed: &[Removed]) {
        let is_removed = |endpoint: EndpointId| removed.iter().any(|gone| gone.id == endpoint);
        self.abandon_probes_of(is_removed);
        let dialed = |pair: &Pair| {
            let attempt = pair.attempt()?;
            removed.iter().find(|gone| gone.id == attempt.endpoint).map(|gone| gone.address)
        };
        let slots = self.slots.iter();
        let left = slots.filter_map(|(key, slot)| Some((key, dialed(&slot.pair)?)));
        for (key, address) in left.collect::<Vec<_>>() {
            self.leave_attempt(key, address);
        }
    }

    /// Logs a new endpoint, and has the monitor look after one that is not active: at once, if
    /// it must prove itself, or as soon as is due after what was known of it before.
    fn greet(&mut self, id: EndpointId, found: &[Found]) {
        let Some(endpoint) = self.endpoints.get(id) else { return };
        let (address, health) = (endpoint.address(), *endpoint.health());
        let (priority, weight) = (endpoint.priority(), endpoint.weight());
        let name = found.iter().find(|it| it.spec.address == address);
        let name = name.map_or("", |it| it.name.as_str());
        self.log(Event::EndpointAdded { endpoint: &address, name: &name, priority, weight });
        match health {
            Health::Inactive { retry_at, .. } if retry_at <= self.now => self.probe(id),
            Health::Inactive { retry_at, .. } => self.plan_probe(id, retry_at),
            Health::Active { .. } | Health::Probing { .. } | Health::Removed => {}
        }
    }
}
