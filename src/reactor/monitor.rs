//! The monitor: the endpoints, what each dial said of them, and its own dials, by which it finds
//! out whether an inactive endpoint is back.
//!
//! When a probe is due is decided in `upstream/health.rs`; a timer of the wheel brings it here. For
//! most endpoints an established connection is proof enough, and is closed again without a byte.
//! One that was found by discovery has to show who it is: the probe goes on with a TLS handshake.
//!
//! A probe that is over is only marked; [`Monitor::reap`] gives it up at the end of the turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::context::{Context, Timer};
use super::token::{Kind, Token};
use super::upstream::dial_failure;
use super::wheel::TimerKey;
use crate::arena::{Arena, Key};
use crate::config::ENDPOINTS_MAX;
use crate::discovery::Found;
use crate::net::{Dial, Host, Net, NetError, Readiness, Shake};
use crate::observe::events::Event;
use crate::relay::dialing::Attempt;
use crate::upstream::{
    Change, ChangeKind, Check, DialFailure, EndpointId, EndpointSet, EndpointSpec, Health,
    Reconciled, Removed, RetryLimits,
};

/// The endpoints and the probes.
pub(super) struct Monitor<N: Net + Host> {
    pub(super) endpoints: EndpointSet,
    connect_timeout: Duration,
    probes: Arena<Probe<N>>,
    over: Vec<Key>,
    /// Endpoints whose next probe is planned, each once, and its timer.
    planned: Vec<(EndpointId, TimerKey)>,
    /// Clients that wait for an endpoint should look again.
    pub(super) has_news: bool,
    /// Nothing is probed any longer, since the process is to end.
    is_stopped: bool,
}

/// A dial of the monitor that is under way.
struct Probe<N: Net + Host> {
    endpoint: EndpointId,
    stream: N::Stream,
    /// Once the connection is established, where there has to be one.
    handshake: Option<N::Handshake>,
    timer: TimerKey,
    is_over: bool,
}

/// What a look at a probe found.
enum Progress {
    Pending,
    Proven,
    Failed(NetError),
    Mistrusted(&'static str),
}

/// A probe that failed, of which discovery is to hear.
pub(super) struct FailedProbe {
    pub(super) endpoint: EndpointId,
    pub(super) failure: DialFailure,
}

impl<N: Net + Host> Monitor<N> {
    /// Without an endpoint.
    pub(super) fn new(limits: RetryLimits, connect_timeout: Duration) -> Monitor<N> {
        Monitor {
            endpoints: EndpointSet::new(limits),
            connect_timeout,
            probes: Arena::default(),
            over: Vec::new(),
            planned: Vec::new(),
            has_news: false,
            is_stopped: false,
        }
    }

    /// Probes under way, or over and not reaped yet.
    pub(super) fn probes(&self) -> usize {
        self.probes.len()
    }

    /// A client's dial to the endpoint is established.
    pub(super) fn dial_succeeded(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        self.endpoints.pair_opened(endpoint);
        let change = self.endpoints.dial_succeeded(endpoint, context.now);
        self.on_change(context, change, "client");
    }

    /// A client's dial failed.
    pub(super) fn dial_failed(
        &mut self,
        context: &mut Context<N>,
        attempt: Attempt,
        failure: DialFailure,
    ) {
        let jitter = context.net.random();
        let Attempt { endpoint, started_at, .. } = attempt;
        let now = context.now;
        let change = self.endpoints.dial_failed(endpoint, started_at, failure, now, jitter);
        self.on_change(context, change, "client");
    }

    /// A dial failed for reasons of our own.
    pub(super) fn log_local_failure(
        &self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        error: NetError,
    ) {
        context.log_local_failure(self.endpoints.address(endpoint), error);
    }

    /// Tells of an endpoint's new state, and plans to look after one that is inactive.
    fn on_change(&mut self, context: &mut Context<N>, change: Option<Change>, source: &str) {
        let Some(change) = change else { return };
        let check = self.endpoints.get(change.id).map(|endpoint| endpoint.check());
        context.log_change(&change, check == Some(Check::Tls), source);
        // What was planned before is void. Otherwise an endpoint that comes and goes would leave
        // a timer behind each time.
        self.forget_probe(context, change.id);
        match change.kind {
            // A client that waits for an endpoint has one.
            ChangeKind::BecameActive { .. } => self.has_news = true,
            ChangeKind::BecameInactive { retry_at, .. }
            | ChangeKind::StillInactive { retry_at, .. } => {
                self.plan_probe(context, change.id, retry_at);
            }
        }
    }

    /// The endpoint is to be probed then; nothing else is planned for it.
    fn plan_probe(&mut self, context: &mut Context<N>, endpoint: EndpointId, at: Instant) {
        let timer = context.wheel.arm(at, Timer::Monitor(endpoint));
        self.planned.push((endpoint, timer));
    }

    fn forget_probe(&mut self, context: &mut Context<N>, endpoint: EndpointId) {
        let planned = self.planned.iter().position(|(planned, _)| *planned == endpoint);
        if let Some(position) = planned {
            let (_, timer) = self.planned.swap_remove(position);
            context.wheel.cancel(timer);
        }
    }

    /// Dials the endpoint if it is inactive and due. Gives the failure if it fails at once.
    pub(super) fn probe(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
    ) -> Option<FailedProbe> {
        self.forget_probe(context, endpoint);
        if self.is_stopped || !self.endpoints.begin_probe(endpoint, context.now) {
            return None;
        }
        context.metrics.probes += 1;
        let key = self.probes.reserve();
        let address = self.endpoints.address(endpoint).ok_or(NetError::AddressNotAvailable);
        let token = Token::new(Kind::Probe, key);
        match address.and_then(|address| context.dial(address, token)) {
            Err(error) => Some(self.fail_probe(context, endpoint, error)),
            Ok(stream) => {
                let deadline = context.now + self.connect_timeout;
                let timer = context.wheel.arm(deadline, Timer::Probe(key));
                let probe = Probe { endpoint, stream, handshake: None, timer, is_over: false };
                self.probes.fill(key, probe);
                None
            }
        }
    }

    /// An event of a probe's socket. Gives the failure if it has failed.
    pub(super) fn on_event(
        &mut self,
        context: &mut Context<N>,
        token: Token,
        readiness: Readiness,
    ) -> Option<FailedProbe> {
        let key = token.key_in(&self.probes).filter(|key| !self.probes[*key].is_over);
        let Some(key) = key else {
            context.metrics.events_stale += 1;
            return None;
        };
        let endpoint = self.probes[key].endpoint;
        let failed = match self.advance(context, key, readiness) {
            Progress::Pending => return None,
            Progress::Proven => {
                let change = self.endpoints.probe_succeeded(endpoint, context.now);
                self.on_change(context, change, "probe");
                None
            }
            Progress::Failed(error) => Some(self.fail_probe(context, endpoint, error)),
            Progress::Mistrusted(word) => {
                Some(self.probe_failed(context, endpoint, DialFailure::Mistrusted(word)))
            }
        };
        self.end_probe(context, key);
        failed
    }

    /// Looks at the dial and, once it is established, goes on with the handshake.
    fn advance(&mut self, context: &mut Context<N>, key: Key, readiness: Readiness) -> Progress {
        let Probe { endpoint, stream, handshake, timer, .. } = &mut self.probes[key];
        let found = self.endpoints.get(*endpoint);
        let is_proven = found.is_none_or(|endpoint| endpoint.check() == Check::Connect);
        if handshake.is_none() {
            let address = found.map(|endpoint| endpoint.address());
            match context.dial_result(address, stream, readiness) {
                Dial::Pending => return Progress::Pending,
                Dial::Connected | Dial::Lost(_) if is_proven => return Progress::Proven,
                Dial::Connected => {}
                Dial::Lost(error) | Dial::Failed(error) => return Progress::Failed(error),
            }
        }
        let handshake = handshake.get_or_insert_with(|| {
            // With a time of its own: the one for connecting may be almost over.
            context.wheel.cancel(*timer);
            let deadline = context.now + self.connect_timeout;
            *timer = context.wheel.arm(deadline, Timer::Probe(key));
            context.net.begin_handshake()
        });
        match context.net.shake(stream, handshake) {
            Shake::Pending => Progress::Pending,
            Shake::Done => Progress::Proven,
            Shake::Failed(error) => {
                error.word().map_or_else(Progress::Failed, Progress::Mistrusted)
            }
        }
    }

    /// A probe took too long.
    pub(super) fn on_timeout(&mut self, context: &mut Context<N>, key: Key) -> Option<FailedProbe> {
        let Some(probe) = self.probes.get(key).filter(|probe| !probe.is_over) else {
            debug_assert!(false, "a timer outlived its probe");
            return None;
        };
        let failed = self.fail_probe(context, probe.endpoint, NetError::TimedOut);
        self.end_probe(context, key);
        Some(failed)
    }

    fn fail_probe(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        error: NetError,
    ) -> FailedProbe {
        let failure = dial_failure(error);
        if !failure.is_evidence() {
            self.log_local_failure(context, endpoint, error);
        }
        self.probe_failed(context, endpoint, failure)
    }

    fn probe_failed(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        failure: DialFailure,
    ) -> FailedProbe {
        let jitter = context.net.random();
        let change = self.endpoints.probe_failed(endpoint, failure, context.now, jitter);
        self.on_change(context, change, "probe");
        FailedProbe { endpoint, failure }
    }

    /// Makes the endpoints what discovery has found. Gives those that are gone, and the probes that
    /// failed at once.
    pub(super) fn apply_found(
        &mut self,
        context: &mut Context<N>,
        found: &[Found],
    ) -> (Vec<Removed>, Vec<FailedProbe>) {
        let specs: Vec<EndpointSpec> = found.iter().map(|found| found.spec).collect();
        let Reconciled { added, removed } = self.endpoints.reconcile(&specs, context.now);
        for Removed { id, address, pairs } in removed.iter().copied() {
            context.log(Event::EndpointRemoved { endpoint: &address, pairs });
            self.forget_probe(context, id);
        }
        self.has_news |= !added.is_empty();
        let failed = added.into_iter().filter_map(|id| self.announce(context, id, found));
        let failed = failed.collect();
        (removed, failed)
    }

    /// Tells of a new endpoint, and looks after one that is not active: at once, if it must prove
    /// itself, or as soon as is due after what was known of it before.
    fn announce(
        &mut self,
        context: &mut Context<N>,
        id: EndpointId,
        found: &[Found],
    ) -> Option<FailedProbe> {
        let endpoint = self.endpoints.get(id)?;
        let (address, health) = (endpoint.address(), *endpoint.health());
        let (priority, weight) = (endpoint.priority(), endpoint.weight());
        let (endpoint, name) = (&address, &name_of(address, found));
        context.log(Event::EndpointAdded { endpoint, name, priority, weight });
        match health {
            Health::Inactive { retry_at, .. } if retry_at <= context.now => {
                return self.probe(context, id);
            }
            Health::Inactive { retry_at, .. } => self.plan_probe(context, id, retry_at),
            Health::Active { .. } | Health::Probing { .. } | Health::Removed => {}
        }
        None
    }

    /// Gives up the probes that are under way to endpoints that are gone.
    pub(super) fn abandon_probes(&mut self, context: &mut Context<N>, removed: &[Removed]) {
        self.abandon(context, |endpoint| removed.iter().any(|gone| gone.id == endpoint));
    }

    /// Gives up all probes, and begins none from now on.
    pub(super) fn stop(&mut self, context: &mut Context<N>) {
        self.is_stopped = true;
        self.abandon(context, |_| true);
    }

    /// Gives up the probes to such endpoints; each still has its one result.
    fn abandon(&mut self, context: &mut Context<N>, is_meant: impl Fn(EndpointId) -> bool) {
        let under_way = self.probes.iter().filter(|(_, probe)| !probe.is_over);
        let meant = under_way.filter(|(_, probe)| is_meant(probe.endpoint));
        for key in meant.map(|(key, _)| key).collect::<Vec<Key>>() {
            let endpoint = self.probes[key].endpoint;
            // It says when to probe next, which is of no interest by then.
            let _ = self.endpoints.probe_failed(endpoint, DialFailure::Local, context.now, 0);
            self.end_probe(context, key);
        }
    }

    /// Marks the probe as over; its socket is given up at the end of the turn.
    fn end_probe(&mut self, context: &mut Context<N>, key: Key) {
        let probe = &mut self.probes[key];
        if !probe.is_over {
            probe.is_over = true;
            context.wheel.cancel(probe.timer);
            self.over.push(key);
        }
    }

    /// Gives up the probes that are over; whether there were any.
    pub(super) fn reap(&mut self, context: &mut Context<N>) -> bool {
        let are_some_over = !self.over.is_empty();
        while let Some(key) = self.over.pop() {
            let probe = self.probes.remove(key).expect("a probe is marked once");
            context.net.close(probe.stream);
        }
        are_some_over
    }

    /// What must hold between two turns.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.over.is_empty(), "not reaped");
        debug_assert!(self.probes.len() <= ENDPOINTS_MAX, "two probes of one endpoint");
        debug_assert!(self.planned.len() <= ENDPOINTS_MAX, "one endpoint planned twice");
    }
}

/// The name by which the address was found.
fn name_of(address: SocketAddr, found: &[Found]) -> &str {
    found.iter().find(|found| found.spec.address == address).map_or("", |found| &found.name)
}
