//! What an endpoint has to show before clients are led to it, and how those that wait for one hasten
//! that.
//!
//! Owns the rule. The handshake itself is made by the monitor's probe, in the reactor.

use std::time::Instant;

use super::{Endpoint, EndpointId, EndpointSet, Health};

/// What makes an endpoint one that clients may be led to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Proof {
    /// It was asked for by its address or name; a connection that stands shows that it lives.
    Connection,
    /// It was found, and has to show who it is: by a TLS handshake with the monitor when it is new,
    /// and again when it comes back. What clients do there proves nothing.
    Handshake,
}

impl EndpointSet {
    /// Somebody waits, and no endpoint is active: of those that have to prove themselves first, the
    /// one that nobody has tried for longest becomes due for a probe, unless that was just now.
    pub fn hasten_probe(&mut self, now: Instant) -> Option<EndpointId> {
        let interval = self.limits.last_resort_interval;
        let waiting = self.iter().filter(|(_, endpoint)| {
            let is_idle = matches!(endpoint.health, Health::Inactive { .. });
            endpoint.proof == Proof::Handshake && is_idle && !endpoint.probe_in_flight
        });
        let failed_at = |endpoint: &Endpoint| endpoint.health.outage().map(|it| it.failed_at);
        let (id, _) = waiting
            .filter(|(_, it)| failed_at(it).is_some_and(|at| at + interval <= now))
            .min_by_key(|(_, it)| (failed_at(it), it.priority))?;
        self.endpoint_mut(id).expect("found just above").health.hasten(now);
        self.invariants();
        Some(id)
    }

    /// Whether an endpoint that is not active may become so by a probe alone.
    pub fn awaits_proof(&self) -> bool {
        let is_waiting = |it: &Endpoint| it.proof == Proof::Handshake && !it.health.is_active();
        self.live().any(is_waiting)
    }
}
