//! Health checks of one endpoint: what its answers have shown, and when to ask next.
//!
//! Owns the states and the ways between them. A check asks more than a dial (`health.rs`): whether
//! the server behind the connection serves. Must not know sockets, the clock or a random source.
//! Who speaks to the endpoint is the reactor; which endpoint a client gets is decided in `pick/`.
//!
//! ```text
//!              first answer decides                 `fall` failures in a row
//!   Unknown ─────────────────────────► Passing ◄──────────────────────────► Failing
//!      │  └───────────────────────────────────────── `rise` passes in a row ──┘ ▲
//!      │ └──────────────────────────────────────────────────────────────────────┘
//!      └─ answers otherwise than expected (tentative checks alone) ──► Foreign
//! ```

use std::time::{Duration, Instant};

use super::health_check::Pace;
use super::{
    CheckChange, CheckFailure, CheckLimits, CheckResult, CheckState, HealthCheck, Standing,
    Suspicion,
};

/// Unexpected answers in a row after which a server is one of another kind, where one alone could
/// be that of a server which is just ending.
const UNEXPECTED_MAX: u8 = 3;
/// Checks without an answer, of an endpoint of which nothing is known, that are made at the usual
/// interval.
const UNANSWERED_USUAL: u32 = 12;
/// The interval after them, if the usual one is shorter.
const UNANSWERED_INTERVAL: Duration = Duration::from_secs(60);
/// What an interval is multiplied by while no endpoint serves: two fifths.
const EAGER: (u32, u32) = (2, 5);
/// What an interval is multiplied by where a check costs the server a write to its disk.
const COSTLY: u32 = 6;
/// Suspicions that are followed up at once although they may be usual, and the time after which one
/// more is: servers that end each connection, and bytes that need no answer, must not multiply the
/// checks of a fleet.
const SUSPICIONS_MAX: u32 = 10;
const SUSPICION_REFILL: Duration = Duration::from_secs(20);

/// A check because of silence comes at the soonest this many spacings after the one before: clients
/// of a member without a quorum all wait at the same time, and it says so only after a second or
/// two.
const SILENT_SPACING: u32 = 5;
/// Checks without an answer after which an endpoint that is still unknown is reported.
const UNANSWERED_REPORTED: u32 = 3;

/// The checks of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    pub(super) check: HealthCheck,
    state: CheckState,
    schedule: Schedule,
    /// When the last check began.
    begun_at: Option<Instant>,
    /// It has answered as such a server does, whatever a tentative check may find from now on.
    is_proven: bool,
    /// Suspicions that may still be followed up, and since when they are counted.
    suspicions: (u32, Instant),
}

/// When the next check begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schedule {
    /// At that time.
    At(Instant),
    /// One is under way.
    InFlight,
    /// Not before a client comes.
    Paused,
    /// Never.
    Never,
}

impl Checks {
    /// Nothing is known; the first check is due at once.
    pub(super) fn new(check: HealthCheck, now: Instant) -> Checks {
        Checks {
            check,
            state: CheckState::Unknown { unexpected: 0, unanswered: 0 },
            schedule: Schedule::At(now),
            begun_at: None,
            is_proven: false,
            suspicions: (SUSPICIONS_MAX, now),
        }
    }

    /// Whether it is known to serve, or to be another kind of server.
    pub(super) fn has_passed(&self) -> bool {
        matches!(self.state, CheckState::Passing { .. } | CheckState::Foreign)
    }

    pub(super) fn state(&self) -> CheckState {
        self.state
    }

    pub(super) fn standing(&self) -> Standing {
        match self.state {
            CheckState::Passing { .. } | CheckState::Foreign => Standing::Serving,
            // Used as if it had no checks, until one shows that it may be away: otherwise the
            // clients of the first moments would go to whichever answers first, of a worse class
            // perhaps, and a server of another kind would lose clients for having been asked.
            CheckState::Unknown { unanswered: 0, .. } if self.is_tentative() => Standing::Serving,
            CheckState::Unknown { .. } => Standing::Unknown,
            CheckState::Failing { .. } => Standing::Failing,
        }
    }

    /// When a check is due; `None` while one is under way or none is to come.
    pub(super) fn next_at(&self) -> Option<Instant> {
        match self.schedule {
            Schedule::At(at) => Some(at),
            Schedule::InFlight | Schedule::Paused | Schedule::Never => None,
        }
    }

    /// Begins a check that is due. `may_pause`: it does not matter at present how endpoints do, and
    /// a check of one that passes can wait until it does.
    pub(super) fn begin(&mut self, may_pause: bool, now: Instant) -> bool {
        match self.schedule {
            Schedule::At(at) if at <= now => {}
            _ => return false,
        }
        if may_pause && matches!(self.state, CheckState::Passing { failures: 0 }) {
            self.schedule = Schedule::Paused;
            return false;
        }
        self.schedule = Schedule::InFlight;
        self.begun_at = Some(now);
        true
    }

    /// It matters again how endpoints do: a check that was put off is due.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.schedule == Schedule::Paused {
            self.schedule = Schedule::At(self.soon(now, Duration::ZERO));
        }
    }

    /// The check under way was given up undecided.
    pub(super) fn abandoned(&mut self, limits: &CheckLimits, now: Instant) {
        if self.schedule == Schedule::InFlight {
            self.schedule = Schedule::At(now + limits.interval);
        }
    }

    /// Brings the next check forward, as something speaks against the endpoint.
    pub(super) fn suspect(&mut self, suspicion: Suspicion, limits: &CheckLimits, now: Instant) {
        let planned = match self.schedule {
            Schedule::At(at) => Some(at),
            Schedule::Paused => None,
            Schedule::InFlight | Schedule::Never => return,
        };
        let spacing = match suspicion {
            Suspicion::Failed | Suspicion::Ended => limits.spacing,
            Suspicion::Silent => limits.spacing * SILENT_SPACING,
        };
        let at = self.soon(now, spacing);
        let is_late = planned.is_none_or(|planned| at < planned);
        if is_late && (suspicion == Suspicion::Failed || self.take_suspicion(now)) {
            self.schedule = Schedule::At(at);
        }
    }

    /// Now, or as soon as the last check is `spacing` ago.
    fn soon(&self, now: Instant, spacing: Duration) -> Instant {
        self.begun_at.map_or(now, |begun_at| now.max(begun_at + spacing))
    }

    fn take_suspicion(&mut self, now: Instant) -> bool {
        let (left, since) = &mut self.suspicions;
        while *left < SUSPICIONS_MAX && *since + SUSPICION_REFILL <= now {
            *left += 1;
            *since += SUSPICION_REFILL;
        }
        if *left == SUSPICIONS_MAX {
            *since = now;
        }
        let has_one = *left > 0;
        *left -= u32::from(has_one);
        has_one
    }

    /// The endpoint could not be reached. What comes back may be another process, which does not
    /// serve yet: it has to show anew that it serves. It may even be another kind of server, so one
    /// that was none of the expected kind is asked once more, and used by TCP alone meanwhile.
    pub(super) fn on_outage(&mut self, limits: &CheckLimits, now: Instant) {
        match self.state {
            CheckState::Foreign if self.schedule == Schedule::InFlight => {}
            CheckState::Foreign => self.schedule = Schedule::At(self.soon(now, limits.spacing)),
            CheckState::Passing { .. } => {
                self.state = CheckState::Unknown { unexpected: 0, unanswered: 0 };
                self.suspect(Suspicion::Failed, limits, now);
            }
            CheckState::Unknown { .. } | CheckState::Failing { .. } => {}
        }
    }

    /// The result of the check under way.
    pub(super) fn on_result(
        &mut self,
        result: CheckResult,
        pace: Pace,
        limits: &CheckLimits,
        now: Instant,
    ) -> Option<CheckChange> {
        if self.schedule != Schedule::InFlight {
            // The answer to what it was asked before it was asked something else.
            return None;
        }
        let change = match result {
            CheckResult::Passed => self.pass(limits, now),
            CheckResult::Failed(failure) if !failure.is_evidence() => None,
            CheckResult::Failed(failure) => self.fail(failure, limits, now),
            CheckResult::Unexpected { failure, is_certain } => {
                self.fail_unexpectedly(failure, is_certain, limits, now)
            }
        };
        // One of another kind that is still away is asked on until it answers.
        let is_away = matches!(result, CheckResult::Failed(failure) if !failure.is_answer());
        self.schedule = match self.pause(is_away, pace, limits) {
            Some(pause) if pause == limits.spacing => Schedule::At(now + pause),
            Some(pause) => Schedule::At(now + jittered(pause, pace.jitter)),
            None => Schedule::Never,
        };
        debug_assert!(self.next_at().is_none_or(|at| at > now), "checks without a pause");
        change
    }

    /// Whether it may still be another kind of server.
    fn is_tentative(&self) -> bool {
        self.check.is_tentative && !self.is_proven
    }

    fn pass(&mut self, limits: &CheckLimits, now: Instant) -> Option<CheckChange> {
        self.is_proven = true;
        match self.state {
            CheckState::Failing { passes, since, reason } if passes + 1 < limits.rise => {
                self.state = CheckState::Failing { passes: passes + 1, since, reason };
                None
            }
            CheckState::Failing { since, .. } => {
                let failed_for = Some(now.saturating_duration_since(since));
                self.state = CheckState::Passing { failures: 0 };
                Some(CheckChange::BecamePassing { failed_for })
            }
            CheckState::Unknown { .. } | CheckState::Foreign => {
                self.state = CheckState::Passing { failures: 0 };
                Some(CheckChange::BecamePassing { failed_for: None })
            }
            CheckState::Passing { .. } => {
                self.state = CheckState::Passing { failures: 0 };
                None
            }
        }
    }

    fn fail(
        &mut self,
        reason: CheckFailure,
        limits: &CheckLimits,
        now: Instant,
    ) -> Option<CheckChange> {
        match self.state {
            // No answer at all says nothing of what the server is.
            CheckState::Unknown { unanswered, .. }
                if self.is_tentative() && !reason.is_answer() =>
            {
                let unanswered = unanswered.saturating_add(1);
                self.state = CheckState::Unknown { unexpected: 0, unanswered };
                (unanswered == UNANSWERED_REPORTED).then_some(CheckChange::Unanswered { reason })
            }
            CheckState::Passing { failures } if failures + 1 < limits.fall => {
                self.state = CheckState::Passing { failures: failures + 1 };
                None
            }
            CheckState::Unknown { .. } | CheckState::Passing { .. } => {
                self.is_proven = true;
                self.state = CheckState::Failing { since: now, reason, passes: 0 };
                Some(CheckChange::BecameFailing { reason })
            }
            CheckState::Failing { since, reason: before, .. } => {
                self.state = CheckState::Failing { since, reason, passes: 0 };
                (reason != before).then_some(CheckChange::FailsOtherwise { reason })
            }
            // It is away, and no less another kind of server for that.
            CheckState::Foreign if !reason.is_answer() => None,
            CheckState::Foreign => {
                self.is_proven = true;
                self.state = CheckState::Failing { since: now, reason, passes: 0 };
                Some(CheckChange::BecameFailing { reason })
            }
        }
    }

    fn fail_unexpectedly(
        &mut self,
        reason: CheckFailure,
        is_certain: bool,
        limits: &CheckLimits,
        now: Instant,
    ) -> Option<CheckChange> {
        match self.state {
            CheckState::Foreign => None,
            // No check can be passed, so that failures would take out what may well serve.
            _ if reason == CheckFailure::ClientCertificateHasName => {
                self.state = CheckState::Foreign;
                Some(CheckChange::BecameForeign { reason })
            }
            CheckState::Unknown { unexpected, unanswered } if self.is_tentative() => {
                let unexpected = unexpected + 1;
                if is_certain || unexpected == UNEXPECTED_MAX {
                    self.state = CheckState::Foreign;
                    return Some(CheckChange::BecameForeign { reason });
                }
                self.state = CheckState::Unknown { unexpected, unanswered };
                None
            }
            _ => self.fail(reason, limits, now),
        }
    }

    /// The time until the next check; `None`: never.
    fn pause(&self, is_away: bool, pace: Pace, limits: &CheckLimits) -> Option<Duration> {
        let interval = match pace {
            Pace { is_costly: true, .. } => limits.interval * COSTLY,
            Pace { is_eager: true, .. } => limits.interval * EAGER.0 / EAGER.1,
            Pace { .. } => limits.interval,
        };
        let pause = match self.state {
            CheckState::Passing { failures: 1.. } | CheckState::Failing { passes: 1.., .. } => {
                limits.spacing
            }
            CheckState::Unknown { unanswered, .. } if unanswered >= UNANSWERED_USUAL => {
                interval.max(UNANSWERED_INTERVAL)
            }
            CheckState::Unknown { .. }
            | CheckState::Passing { .. }
            | CheckState::Failing { .. } => interval,
            CheckState::Foreign if is_away => interval,
            CheckState::Foreign => return None,
        };
        Some(pause.max(limits.spacing))
    }

    /// A check has begun and no result is there.
    pub(super) fn is_in_flight(&self) -> bool {
        self.schedule == Schedule::InFlight
    }
}

/// The pause, less or more by up to a tenth, so that the gateways of a fleet do not fall into step.
fn jittered(pause: Duration, jitter: u64) -> Duration {
    let tenth = pause / 10;
    let span = u128::from(tenth.as_nanos() as u64) * 2;
    let share = (span * u128::from(jitter)) >> 64;
    pause - tenth + Duration::from_nanos(share as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{DialFailure, Question};
    use super::*;
    use crate::scheme::Scheme;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: CheckLimits = CheckLimits {
        interval: Duration::from_secs(5),
        spacing: Duration::from_millis(100),
        rise: 2,
        fall: 2,
    };
    const NO_LEADER: CheckFailure = CheckFailure::Answer("no_leader");
    const SILENT: CheckFailure = CheckFailure::Dial(DialFailure::TimedOut);
    /// In the middle: a pause is as long as its interval.
    const PACE: Pace = Pace { is_eager: false, is_costly: false, jitter: 1 << 63 };

    fn checks(is_tentative: bool, now: Instant) -> Checks {
        let (question, scheme) = (Question::Etcd, Scheme::Http);
        let host = Arc::from("m1.test");
        Checks::new(HealthCheck { question, is_tentative, scheme, host, port: None }, now)
    }

    /// Begins the next check when it is due, and lets it have this result. Says what has changed,
    /// and how long after the one before it began, in milliseconds.
    fn check(checks: &mut Checks, result: CheckResult, now: &mut Instant) -> (String, u128) {
        let at = checks.next_at().expect("a check is to come");
        let pause = at.saturating_duration_since(*now).as_millis();
        *now = at;
        assert!(checks.begin(false, at) && checks.next_at().is_none());
        assert!(!checks.begin(false, at), "one at a time");
        let change = checks.on_result(result, PACE, &LIMITS, at);
        let words = match change {
            None => "-".to_owned(),
            Some(CheckChange::BecamePassing { failed_for: None }) => "passing".to_owned(),
            Some(CheckChange::BecamePassing { failed_for: Some(time) }) => {
                format!("passing after {}", time.as_millis())
            }
            Some(CheckChange::BecameFailing { reason }) => format!("failing {reason}"),
            Some(CheckChange::FailsOtherwise { reason }) => format!("otherwise {reason}"),
            Some(CheckChange::BecameForeign { reason }) => format!("foreign {reason}"),
            Some(CheckChange::Unanswered { reason }) => format!("unanswered {reason}"),
        };
        (words, pause)
    }

    #[track_caller]
    fn run(is_tentative: bool, results: &[(CheckResult, &str, u128)]) -> (Checks, Instant) {
        let mut now = Instant::now();
        let mut checks = checks(is_tentative, now);
        for (step, (result, want, pause)) in results.iter().enumerate() {
            let found = self::check(&mut checks, *result, &mut now);
            assert_eq!(found, ((*want).to_owned(), *pause), "step {step}");
        }
        (checks, now)
    }

    fn failed(reason: CheckFailure) -> CheckResult {
        CheckResult::Failed(reason)
    }

    fn unexpected(is_certain: bool) -> CheckResult {
        let failure = CheckFailure::Answer("closed_early");
        CheckResult::Unexpected { failure, is_certain }
    }

    #[test]
    fn the_first_answer_decides_and_later_ones_have_to_be_confirmed() {
        let passed = CheckResult::Passed;
        run(
            false,
            &[
                (passed, "passing", 0),
                (passed, "-", 5000),
                (failed(NO_LEADER), "-", 5000),
                (passed, "-", 100),
                (failed(SILENT), "-", 5000),
                (failed(NO_LEADER), "failing no_leader", 100),
                (failed(NO_LEADER), "-", 5000),
                (failed(SILENT), "otherwise timed_out", 5000),
                (passed, "-", 5000),
                (failed(SILENT), "-", 100),
                (passed, "-", 5000),
                (passed, "passing after 20200", 100),
            ],
        );
        run(false, &[(failed(SILENT), "failing timed_out", 0), (passed, "-", 5000)]);
    }

    #[test]
    fn a_check_that_cannot_be_passed_takes_nothing_out() {
        let refused = CheckResult::Unexpected {
            failure: CheckFailure::ClientCertificateHasName,
            is_certain: true,
        };
        let change = "foreign client_certificate_has_name";
        let passed = CheckResult::Passed;
        for is_tentative in [true, false] {
            for results in [
                &[(refused, change, 0)][..],
                &[(passed, "passing", 0), (refused, change, 5000)],
                &[(failed(NO_LEADER), "failing no_leader", 0), (refused, change, 5000)],
            ] {
                let (mut checks, now) = run(is_tentative, results);
                assert_eq!((checks.standing(), checks.next_at()), (Standing::Serving, None));
                checks.on_outage(&LIMITS, now);
                let mut now = now;
                assert_eq!(check(&mut checks, refused, &mut now).0, "-", "once");
            }
        }
    }

    #[test]
    fn a_shortage_of_our_own_says_nothing() {
        let ours = failed(CheckFailure::Dial(DialFailure::Local));
        let passed = CheckResult::Passed;
        run(false, &[(passed, "passing", 0), (ours, "-", 5000), (ours, "-", 5000)]);
        let (checks, _) = run(false, &[(ours, "-", 0)]);
        assert_eq!(checks.standing(), Standing::Unknown);
    }

    #[test]
    fn a_tentative_check_counts_once_the_server_has_answered_as_expected() {
        let passed = CheckResult::Passed;
        let silent = (failed(SILENT), "-", 5000);
        let (checks, _) = run(true, &[]);
        assert_eq!(checks.standing(), Standing::Serving, "by TCP alone, as nothing is known yet");
        let third = (failed(SILENT), "unanswered timed_out", 5000);
        let (checks, _) = run(true, &[(failed(SILENT), "-", 0), silent, third, silent]);
        assert_eq!((checks.standing(), checks.has_passed()), (Standing::Unknown, false));
        // A learner has answered as etcd does.
        run(true, &[(failed(NO_LEADER), "failing no_leader", 0)]);
        let silent = (failed(SILENT), "-", 5000);
        let confirmed = (failed(SILENT), "failing timed_out", 100);
        run(true, &[(passed, "passing", 0), silent, confirmed]);
        let confirmed = (unexpected(true), "failing closed_early", 100);
        run(true, &[(passed, "passing", 0), (unexpected(true), "-", 5000), confirmed]);
    }

    #[test]
    fn another_kind_of_server_loses_no_client_while_that_is_found_out() {
        let odd = unexpected(false);
        let results = [(odd, "-", 0), (odd, "-", 5000), (odd, "foreign closed_early", 5000)];
        for count in 0..=results.len() {
            let (checks, _) = run(true, &results[..count]);
            assert_eq!(checks.standing(), Standing::Serving, "after {count}");
        }
        let (checks, _) = run(true, &[(failed(SILENT), "-", 0), (odd, "-", 5000)]);
        assert_eq!(checks.standing(), Standing::Unknown, "it was away");
    }

    #[test]
    fn another_kind_of_server_is_left_alone_until_it_has_been_away() {
        let now = {
            let (mut checks, now) = run(true, &[(unexpected(true), "foreign closed_early", 0)]);
            assert_eq!((checks.standing(), checks.next_at()), (Standing::Serving, None));
            checks.suspect(Suspicion::Failed, &LIMITS, now);
            checks.resume(now);
            assert_eq!(checks.next_at(), None, "not a byte more");
            checks.on_outage(&LIMITS, now);
            let next = now + LIMITS.spacing;
            assert_eq!((checks.standing(), checks.next_at()), (Standing::Serving, Some(next)));
            let mut at = now;
            let away = self::check(&mut checks, failed(SILENT), &mut at);
            assert_eq!(away, ("-".to_owned(), 100));
            let back = self::check(&mut checks, unexpected(false), &mut at);
            assert_eq!((back, checks.next_at()), (("-".to_owned(), 5000), None), "the same server");
            checks.on_outage(&LIMITS, at);
            let other = self::check(&mut checks, failed(NO_LEADER), &mut at);
            assert_eq!(other, ("failing no_leader".to_owned(), 100), "it is a member now");
            now
        };
        let twice = [(unexpected(false), "-", 0), (unexpected(false), "-", 5000)];
        let (mut checks, mut at) = run(true, &twice);
        let third = self::check(&mut checks, unexpected(false), &mut at);
        assert_eq!(third, ("foreign closed_early".to_owned(), 5000));
        assert!(at > now);
        // It is a failure of one that has to answer.
        run(false, &[(unexpected(true), "failing closed_early", 0)]);
    }

    #[test]
    fn silence_of_what_may_be_no_etcd_at_all_is_asked_less_often_in_time() {
        let mut now = Instant::now();
        let mut checks = checks(true, now);
        let pauses: Vec<u128> =
            (0..15).map(|_| check(&mut checks, failed(SILENT), &mut now).1).collect();
        assert_eq!((pauses[0], pauses[11], pauses[12], pauses[14]), (0, 5000, 60_000, 60_000));
    }

    #[test]
    fn suspicion_brings_a_check_forward_and_keeps_its_distance() {
        let (mut checks, now) = run(false, &[(CheckResult::Passed, "passing", 0)]);
        checks.suspect(Suspicion::Failed, &LIMITS, now);
        assert_eq!(checks.next_at(), Some(now + LIMITS.spacing));
        let later = now + SECOND;
        let (mut checks, _) = run(false, &[(CheckResult::Passed, "passing", 0)]);
        checks.suspect(Suspicion::Failed, &LIMITS, later);
        assert_eq!(checks.next_at(), Some(later));
        checks.suspect(Suspicion::Failed, &LIMITS, later + SECOND);
        assert_eq!(checks.next_at(), Some(later), "it is never put off");
        assert!(checks.begin(false, later));
        checks.suspect(Suspicion::Failed, &LIMITS, later);
        assert!(checks.is_in_flight(), "the one under way will tell");
    }

    /// Neither servers that close each connection, nor bytes that need no answer, such as those by
    /// which an HTTP/2 client makes room, may keep a whole fleet asking.
    #[test]
    fn suspicion_that_may_be_usual_has_a_bound_in_the_long_run() {
        for suspicion in [Suspicion::Silent, Suspicion::Ended] {
            check_bound(suspicion);
        }
    }

    fn check_bound(suspicion: Suspicion) {
        let (mut checks, start) = run(false, &[(CheckResult::Passed, "passing", 0)]);
        let mut begun = 0;
        let mut now = start;
        while now < start + 1000 * SECOND {
            now += SECOND / 4;
            checks.suspect(suspicion, &LIMITS, now);
            if checks.begin(false, now) {
                begun += 1;
                checks.on_result(CheckResult::Passed, PACE, &LIMITS, now);
            }
        }
        // 200 at the interval alone; each suspicion that is followed up puts the next one off.
        assert!((200..=250).contains(&begun), "{begun}");
    }

    #[test]
    fn without_clients_only_an_endpoint_that_passes_is_left_alone() {
        let (mut checks, now) = run(false, &[(CheckResult::Passed, "passing", 0)]);
        let due = now + LIMITS.interval;
        assert!(!checks.begin(true, due) && checks.next_at().is_none());
        checks.resume(due + SECOND);
        assert_eq!(checks.next_at(), Some(due + SECOND));
        assert!(checks.begin(false, due + SECOND));
        let (mut checks, now) = run(false, &[(failed(NO_LEADER), "failing no_leader", 0)]);
        assert!(checks.begin(true, now + LIMITS.interval), "a dial would not tell");
    }

    #[test]
    fn an_endpoint_that_was_away_shows_anew_that_it_serves() {
        let (mut checks, now) = run(true, &[(CheckResult::Passed, "passing", 0)]);
        checks.on_outage(&LIMITS, now + SECOND);
        assert_eq!(checks.standing(), Standing::Unknown);
        assert_eq!(checks.next_at(), Some(now + SECOND));
        let mut at = now + SECOND;
        let silent = check(&mut checks, failed(SILENT), &mut at);
        assert_eq!(silent.0, "failing timed_out", "it was etcd, whatever it may be now");
    }

    #[test]
    fn while_nothing_serves_checks_come_more_often() {
        let (mut checks, now) = run(false, &[(failed(SILENT), "failing timed_out", 0)]);
        let due = now + LIMITS.interval;
        assert!(checks.begin(false, due));
        checks.on_result(failed(SILENT), Pace { is_eager: true, ..PACE }, &LIMITS, due);
        let due = due + 2 * SECOND;
        assert_eq!(checks.next_at(), Some(due));
        assert!(checks.begin(false, due));
        checks.on_result(failed(SILENT), Pace { is_costly: true, ..PACE }, &LIMITS, due);
        assert_eq!(checks.next_at(), Some(due + 30 * SECOND));
    }

    #[test]
    fn pauses_vary_by_a_tenth() {
        let pause = 10 * SECOND;
        for (jitter, want) in [(0, 9000), (1 << 63, 10_000), (u64::MAX, 10_999)] {
            assert_eq!(jittered(pause, jitter).as_millis(), want);
        }
        assert_eq!(jittered(Duration::from_nanos(5), u64::MAX).as_nanos(), 5);
    }
}
