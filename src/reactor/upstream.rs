//! What clients are led to: the endpoints with their monitor, and discovery; and how each hears of
//! what the other found. Knows nothing of pairs.

use std::time::Instant;

use super::context::Context;
use super::discovery::DiscoveryDriver;
use super::exchanges::{Owner, Report};
use super::monitor::{FailedProbe, Monitor};
use crate::address::Address;
use crate::net::{Host, Net, NetError};
use crate::observe::metrics::Rejection;
use crate::relay::dialing::Attempt;
use crate::upstream::{DialFailure, EndpointId, Removed};

/// The endpoints, and those who find and watch them.
pub(super) struct Upstream<N: Net + Host> {
    pub(super) monitor: Monitor,
    pub(super) discovery: DiscoveryDriver<N>,
}

impl<N: Net + Host> Upstream<N> {
    /// The endpoint for a client, which had to postpone a dial if there is one of its own, and has
    /// tried these addresses in vain.
    pub(super) fn pick(
        &mut self,
        postponed: Option<EndpointId>,
        tried: &[Address],
        now: Instant,
    ) -> Option<EndpointId> {
        match postponed {
            Some(postponed) => self.monitor.endpoints.pick_again(postponed, tried, now),
            None => self.monitor.endpoints.pick(tried, now),
        }
    }

    /// A client's dial failed; tells whether for reasons of our own.
    pub(super) fn dial_failed(
        &mut self,
        context: &mut Context<N>,
        attempt: Attempt,
        error: NetError,
    ) -> bool {
        let failure = dial_failure(error);
        self.monitor.dial_failed(context, attempt, failure);
        self.recheck_names(context, attempt.endpoint, failure);
        if !failure.is_evidence() {
            self.monitor.log_local_failure(context, attempt.endpoint, error);
        }
        !failure.is_evidence()
    }

    /// A dial or a probe failed, so what is known of the endpoint's name, or of our way there, may
    /// be out of date.
    pub(super) fn recheck_names(
        &mut self,
        context: &Context<N>,
        endpoint: EndpointId,
        failure: DialFailure,
    ) {
        if let Some(address) = self.monitor.endpoints.address(endpoint) {
            self.discovery.recheck(address, failure, context.now);
            self.recheck_all_if_none_active(context.now);
        }
    }

    /// With no endpoint left that works, every name is in doubt.
    pub(super) fn recheck_all_if_none_active(&mut self, now: Instant) {
        if self.monitor.endpoints.active_count() == 0 {
            self.discovery.recheck_all(now);
        }
    }

    /// Whether an endpoint may turn up before long: names are being looked up, or one that is known
    /// has to prove itself first.
    pub(super) fn may_find_endpoint(&self, now: Instant) -> bool {
        let endpoints = &self.monitor.endpoints;
        // Asked to end, nobody looks for endpoints.
        self.discovery.is_discovering()
            && (endpoints.count() == 0 || endpoints.awaits_check() || self.discovery.is_asking(now))
    }

    /// A client waits: an endpoint that has to prove itself is probed now, unless it just was.
    pub(super) fn expedite_probe(&mut self, context: &mut Context<N>) {
        if let Some(endpoint) = self.monitor.endpoints.expedite_probe(context.now) {
            self.probe(context, endpoint);
        }
    }

    /// Dials the endpoint if it is inactive and due.
    pub(super) fn probe(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        if let Some(failed) = self.monitor.probe(context, endpoint) {
            self.recheck_names(context, failed.endpoint, failed.failure);
        }
    }

    /// Makes the endpoints what discovery has found, if that may be other than before. Gives those
    /// that are gone: dials to them that are under way lead nowhere.
    pub(super) fn apply_found(&mut self, context: &mut Context<N>) -> Vec<Removed> {
        let Some(found) = self.discovery.take_found(context) else { return Vec::new() };
        let (removed, failed) = self.monitor.apply_found(context, &found);
        for FailedProbe { endpoint, failure } in failed {
            self.recheck_names(context, endpoint, failure);
        }
        if !removed.is_empty() {
            self.monitor.abandon_probes(context, &removed);
        }
        removed
    }

    /// What an exchange has to say to the part that holds it.
    pub(super) fn on_report(&mut self, context: &mut Context<N>, owner: Owner, report: Report) {
        match owner {
            Owner::Resolver(question) => self.discovery.on_report(context, question, report),
            Owner::Monitor(endpoint) => {
                if let Some(failed) = self.monitor.on_report(context, endpoint, report) {
                    self.recheck_names(context, failed.endpoint, failed.failure);
                }
            }
        }
    }

    /// No endpoint is looked for and none is probed from now on.
    pub(super) fn stop(&mut self, context: &mut Context<N>) {
        self.monitor.stop(context);
        self.discovery.stop(context);
        // Clients that wait for an endpoint wait in vain.
        self.monitor.retry_waiting = true;
    }

    /// Whether clients that wait for an endpoint should look again: there may be one, or none is
    /// to be expected. True once.
    pub(super) fn take_retry_waiting(&mut self) -> bool {
        std::mem::take(&mut self.monitor.retry_waiting)
    }

    /// Why a client finds no endpoint.
    pub(super) fn rejection(&self) -> Rejection {
        let endpoints = &self.monitor.endpoints;
        match (endpoints.count(), endpoints.active_count()) {
            (0, _) => Rejection::NoEndpointKnown,
            (_, 0) => Rejection::NoEndpointActive,
            _ => Rejection::NoDialSucceeded,
        }
    }
}

/// What a failed dial says about the endpoint. Only what the server's side did is evidence.
pub(super) fn dial_failure(error: NetError) -> DialFailure {
    match error {
        NetError::Refused => DialFailure::Refused,
        NetError::Reset => DialFailure::Reset,
        NetError::TimedOut => DialFailure::TimedOut,
        NetError::HostUnreachable => DialFailure::Unreachable,
        NetError::OwnAddress => DialFailure::OwnAddress,
        NetError::NetworkUnreachable
        | NetError::AddressNotAvailable
        | NetError::AddressInUse
        | NetError::Descriptors
        | NetError::Memory
        | NetError::Aborted
        | NetError::Denied
        | NetError::NotSupported
        | NetError::Other(_) => DialFailure::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_did_is_evidence() {
        for (error, want) in [
            (NetError::Refused, DialFailure::Refused),
            (NetError::Reset, DialFailure::Reset),
            (NetError::TimedOut, DialFailure::TimedOut),
            (NetError::HostUnreachable, DialFailure::Unreachable),
            (NetError::OwnAddress, DialFailure::OwnAddress),
            (NetError::NetworkUnreachable, DialFailure::Local),
            (NetError::AddressNotAvailable, DialFailure::Local),
            (NetError::AddressInUse, DialFailure::Local),
            (NetError::Descriptors, DialFailure::Local),
            (NetError::Memory, DialFailure::Local),
            (NetError::Aborted, DialFailure::Local),
            (NetError::Denied, DialFailure::Local),
            (NetError::NotSupported, DialFailure::Local),
            (NetError::Other(22), DialFailure::Local),
        ] {
            assert_eq!(dial_failure(error), want, "{error}");
        }
    }
}
