//! What an endpoint has to pass before clients are sent to it, and how clients that wait for one
//! expedite that.
//!
//! Owns the rule. The handshake itself is made by the monitor's probe, in the reactor. Pure.

use std::time::Instant;

use super::{Endpoint, EndpointId, EndpointSet, Health};

/// What makes an endpoint one that clients may be sent to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Check {
    /// It was asked for by its address or name; an established connection shows that it lives.
    Connect,
    /// It was found, and has to show who it is: by a TLS handshake with the monitor when it is new,
    /// and again when it comes back. What clients do there proves nothing.
    Tls,
}

impl EndpointSet {
    /// A client waits, and no endpoint is active: of those that have to pass a check first, the one
    /// that was not tried for longest becomes due for a probe, unless its last try was just now.
    pub fn expedite_probe(&mut self, now: Instant) -> Option<EndpointId> {
        let interval = self.limits.last_resort_interval;
        let failures = self.iter().filter_map(|(id, endpoint)| {
            let failed_at = endpoint.could_be_checked_since()?;
            Some((failed_at, endpoint.priority, id))
        });
        let rested = failures.filter(|(failed_at, ..)| *failed_at + interval <= now);
        let (.., id) = rested.min_by_key(|&(failed_at, class, _)| (failed_at, class))?;
        let endpoint = self.members.get_mut(id).expect("found just above");
        debug_assert!(!endpoint.probe_in_flight, "one that is on its way is not expedited");
        endpoint.health.expedite(now);
        debug_assert!(endpoint.health.retry_at().is_some_and(|at| at <= now), "not due");
        self.invariants();
        Some(id)
    }

    /// Whether an endpoint that is not active may become so by passing its check alone.
    pub fn awaits_check(&self) -> bool {
        self.members
            .live()
            .any(|(_, endpoint)| endpoint.check == Check::Tls && !endpoint.health.is_active())
    }
}

impl Endpoint {
    /// When it failed last, if it has to pass a check and no probe is on its way to find out.
    fn could_be_checked_since(&self) -> Option<Instant> {
        debug_assert!(!self.health.is_active() || self.health.outage().is_none());
        match self.health {
            Health::Inactive { outage, .. }
                if self.check == Check::Tls && !self.probe_in_flight =>
            {
                Some(outage.failed_at)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ChangeKind, DialFailure, EndpointSpec, RetryLimits};
    use super::*;
    use std::time::Duration;

    const MILLISECOND: Duration = Duration::from_millis(1);
    const LIMITS: RetryLimits = RetryLimits {
        delay_min: Duration::from_secs(1),
        delay_max: Duration::from_secs(60),
        last_resort_interval: Duration::from_millis(100),
        absence_max: Duration::from_secs(600),
        absent_max: 512,
    };
    const STRANGER: DialFailure = DialFailure::Mistrusted { reason: "unknown", authority: None };

    fn spec(port: u16) -> EndpointSpec {
        let address = ([10, 0, 0, 1], port).into();
        EndpointSpec { address, priority: 0, weight: 1, check: Check::Tls, health_check: None }
    }

    fn set_of(count: u16) -> (EndpointSet, Vec<EndpointId>, Instant) {
        let now = Instant::now();
        let mut set = EndpointSet::new(LIMITS);
        let specs: Vec<EndpointSpec> = (1..=count).map(spec).collect();
        let ids = set.reconcile(&specs, now).added;
        (set, ids, now)
    }

    #[test]
    fn no_client_is_sent_to_an_endpoint_before_it_has_passed_its_check() {
        let (mut set, ids, now) = set_of(1);
        assert!(set.awaits_check());
        assert_eq!((set.pick(&[], now), set.active_count()), (None, 0));
        let much_later = now + Duration::from_secs(3600);
        assert_eq!(set.pick(&[], much_later), None, "not as a last resort either");
        assert!(set.begin_probe(ids[0], now), "due at once");
        set.probe_succeeded(ids[0], now).expect("it is active now");
        assert_eq!(set.pick(&[], now), Some(ids[0]));
        assert!(!set.awaits_check());
    }

    #[test]
    fn one_that_comes_back_is_checked_again() {
        let (mut set, ids, now) = set_of(1);
        assert!(set.begin_probe(ids[0], now));
        set.probe_succeeded(ids[0], now).expect("it is active now");
        let begun = now + MILLISECOND;
        set.dial_failed(ids[0], begun, DialFailure::Refused, begun, 0).expect("evidence");
        assert_eq!(set.dial_succeeded(ids[0], begun), None, "a client's dial proves nothing");
        assert_eq!(set.pick(&[], begun), None);
        let due = set.next_probe_at().expect("the monitor looks after it");
        assert!(set.begin_probe(ids[0], due));
        let change = set.probe_failed(ids[0], STRANGER, due, 0).expect("another timer");
        let ChangeKind::StillInactive { reason, is_news, .. } = change.kind else {
            panic!("{change:?}")
        };
        assert_eq!((reason, is_news), (STRANGER, true), "another server is there now");
        assert_eq!(set.pick(&[], due), None);
    }

    #[test]
    fn a_reason_is_news_once() {
        let (mut set, ids, mut now) = set_of(1);
        for (failure, want) in [
            (DialFailure::Refused, true),
            (DialFailure::Local, false),
            (DialFailure::Refused, false),
            (DialFailure::TimedOut, false),
            (STRANGER, true),
            (STRANGER, false),
            (DialFailure::Refused, false),
            (STRANGER, false),
            (DialFailure::Mistrusted { reason: "expired", authority: None }, true),
            (STRANGER, false),
            (DialFailure::Refused, true),
        ] {
            assert!(set.begin_probe(ids[0], now), "{failure}");
            let change = set.probe_failed(ids[0], failure, now, 0).expect("another timer");
            let ChangeKind::StillInactive { is_news, retry_at, .. } = change.kind else {
                panic!("{change:?}")
            };
            assert_eq!(is_news, want, "{failure}");
            now = retry_at;
        }
    }

    #[test]
    fn a_client_that_waits_expedites_a_probe_but_not_all_the_time() {
        let (mut set, ids, now) = set_of(2);
        for id in &ids {
            assert!(set.begin_probe(*id, now));
        }
        assert_eq!(set.expedite_probe(now), None, "they are under way");
        let failed = now + MILLISECOND;
        set.probe_failed(ids[0], DialFailure::Refused, failed, u64::MAX).expect("a timer");
        assert_eq!(set.expedite_probe(failed + 99 * MILLISECOND), None);
        let due = failed + 100 * MILLISECOND;
        assert!(!set.begin_probe(ids[0], due), "not by itself");
        assert_eq!(set.expedite_probe(due), Some(ids[0]));
        assert!(set.begin_probe(ids[0], due));
        set.probe_failed(ids[1], DialFailure::Refused, due, u64::MAX).expect("a timer");
        assert_eq!(set.expedite_probe(due + 100 * MILLISECOND), Some(ids[1]));
    }

    #[test]
    fn an_address_that_is_to_be_checked_from_now_on_is_another_endpoint() {
        let (mut set, ids, now) = set_of(1);
        let mut spec = EndpointSpec { check: Check::Connect, ..spec(1) };
        let changed = set.reconcile(&[spec.clone()], now);
        assert_eq!((changed.added.len(), changed.removed[0].id), (1, ids[0]));
        assert_eq!(set.pick(&[], now), Some(changed.added[0]));
        spec.check = Check::Tls;
        set.reconcile(&[spec], now);
        assert_eq!(set.pick(&[], now), None);
    }
}
