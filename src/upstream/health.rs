//! Health of one endpoint: what its dials have shown, and when to dial it again unasked.
//!
//! Owns the states and the legal ways between them. Must not know sockets, the clock or a random
//! source: `now` and 64 random bits come as arguments. How long a pause lasts is decided in
//! `backoff.rs`, which endpoint a client gets in `pick/`.
//!
//! ```text
//!            evidence of a dial                retry_at is reached
//!   Active ─────────────────────► Inactive ◄────────────────────► Probing
//!     ▲                              │      evidence of the probe    │
//!     └──────────────────────────────┴───────────────────────────────┘
//!        any dial is established: a probe's or a client's (but see `check.rs`)
//!   every state ──► Removed, which is final
//! ```

use super::backoff::RetryLimits;
use std::fmt;
use std::time::{Duration, Instant};

/// Why a dial did not become a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialFailure {
    /// The host answered that nothing listens there.
    Refused,
    /// The connection was reset before it was established.
    Reset,
    /// No answer within the connect timeout.
    TimedOut,
    /// The network answered that the host cannot be reached.
    Unreachable,
    /// The dial met its own socket or our own listener: no server is there.
    OwnAddress,
    /// The connection was established, and the TLS handshake that had to prove its server failed.
    Mistrusted {
        /// Why, as one word.
        reason: &'static str,
        /// The subject of the trusted authority that the reason is about, if it is about one.
        authority: Option<&'static str>,
    },
    /// It has to pass a check that was not made yet.
    Unproven,
    /// A shortage or fault on our side: descriptors, ports, our own link. It says nothing about
    /// the endpoint, so it never makes one inactive.
    Local,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Takes its share of new clients. Nothing that was begun after `proven_at` has failed yet.
    Active {
        /// When it came into the set, or last proved to be alive.
        proven_at: Instant,
    },
    /// The last evidence was against it. Clients get it as a last resort only; no probe is due
    /// before `retry_at`.
    Inactive {
        /// When the monitor may dial it.
        retry_at: Instant,
        /// What happened so far.
        outage: Outage,
    },
    /// Like `Inactive`, while the one probe of the monitor is in flight; its result is awaited.
    Probing {
        /// When the monitor's dial began, or took over one that was still in flight.
        started_at: Instant,
        /// What happened so far.
        outage: Outage,
    },
    /// No longer wanted: never dialed again, and remembered only for its pairs that still run.
    Removed {
        /// When its address was last removed.
        at: Instant,
    },
}

/// The outage of an endpoint: from the failure that made it inactive up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the endpoint became inactive.
    pub since: Instant,
    /// When the last evidence against it came in, a probe's or a client's; never before `since`.
    pub failed_at: Instant,
    /// The evidence that began the outage, or made it one of trust.
    pub reason: DialFailure,
    /// The evidence before that, if it was another.
    pub reason_before: Option<DialFailure>,
    /// Ceiling of the present delay; doubles with every failed probe.
    pub step: Duration,
}

/// What an event changed, for one log line and for the monitor's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// In rotation again. A probe that was planned is no longer needed.
    BecameActive {
        /// Time since it became inactive.
        down_for: Duration,
    },
    /// Out of rotation. The monitor's timer is to be armed for `retry_at`.
    BecameInactive {
        /// The evidence.
        reason: DialFailure,
        /// When to probe.
        retry_at: Instant,
    },
    /// A probe failed: no change of state, but a timer to arm for `retry_at`.
    StillInactive {
        /// Why the probe failed.
        reason: DialFailure,
        /// Whether it is worth a log line: the server there is not trusted, or no longer, or for
        /// another reason than before.
        is_news: bool,
        /// When to probe next.
        retry_at: Instant,
    },
}

/// One failed dial, as the reactor reports it.
#[derive(Clone, Copy)]
pub(super) struct FailedDial {
    pub(super) reason: DialFailure,
    pub(super) at: Instant,
    pub(super) jitter: u64,
}

impl DialFailure {
    /// Whether it says something about the endpoint, and not about ourselves.
    pub fn is_evidence(self) -> bool {
        !matches!(self, DialFailure::Local)
    }

    /// How many reasons are distinguished by [`DialFailure::index`].
    pub const COUNT: usize = DialFailure::WORDS.len();

    /// The words of the reasons, each at its [`DialFailure::index`]. That of a handshake that
    /// failed is a general one, for counts; [`DialFailure::word`] has its own.
    pub const WORDS: [&str; 8] = [
        "refused",
        "reset",
        "timed_out",
        "host_unreachable",
        "own_address",
        "mistrusted",
        "unproven",
        "local",
    ];

    /// 0 to [`DialFailure::COUNT`] - 1, for arrays with an entry per reason; all words of a
    /// handshake that failed are one.
    pub fn index(self) -> usize {
        match self {
            DialFailure::Refused => 0,
            DialFailure::Reset => 1,
            DialFailure::TimedOut => 2,
            DialFailure::Unreachable => 3,
            DialFailure::OwnAddress => 4,
            DialFailure::Mistrusted { .. } => 5,
            DialFailure::Unproven => 6,
            DialFailure::Local => 7,
        }
    }

    /// The subject of the trusted authority that cannot be used, if that is the reason.
    pub fn authority(self) -> Option<&'static str> {
        let DialFailure::Mistrusted { authority, .. } = self else { return None };
        authority
    }

    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            DialFailure::Mistrusted { reason, .. } => reason,
            _ => DialFailure::WORDS[self.index()],
        }
    }

    /// Whether it says something about the check, and not about the connection.
    pub(super) fn is_of_trust(self) -> bool {
        matches!(self, DialFailure::Mistrusted { .. } | DialFailure::Unproven)
    }
}

impl fmt::Display for DialFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Health {
    /// Unknown endpoints start as active: a client's dial is the fastest way to find out.
    pub(super) fn new(now: Instant) -> Health {
        Health::Active { proven_at: now }
    }

    /// Endpoints that have to pass a check start as inactive, and are due for a probe at once.
    pub(super) fn unproven(now: Instant, limits: &RetryLimits) -> Health {
        let step = limits.floor();
        let outage = Outage {
            since: now,
            failed_at: now,
            reason: DialFailure::Unproven,
            reason_before: None,
            step,
        };
        Health::Inactive { retry_at: now, outage }
    }

    /// Makes an inactive endpoint due for its probe now, if it is not yet.
    pub(super) fn expedite(&mut self, now: Instant) {
        if let Health::Inactive { retry_at, .. } = self {
            *retry_at = now.min(*retry_at);
            debug_assert!(*retry_at <= now, "it was to become due");
        }
    }

    /// When a probe is due; `None` if none is planned.
    pub fn retry_at(&self) -> Option<Instant> {
        match self {
            Health::Inactive { retry_at, .. } => Some(*retry_at),
            Health::Active { .. } | Health::Probing { .. } | Health::Removed { .. } => None,
        }
    }

    /// Whether it takes part in the rotation.
    pub fn is_active(&self) -> bool {
        matches!(self, Health::Active { .. })
    }

    /// Whether it is on its way out of the set.
    pub fn is_removed(&self) -> bool {
        matches!(self, Health::Removed { .. })
    }

    /// The present outage, while there is one.
    pub fn outage(&self) -> Option<&Outage> {
        match self {
            Health::Inactive { outage, .. } | Health::Probing { outage, .. } => Some(outage),
            Health::Active { .. } | Health::Removed { .. } => None,
        }
    }

    /// A dial is established, for whatever purpose and begun at whatever time: the endpoint lives.
    pub(super) fn dial_succeeded(&mut self, now: Instant) -> Option<ChangeKind> {
        if let Health::Active { proven_at } = self {
            debug_assert!(*proven_at <= now, "proven in the future");
            *proven_at = now;
        }
        let outage = *self.outage()?;
        debug_assert!(outage.failed_at <= now, "an outage that is over before its last failure");
        let down_for = now.saturating_duration_since(outage.since);
        self.set(Health::Active { proven_at: now });
        debug_assert_eq!(self.outage(), None, "the outage is over");
        Some(ChangeKind::BecameActive { down_for })
    }

    /// A client's dial failed. While the endpoint is not active this moves no timer in either
    /// direction: many clients must neither postpone the probe nor multiply it.
    pub(super) fn dial_failed(
        &mut self,
        failure: FailedDial,
        started_at: Instant,
        limits: &RetryLimits,
    ) -> Option<ChangeKind> {
        debug_assert!(started_at <= failure.at, "a dial ends after it began");
        if !failure.reason.is_evidence() {
            return None;
        }
        match self {
            // Begun before the endpoint last proved to be alive: older evidence than that, such as
            // the timeout of one lost SYN while other clients were served.
            Health::Active { proven_at } if started_at < *proven_at => None,
            Health::Active { .. } => Some(self.begin_outage(failure, limits)),
            Health::Inactive { outage, .. } | Health::Probing { outage, .. } => {
                outage.note(failure.at);
                None
            }
            Health::Removed { .. } => None,
        }
    }

    /// Inactive and due becomes probing; everything else, an early timer included, is a no-op.
    pub(super) fn begin_probe(&mut self, now: Instant) -> bool {
        match *self {
            Health::Inactive { retry_at, outage } if retry_at <= now => {
                debug_assert!(outage.failed_at <= now, "a probe before the failure it is for");
                self.set(Health::Probing { started_at: now, outage });
                true
            }
            _ => false,
        }
    }

    /// The monitor's dial failed. The delay counts from now, not from the probe's start, so a
    /// probe that took long is not followed by the next one at once.
    pub(super) fn probe_failed(
        &mut self,
        failure: FailedDial,
        limits: &RetryLimits,
    ) -> Option<ChangeKind> {
        match *self {
            Health::Probing { started_at, mut outage } => {
                debug_assert!(started_at <= failure.at, "a probe ends after it began");
                if failure.reason.is_evidence() {
                    outage.note(failure.at);
                    outage.step = limits.step_after(outage.step);
                }
                let retry_at = failure.at + limits.delay(outage.step, failure.jitter);
                debug_assert!(retry_at > failure.at, "or the monitor would spin");
                let is_news = failure.reason.is_evidence() && outage.is_news(failure.reason);
                if is_news {
                    outage.reason_before = Some(outage.reason);
                    outage.reason = failure.reason;
                }
                self.set(Health::Inactive { retry_at, outage });
                Some(ChangeKind::StillInactive { reason: failure.reason, is_news, retry_at })
            }
            // A probe of an earlier outage, outlived by it; the timer of this one is armed.
            Health::Inactive { ref mut outage, .. } if failure.reason.is_evidence() => {
                outage.note(failure.at);
                None
            }
            Health::Active { .. } | Health::Inactive { .. } | Health::Removed { .. } => None,
        }
    }

    pub(super) fn remove(&mut self, now: Instant) {
        debug_assert!(!self.is_removed(), "an endpoint is removed once");
        self.set(Health::Removed { at: now });
    }

    /// Another endpoint with this address was there meanwhile, and is removed now.
    pub(super) fn remove_anew(&mut self, now: Instant) {
        debug_assert!(self.is_removed(), "it is still there");
        *self = Health::Removed { at: now };
    }

    /// When its address was last removed; `None` while it is there.
    pub fn removed_at(&self) -> Option<Instant> {
        match self {
            Health::Removed { at } => Some(*at),
            Health::Active { .. } | Health::Inactive { .. } | Health::Probing { .. } => None,
        }
    }

    fn begin_outage(&mut self, failure: FailedDial, limits: &RetryLimits) -> ChangeKind {
        debug_assert!(self.is_active());
        debug_assert!(failure.reason.is_evidence());
        let FailedDial { reason, at, jitter } = failure;
        let step = limits.floor();
        let retry_at = at + limits.delay(step, jitter);
        debug_assert!(retry_at > at, "or the monitor would spin");
        let outage = Outage { since: at, failed_at: at, reason, reason_before: None, step };
        self.set(Health::Inactive { retry_at, outage });
        ChangeKind::BecameInactive { reason, retry_at }
    }

    /// The only place where one state becomes another.
    fn set(&mut self, next: Health) {
        debug_assert!(self.may_become(&next), "illegal: {self:?} -> {next:?}");
        *self = next;
    }

    fn may_become(&self, next: &Health) -> bool {
        use Health::{Active, Inactive, Probing, Removed};
        matches!(
            (self, next),
            (Active { .. }, Inactive { .. })
                | (Inactive { .. }, Probing { .. })
                | (Probing { .. }, Inactive { .. })
                | (Inactive { .. } | Probing { .. }, Active { .. })
                | (Active { .. } | Inactive { .. } | Probing { .. }, Removed { .. })
        )
    }
}

impl Outage {
    fn note(&mut self, failed_at: Instant) {
        self.failed_at = self.failed_at.max(failed_at);
        self.invariants();
    }

    /// Whether an endpoint that has to pass a check fails for another reason than so far. Of two
    /// that alternate each is news once.
    fn is_news(&self, reason: DialFailure) -> bool {
        debug_assert!(reason.is_evidence(), "news about ourselves");
        let is_other = reason != self.reason && Some(reason) != self.reason_before;
        is_other && (reason.is_of_trust() || self.reason.is_of_trust())
    }

    /// An outage began before its last failure, and its two reasons differ.
    pub(super) fn invariants(&self) {
        debug_assert!(self.since <= self.failed_at, "an outage that failed before it began");
        debug_assert_ne!(Some(self.reason), self.reason_before, "the same reason twice");
        debug_assert!(self.reason.is_evidence(), "an outage for reasons of our own");
        debug_assert!(self.reason_before.is_none_or(DialFailure::is_evidence));
        debug_assert!(!self.step.is_zero(), "probes without a pause");
    }
}

#[cfg(test)]
mod tests {
    use super::super::backoff::DELAY_LIMIT;
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(delay_min: Duration, delay_max: Duration) -> RetryLimits {
        let last_resort_interval = Duration::from_millis(100);
        let (absence_max, absent_max) = (600 * SECOND, 512);
        RetryLimits { delay_min, delay_max, last_resort_interval, absence_max, absent_max }
            .checked()
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// The states in the order of [`legal_ways`].
    fn states(now: Instant) -> [Health; 4] {
        let reason = DialFailure::Reset;
        let outage =
            Outage { since: now, failed_at: now, reason, reason_before: None, step: SECOND };
        [
            Health::Active { proven_at: now },
            Health::Inactive { retry_at: now, outage },
            Health::Probing { started_at: now, outage },
            Health::Removed { at: now },
        ]
    }

    #[test]
    fn legal_ways() {
        let want = [
            // to: active, inactive, probing, removed
            [false, true, false, true], // from active
            [true, false, true, true],  // from inactive
            [true, true, false, true],  // from probing
            [false, false, false, false],
        ];
        let states = states(Instant::now());
        let found = states.map(|from| states.map(|next| from.may_become(&next)));
        assert_eq!(found, want);
    }

    /// Lets every probe fail with this jitter and returns the delays, the first included.
    fn delays(limits: RetryLimits, mut jitter: impl FnMut() -> u64, count: usize) -> Vec<Duration> {
        let mut now = Instant::now();
        let mut health = Health::new(now);
        let reason = DialFailure::Refused;
        let mut delays = Vec::new();
        let failure = FailedDial { reason, at: now, jitter: jitter() };
        let mut change = health.dial_failed(failure, now, &limits);
        while delays.len() < count {
            let retry_at = match change.expect("a failure that counts is answered") {
                ChangeKind::BecameInactive { retry_at, .. } => retry_at,
                ChangeKind::StillInactive { retry_at, .. } => retry_at,
                ChangeKind::BecameActive { .. } => panic!("no proof of life"),
            };
            delays.push(retry_at - now);
            assert!(!health.begin_probe(retry_at - Duration::from_nanos(1)), "too early");
            assert!(health.begin_probe(retry_at), "due");
            assert!(!health.begin_probe(retry_at), "one at a time");
            now = retry_at + Duration::from_millis(3);
            let failure = FailedDial { reason, at: now, jitter: jitter() };
            change = health.probe_failed(failure, &limits);
        }
        delays
    }

    #[test]
    fn delays_double_up_to_the_ceiling() {
        let found = delays(limits(SECOND, 60 * SECOND), || u64::MAX, 9);
        assert_eq!(found, [1, 2, 4, 8, 16, 32, 60, 60, 60].map(Duration::from_secs));
        let found = delays(limits(SECOND, 60 * SECOND), || 0, 9);
        assert_eq!(found, [1000, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000].map(ms));
    }

    #[test]
    fn ceiling_below_the_floor_is_the_only_delay() {
        for jitter in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(delays(limits(SECOND, ms(300)), || jitter, 5), [ms(300); 5]);
            assert_eq!(delays(limits(SECOND, SECOND), || jitter, 5), [SECOND; 5]);
        }
    }

    #[test]
    fn delays_keep_their_bounds_and_spread() {
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for (least, most) in [(1000, 60_000), (1000, 1500), (1000, 10), (1, 1), (7, 1_000_000)] {
            let floor = ms(least.min(most));
            let found = delays(limits(ms(least), ms(most)), || xorshift(&mut seed), 500);
            assert!(found.iter().all(|&delay| delay >= floor && delay <= ms(most)));
            let mut late = found[400..].to_vec();
            late.sort();
            late.dedup();
            assert!(least >= most || late.len() > 90, "no two gateways in step");
        }
    }

    #[test]
    fn jitter_is_even() {
        let limits = limits(SECOND, 60 * SECOND);
        let mut seed = 88_172_645_463_325_252;
        let mut quarters = [0; 4];
        for _ in 0..40_000 {
            let delay = limits.delay(8 * SECOND, xorshift(&mut seed));
            quarters[((delay - 4 * SECOND).as_millis() as usize / 1000).min(3)] += 1;
        }
        assert!(quarters.iter().all(|&count| (9_600..10_400).contains(&count)), "{quarters:?}");
    }

    #[test]
    fn absurd_limits_do_not_overflow() {
        let found = delays(limits(Duration::MAX, Duration::MAX), || u64::MAX, 3);
        assert_eq!(found, [DELAY_LIMIT; 3]);
        let found = delays(limits(Duration::from_nanos(1), Duration::MAX), || u64::MAX, 50);
        assert_eq!(found[49], Duration::from_nanos(1 << 49));
    }

    fn failure(reason: DialFailure, at: Instant) -> FailedDial {
        FailedDial { reason, at, jitter: u64::MAX }
    }

    #[test]
    fn local_probe_failure_keeps_the_step_and_life_resets_it() {
        let limits = limits(SECOND, 60 * SECOND);
        let start = Instant::now();
        let local = DialFailure::Local;
        let timeout = DialFailure::TimedOut;
        let mut health = Health::new(start);
        assert_eq!(
            health.dial_failed(failure(local, start + SECOND), start + SECOND, &limits),
            None
        );
        let change = health.dial_failed(failure(timeout, start + SECOND), start + SECOND, &limits);
        let want = ChangeKind::BecameInactive { reason: timeout, retry_at: (start + 2 * SECOND) };
        assert_eq!(change, Some(want));
        for (reason, seconds, retry_at) in [
            (local, 10, 11),
            (local, 20, 21),
            (timeout, 30, 32),
            (local, 40, 42),
            (timeout, 50, 54),
        ] {
            assert!(health.begin_probe(start + seconds * SECOND));
            let change = health.probe_failed(failure(reason, start + seconds * SECOND), &limits);
            let retry_at = start + retry_at * SECOND;
            let want = ChangeKind::StillInactive { reason, is_news: false, retry_at };
            assert_eq!(change, Some(want));
            let failed_at = health.outage().expect("inactive").failed_at;
            assert_eq!(
                failed_at == (start + seconds * SECOND),
                reason == timeout,
                "only evidence is a failure"
            );
        }
        let change = health.dial_succeeded(start + 60 * SECOND);
        assert_eq!(change, Some(ChangeKind::BecameActive { down_for: 59 * SECOND }));
        let change =
            health.dial_failed(failure(timeout, start + 70 * SECOND), start + 70 * SECOND, &limits);
        let want = ChangeKind::BecameInactive { reason: timeout, retry_at: (start + 71 * SECOND) };
        assert_eq!(change, Some(want));
    }

    #[test]
    fn a_failure_begun_before_the_last_success_is_no_evidence() {
        let limits = limits(SECOND, SECOND);
        let start = Instant::now();
        let failure = FailedDial { reason: DialFailure::TimedOut, at: start + SECOND, jitter: 0 };
        let mut health = Health::new(start);
        assert_eq!(health.dial_succeeded(start + ms(500)), None);
        assert_eq!(health.dial_failed(failure, start, &limits), None);
        assert!(health.dial_failed(failure, start + ms(500), &limits).is_some());
    }

    #[test]
    fn only_our_own_trouble_is_no_evidence() {
        use DialFailure::{Local, OwnAddress, Refused, Reset, TimedOut, Unreachable};
        let all = [Refused, Reset, TimedOut, Unreachable, OwnAddress, Local];
        assert_eq!(all.map(DialFailure::is_evidence), [true, true, true, true, true, false]);
        let words = all.map(|failure| failure.to_string());
        let want = "refused reset timed_out host_unreachable own_address local";
        assert_eq!(words.join(" "), want);
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }
}
