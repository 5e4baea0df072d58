//! What is known of each endpoint, from the outcomes of dials alone: it is active until there is
//! evidence against it, and again after any dial that succeeds.

use std::time::Duration;

use etcd_gateway::net::NetError;
use etcd_gateway::upstream::{Check, EndpointSpec, RetryLimits};

use crate::connection::Id;

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Whether it was in the gateway's set when the last turn ended.
    pub(super) is_in: bool,
    pub(super) check: Check,
    pub(super) priority: u16,
    /// Its share, compared with those of its class.
    pub(super) weight: f64,
    pub(super) state: State,
    /// When a client was last dialed for.
    pub(super) dialed_at: Option<Duration>,
    /// When the last evidence against it came in.
    pub(super) failed_at: Duration,
    pub(super) probe: Option<Probe>,
    pub(super) outages: u64,
    /// Clients that came by rotation since the last change of the set.
    pub(super) picks: u64,
    /// When the last probe began.
    probed_at: Option<Duration>,
    /// When it left the set in bad health, which is remembered until it is over.
    left_at: Option<Duration>,
    /// Its last probe that met the other side may have failed, or been given up; or so may a
    /// client's dial.
    is_vague: bool,
    /// Whether it may have left in good health: a client's dial ran out of time in the turn in
    /// which it went.
    pub(super) may_be_well: bool,
    /// By its health checks; the best where there are none.
    pub(super) standing: Standing,
    /// Its checks have shown that it serves; where it has none, it has accepted a connection.
    pub(super) has_passed: bool,
    pub(super) is_checked: bool,
    limits: RetryLimits,
}

/// What health checks have shown, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It passes its checks, or has none.
    Serving,
    /// They have shown nothing so far.
    Unknown,
    Failing,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Active { proven_at: Duration },
    Inactive { probe_at: (Duration, Duration), step: (Duration, Duration) },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) id: Option<Id>,
    pub(super) outage: u64,
    pub(super) begun_at: Duration,
}

impl Watch {
    pub(super) fn new(spec: &EndpointSpec, is_in: bool, limits: &RetryLimits) -> Watch {
        let due = (Duration::ZERO, Duration::ZERO);
        Watch {
            is_in,
            check: spec.check,
            priority: spec.priority,
            weight: f64::from(spec.weight),
            state: match spec.check {
                Check::Connect => State::Active { proven_at: Duration::ZERO },
                Check::Tls => {
                    State::Inactive { probe_at: due, step: (floor(limits), floor(limits)) }
                }
            },
            dialed_at: None,
            failed_at: Duration::ZERO,
            probe: None,
            outages: 0,
            picks: 0,
            probed_at: None,
            left_at: None,
            is_vague: false,
            may_be_well: false,
            standing: Standing::Serving,
            has_passed: false,
            is_checked: false,
            limits: *limits,
        }
    }

    /// It has come into the set in this turn. A dial of the same turn counts. Whether it came in
    /// bad health.
    pub(super) fn come(&mut self, now: Duration) -> bool {
        self.is_in = true;
        let was_ill = self.left_at.take().is_some();
        if !was_ill {
            self.failed_at = now;
        }
        match &mut self.state {
            State::Active { proven_at } => *proven_at = now,
            State::Inactive { .. } if self.probed_at == Some(now) => {}
            // It was not probed so far, and whatever its pause was, it is probed soon.
            State::Inactive { probe_at, .. } => {
                let soon = now + floor(&self.limits);
                *probe_at = (probe_at.0.clamp(now, soon), probe_at.1.clamp(now, soon));
            }
        }
        was_ill
    }

    /// It has left the set. Bad health is remembered for a while; a probe that was under way is
    /// given up, and counts as one for the next.
    pub(super) fn go(&mut self, now: Duration) {
        self.leave_probe();
        if self.is_active() {
            return self.begin_anew();
        }
        (self.is_in, self.picks, self.left_at) = (false, 0, Some(now));
    }

    pub(super) fn begin_probe(&mut self, now: Duration) {
        self.probed_at = Some(now);
        self.probe = Some(Probe { id: None, outage: self.outages, begun_at: now });
    }

    /// The probe that is under way is given up, since the endpoint leaves.
    pub(super) fn leave_probe(&mut self) {
        let Some(Probe { outage, begun_at, .. }) = self.probe.take() else { return };
        let State::Inactive { probe_at, .. } = &mut self.state else { return };
        let next = begun_at + floor(&self.limits);
        let is_of_this = outage == self.outages;
        let earliest = if is_of_this { next } else { probe_at.0.min(next) };
        let latest = if is_of_this { next } else { probe_at.1.max(next) };
        *probe_at = (earliest, latest);
    }

    /// Its probe has failed, or was given up since it left: `before` is what was known then.
    pub(super) fn may_have_been_left(&mut self, mut before: Watch) {
        before.leave_probe();
        let State::Inactive { probe_at: left, step: was } = before.state else { return };
        let State::Inactive { probe_at, step } = &mut self.state else { return };
        *probe_at = (probe_at.0.min(left.0), probe_at.1.max(left.1));
        *step = (step.0.min(was.0), step.1.max(was.1));
        self.failed_at = self.failed_at.min(before.failed_at);
        self.is_vague = true;
    }

    /// What was known of it when it left may be out of date.
    pub(super) fn forget(&mut self, now: Duration) {
        if self.left_at.is_some_and(|at| at + self.limits.absence_max <= now) {
            self.begin_anew();
        }
    }

    pub(super) fn begin_anew(&mut self) {
        let limits = self.limits;
        let (priority, check) = (self.priority, self.check);
        let spec = EndpointSpec {
            address: ([0; 4], 0).into(),
            priority,
            weight: 0,
            check,
            health_check: None,
        };
        *self = Watch::new(&spec, false, &limits);
    }

    /// Whether a client may be led to it although it is not active.
    pub(super) fn is_last_resort(&self) -> bool {
        !self.is_active() && self.check == Check::Connect
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Whether it shares the clients of that class with the others of it.
    pub(super) fn is_mate(&self, class: (Standing, u16)) -> bool {
        self.is_in && self.class() == class && self.is_active()
    }

    /// The order among active ones: the smallest come first.
    pub(super) fn class(&self) -> (Standing, u16) {
        (self.standing, self.priority)
    }

    /// The moment by which the monitor must have dialed it.
    pub(super) fn probe_due(&self) -> Option<Duration> {
        match self.state {
            State::Inactive { probe_at, .. } if self.is_in && self.probe.is_none() => {
                Some(probe_at.1)
            }
            _ => None,
        }
    }

    pub(super) fn is_rested(&self, interval: Duration, now: Duration) -> bool {
        self.dialed_at.is_none_or(|at| at + interval <= now)
    }

    /// When it was last tried, without success so far.
    pub(super) fn tried_at(&self) -> Duration {
        let dialed_at = self.dialed_at.unwrap_or(self.failed_at);
        let begun_at = self.probe.map_or(self.failed_at, |probe| probe.begun_at);
        self.failed_at.max(dialed_at).max(begun_at)
    }

    /// The order among those of the last resort: the smallest comes first.
    pub(super) fn rank(&self) -> (Duration, u16) {
        (self.tried_at(), self.priority)
    }

    /// Whether a client may wait for it, since it has yet to prove itself.
    pub(super) fn awaits_proof(&self, now: Duration) -> bool {
        let is_unproven = self.check == Check::Tls && !self.is_active();
        self.is_in && is_unproven && self.failed_at < now
    }

    /// Whether the last probe may count differently from how it looks: it is of an earlier outage
    /// and may have come to serve for this one, or its time is over and its socket still to go.
    pub(super) fn is_in_doubt(&self, patience: Duration, now: Duration) -> bool {
        let is_odd = self
            .probe
            .is_some_and(|probe| probe.outage != self.outages || probe.begun_at + patience <= now);
        self.is_vague || is_odd
    }

    pub(super) fn fail(&mut self, limits: &RetryLimits, now: Duration) {
        let floor = floor(limits);
        self.outages += 1;
        self.is_vague = false;
        self.failed_at = now;
        let (probe_at, step) = ((now + floor, now + floor), (floor, floor));
        self.state = State::Inactive { probe_at, step };
    }

    /// A client's dial has failed while it was inactive.
    pub(super) fn has_failed_again(&mut self, now: Duration) {
        (self.failed_at, self.is_vague) = (now, false);
    }

    /// A client's dial has failed while it was inactive, or was left: `before` is what was known
    /// then.
    pub(super) fn may_have_failed_again(&mut self, before: &Watch) {
        self.failed_at = self.failed_at.min(before.failed_at);
        self.is_vague = true;
    }

    pub(super) fn probe_failed(&mut self, is_evidence: bool, limits: &RetryLimits, now: Duration) {
        let outages = self.outages;
        let Some(probe) = self.probe.take() else { panic!("no probe was under way") };
        let State::Inactive { probe_at, step } = &mut self.state else { return };
        if is_evidence {
            (self.failed_at, self.is_vague) = (now, false);
        }
        let next = match is_evidence {
            true => (step_after(step.0, limits), step_after(step.1, limits)),
            false => *step,
        };
        let pause = (next.0 / 2).max(floor(limits));
        let (earliest, latest) = (now + pause, now + next.1);
        // One from an earlier outage may or may not have served for this one.
        if probe.outage == outages {
            (*probe_at, *step) = ((earliest, latest), next);
        } else {
            *probe_at = (probe_at.0.min(earliest), probe_at.1.max(latest));
            *step = (step.0.min(next.0), step.1.max(next.1));
        }
    }
}

fn floor(limits: &RetryLimits) -> Duration {
    limits.delay_min.min(limits.delay_max)
}

fn step_after(step: Duration, limits: &RetryLimits) -> Duration {
    (2 * step).min(limits.delay_max).max(floor(limits))
}

/// Whether it is the other side's doing.
pub(super) fn is_evidence(error: NetError) -> bool {
    matches!(
        error,
        NetError::Refused
            | NetError::Reset
            | NetError::TimedOut
            | NetError::HostUnreachable
            | NetError::OwnAddress
    )
}
