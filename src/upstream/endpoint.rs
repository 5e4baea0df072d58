//! One endpoint: what its spec asks for, and what became known of it. Pure.
//!
//! Owns the fields and the rule for new endpoints. Only the set changes one.

use std::time::Instant;

use super::backoff::RetryLimits;
use super::checks::Checks;
use super::silence::AnswerTimes;
use super::{Check, CheckState, EndpointSpec, Health, HealthCheck, Standing, Tally};
use crate::address::Address;

/// One endpoint, to be read by others and changed by its set alone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) address: Address,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) check: Check,
    /// What the rotation owes it, in the unit of `pick/weight.rs`.
    pub(super) credit: i64,
    pub(super) health: Health,
    /// When a dial for a client last began; one for which our own resources did not suffice does
    /// not count.
    pub(super) dialed_at: Option<Instant>,
    /// A probe's result is still to come. Outlives `Probing`: a client's dial may decide the
    /// matter first, and the endpoint may even fail again before the result is there.
    pub(super) probe_in_flight: bool,
    /// Whether it has accepted a connection, ever.
    pub(super) has_accepted: bool,
    pub(super) pairs: u32,
    pub(super) tally: Tally,
    /// Its health checks; `None`: an established connection is all that is asked of it.
    pub(super) checks: Option<Box<Checks>>,
    pub(super) answers: AnswerTimes,
    /// The term in which it leads a cluster, by its last check, where clients prefer a leader.
    pub(super) leads_in: Option<u64>,
    /// Whether it comes before others of its class that serve.
    pub(super) is_preferred: bool,
}

impl Endpoint {
    pub(super) fn new(spec: &EndpointSpec, now: Instant, limits: &RetryLimits) -> Endpoint {
        Endpoint {
            address: spec.address.clone(),
            priority: spec.priority,
            weight: spec.weight,
            check: spec.check,
            credit: 0,
            health: match spec.check {
                Check::Connect => Health::new(now),
                Check::Tls => Health::unproven(now, limits),
            },
            dialed_at: None,
            probe_in_flight: false,
            has_accepted: false,
            pairs: 0,
            tally: Tally::default(),
            checks: spec.health_check.clone().map(|check| Box::new(Checks::new(check, now))),
            answers: AnswerTimes::default(),
            leads_in: None,
            is_preferred: false,
        }
    }

    /// Where it is dialed.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its class: lower numbers first.
    pub fn priority(&self) -> u16 {
        self.priority
    }

    /// Its share inside the class.
    pub fn weight(&self) -> u16 {
        self.weight
    }

    /// What it has to pass before clients are sent to it.
    pub fn check(&self) -> Check {
        self.check
    }

    /// What is known of it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Pairs that count on it.
    pub fn pairs(&self) -> u32 {
        self.pairs
    }

    /// What happened there since it was added.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is asked of it in health checks.
    pub fn health_check(&self) -> Option<&HealthCheck> {
        self.checks.as_ref().map(|checks| &checks.check)
    }

    /// What its health checks have shown; `None` where there are none.
    pub fn check_state(&self) -> Option<CheckState> {
        self.checks.as_ref().map(|checks| checks.state())
    }

    /// How clients may use it, by its health checks.
    #[inline]
    pub fn standing(&self) -> Standing {
        self.checks.as_ref().map_or(Standing::Serving, |checks| checks.standing())
    }

    /// Whether it is the leader, which clients prefer.
    pub fn is_preferred(&self) -> bool {
        self.is_preferred
    }

    /// A probe in flight is the one that has no result yet. An outage began before its last
    /// failure; probing means a probe in flight; a removed endpoint has pairs, and no part in the
    /// rotation.
    pub(super) fn invariants(&self) {
        assert_eq!(self.tally.probes.in_flight(), u64::from(self.probe_in_flight), "one at most");
        self.checks_invariants();
        if let Some(outage) = self.health.outage() {
            let has_check = self.check == Check::Tls;
            assert!(has_check || !outage.reason.is_of_trust(), "failed a check it does not have");
        }
        match self.health {
            Health::Active { .. } => {}
            Health::Inactive { outage, .. } => outage.invariants(),
            Health::Probing { outage, .. } => {
                outage.invariants();
                assert!(self.probe_in_flight, "probing without a probe would never end");
            }
            Health::Removed { .. } => {
                assert!(self.pairs > 0, "nothing to remember it for");
                assert_eq!(self.credit, 0, "out of the rotation");
            }
        }
    }
}
