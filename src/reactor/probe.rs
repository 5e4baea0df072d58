//! The monitor's own dials: finds out whether an inactive endpoint is back.
//!
//! When a probe is due is decided in `upstream/health.rs`; a timer of the wheel brings it here. For
//! most endpoints a connection that stands is proof enough, and is closed again without a byte. One
//! that was found by discovery has to show who it is: the probe goes on with a TLS handshake.

use std::time::Instant;

use super::dial::{dial_failure, dial_result};
use super::token::{Generation, Token};
use super::wheel::TimerKey;
use super::{Reactor, Timer};
use crate::net::{Dial, Net, NetError, Readiness, Shake};
use crate::upstream::{Change, ChangeKind, Check, DialFailure, EndpointId};

/// A dial of the monitor that is under way.
pub(super) struct Probe<N: Net> {
    endpoint: EndpointId,
    stream: N::Stream,
    /// Once the connection stands, where there has to be one.
    handshake: Option<N::Handshake>,
    generation: Generation,
    timer: TimerKey,
    is_over: bool,
}

/// What a look at a probe found.
enum Looked {
    Pending,
    Proven,
    Failed(NetError),
    Mistrusted(&'static str),
}

impl<N: Net> Reactor<N> {
    /// Tells of an endpoint's new state, and has the monitor look after one that is inactive.
    pub(super) fn on_change(&mut self, change: Option<Change>, source: &str) {
        let Some(change) = change else { return };
        self.log_change(&change, source);
        // What was planned before is void. Otherwise an endpoint that comes and goes would leave
        // a timer behind each time.
        self.forget_probe(change.id);
        match change.kind {
            // Whoever waits for an endpoint has one.
            ChangeKind::BecameActive { .. } => self.recheck_waiting = true,
            ChangeKind::BecameInactive { retry_at, .. }
            | ChangeKind::StillInactive { retry_at, .. } => self.plan_probe(change.id, retry_at),
        }
    }

    /// The endpoint is to be probed then; nothing else is planned for it.
    pub(super) fn plan_probe(&mut self, endpoint: EndpointId, at: Instant) {
        let timer = self.wheel.arm(at, Timer::Monitor(endpoint));
        self.probes_planned.push((endpoint, timer));
    }

    pub(super) fn forget_probe(&mut self, endpoint: EndpointId) {
        let planned = self.probes_planned.iter().position(|(whom, _)| *whom == endpoint);
        if let Some(position) = planned {
            let (_, timer) = self.probes_planned.swap_remove(position);
            self.wheel.cancel(timer);
        }
    }

    /// Dials the endpoint if it is inactive and due.
    pub(super) fn probe(&mut self, endpoint: EndpointId) {
        self.forget_probe(endpoint);
        if !self.is_running() || !self.endpoints.begin_probe(endpoint, self.now) {
            return;
        }
        self.metrics.probes += 1;
        let generation = self.next_generation();
        let slot = self.probes.vacant_key();
        match self.dial_endpoint(endpoint, Token::Probe { slot, generation }) {
            Err(error) => self.fail_probe(endpoint, error),
            Ok(stream) => {
                let deadline = self.now + self.limits.connect_timeout;
                let timer = self.wheel.arm(deadline, Timer::Probe { slot, generation });
                let handshake = None;
                let probe =
                    Probe { endpoint, stream, handshake, generation, timer, is_over: false };
                let key = self.probes.insert(probe);
                assert_eq!(key, slot, "the token names the slot");
            }
        }
    }

    pub(super) fn on_probe_event(&mut self, key: usize, generation: Generation, told: Readiness) {
        let probe = self.probes.get_mut(key);
        let Some(probe) = probe.filter(|probe| probe.generation == generation && !probe.is_over)
        else {
            self.metrics.events_stale += 1;
            return;
        };
        let endpoint = probe.endpoint;
        match self.look_at_probe(key, generation, told) {
            Looked::Pending => return,
            Looked::Proven => {
                let change = self.endpoints.probe_succeeded(endpoint, self.now);
                self.on_change(change, "probe");
            }
            Looked::Failed(error) => self.fail_probe(endpoint, error),
            Looked::Mistrusted(word) => self.refute(endpoint, DialFailure::Mistrusted(word)),
        }
        self.end_probe(key);
    }

    /// How the dial stands and, if it does, the handshake.
    fn look_at_probe(&mut self, key: usize, generation: Generation, told: Readiness) -> Looked {
        let Probe { endpoint, stream, handshake, timer, .. } = &mut self.probes[key];
        let found = self.endpoints.get(*endpoint);
        let is_proven = found.is_none_or(|endpoint| endpoint.check() == Check::Connect);
        if handshake.is_none() {
            let address = found.map(|endpoint| endpoint.address());
            match dial_result(&mut self.net, &self.acceptors, address, stream, told) {
                Dial::Pending => return Looked::Pending,
                Dial::Connected | Dial::Lost(_) if is_proven => return Looked::Proven,
                Dial::Connected => {}
                Dial::Lost(error) | Dial::Failed(error) => return Looked::Failed(error),
            }
        }
        let handshake = handshake.get_or_insert_with(|| {
            // With a time of its own: the one for connecting may be almost over.
            self.wheel.cancel(*timer);
            let deadline = self.now + self.limits.connect_timeout;
            *timer = self.wheel.arm(deadline, Timer::Probe { slot: key, generation });
            self.net.begin_handshake()
        });
        match self.net.shake(stream, handshake) {
            Shake::Pending => Looked::Pending,
            Shake::Done => Looked::Proven,
            Shake::Failed(error) => error.word().map_or_else(Looked::Failed, Looked::Mistrusted),
        }
    }

    pub(super) fn on_probe_timeout(&mut self, key: usize, generation: Generation) {
        let probe = self.probes.get(key);
        let Some(probe) = probe.filter(|probe| probe.generation == generation && !probe.is_over)
        else {
            debug_assert!(false, "a timer outlived its probe");
            return;
        };
        let endpoint = probe.endpoint;
        self.fail_probe(endpoint, NetError::TimedOut);
        self.end_probe(key);
    }

    fn fail_probe(&mut self, endpoint: EndpointId, error: NetError) {
        let failure = dial_failure(error);
        if !failure.is_evidence() {
            self.log_local_failure(endpoint, error);
        }
        self.refute(endpoint, failure);
    }

    fn refute(&mut self, endpoint: EndpointId, failure: DialFailure) {
        let jitter = self.net.random();
        let change = self.endpoints.probe_failed(endpoint, failure, self.now, jitter);
        self.on_change(change, "probe");
        self.doubt_names(endpoint, failure);
    }

    /// Gives up the probes that are under way to such endpoints; each still has its one result.
    pub(super) fn abandon_probes_of(&mut self, is_wanted: impl Fn(EndpointId) -> bool) {
        let is_meant = |probe: &Probe<N>| !probe.is_over && is_wanted(probe.endpoint);
        let under_way = self.probes.iter().filter(|(_, probe)| is_meant(probe));
        let keys: Vec<usize> = under_way.map(|(key, _)| key).collect();
        for key in keys {
            let endpoint = self.probes[key].endpoint;
            // It says when to probe next, which is of no interest any more.
            let _ = self.endpoints.probe_failed(endpoint, DialFailure::Local, self.now, 0);
            self.end_probe(key);
        }
    }

    /// Marks the probe as over; its socket is given up at the end of the turn.
    fn end_probe(&mut self, key: usize) {
        let probe = &mut self.probes[key];
        if !probe.is_over {
            probe.is_over = true;
            self.wheel.cancel(probe.timer);
            self.probes_over.push(key);
        }
    }

    pub(super) fn reap_probes(&mut self) {
        if !self.probes_over.is_empty() {
            self.resume_accepting();
        }
        while let Some(key) = self.probes_over.pop() {
            let probe = self.probes.remove(key);
            self.net.close(probe.stream);
        }
    }
}
