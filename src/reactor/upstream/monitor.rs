//! The monitor: the endpoints, the results of dials to them, and its own dials (probes), which find
//! out whether an inactive endpoint works again.
//!
//! `upstream/health.rs` decides when a probe is due; a timer of the wheel starts it here. For most
//! endpoints an established connection suffices, and is closed without a byte. An endpoint from SRV
//! records may have to show a certificate: its probe goes on with a TLS handshake.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::specs;
use crate::address::Address;
use crate::config::limits::ENDPOINTS_MAX;
use crate::discovery::Found;
use crate::net::{Host, Net, NetError};
use crate::observe::events::{Event, Quoted, Value};
use crate::proto::dialogue::{Dialogue, DialogueError};
use crate::proto::tls::{Connector, HandshakeError};
use crate::reactor::context::{Context, Timer};
use crate::reactor::exchanges::{Destination, ExchangeError, Owner, Report};
use crate::reactor::faults::dial_failure;
use crate::reactor::wheel::TimerKey;
use crate::relay::dialing::Attempt;
use crate::upstream::{
    Change, ChangeKind, Check, DialFailure, Endpoint, EndpointId, EndpointSet, Health, Reconciled,
    Removed,
};

/// The endpoints and the probes, each of which is an exchange.
pub(super) struct Monitor {
    pub(super) endpoints: EndpointSet,
    connect_timeout: Duration,
    /// Begins the TLS sessions that verify endpoints.
    connector: Option<Rc<dyn Connector>>,
    /// The name that endpoints have to prove, where some have to.
    domain: Option<String>,
    /// The endpoints whose next probe is scheduled, each once, with its timer.
    scheduled: Vec<(EndpointId, TimerKey)>,
    /// Clients that wait for an endpoint should look again.
    pub(super) retry_waiting: bool,
    /// Whether an endpoint has become inactive, which discovery has to hear of.
    pub(super) has_failed: bool,
    /// The state of an endpoint has changed since the upstream last asked.
    pub(super) has_changed: bool,
    /// Whether the process is to end, so that no endpoint is probed.
    is_stopped: bool,
}

/// A failed dial of a client, or a failed probe, for discovery.
pub(super) struct FailedDial {
    pub(super) endpoint: EndpointId,
    pub(super) failure: DialFailure,
}

impl Monitor {
    /// With an empty set of endpoints.
    pub(super) fn new(
        endpoints: EndpointSet,
        connect_timeout: Duration,
        connector: Option<Rc<dyn Connector>>,
        domain: Option<String>,
    ) -> Monitor {
        Monitor {
            endpoints,
            connect_timeout,
            connector,
            domain,
            scheduled: Vec::new(),
            retry_waiting: false,
            has_failed: false,
            has_changed: false,
            is_stopped: false,
        }
    }

    /// Records that a client's dial to the endpoint has begun.
    pub(super) fn dial_begun<N: Net>(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        context.metrics.dials.begun += 1;
        self.endpoints.dial_begun(endpoint, context.now);
    }

    /// Records that a client's dial was abandoned: the client, or the endpoint, is gone.
    pub(super) fn dial_abandoned<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
    ) {
        context.metrics.dials.abandoned += 1;
        self.endpoints.dial_abandoned(endpoint);
    }

    /// Records that a client's dial to the endpoint is established. Returns whether that is news of
    /// the endpoint.
    pub(super) fn dial_succeeded<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
    ) -> bool {
        context.metrics.dials.succeeded += 1;
        self.endpoints.pair_opened(endpoint);
        let was_serving = self.is_serving(endpoint);
        let change = self.endpoints.dial_succeeded(endpoint, context.now);
        let is_news = change.is_some() || was_serving != self.is_serving(endpoint);
        self.on_change(context, change, "client");
        is_news
    }

    fn is_serving(&self, endpoint: EndpointId) -> bool {
        self.endpoints.get(endpoint).is_some_and(Endpoint::is_serving)
    }

    /// Records that a client's dial has failed.
    pub(super) fn dial_failed<N: Net>(
        &mut self,
        context: &mut Context<N>,
        attempt: Attempt,
        failure: DialFailure,
    ) {
        context.metrics.dials.fail(failure);
        let jitter = context.net.random();
        let Attempt { endpoint, started_at, .. } = attempt;
        let now = context.now;
        let change = self.endpoints.dial_failed(endpoint, started_at, failure, now, jitter);
        self.on_change(context, change, "client");
    }

    /// Logs that a dial failed for local reasons.
    pub(super) fn log_local_failure<N: Net>(
        &self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        error: NetError,
    ) {
        let address = self.endpoints.address(endpoint);
        let endpoint = address.as_ref().map(|address| address as Value<'_>);
        context.log(Event::DialFailedLocally { endpoint, reason: &error });
    }

    /// Logs an endpoint's new state, and schedules the next probe of an inactive one.
    pub(super) fn on_change<N: Net>(
        &mut self,
        context: &mut Context<N>,
        change: Option<Change>,
        source: &str,
    ) {
        let Some(change) = change else { return };
        self.has_changed = true;
        context.note_turn();
        let check = self.endpoints.get(change.id).map(|endpoint| endpoint.check());
        log_change(context, &change, check == Some(Check::Tls), source);
        // The probe that was scheduled before is void. Otherwise an endpoint that fails again and
        // again would leave a timer behind each time.
        self.cancel_probe(context, change.id);
        self.has_failed |= matches!(change.kind, ChangeKind::BecameInactive { .. });
        match change.kind {
            // A client that waits for an endpoint has one.
            ChangeKind::BecameActive { .. } => self.retry_waiting = true,
            ChangeKind::BecameInactive { retry_at, .. }
            | ChangeKind::StillInactive { retry_at, .. } => {
                self.schedule_probe(context, change.id, retry_at);
            }
        }
    }

    /// Schedules the endpoint's only probe.
    fn schedule_probe<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        at: Instant,
    ) {
        let timer = context.wheel.arm(at, Timer::Monitor(endpoint));
        self.scheduled.push((endpoint, timer));
    }

    fn cancel_probe<N: Net>(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        let scheduled = self.scheduled.iter().position(|(scheduled, _)| *scheduled == endpoint);
        if let Some(position) = scheduled {
            let (_, timer) = self.scheduled.swap_remove(position);
            context.wheel.cancel(timer);
        }
    }

    /// Probes the endpoint if it is inactive and due. Returns a failure if the probe fails at once.
    pub(super) fn probe<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
    ) -> Option<FailedDial> {
        self.cancel_probe(context, endpoint);
        if self.is_stopped || !self.endpoints.begin_probe(endpoint, context.now) {
            return None;
        }
        context.metrics.probes.begun += 1;
        let found = self.endpoints.get(endpoint)?;
        let (address, owner) = (found.address(), Owner::Monitor(endpoint));
        let dialogue = match found.check() {
            Check::Connect => Dialogue::Connect,
            Check::Tls => {
                let (connector, domain) = (self.connector.as_ref(), self.domain.as_ref());
                let connector = connector.expect("proof is asked for only where it can be had");
                match connector.connect(domain.expect("the name to prove")) {
                    Ok(session) => Dialogue::over_tls(session, Dialogue::Connect),
                    Err(error) => return Some(self.fail_handshake(context, endpoint, error)),
                }
            }
        };
        let (destination, limit) = (Destination::Checked(address), Some(self.connect_timeout));
        let opened = context.open_stream(owner, destination, dialogue, limit);
        opened.err().map(|error| self.fail_probe(context, endpoint, error))
    }

    /// Handles the report on a probe. Returns the failure of a failed one.
    pub(super) fn on_report<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        report: Report,
    ) -> Option<FailedDial> {
        match report {
            Report::Done => {
                context.metrics.probes.succeeded += 1;
                let change = self.endpoints.probe_succeeded(endpoint, context.now);
                self.on_change(context, change, "probe");
                None
            }
            Report::Failed(ExchangeError::Net(error)) => {
                Some(self.fail_probe(context, endpoint, error))
            }
            Report::Failed(ExchangeError::Dialogue(DialogueError::Handshake(error))) => {
                Some(self.fail_handshake(context, endpoint, error))
            }
            Report::Failed(ExchangeError::Dialogue(DialogueError::Http(_)))
            | Report::Http(_)
            | Report::Message(_) => {
                debug_assert!(false, "a probe brings no message");
                None
            }
        }
    }

    fn fail_handshake<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        error: HandshakeError,
    ) -> FailedDial {
        if error == HandshakeError::Local {
            return self.fail_probe(context, endpoint, NetError::NotSupported);
        }
        let (reason, authority) = (error.word(), error.authority());
        self.probe_failed(context, endpoint, DialFailure::Mistrusted { reason, authority })
    }

    fn fail_probe<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        error: NetError,
    ) -> FailedDial {
        let failure = dial_failure(error);
        if !failure.is_evidence() {
            self.log_local_failure(context, endpoint, error);
        }
        self.probe_failed(context, endpoint, failure)
    }

    fn probe_failed<N: Net>(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        failure: DialFailure,
    ) -> FailedDial {
        context.metrics.probes.fail(failure);
        let jitter = context.net.random();
        let change = self.endpoints.probe_failed(endpoint, failure, context.now, jitter);
        self.on_change(context, change, "probe");
        FailedDial { endpoint, failure }
    }

    /// Replaces the endpoints with those that discovery has found. Returns the removed ones, and
    /// the probes that failed at once.
    pub(super) fn apply_found<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        found: &[Found],
    ) -> (Vec<Removed>, Vec<FailedDial>) {
        let Reconciled { added, removed } = self.endpoints.reconcile(&specs(found), context.now);
        for Removed { id, address, pairs } in &removed {
            context.log(Event::EndpointRemoved { endpoint: address, pairs: *pairs });
            self.cancel_probe(context, *id);
        }
        self.retry_waiting |= !added.is_empty();
        let failed = added.into_iter().filter_map(|id| self.announce(context, id, found));
        let failed = failed.collect();
        (removed, failed)
    }

    /// Logs a new endpoint, and probes one that is inactive: at once if it has to be verified, or
    /// when the probe is due by its health from before.
    fn announce<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        id: EndpointId,
        found: &[Found],
    ) -> Option<FailedDial> {
        let endpoint = self.endpoints.get(id)?;
        let (address, health) = (endpoint.address(), *endpoint.health());
        let (priority, weight) = (endpoint.priority(), endpoint.weight());
        let (endpoint, name) = (address, &name_of(address, found));
        context.log(Event::EndpointAdded { endpoint, name, priority, weight });
        match health {
            Health::Inactive { retry_at, .. } if retry_at <= context.now => {
                return self.probe(context, id);
            }
            Health::Inactive { retry_at, .. } => self.schedule_probe(context, id, retry_at),
            Health::Active { .. } | Health::Probing { .. } | Health::Removed { .. } => {}
        }
        None
    }

    /// Abandons the current probes of removed endpoints.
    pub(super) fn abandon_probes<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        removed: &[Removed],
    ) {
        removed.iter().for_each(|removed| self.abandon(context, removed.id));
    }

    /// Abandons all probes, and begins none from now on.
    pub(super) fn stop<N: Net + Host>(&mut self, context: &mut Context<N>) {
        self.is_stopped = true;
        let owners: Vec<Owner> = context.exchanges.owners().collect();
        for owner in owners {
            if let Owner::Monitor(endpoint) = owner {
                self.abandon(context, endpoint);
            }
        }
    }

    /// Abandons the current probe of the endpoint, if there is one. That counts as its one result.
    fn abandon<N: Net + Host>(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        if context.close_exchange_of(Owner::Monitor(endpoint)) {
            context.metrics.probes.abandoned += 1;
            self.endpoints.probe_abandoned(endpoint, context.now);
        }
    }

    /// Checks what must hold between two turns.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.scheduled.len() <= ENDPOINTS_MAX, "one endpoint planned twice");
    }
}

/// Logs an endpoint's new state; `has_to_prove`: in terms of its verification.
fn log_change<N: Net>(context: &mut Context<N>, change: &Change, has_to_prove: bool, source: &str) {
    let endpoint: Value<'_> = &change.address;
    context.log(match &change.kind {
        ChangeKind::BecameActive { down_for: after } if has_to_prove => {
            Event::EndpointVerified { endpoint, after: *after }
        }
        ChangeKind::BecameActive { down_for } => {
            Event::EndpointActive { endpoint, reason: &source, down_for: *down_for }
        }
        ChangeKind::BecameInactive { reason, retry_at } => {
            let retry_in = retry_at.saturating_duration_since(context.now);
            Event::EndpointInactive { endpoint, reason, retry_in }
        }
        ChangeKind::StillInactive { is_news: false, .. } => return,
        ChangeKind::StillInactive { reason, retry_at, .. } => {
            let retry_in = retry_at.saturating_duration_since(context.now);
            let authority = reason.authority().map(Quoted);
            Event::EndpointNotVerified { endpoint, reason, authority, retry_in }
        }
    });
}

/// The name for which the address was found.
fn name_of<'a>(address: &Address, found: &'a [Found]) -> &'a str {
    found.iter().find(|found| found.spec.address == *address).map_or("", |found| &found.name)
}
