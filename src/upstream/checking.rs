//! Health checks of all endpoints: when one is due, what follows from its result, and which
//! endpoints are the best that clients can get. Pure.
//!
//! Owns what concerns more than one endpoint. The states of one are in `checks.rs`.

use std::time::{Duration, Instant};

use super::checks::Checks;
use super::health_check::Pace;
use super::members::Members;
use super::{
    Change, Check, CheckChange, CheckLimits, CheckReport, CheckResult, CheckState, Endpoint,
    EndpointId, EndpointSet, EndpointSpec, Health, Standing, Suspicion,
};
use crate::address::Address;

/// A change of what the checks of an endpoint have shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckNews {
    /// The endpoint.
    pub id: EndpointId,
    /// Its address, for the log.
    pub address: Address,
    /// What has changed.
    pub change: CheckChange,
}

impl EndpointSet {
    /// Begins the check of an endpoint if it is due; true asks for one, the result of which must be
    /// reported once, by [`Self::check_done`] or [`Self::check_abandoned`]. `may_pause`: it
    /// does not matter at present how endpoints do.
    pub fn begin_check(&mut self, id: EndpointId, may_pause: bool, now: Instant) -> bool {
        let Some(endpoint) = self.members.get_mut(id) else { return false };
        if endpoint.health.is_removed() {
            return false;
        }
        let begun = endpoint.checks.as_mut().is_some_and(|checks| checks.begin(may_pause, now));
        endpoint.tally.checks.begun += u64::from(begun);
        begun
    }

    /// Takes the report of a check. Returns what it has changed of the checks, and of the dials:
    /// that an endpoint can be dialed is shown by an answer over a new connection, too. `jitter`:
    /// 64 random bits.
    pub fn check_done(
        &mut self,
        id: EndpointId,
        report: CheckReport,
        now: Instant,
        jitter: u64,
    ) -> (Option<CheckNews>, Option<Change>) {
        let CheckReport { result, is_dialed, is_costly, leads_in } = report;
        let is_eager = self.best_standing() != Some(Standing::Serving);
        let pace = Pace { is_eager, is_costly, jitter };
        let limits = self.check_limits;
        let Some(endpoint) = self.members.get_mut(id) else { return (None, None) };
        endpoint.tally.checks.add(result);
        let address = endpoint.address.clone();
        let Some(checks) = &mut endpoint.checks else { return (None, None) };
        let change = checks.on_result(result, pace, &limits, now);
        let is_reached = result == CheckResult::Passed && checks.check.port.is_none();
        let proves = is_reached && is_dialed && endpoint.check == Check::Connect;
        endpoint.leads_in = leads_in.filter(|_| result == CheckResult::Passed);
        self.members.prefer_leader();
        let revived = match proves {
            true => self.change(id, |endpoint, _| endpoint.health.dial_succeeded(now)),
            false => None,
        };
        (change.map(|change| CheckNews { id, address, change }), revived)
    }

    /// The check of an endpoint is given up undecided. Returns whether one was under way.
    pub fn check_abandoned(&mut self, id: EndpointId, now: Instant) -> bool {
        let limits = self.check_limits;
        let Some(endpoint) = self.members.get_mut(id) else { return false };
        let was_in_flight = endpoint.tally.checks.in_flight() > 0;
        endpoint.tally.checks.abandoned += u64::from(was_in_flight);
        if let Some(checks) = &mut endpoint.checks {
            checks.abandoned(&limits, now);
        }
        was_in_flight
    }

    /// Something speaks against the endpoint: its next check comes at once. Returns whether it has
    /// checks.
    pub fn suspect(&mut self, id: EndpointId, suspicion: Suspicion, now: Instant) -> bool {
        let limits = self.check_limits;
        let checks = self.members.get_mut(id).and_then(|endpoint| endpoint.checks.as_mut());
        checks.map(|checks| checks.suspect(suspicion, &limits, now)).is_some()
    }

    /// It matters again how endpoints do: checks that were put off are due.
    pub fn resume_checks(&mut self, now: Instant) {
        self.members.change_live(|_, endpoint| {
            if let Some(checks) = &mut endpoint.checks {
                checks.resume(now);
            }
        });
    }

    /// The best standing of the active endpoints: those with it are the ones that clients get.
    pub fn best_standing(&self) -> Option<Standing> {
        let active = self.members.live().filter(|(_, endpoint)| endpoint.health.is_active());
        active.map(|(_, endpoint)| endpoint.standing()).min()
    }

    /// Endpoints that fail their checks, with the time since when, while another one is known to
    /// serve. Without one, nothing is better than what is there.
    pub fn replaceable(&self) -> impl Iterator<Item = (EndpointId, &Endpoint, Instant)> {
        let can_replace = self.members.live().any(|(_, endpoint)| endpoint.is_serving());
        let failing = self.members.live().filter_map(|(id, endpoint)| {
            let CheckState::Failing { since, .. } = endpoint.check_state()? else { return None };
            Some((id, endpoint, since))
        });
        failing.filter(move |_| can_replace)
    }
}

impl Members {
    /// Makes the endpoints preferred that lead in the highest term: one that was cut off may not
    /// know yet that another one leads.
    fn prefer_leader(&mut self) {
        let highest = self.live().filter_map(|(_, endpoint)| endpoint.leads_in).max();
        self.change_live(|_, endpoint| {
            endpoint.is_preferred = endpoint.leads_in.is_some() && endpoint.leads_in == highest;
        });
    }
}

impl Endpoint {
    /// Whether it is in rotation, and has shown that it serves: by its last checks, or, without
    /// any, by accepting a connection. That is a reason to leave another one. That it may be dialed
    /// (`standing`) is none: it may be away.
    pub fn is_serving(&self) -> bool {
        let has_shown = match &self.checks {
            Some(checks) => checks.has_passed(),
            None => self.has_accepted,
        };
        self.health.is_active() && has_shown
    }

    /// Its standing as a member of etcd, worse where dials to it fail; `None`: it is a server of
    /// another kind.
    pub fn standing_as_member(&self) -> Option<Standing> {
        match self.check_state() {
            Some(CheckState::Foreign) => None,
            _ if self.health.is_active() => Some(self.standing()),
            _ => Some(Standing::Failing),
        }
    }

    /// When it is due for a health check, if one is planned.
    pub fn next_check_at(&self) -> Option<Instant> {
        self.checks.as_ref().filter(|_| !self.health.is_removed())?.next_at()
    }

    /// Takes over what a spec asks it. A new question begins anew.
    pub(super) fn update_health_check(&mut self, spec: &EndpointSpec, now: Instant) {
        if self.health_check() != spec.health_check.as_ref() {
            let check = spec.health_check.clone();
            self.checks = check.map(|check| Box::new(Checks::new(check, now)));
        }
    }

    /// What must hold of its checks.
    pub(super) fn checks_invariants(&self) {
        if let Some(checks) = &self.checks {
            let in_flight = self.tally.checks.in_flight();
            assert!(in_flight >= u64::from(checks.is_in_flight()), "a check that never began");
            assert!(in_flight <= 1, "two checks at a time");
        }
        if let Health::Removed { .. } = self.health {
            return;
        }
        if let Some(CheckState::Failing { reason, .. }) = self.check_state() {
            assert!(reason.is_evidence(), "a failure of our own counts against it");
        }
    }
}

impl CheckLimits {
    /// The limits as they may be relied on.
    ///
    /// # Panics
    /// When one of them is zero. The configuration refuses it.
    pub(super) fn checked(self) -> CheckLimits {
        assert!(!self.interval.is_zero() && !self.spacing.is_zero(), "checks without a pause");
        assert!(self.rise > 0 && self.fall > 0, "a change without a result");
        self
    }
}

impl Default for CheckLimits {
    fn default() -> CheckLimits {
        let second = Duration::from_secs(1);
        CheckLimits { interval: 5 * second, spacing: second / 10, rise: 2, fall: 2 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{CheckFailure, DialFailure, HealthCheck, Question, RetryLimits};
    use super::*;
    use crate::scheme::Scheme;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: CheckResult = CheckResult::Failed(CheckFailure::Answer("no_leader"));

    /// Endpoints of these priorities, all checked.
    struct Bench {
        set: EndpointSet,
        ids: Vec<EndpointId>,
        now: Instant,
    }

    impl Bench {
        fn new(priorities: &[u16]) -> Bench {
            let limits = RetryLimits {
                delay_min: SECOND,
                delay_max: SECOND,
                last_resort_interval: SECOND / 10,
                absence_max: SECOND,
                absent_max: 1,
            };
            let now = Instant::now();
            let mut set = EndpointSet::new(limits);
            let specs: Vec<EndpointSpec> =
                priorities.iter().enumerate().map(|(index, class)| spec(index, *class)).collect();
            let ids = set.reconcile(&specs, now).added;
            Bench { set, ids, now }
        }

        /// Lets the next check of an endpoint have this result.
        fn check(&mut self, endpoint: usize, result: CheckResult) -> Option<CheckChange> {
            let id = self.ids[endpoint];
            self.now = self.now.max(self.next_check_at(id).expect("a check is planned"));
            assert!(self.set.begin_check(id, false, self.now));
            let (news, _) = self.set.check_done(id, report(result), self.now, 0);
            news.map(|news| news.change)
        }

        /// Lets an endpoint pass its next check, and lead in this term.
        fn lead(&mut self, endpoint: usize, term: u64) {
            let id = self.ids[endpoint];
            self.now = self.now.max(self.next_check_at(id).expect("a check is planned"));
            assert!(self.set.begin_check(id, false, self.now));
            let report = CheckReport { leads_in: Some(term), ..report(CheckResult::Passed) };
            self.set.check_done(id, report, self.now, 0);
        }

        /// Fails as often as it takes.
        fn fail(&mut self, endpoint: usize) {
            for _ in 0..3 {
                self.check(endpoint, FAILED);
            }
            assert_eq!(self.standing(endpoint), Standing::Failing);
        }

        fn standing(&self, endpoint: usize) -> Standing {
            self.set.get(self.ids[endpoint]).expect("it is there").standing()
        }

        /// The endpoints that six clients get, each once.
        fn served_by(&mut self) -> Vec<usize> {
            let mut served = Vec::new();
            for _ in 0..6 {
                let id = self.set.pick(&[], self.now).expect("one is active");
                served.extend(self.ids.iter().position(|other| *other == id));
            }
            served.sort_unstable();
            served.dedup();
            served
        }

        fn next_check_at(&self, id: EndpointId) -> Option<Instant> {
            self.set.get(id).expect("it is there").next_check_at()
        }

        fn serving_count(&self) -> usize {
            self.set.iter().filter(|(_, endpoint)| endpoint.is_serving()).count()
        }

        fn replaceable(&self) -> Vec<EndpointId> {
            self.set.replaceable().map(|(id, ..)| id).collect()
        }
    }

    fn report(result: CheckResult) -> CheckReport {
        CheckReport { result, is_dialed: true, is_costly: false, leads_in: None }
    }

    /// Over a connection that was there already.
    fn kept(result: CheckResult) -> CheckReport {
        CheckReport { is_dialed: false, ..report(result) }
    }

    fn spec(index: usize, priority: u16) -> EndpointSpec {
        let (question, scheme, host) = (Question::Etcd, Scheme::Http, Arc::from("a"));
        let check = HealthCheck { question, is_tentative: false, scheme, host, port: None };
        EndpointSpec {
            address: ([10, 0, 0, 1], 1 + index as u16).into(),
            priority,
            weight: 1,
            check: Check::Connect,
            health_check: Some(check),
        }
    }

    #[test]
    fn clients_get_endpoints_that_pass_then_unknown_ones_then_any() {
        let mut bench = Bench::new(&[0, 0, 1]);
        assert_eq!(bench.served_by(), [0, 1], "nothing is known of any");
        bench.check(1, CheckResult::Passed);
        assert_eq!(bench.served_by(), [1]);
        bench.fail(1);
        assert_eq!(bench.served_by(), [0], "unknown is better than known to fail");
        bench.fail(0);
        assert_eq!(bench.served_by(), [2], "the next class");
        bench.fail(2);
        assert_eq!(bench.served_by(), [0, 1], "nothing passes: all that accept");
        bench.check(2, CheckResult::Passed);
        assert_eq!(bench.served_by(), [0, 1], "once is not enough");
        bench.check(2, CheckResult::Passed);
        assert_eq!(bench.served_by(), [2]);
    }

    #[test]
    fn the_leader_is_preferred_while_it_serves() {
        let mut bench = Bench::new(&[0, 0, 0, 1]);
        for endpoint in 0..4 {
            bench.check(endpoint, CheckResult::Passed);
        }
        assert_eq!(bench.served_by(), [0, 1, 2]);
        bench.lead(3, 4);
        assert_eq!(bench.served_by(), [0, 1, 2], "priority comes first");
        bench.lead(1, 5);
        assert_eq!(bench.served_by(), [1]);
        let tried = [bench.set.address(bench.ids[1]).expect("it is there").clone()];
        assert!(bench.set.pick(&tried, bench.now).is_some(), "there are others");
        bench.lead(2, 6);
        assert_eq!(bench.served_by(), [2], "in a higher term");
        bench.lead(1, 5);
        assert_eq!(bench.served_by(), [2], "one that does not know yet");
        bench.check(2, FAILED);
        assert_eq!(bench.served_by(), [1], "the last one that says so");
        bench.check(1, CheckResult::Passed);
        assert_eq!(bench.served_by(), [0, 1, 2]);
    }

    #[test]
    fn a_client_that_has_tried_what_serves_is_led_to_nothing_worse() {
        let mut bench = Bench::new(&[0, 0]);
        bench.check(0, CheckResult::Passed);
        bench.fail(1);
        let tried = [bench.set.address(bench.ids[0]).expect("it is there").clone()];
        assert_eq!(bench.set.pick(&tried, bench.now), None);
        // Once its dials fail, there is nothing better.
        let refused = DialFailure::Refused;
        let started_at = bench.now;
        let change = bench.set.dial_failed(bench.ids[0], started_at, refused, bench.now, 0);
        assert!(change.is_some());
        assert_eq!(bench.set.pick(&tried, bench.now), Some(bench.ids[1]));
    }

    #[test]
    fn pairs_are_left_where_they_are_while_nothing_passes() {
        let mut bench = Bench::new(&[0, 0]);
        bench.fail(0);
        assert_eq!(bench.replaceable(), [], "of the other one nothing is known");
        bench.fail(1);
        assert_eq!(bench.replaceable(), []);
        bench.check(1, CheckResult::Passed);
        bench.check(1, CheckResult::Passed);
        assert_eq!(bench.replaceable(), [bench.ids[0]]);
        assert_eq!((bench.serving_count(), bench.set.active_count()), (1, 2));
    }

    /// One that nothing is known of yet is used by TCP alone with `auto`, which proves nothing.
    #[test]
    fn an_endpoint_that_has_shown_nothing_is_no_reason_to_leave_another_one() {
        let mut bench = Bench::new(&[0, 0]);
        bench.check(0, CheckResult::Passed);
        bench.fail(0);
        let mut specs = vec![spec(0, 0), spec(1, 0), spec(2, 0)];
        specs[2].health_check = specs[2].health_check.take().map(tentative);
        bench.ids.extend(bench.set.reconcile(&specs, bench.now).added);
        assert_eq!((bench.standing(2), bench.served_by()), (Standing::Serving, vec![2]));
        assert_eq!((bench.serving_count(), bench.replaceable()), (0, vec![]));
        bench.check(2, CheckResult::Passed);
        assert_eq!((bench.serving_count(), bench.replaceable()), (1, vec![bench.ids[0]]));
    }

    fn tentative(check: HealthCheck) -> HealthCheck {
        HealthCheck { is_tentative: true, ..check }
    }

    #[test]
    fn an_answer_over_a_connection_that_was_kept_does_not_show_that_a_dial_works() {
        let mut bench = Bench::new(&[0]);
        bench.check(0, CheckResult::Passed);
        let (id, at) = (bench.ids[0], bench.now);
        bench.set.dial_failed(id, at, DialFailure::Refused, at, 0).expect("evidence");
        bench.now = bench.next_check_at(id).expect("it is asked at once");
        assert!(bench.set.begin_check(id, false, bench.now));
        let (_, revived) = bench.set.check_done(id, kept(CheckResult::Passed), bench.now, 0);
        assert_eq!((revived, bench.set.active_count()), (None, 0));
    }

    #[test]
    fn an_endpoint_that_answers_is_dialed_again() {
        let mut bench = Bench::new(&[0]);
        bench.check(0, CheckResult::Passed);
        let (id, at) = (bench.ids[0], bench.now);
        bench.set.dial_failed(id, at, DialFailure::TimedOut, at, 0).expect("evidence");
        assert_eq!((bench.set.active_count(), bench.standing(0)), (0, Standing::Unknown));
        bench.now = bench.next_check_at(id).expect("it is asked at once");
        assert!(bench.now <= at + SECOND / 10);
        assert!(bench.set.begin_check(id, false, bench.now));
        let (news, revived) = bench.set.check_done(id, report(CheckResult::Passed), bench.now, 0);
        assert!(news.is_some() && revived.is_some());
        assert_eq!((bench.set.active_count(), bench.standing(0)), (1, Standing::Serving));
    }

    #[test]
    fn a_check_that_ends_undecided_has_ended() {
        let mut bench = Bench::new(&[0]);
        let id = bench.ids[0];
        assert!(!bench.set.check_abandoned(id, bench.now), "there is none");
        assert!(bench.set.begin_check(id, false, bench.now));
        assert!(bench.set.check_abandoned(id, bench.now));
        let checks = bench.set.get(id).expect("it is there").tally().checks;
        assert_eq!((checks.begun, checks.abandoned, checks.in_flight()), (1, 1, 0));
        assert!(bench.next_check_at(id).is_some_and(|at| at > bench.now));
    }

    #[test]
    fn another_question_begins_anew() {
        let mut bench = Bench::new(&[0]);
        bench.check(0, CheckResult::Passed);
        let mut spec = spec(0, 0);
        bench.set.reconcile(std::slice::from_ref(&spec), bench.now);
        assert_eq!(bench.standing(0), Standing::Serving, "the same question");
        spec.health_check = spec.health_check.map(|check| HealthCheck { port: Some(7), ..check });
        bench.set.reconcile(std::slice::from_ref(&spec), bench.now);
        assert_eq!(bench.standing(0), Standing::Unknown);
        spec.health_check = None;
        bench.set.reconcile(std::slice::from_ref(&spec), bench.now);
        assert_eq!(
            (bench.standing(0), bench.next_check_at(bench.ids[0])),
            (Standing::Serving, None)
        );
    }
}
