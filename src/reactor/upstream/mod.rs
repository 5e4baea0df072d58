//! The upstream: the endpoints with their monitor, and discovery; passes the findings of each to
//! the other. Does not know pairs.

mod checker;
mod checks;
mod discovery;
mod files;
mod findings;
mod http;
mod lines;
mod monitor;
mod question;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use self::checker::Checker;
use self::discovery::DiscoveryDriver;
use self::lines::Lines;
use self::monitor::{FailedDial, Monitor};
use crate::address::Address;
use crate::config::health::{CloseOnFailure, CloseOnRemoval};
use crate::discovery::{Discovery, Found, Unusable};
use crate::net::{Host, Net, NetError};
use crate::observe::metrics::Rejection;
use crate::observe::records::Origin;
use crate::proto::tls::Connector;
use crate::reactor::context::Context;
use crate::reactor::exchanges::{Owner, Report};
use crate::reactor::faults::dial_failure;
use crate::reactor::observer::moment;
use crate::reactor::start::Limits;
use crate::relay::dialing::Attempt;
use crate::upstream::{EndpointId, EndpointSet, EndpointSpec, Removed, Standing, Suspicion};

/// The endpoints with their monitor, and discovery.
pub(super) struct Upstream<N: Net + Host> {
    monitor: Monitor,
    checker: Checker,
    discovery: DiscoveryDriver<N>,
    close_on_failure: CloseOnFailure,
    close_on_removal: CloseOnRemoval,
    /// Every endpoint that accepts fails its checks.
    is_failing_open: bool,
    /// Whether the standing of an endpoint may have changed since [`Upstream::take_failing`].
    is_standing_dirty: bool,
    /// Whether something that is shown of endpoints may have changed since
    /// [`Upstream::sync_records`].
    is_shown_dirty: bool,
    /// Whether endpoints may have other names or sources than those that are shown.
    is_found_anew: bool,
}

impl<N: Net + Host> Upstream<N> {
    /// An upstream without endpoints; `connector` as for [`super::Reactor::start`].
    pub(super) fn new(
        limits: &Limits,
        discovery: Discovery,
        connector: Option<Rc<dyn Connector>>,
        now: Instant,
    ) -> Upstream<N> {
        let domain = discovery.certified_domain().map(str::to_owned);
        let endpoints = EndpointSet::new(limits.retry).with_checks(limits.checks);
        Upstream {
            checker: Checker::new(
                limits.check_timeout,
                limits.prefers_leader,
                connector.clone(),
                now,
            ),
            discovery: DiscoveryDriver::new(discovery, Lines::new(connector.clone())),
            monitor: Monitor::new(endpoints, limits.connect_timeout, connector, domain),
            close_on_failure: limits.close_on_failure,
            close_on_removal: limits.close_on_removal,
            is_failing_open: false,
            is_standing_dirty: false,
            is_shown_dirty: true,
            is_found_anew: true,
        }
    }

    /// The endpoints that are known before the first look-up.
    pub(super) fn take_first(
        &mut self,
        usability: &mut dyn FnMut(&Address, bool) -> Result<(), Unusable>,
        now: Instant,
    ) -> Vec<EndpointSpec> {
        let found = self.discovery.discovery.take_found(usability, now).unwrap_or_default();
        specs(found)
    }

    /// Begins with these endpoints.
    pub(super) fn begin_with(&mut self, context: &mut Context<N>, specs: &[EndpointSpec]) {
        self.monitor.endpoints.reconcile(specs, context.now);
        self.checker.sync(context, &mut self.monitor.endpoints);
    }

    /// The endpoints and their health.
    pub(super) fn endpoints(&self) -> &EndpointSet {
        &self.monitor.endpoints
    }

    /// The address of an endpoint; `None` if the endpoint is no longer known.
    #[inline]
    pub(super) fn address(&self, endpoint: EndpointId) -> Option<&Address> {
        self.monitor.endpoints.address(endpoint)
    }

    /// Discovery, where endpoints are found.
    pub(super) fn discovery(&self) -> &Discovery {
        &self.discovery.discovery
    }

    /// Discovery, without the rest.
    pub(super) fn into_discovery(self) -> Discovery {
        self.discovery.discovery
    }

    /// The endpoint for a client: `postponed` is that of a dial which it had to postpone, and
    /// `tried` the addresses of failed dials.
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

    /// Records that a client's dial to the endpoint has begun.
    #[inline]
    pub(super) fn dial_begun(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        self.checker.note_need(context, &mut self.monitor.endpoints);
        self.monitor.dial_begun(context, endpoint);
    }

    /// Records that a client's dial was abandoned: the client, or the endpoint, is gone.
    pub(super) fn dial_abandoned(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        self.monitor.dial_abandoned(context, endpoint);
    }

    /// Records that a client's dial to the endpoint is established.
    #[inline]
    pub(super) fn dial_succeeded(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        let has_changed = self.monitor.dial_succeeded(context, endpoint);
        if has_changed {
            self.suspect(context, endpoint, Suspicion::Failed);
            self.note_standing(context);
        }
    }

    /// Records that a pair with the endpoint has ended, and the bytes that it delivered.
    #[inline]
    pub(super) fn pair_closed(&mut self, endpoint: EndpointId, bytes: [u64; 2]) {
        self.monitor.endpoints.pair_closed(endpoint, bytes);
        if self.monitor.endpoints.get(endpoint).is_none() {
            // It was forgotten with its last pair.
            self.is_shown_dirty = true;
        }
    }

    /// Records that a client's dial has failed. Returns whether the reason is local.
    pub(super) fn dial_failed(
        &mut self,
        context: &mut Context<N>,
        attempt: Attempt,
        error: NetError,
    ) -> bool {
        let failure = dial_failure(error);
        self.monitor.dial_failed(context, attempt, failure);
        if failure.is_evidence() {
            self.suspect(context, attempt.endpoint, Suspicion::Failed);
            self.note_standing(context);
        }
        self.recheck_names(context, [FailedDial { endpoint: attempt.endpoint, failure }]);
        if !failure.is_evidence() {
            self.monitor.log_local_failure(context, attempt.endpoint, error);
        }
        !failure.is_evidence()
    }

    /// Rechecks the names of endpoints after failed dials and probes: their records, or our route,
    /// may have changed.
    fn recheck_names(
        &mut self,
        context: &Context<N>,
        failed: impl IntoIterator<Item = FailedDial>,
    ) {
        for FailedDial { endpoint, failure } in failed {
            if std::mem::take(&mut self.monitor.has_failed) {
                self.discovery.on_doubt(context.now);
            }
            if let Some(address) = self.monitor.endpoints.address(endpoint) {
                self.discovery.recheck(address, failure, context.now);
                self.recheck_all_if_none_active(context.now);
            }
        }
    }

    /// Rechecks every name.
    pub(super) fn recheck_all_names(&mut self, now: Instant) {
        self.discovery.recheck_all(now);
    }

    /// Rechecks every name if no endpoint is active.
    fn recheck_all_if_none_active(&mut self, now: Instant) {
        if self.monitor.endpoints.active_count() == 0 {
            self.discovery.recheck_all(now);
        }
    }

    /// Whether a client should wait for an endpoint: discovery goes on, and no endpoint is known,
    /// or one is still to be verified, or a look-up is under way or due.
    pub(super) fn may_find_endpoint(&self, now: Instant) -> bool {
        let endpoints = &self.monitor.endpoints;
        // At the end no endpoint is looked for.
        self.discovery.is_discovering()
            && (endpoints.count() == 0 || endpoints.awaits_check() || self.discovery.is_asking(now))
    }

    /// Probes an endpoint that is still to be verified now, as a client waits for it, unless it was
    /// probed just before.
    pub(super) fn expedite_probe(&mut self, context: &mut Context<N>) {
        if let Some(endpoint) = self.monitor.endpoints.expedite_probe(context.now) {
            self.probe(context, endpoint);
        }
    }

    /// Probes the endpoint if it is inactive and due.
    pub(super) fn probe(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        let failed = self.monitor.probe(context, endpoint);
        self.recheck_names(context, failed);
    }

    /// Whether discovery has to run before this turn ends.
    pub(super) fn has_to_run(&self) -> bool {
        self.discovery.is_dirty()
    }

    /// Handles the timer: a look-up is due, or a name server did not answer in time.
    pub(super) fn on_discovery_timer(&mut self) {
        self.discovery.on_timer();
    }

    /// Begins a run of discovery, which has one round or more.
    pub(super) fn begin_run(&mut self, context: &mut Context<N>) {
        self.discovery.begin_run(context);
    }

    /// Begins a round: runs discovery, and applies the endpoints that it has found. Returns the
    /// removed ones, whose current dials are to be abandoned.
    pub(super) fn begin_round(&mut self, context: &mut Context<N>) -> Vec<Removed> {
        self.discovery.begin_round(context);
        self.apply_found(context)
    }

    /// Ends the round in which these endpoints were removed. Returns whether another one is needed.
    pub(super) fn end_round(&mut self, context: &mut Context<N>, removed: &[Removed]) -> bool {
        if !removed.is_empty() {
            self.recheck_all_if_none_active(context.now);
        }
        let endpoints = &self.monitor.endpoints;
        self.discovery.end_round(context, &|address| standing_of(endpoints, address))
    }

    /// Ends the run.
    pub(super) fn end_run(&mut self, context: &mut Context<N>) {
        // Once nothing is asked, those that wait look again, and wait on if there is no endpoint.
        self.monitor.retry_waiting |= self.discovery.end_run(context);
    }

    /// Applies the endpoints that discovery has found, if they may have changed.
    fn apply_found(&mut self, context: &mut Context<N>) -> Vec<Removed> {
        let Some(found) = self.discovery.take_found(context) else { return Vec::new() };
        self.is_found_anew = true;
        let (removed, failed) = self.monitor.apply_found(context, &found);
        self.recheck_names(context, failed);
        if !removed.is_empty() {
            self.monitor.abandon_probes(context, &removed);
        }
        self.checker.sync(context, &mut self.monitor.endpoints);
        self.note_standing(context);
        removed
    }

    /// Passes the report of an exchange to its owner.
    pub(super) fn on_report(&mut self, context: &mut Context<N>, owner: Owner, report: Report) {
        match owner {
            Owner::Discovery(question) => self.discovery.on_report(context, question, report),
            Owner::Source(line) => self.discovery.on_line_report(context, line, report),
            Owner::Monitor(endpoint) => {
                let failed = self.monitor.on_report(context, endpoint, report);
                if failed.is_none() {
                    // It can be reached again, and may be another process.
                    self.suspect(context, endpoint, Suspicion::Failed);
                }
                self.recheck_names(context, failed);
                self.note_standing(context);
            }
            // Its part handles these in a step of its own.
            Owner::Admin(_) => debug_assert!(false, "a report of a client"),
            Owner::Check(endpoint) => {
                let endpoints = &mut self.monitor.endpoints;
                let decided = self.checker.on_report(context, endpoints, endpoint, report);
                self.apply_check(context, decided);
            }
        }
    }

    /// Ends discovery and probes.
    pub(super) fn stop(&mut self, context: &mut Context<N>) {
        self.monitor.stop(context);
        self.checker.stop(context, &mut self.monitor.endpoints);
        self.discovery.stop(context);
        // Clients that wait for an endpoint will not get one.
        self.monitor.retry_waiting = true;
    }

    /// Checks what must hold between two turns.
    pub(super) fn check_invariants(&self, is_shown: bool) {
        self.monitor.check_invariants();
        let is_dirty = self.is_shown_dirty || self.monitor.has_changed;
        debug_assert!(!(is_shown && is_dirty), "a turn with a change was not noted");
    }

    /// Notes what has changed of endpoints, where that is shown.
    pub(super) fn sync_records(&mut self, context: &mut Context<N>) {
        let is_dirty = std::mem::take(&mut self.is_shown_dirty)
            | std::mem::take(&mut self.monitor.has_changed);
        if !is_dirty {
            return;
        }
        let at = moment(context);
        let found = self.discovery.discovery.found();
        // Endpoints mostly have the order in which they were found, so that the next one is looked
        // for behind the last one: with hundreds of them, each from the start takes too long.
        let next = Cell::new(0);
        if let Some(observer) = &mut context.observer {
            observer.endpoints.sync(
                &self.monitor.endpoints,
                &|address| {
                    let mut places = (next.get()..found.len()).chain(0..next.get());
                    let place = places.find(|place| found[*place].spec.address == *address)?;
                    next.set(place + 1);
                    Some(Origin { name: &found[place].name, source: found[place].source })
                },
                std::mem::take(&mut self.is_found_anew),
                at,
            );
        }
    }

    /// Whether clients that wait for an endpoint should try again: there may be one, or none can be
    /// expected. True once.
    pub(super) fn take_retry_waiting(&mut self) -> bool {
        std::mem::take(&mut self.monitor.retry_waiting)
    }
}

/// The reason why none of these endpoints is for a client.
pub(super) fn rejection(endpoints: &EndpointSet) -> Rejection {
    match (endpoints.count(), endpoints.active_count()) {
        (0, _) => Rejection::NoEndpointKnown,
        (_, 0) => Rejection::NoEndpointActive,
        _ => Rejection::NoDialSucceeded,
    }
}

/// The standing of the endpoint with this address, where it may be a member of etcd.
fn standing_of(endpoints: &EndpointSet, address: &Address) -> Option<Standing> {
    let mut live = endpoints.iter().map(|(_, endpoint)| endpoint);
    let found = live.find(|found| found.address() == address && !found.health().is_removed());
    found?.standing_as_member()
}

/// The endpoints that were found, without the names that led to them.
fn specs(found: &[Found]) -> Vec<EndpointSpec> {
    found.iter().map(|found| found.spec.clone()).collect()
}
