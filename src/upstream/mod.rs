//! The endpoints: the set of addresses we may dial, and how each dial ended.
//!
//! Owns the in-flight counts and passes events to `health.rs`. `pick/` chooses, `reconcile.rs` lets
//! endpoints come and go, `absence.rs` remembers the ill ones that are gone. Must not dial, log,
//! read a clock or draw a random number: time and randomness are arguments, and what follows from
//! an event is handed back as a [`Change`].
//!
//! ```text
//!   specs ──► reconcile ──► members: [ Endpoint | vacant | Endpoint (Removed, 3 pairs) ]
//!   client ──► pick ──► dial_begun ──► dial_succeeded / dial_failed ─┐
//!   timer ──► begin_probe ──────────► probe_succeeded / probe_failed ┴──► Option<Change>
//! ```
//!
//! Late events for an endpoint that is gone are expected; they find nothing and change nothing.

mod absence;
mod backoff;
mod check;
mod checking;
mod checks;
mod endpoint;
mod health;
mod health_check;
pub(crate) mod loopback;
mod members;
mod pick;
mod reconcile;
mod silence;
mod tally;

pub use backoff::RetryLimits;
pub use check::Check;
pub use checking::CheckNews;
pub use endpoint::Endpoint;
pub use health::{ChangeKind, DialFailure, Health, Outage};
pub use health_check::{
    CheckChange, CheckFailure, CheckLimits, CheckReport, CheckResult, CheckState, HealthCheck,
    Question, Standing, Suspicion,
};
pub use reconcile::{Reconciled, Removed};
pub use silence::Silent;
pub use tally::{CheckCounts, Dials, Tally};

use absence::Absentees;
use health::FailedDial;
use members::Members;
use std::time::Instant;

use crate::address::Address;
use crate::arena::Key;

/// Names one endpoint from the moment it is added until it is forgotten, and none after that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EndpointId(Key);

impl EndpointId {
    /// Its slot, for tables with an entry for each endpoint: a small number that no other endpoint
    /// has at the same time, and a later one may have.
    pub fn slot(self) -> usize {
        self.0.slot()
    }
}

/// An endpoint that a source of discovery wants to exist, in the terms of RFC 2782.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EndpointSpec {
    /// Where to dial. The key, with `check`: two specs of one address are one endpoint.
    pub address: Address,
    /// 0..=65535; the class with the lowest number that can serve does.
    pub priority: u16,
    /// 0..=65535; share inside the class. 0 among others above it gets a very small one.
    pub weight: u16,
    /// What it has to pass before a client is sent to it.
    pub check: Check,
    /// What it is asked from time to time, to see that it serves; `None`: nothing.
    pub health_check: Option<HealthCheck>,
}

/// An event of an endpoint that is worth a log line or a timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The endpoint.
    pub id: EndpointId,
    /// Its address, for the log.
    pub address: Address,
    /// What happened.
    pub kind: ChangeKind,
}

/// All endpoints, in a stable order: one for each spec, and the removed whose pairs still run.
///
/// Always holds: the credits of the rotation sum up to zero, and each endpoint is sound in itself.
#[derive(Debug)]
pub struct EndpointSet {
    limits: RetryLimits,
    check_limits: CheckLimits,
    members: Members,
    absentees: Absentees,
}

impl EndpointSet {
    /// An empty set.
    ///
    /// # Panics
    /// When a delay in `limits` is zero.
    pub fn new(limits: RetryLimits) -> Self {
        let absentees = Absentees::new(&limits);
        EndpointSet {
            limits: limits.checked(),
            check_limits: CheckLimits::default(),
            members: Members::default(),
            absentees,
        }
    }

    /// The same with these limits of health checks.
    pub fn with_checks(mut self, limits: CheckLimits) -> Self {
        self.check_limits = limits.checked();
        self
    }

    /// A client's dial is established, perhaps one that was begun before the endpoint became
    /// inactive. It says nothing about an endpoint that has to pass its check again.
    pub fn dial_succeeded(&mut self, id: EndpointId, now: Instant) -> Option<Change> {
        self.change(id, |endpoint, _| {
            endpoint.tally.dials.succeeded += 1;
            endpoint.has_accepted = true;
            match endpoint.check {
                Check::Tls if !endpoint.health.is_active() => None,
                Check::Connect | Check::Tls => endpoint.health.dial_succeeded(now),
            }
        })
    }

    /// A client's dial, begun at `started_at`, failed. `jitter`: 64 random bits.
    pub fn dial_failed(
        &mut self,
        id: EndpointId,
        started_at: Instant,
        reason: DialFailure,
        now: Instant,
        jitter: u64,
    ) -> Option<Change> {
        debug_assert!(started_at <= now, "a dial that failed before it began");
        let failure = FailedDial { reason, at: now, jitter };
        self.change(id, |endpoint, limits| {
            endpoint.tally.dials.fail(reason);
            endpoint.health.dial_failed(failure, started_at, limits)
        })
    }

    /// A client's dial was given up undecided: the client is gone.
    pub fn dial_abandoned(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.members.get_mut(id) {
            endpoint.tally.dials.abandoned += 1;
        }
    }

    /// The monitor's timer for this endpoint fired: true asks for a dial, the result of which must
    /// be reported once, by [`Self::probe_succeeded`] or [`Self::probe_failed`], however it ends.
    /// False: nothing to do. The timer may be early, late, doubled or stale, or a probe from an
    /// earlier outage may still be in flight: then it serves for this one, without a second dial.
    pub fn begin_probe(&mut self, id: EndpointId, now: Instant) -> bool {
        let Some(endpoint) = self.members.get_mut(id) else { return false };
        let due = endpoint.health.begin_probe(now);
        let dial = due && !endpoint.probe_in_flight;
        endpoint.probe_in_flight |= due;
        endpoint.tally.probes.begun += u64::from(dial);
        self.invariants();
        dial
    }

    /// The monitor's dial is established (and may be closed at once), and the endpoint has passed
    /// its check.
    pub fn probe_succeeded(&mut self, id: EndpointId, now: Instant) -> Option<Change> {
        self.change(id, |endpoint, _| {
            debug_assert!(endpoint.probe_in_flight, "a probe has one result");
            endpoint.probe_in_flight = false;
            endpoint.tally.probes.succeeded += 1;
            endpoint.has_accepted = true;
            endpoint.health.dial_succeeded(now)
        })
    }

    /// The monitor's dial failed. Says when to probe next, unless another event has decided that.
    /// `jitter`: 64 random bits.
    pub fn probe_failed(
        &mut self,
        id: EndpointId,
        reason: DialFailure,
        now: Instant,
        jitter: u64,
    ) -> Option<Change> {
        let failure = FailedDial { reason, at: now, jitter };
        self.change(id, |endpoint, limits| {
            debug_assert!(endpoint.probe_in_flight, "a probe has one result");
            endpoint.probe_in_flight = false;
            endpoint.tally.probes.fail(reason);
            endpoint.health.probe_failed(failure, limits)
        })
    }

    /// The monitor's dial was given up undecided, for reasons of our own: it proves nothing. When
    /// to probe next is of no interest.
    pub fn probe_abandoned(&mut self, id: EndpointId, now: Instant) {
        let failure = FailedDial { reason: DialFailure::Local, at: now, jitter: 0 };
        let _ = self.change(id, |endpoint, limits| {
            debug_assert!(endpoint.probe_in_flight, "a probe has one result");
            endpoint.probe_in_flight = false;
            endpoint.tally.probes.abandoned += 1;
            endpoint.health.probe_failed(failure, limits)
        });
    }

    /// A pair counts on this endpoint from now on, which must be matched by one `pair_closed`.
    pub fn pair_opened(&mut self, id: EndpointId) {
        let Some(endpoint) = self.members.get_mut(id) else { return };
        endpoint.pairs = endpoint.pairs.checked_add(1).expect("fewer than 2^32 descriptors exist");
        self.invariants();
    }

    /// A pair of this endpoint is gone, which has delivered these bytes from its client and from
    /// the endpoint. With its last one a removed endpoint is forgotten.
    pub fn pair_closed(&mut self, id: EndpointId, bytes: [u64; 2]) {
        let Some(endpoint) = self.members.get_mut(id) else { return };
        for (sum, bytes) in endpoint.tally.bytes.iter_mut().zip(bytes) {
            *sum += bytes;
        }
        debug_assert!(endpoint.pairs > 0, "a pair is closed once");
        endpoint.pairs = endpoint.pairs.saturating_sub(1);
        if endpoint.pairs == 0 {
            endpoint.answers.end_silence();
        }
        if endpoint.pairs == 0 && endpoint.health.is_removed() {
            self.members.forget(id);
        }
        self.invariants();
    }

    /// Where to dial it; `None` once it is forgotten.
    pub fn address(&self, id: EndpointId) -> Option<&Address> {
        self.get(id).map(|endpoint| &endpoint.address)
    }

    /// The endpoint, unless it is forgotten.
    pub fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.members.get(id)
    }

    /// All endpoints in the order of the rotation, those that only wait for their pairs included.
    pub fn iter(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        self.members.iter()
    }

    /// The endpoint with the lowest place that is `place` or above, and its own place, counted from
    /// 0. An endpoint keeps its place until it is forgotten.
    pub fn at_or_above(&self, place: usize) -> Option<(usize, EndpointId, &Endpoint)> {
        self.members.at_or_above(place)
    }

    /// The addresses that the specs asked for, for the log.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.members.live().map(|(_, endpoint)| &endpoint.address)
    }

    /// Endpoints that the specs asked for.
    pub fn count(&self) -> usize {
        self.members.live().count()
    }

    /// Endpoints in rotation.
    pub fn active_count(&self) -> usize {
        self.members.live().filter(|(_, endpoint)| endpoint.health.is_active()).count()
    }

    /// The earliest moment at which a probe is due: a check for the reactor's timers.
    pub fn next_probe_at(&self) -> Option<Instant> {
        self.members.live().filter_map(|(_, endpoint)| endpoint.health.retry_at()).min()
    }

    /// The one place where events change endpoints: stale ids end here, each change is checked.
    fn change(
        &mut self,
        id: EndpointId,
        event: impl FnOnce(&mut Endpoint, &RetryLimits) -> Option<ChangeKind>,
    ) -> Option<Change> {
        let (limits, check_limits) = (self.limits, self.check_limits);
        let endpoint = self.members.get_mut(id)?;
        let kind = event(endpoint, &limits);
        match kind {
            Some(ChangeKind::BecameActive { .. }) => endpoint.tally.became_active += 1,
            Some(ChangeKind::BecameInactive { .. }) => {
                endpoint.tally.became_inactive += 1;
                if let (Some(checks), Some(outage)) =
                    (&mut endpoint.checks, endpoint.health.outage())
                {
                    checks.on_outage(&check_limits, outage.since);
                }
            }
            Some(ChangeKind::StillInactive { .. }) | None => {}
        }
        let change = kind.map(|kind| Change { id, address: endpoint.address.clone(), kind });
        self.invariants();
        change
    }

    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let credits: i64 = self.members.live().map(|(_, endpoint)| endpoint.credit).sum();
        assert_eq!(credits, 0, "what one endpoint is owed, others have had");
        self.iter().for_each(|(_, endpoint)| endpoint.invariants());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(set: &EndpointSet, id: EndpointId) -> u32 {
        set.get(id).map_or(0, Endpoint::pairs)
    }
    use std::time::Duration;

    const LIMITS: RetryLimits = RetryLimits {
        delay_min: Duration::from_secs(1),
        delay_max: Duration::from_secs(60),
        last_resort_interval: Duration::from_millis(100),
        absence_max: Duration::from_secs(600),
        absent_max: 512,
    };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn spec(port: u16) -> EndpointSpec {
        let address = Address::from(([10, 0, 0, 1], port));
        EndpointSpec { address, priority: 0, weight: 0, check: Check::Connect, health_check: None }
    }

    fn ports(set: &EndpointSet) -> Vec<u16> {
        set.addresses().filter_map(Address::port).collect()
    }

    /// One endpoint, brought into a state by the shortest way there.
    fn bring_into(state: &str, start: Instant) -> (EndpointSet, EndpointId) {
        let mut set = EndpointSet::new(LIMITS);
        let id = set.reconcile(&[spec(1)], start).added[0];
        let refused = DialFailure::Refused;
        let steps: &[&str] = match state {
            "active" => &[],
            "inactive" => &["fail"],
            "probing" => &["fail", "probe"],
            "active, probe in flight" => &["fail", "probe", "live"],
            "inactive, probe in flight" => &["fail", "probe", "live", "fail again"],
            "removed" => &["open", "remove"],
            "forgotten" => &["remove"],
            _ => panic!("no such state: {state}"),
        };
        for &step in steps {
            match step {
                "fail" => {
                    let at = start + ms(10);
                    assert!(set.dial_failed(id, at, refused, at, 0).is_some())
                }
                "probe" => assert!(set.begin_probe(id, start + ms(1010))),
                "live" => assert!(set.dial_succeeded(id, start + ms(1020)).is_some()),
                "fail again" => {
                    let at = start + ms(1030);
                    assert!(set.dial_failed(id, at, refused, at, 0).is_some())
                }
                "open" => set.pair_opened(id),
                _ => assert_eq!(set.reconcile(&[], start + ms(1)).removed[0].id, id),
            }
        }
        (set, id)
    }

    fn state_of(set: &EndpointSet, id: EndpointId) -> String {
        let Some(endpoint) = set.get(id) else { return "forgotten".into() };
        let name = match endpoint.health {
            Health::Active { .. } => "active",
            Health::Inactive { .. } => "inactive",
            Health::Probing { .. } => return "probing".into(),
            Health::Removed { .. } => "removed",
        };
        let probe = if endpoint.probe_in_flight { ", probe in flight" } else { "" };
        format!("{name}{probe}")
    }

    /// Lets one event happen 5 s after the start, when every probe is due, and names the change.
    fn happen(set: &mut EndpointSet, id: EndpointId, event: &str, start: Instant) -> &'static str {
        let now = start + ms(5000);
        let proven_at = match set.get(id).map(|endpoint| endpoint.health) {
            Some(Health::Active { proven_at }) => proven_at,
            _ => now,
        };
        let early = set.next_probe_at().unwrap_or(now) - ms(1);
        let (refused, local) = (DialFailure::Refused, DialFailure::Local);
        let change = match event {
            "dial succeeded" => set.dial_succeeded(id, now),
            "dial failed" => set.dial_failed(id, proven_at, refused, now, 0),
            "older dial failed" => set.dial_failed(id, proven_at - ms(1), refused, now, 0),
            "dial failed here" => set.dial_failed(id, proven_at, local, now, 0),
            "timer" => return if set.begin_probe(id, now) { "dial" } else { "-" },
            "early timer" => return if set.begin_probe(id, early) { "dial" } else { "-" },
            "probe succeeded" => set.probe_succeeded(id, now),
            "probe failed" => set.probe_failed(id, refused, now, 0),
            "probe failed here" => set.probe_failed(id, local, now, 0),
            "removed" => {
                set.reconcile(&[], now);
                None
            }
            "last pair closed" => {
                set.pair_closed(id, [1, 2]);
                None
            }
            _ => panic!("no such event: {event}"),
        };
        let Some(change) = change else { return "-" };
        assert_eq!((change.id, change.address), (id, spec(1).address));
        match change.kind {
            ChangeKind::BecameActive { .. } => "became active",
            ChangeKind::BecameInactive { reason, retry_at } => {
                assert_eq!((reason, retry_at), (refused, now + LIMITS.delay_min));
                "became inactive"
            }
            ChangeKind::StillInactive { retry_at, .. } => {
                assert!(retry_at >= now + LIMITS.delay_min);
                "still inactive"
            }
        }
    }

    fn check_events(state: &str, table: &[(&str, &str, &str)]) {
        for &(event, state_want, change_want) in table {
            let start = Instant::now() + Duration::from_secs(3600);
            let (mut set, id) = bring_into(state, start);
            assert_eq!(state_of(&set, id), state);
            let change = happen(&mut set, id, event, start);
            let found = (state_of(&set, id), change);
            assert_eq!(found, (state_want.to_string(), change_want), "{state}: {event}");
        }
    }

    #[test]
    fn events_while_active() {
        check_events(
            "active",
            &[
                ("dial succeeded", "active", "-"),
                ("dial failed", "inactive", "became inactive"),
                ("older dial failed", "active", "-"),
                ("dial failed here", "active", "-"),
                ("timer", "active", "-"),
                ("early timer", "active", "-"),
                ("removed", "forgotten", "-"),
            ],
        );
        check_events(
            "active, probe in flight",
            &[
                ("dial succeeded", "active, probe in flight", "-"),
                ("dial failed", "inactive, probe in flight", "became inactive"),
                ("older dial failed", "active, probe in flight", "-"),
                ("dial failed here", "active, probe in flight", "-"),
                ("timer", "active, probe in flight", "-"),
                ("early timer", "active, probe in flight", "-"),
                ("probe succeeded", "active", "-"),
                ("probe failed", "active", "-"),
                ("probe failed here", "active", "-"),
                ("removed", "forgotten", "-"),
            ],
        );
    }

    #[test]
    fn events_while_inactive() {
        check_events(
            "inactive",
            &[
                ("dial succeeded", "active", "became active"),
                ("dial failed", "inactive", "-"),
                ("older dial failed", "inactive", "-"),
                ("dial failed here", "inactive", "-"),
                ("timer", "probing", "dial"),
                ("early timer", "inactive", "-"),
                ("removed", "forgotten", "-"),
            ],
        );
        check_events(
            "inactive, probe in flight",
            &[
                ("dial succeeded", "active, probe in flight", "became active"),
                ("dial failed", "inactive, probe in flight", "-"),
                ("older dial failed", "inactive, probe in flight", "-"),
                ("dial failed here", "inactive, probe in flight", "-"),
                ("timer", "probing", "-"), // the probe in flight serves
                ("early timer", "inactive, probe in flight", "-"),
                ("probe succeeded", "active", "became active"),
                ("probe failed", "inactive", "-"),
                ("probe failed here", "inactive", "-"),
                ("removed", "forgotten", "-"),
            ],
        );
    }

    #[test]
    fn events_while_probing_or_gone() {
        check_events(
            "probing",
            &[
                ("dial succeeded", "active, probe in flight", "became active"),
                ("dial failed", "probing", "-"),
                ("older dial failed", "probing", "-"),
                ("dial failed here", "probing", "-"),
                ("timer", "probing", "-"),
                ("early timer", "probing", "-"),
                ("probe succeeded", "active", "became active"),
                ("probe failed", "inactive", "still inactive"),
                ("probe failed here", "inactive", "still inactive"),
                ("removed", "forgotten", "-"),
            ],
        );
        let harmless = ["dial succeeded", "dial failed", "dial failed here", "timer", "removed"];
        let removed = harmless.map(|event| (event, "removed", "-"));
        check_events("removed", &removed);
        check_events("removed", &[("last pair closed", "forgotten", "-")]);
        let forgotten = harmless.map(|event| (event, "forgotten", "-"));
        check_events("forgotten", &forgotten);
        let late = ["probe succeeded", "probe failed", "probe failed here", "last pair closed"];
        check_events("forgotten", &late.map(|event| (event, "forgotten", "-")));
    }

    #[test]
    fn client_dials_neither_postpone_nor_expedite_the_probe() {
        let start = Instant::now();
        let (mut set, id) = bring_into("inactive", start);
        let due = set.next_probe_at();
        assert_eq!(due, Some(start + ms(1010)));
        for step in 0..200 {
            let now = start + ms(10 + step * 7);
            let change = set.dial_failed(id, now, DialFailure::TimedOut, now, step);
            assert_eq!(change, None);
            assert_eq!(set.next_probe_at(), due);
            let outage = *set.get(id).expect("kept").health.outage().expect("inactive");
            assert_eq!((outage.failed_at, outage.step), (now, LIMITS.delay_min));
            assert_eq!((outage.since, outage.reason), (start + ms(10), DialFailure::Refused));
        }
        let mut early = EndpointSet::new(LIMITS);
        assert_eq!(early.next_probe_at(), None);
        assert_eq!(early.pick(&[], start), None);
    }

    #[test]
    fn reconcile_adds_keeps_and_removes() {
        let now = Instant::now();
        let mut set = EndpointSet::new(LIMITS);
        let first = set.reconcile(&[spec(1), spec(2), spec(1), spec(3)], now);
        assert_eq!((first.added.len(), first.removed.len()), (3, 0));
        assert_eq!(ports(&set), [1, 2, 3]);
        set.dial_failed(first.added[1], now, DialFailure::Refused, now, 0).expect("evidence");
        set.pair_opened(first.added[1]);
        let changed = EndpointSpec { priority: 7, weight: 9, ..spec(2) };
        let again = EndpointSpec { priority: 8, ..spec(2) };
        let second = set.reconcile(&[spec(4), changed.clone(), again, spec(3)], now + ms(5));
        let gone = Removed { id: first.added[0], address: spec(1).address, pairs: 0 };
        assert_eq!(second.removed, [gone]);
        assert_eq!(second.added.len(), 1);
        assert_eq!((set.count(), set.active_count()), (3, 2));
        let kept = set.get(first.added[1]).expect("its address stayed");
        assert_eq!((kept.priority(), kept.weight(), kept.pairs()), (7, 9, 1));
        assert!(matches!(kept.health(), Health::Inactive { .. }), "health stays");
        assert_eq!(ports(&set), [4, 2, 3], "those that stay keep their places");
        let third = set.reconcile(&[spec(3), changed, spec(4)], now + ms(6));
        assert_eq!(third, Reconciled::default(), "the same set in another order");
        assert_eq!(ports(&set), [4, 2, 3]);
        set.pair_closed(first.added[1], [1, 2]);
        assert_eq!((set.count(), pairs(&set, first.added[1])), (3, 0), "idle, but wanted");
    }

    #[test]
    fn removed_endpoint_waits_for_its_last_pair() {
        let now = Instant::now();
        let mut set = EndpointSet::new(LIMITS);
        let old = set.reconcile(&[spec(1), spec(2), spec(3)], now).added[0];
        set.pick(&[], now).expect("one of them now owes the others");
        set.pair_opened(old);
        set.pair_opened(old);
        let gone = Removed { id: old, address: spec(1).address, pairs: 2 };
        assert_eq!(set.reconcile(&[spec(2), spec(3)], now).removed, [gone]);
        assert_eq!(set.reconcile(&[], now).removed.len(), 2);
        assert_eq!(set.reconcile(&[], now), Reconciled::default(), "removed once");
        assert_eq!((set.count(), set.active_count(), set.iter().count()), (0, 0, 1));
        assert_eq!(set.pick(&[], now), None);
        assert_eq!(set.address(old), Some(&spec(1).address));
        let new = set.reconcile(&[spec(1)], now).added[0];
        assert_ne!(new, old);
        assert_eq!(set.pick(&[], now), Some(new));
        assert_eq!((pairs(&set, old), pairs(&set, new)), (2, 0));
        set.pair_closed(old, [1, 2]);
        assert_eq!(set.address(old), Some(&spec(1).address));
        set.pair_closed(old, [1, 2]);
        assert_eq!(set.address(old), None);
        assert_eq!(set.address(new), Some(&spec(1).address));
    }

    #[test]
    fn stale_ids_find_nothing() {
        let now = Instant::now();
        let mut set = EndpointSet::new(LIMITS);
        let old = set.reconcile(&[spec(1)], now).added[0];
        set.reconcile(&[], now);
        let new = set.reconcile(&[spec(2)], now).added[0];
        assert_eq!((new.0.slot(), new != old), (old.0.slot(), true), "the slot is used again");
        set.pair_opened(old);
        assert_eq!((pairs(&set, old), pairs(&set, new)), (0, 0));
        set.pair_opened(new);
        set.pair_closed(old, [1, 2]);
        assert_eq!((pairs(&set, old), pairs(&set, new)), (0, 1));
        assert_eq!(set.dial_failed(old, now, DialFailure::Refused, now, 0), None);
        assert_eq!(set.probe_failed(old, DialFailure::Refused, now, 0), None);
        assert!(!set.begin_probe(old, now + ms(9000)));
        assert_eq!((set.address(old), set.active_count()), (None, 1));
    }
}
