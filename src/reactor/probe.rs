//! The monitor's own dials: finds out whether an inactive endpoint is back.
//!
//! When a probe is due is decided in `endpoint/health.rs`; a timer of the wheel brings it here. A
//! connection that stands is proof enough and is closed again without a byte.

use super::dial::{dial_failure, dial_result};
use super::token::{Generation, Token};
use super::wheel::TimerKey;
use super::{Reactor, Timer};
use crate::endpoint::{Change, ChangeKind, DialFailure, EndpointId};
use crate::net::{Close, Dial, Net, NetError, Readiness};

/// A dial of the monitor that is under way.
pub(super) struct Probe<S> {
    endpoint: EndpointId,
    stream: S,
    generation: Generation,
    timer: TimerKey,
    is_over: bool,
}

impl<N: Net> Reactor<N> {
    /// Tells of an endpoint's new state, and has the monitor look after one that is inactive.
    pub(super) fn on_change(&mut self, change: Option<Change>, source: &str) {
        let Some(change) = change else { return };
        self.tell_change(&change, source);
        // What was planned before is void. Otherwise an endpoint that comes and goes would leave
        // a timer behind each time.
        self.forget_probe(change.id);
        match change.kind {
            ChangeKind::BecameActive { .. } => {}
            ChangeKind::BecameInactive { retry_at, .. }
            | ChangeKind::StillInactive { retry_at, .. } => {
                let timer = self.wheel.arm(retry_at, Timer::Monitor(change.id));
                self.probes_planned.push((change.id, timer));
            }
        }
    }

    fn forget_probe(&mut self, endpoint: EndpointId) {
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
                let probe = Probe { endpoint, stream, generation, timer, is_over: false };
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
        let address = self.endpoints.address(endpoint);
        match dial_result(&mut self.net, &self.acceptors, address, &mut probe.stream, told) {
            Dial::Pending => return,
            Dial::Connected | Dial::Lost(_) => {
                let change = self.endpoints.probe_succeeded(endpoint, self.now);
                self.on_change(change, "probe");
            }
            Dial::Failed(error) => self.fail_probe(endpoint, error),
        }
        self.end_probe(key);
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
        let jitter = self.net.random();
        let failure = dial_failure(error);
        let change = self.endpoints.probe_failed(endpoint, failure, self.now, jitter);
        self.on_change(change, "probe");
    }

    /// Gives up the probes that are under way; each still has its one result.
    pub(super) fn abandon_probes(&mut self) {
        let under_way = self.probes.iter().filter(|(_, probe)| !probe.is_over);
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
            self.net.close(probe.stream, Close::Orderly);
        }
    }
}
