//! One name that is kept up to date: what is known of it, and when to look it up again.
//!
//! Owns the last good answers, their life, and the pauses after failures. Must not ask a server:
//! says when a look-up is due, and takes its answers.
//!
//! ```text
//!           due: begin                       last answer
//!   idle ──────────────► asking: the round ──────────────► idle, due again
//!    └─ known by hosts(5): resolve_locally ──────────────────▲
//! ```

mod invariants;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::known::Known;
use super::names::Needed;
use super::round::{ResolveError, Round, Status};
use crate::config::{
    DNS_NEGATIVE_TTL, DNS_REFRESH_MIN, DNS_RETRY_MAX, DNS_RETRY_MIN, DNS_SILENCES_MIN, DNS_TTL_MAX,
    DNS_TTL_MIN, ERRORS_REPORTED_MAX, HOSTS_TTL,
};
use crate::proto::dns::message::Service;
use crate::proto::dns::queue::Urgency;
use crate::proto::dns::{Answer, Answered, Failure, Subject, Wanted, hosts};

/// Whether a look-up is under way.
#[derive(Debug)]
enum Phase {
    /// The next look-up is due at `refresh_at`; `is_doubtful`: because a dial has failed that what
    /// is known led to.
    Idle { refresh_at: Instant, is_doubtful: bool },
    /// One is under way.
    Asking(Round),
}

/// A name and what is known of it.
///
/// Invariant: with a look-up under way, answers are outstanding, and with those that are parked at
/// most as many as there are kinds; without one, there are records exactly if the name is resolved,
/// but for those that a failure leaves as they were. `DNS_RETRY_MIN <= pause <= DNS_RETRY_MAX`.
#[derive(Debug)]
pub(super) struct Watch {
    needed: Needed,
    known: Known,
    phase: Phase,
    asked_at: Option<Instant>,
    /// When it last had records; `None`: never so far.
    resolved_at: Option<Instant>,
    /// The pause after the next failure.
    pause: Duration,
    status: Status,
    /// The errors that the log knows of, since there was none.
    reported: Vec<ResolveError>,
    /// Look-ups in a row in which no server has replied.
    silences: u32,
}

impl Watch {
    /// A name that is not looked up yet; due at once. `reported`: the errors that the log knows of
    /// from before.
    pub(super) fn new(needed: Needed, reported: Vec<ResolveError>, now: Instant) -> Watch {
        let watch = Watch {
            needed,
            known: Known::default(),
            phase: Phase::Idle { refresh_at: now, is_doubtful: false },
            asked_at: None,
            resolved_at: None,
            pause: DNS_RETRY_MIN,
            status: Status::Unknown,
            reported,
            silences: 0,
        };
        debug_assert!(watch.is_due(now), "due at once");
        watch.invariants();
        watch
    }

    pub(super) fn needed(&self) -> &Needed {
        &self.needed
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.needed.wanted
    }

    pub(super) fn subject(&self) -> Subject {
        self.needed.subject
    }

    /// The addresses of a host, IPv4 first, each family in the order of its answer.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.known.addresses()
    }

    /// Addresses that need no look-up: those in /etc/hosts, and our own for `localhost` and names
    /// below it, which no server is to be asked for (RFC 6761, 6.3).
    pub(super) fn local_addresses(&self, table: &hosts::Table) -> Option<Vec<IpAddr>> {
        if self.subject() == Subject::Service {
            return None;
        }
        let name = hosts::key(&self.wanted().to_string());
        if let Some(listed) = table.get(&name) {
            debug_assert!(!listed.is_empty(), "the table has names with addresses alone");
            return Some(listed.clone());
        }
        let is_localhost = name == "localhost" || name.ends_with(".localhost");
        is_localhost.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// The records of a service, in the order of the answer.
    pub(super) fn services(&self) -> &[Service] {
        self.known.services()
    }

    /// When it last had records; `None`: never so far.
    pub(super) fn resolved_at(&self) -> Option<Instant> {
        self.resolved_at
    }

    /// Why the last look-up gave no records, if it did not.
    pub(super) fn error(&self) -> Option<ResolveError> {
        match self.status {
            Status::Failed(error) => Some(error),
            Status::Unknown | Status::Resolved => None,
        }
    }

    /// The change that the log does not know of: an error, or that there is none now. Each error is
    /// news once until then, since servers that disagree give one after the other.
    pub(super) fn take_news(&mut self) -> Option<Result<(), ResolveError>> {
        let news = match self.status {
            Status::Unknown => None,
            Status::Resolved if self.reported.is_empty() => None,
            Status::Resolved => {
                self.reported.clear();
                Some(Ok(()))
            }
            Status::Failed(error) if self.reported.contains(&error) => None,
            Status::Failed(error) => {
                if self.reported.len() == ERRORS_REPORTED_MAX {
                    self.reported.remove(0);
                }
                self.reported.push(error);
                Some(Err(error))
            }
        };
        debug_assert!(self.is_reported(), "the same news next time");
        self.invariants();
        news
    }

    /// The name and the errors that the log knows of, to remember while it is not watched.
    pub(super) fn into_reported(self) -> (Needed, Vec<ResolveError>) {
        (self.needed, self.reported)
    }

    /// Whether a look-up has come to its end, however it did.
    pub(super) fn is_settled(&self) -> bool {
        self.status != Status::Unknown
    }

    /// Whether a look-up is under way, or should be, or will be in a moment because what is known
    /// is in doubt.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Asking(_) => true,
            Phase::Idle { refresh_at, is_doubtful } => is_doubtful || refresh_at <= now,
        }
    }

    /// Whether the servers said in the last look-up that there are no records.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.error(), Some(ResolveError::NoSuchName | ResolveError::NoRecord))
    }

    /// How soon to ask for it compared with other names. One look-up may have been lost on its way.
    pub(super) fn urgency(&self) -> Urgency {
        if self.silences >= DNS_SILENCES_MIN { Urgency::Low } else { Urgency::Usual }
    }

    /// Whether no look-up is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    /// Whether a look-up should begin.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due_at().is_some_and(|due_at| due_at <= now)
    }

    /// When a look-up should begin; none while one is under way.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle { refresh_at, .. } => Some(refresh_at),
            Phase::Asking(_) => None,
        }
    }

    /// Brings the next look-up forward, since what is known may be wrong: at once, or once the
    /// least time between two has passed.
    pub(super) fn expedite(&mut self, now: Instant) {
        let earliest = self.asked_at.map_or(now, |at| now.max(at + DNS_REFRESH_MIN));
        debug_assert!(earliest <= now + DNS_REFRESH_MIN, "asked in the future");
        let before = self.due_at();
        match &mut self.phase {
            Phase::Idle { refresh_at, is_doubtful } => {
                *refresh_at = earliest.min(*refresh_at);
                *is_doubtful = true;
            }
            Phase::Asking(round) => round.is_doubtful = true,
        }
        debug_assert!(self.due_at() <= before, "put off");
        debug_assert!(self.is_open(now), "in doubt, and there is nothing to wait for");
    }

    /// Begins a look-up, which is due.
    pub(super) fn begin(&mut self, now: Instant) {
        debug_assert!(self.is_due(now), "asked without need");
        self.asked_at = Some(now);
        self.phase = Phase::Asking(Round::new(self.subject().kinds().len()));
        debug_assert!(!self.is_due(now), "asked twice");
        self.invariants();
    }

    /// Takes over the addresses of a host that is in /etc/hosts, or needs no look-up.
    pub(super) fn resolve_locally(&mut self, addresses: &[IpAddr], now: Instant) {
        debug_assert!(self.is_idle(), "servers are asked");
        debug_assert_eq!(self.subject(), Subject::Host, "hosts(5) has no services");
        debug_assert!(!addresses.is_empty(), "resolved to nothing");
        self.known.store_local(addresses);
        self.asked_at = Some(now);
        self.resolved_at = Some(now);
        self.phase = Phase::Idle { refresh_at: now + HOSTS_TTL, is_doubtful: false };
        self.status = Status::Resolved;
        self.silences = 0;
        debug_assert!(!self.is_due(now), "read again at once");
        self.invariants();
    }

    /// Takes an answer of the look-up. Whether that changed what is known, be it only why there is
    /// nothing. `is_vital`: without this name something is missing, so an answer that there is
    /// nothing is not believed for long.
    pub(super) fn on_answer(&mut self, answered: Answered, is_vital: bool, now: Instant) -> bool {
        let Phase::Asking(round) = &mut self.phase else {
            debug_assert!(false, "an answer without a look-up");
            return false;
        };
        debug_assert!(round.outstanding > 0, "more answers than kinds");
        debug_assert!(self.needed.subject.kinds().contains(&answered.kind), "not asked for");
        round.outstanding -= 1;
        let is_last = round.outstanding == 0;
        if !is_last && self.known.is_of_another(&answered) {
            round.parked.push((answered, now));
            self.invariants();
            return false;
        }
        let mut answers = std::mem::take(&mut round.parked);
        answers.push((answered, now));
        round.doubts.extend(answers.iter().filter_map(|(answered, _)| self.known.doubt(answered)));
        let doubts = round.doubts.clone();
        let mut is_changed = false;
        for (mut answered, at) in answers {
            // A name that may be meant only fails, and this is another: perhaps a wildcard's. The
            // two families may be known of two names, both of which may fail.
            let other = doubts.iter().find(|(name, _)| answered.name.as_ref() != Some(name));
            if let Some((_, failure)) = other {
                answered.answer = Answer::Failed(*failure);
            }
            is_changed |= self.store(answered, at);
        }
        if is_last {
            let before = self.status;
            self.finish_round(is_vital, now);
            is_changed |= before != self.status;
        }
        debug_assert_eq!(self.is_idle(), is_last, "idle before the last answer, or not after it");
        debug_assert!(!is_last || self.is_settled(), "without an outcome");
        self.invariants();
        is_changed
    }

    /// Takes over an answer that came at that time. Whether it changed what is known.
    fn store(&mut self, answered: Answered, at: Instant) -> bool {
        let Phase::Asking(round) = &mut self.phase else { return false };
        let Answered { kind, name, answer, is_heard, .. } = answered;
        round.is_heard |= is_heard || answer != Answer::Failed(Failure::TimedOut);
        match answer {
            Answer::Records { records, ttl } => {
                let until = at + ttl.clamp(DNS_TTL_MIN, DNS_TTL_MAX);
                round.fresh_until = Some(round.fresh_until.map_or(until, |least| least.min(until)));
                self.known.store(kind, records, name)
            }
            Answer::Nothing { exists, ttl } => {
                let ttl = ttl.unwrap_or(DNS_NEGATIVE_TTL).clamp(DNS_TTL_MIN, DNS_TTL_MAX);
                round.absent_for = Some(round.absent_for.map_or(ttl, |least| least.min(ttl)));
                round.exists |= exists;
                self.known.clear(kind)
            }
            Answer::Failed(failure) => {
                round.failure = Some(failure);
                false
            }
        }
    }

    /// Ends the look-up, all answers of which have come.
    fn finish_round(&mut self, is_vital: bool, now: Instant) {
        let Phase::Asking(round) = &self.phase else { return };
        debug_assert!(round.outstanding == 0 && round.parked.is_empty(), "answers are missing");
        let is_doubtful = round.is_doubtful;
        self.silences = if round.is_heard { 0 } else { self.silences.saturating_add(1) };
        let (status, refresh_at) = round.outcome(is_vital, self.pause, now);
        self.pause = match status {
            Status::Failed(ResolveError::Failed(_)) => (2 * self.pause).min(DNS_RETRY_MAX),
            _ => DNS_RETRY_MIN,
        };
        self.status = status;
        if status == Status::Resolved {
            self.resolved_at = Some(now);
        }
        self.phase = Phase::Idle { refresh_at, is_doubtful: false };
        if is_doubtful {
            self.expedite(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DNS_RECORDS_MAX, DNS_RETRY_PARTIAL};
    use crate::proto::dns::LookupId;
    use crate::proto::dns::message::{Kind, Records, ServerFailure};
    use crate::proto::dns::name::Name;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: Answer = Answer::Failed(Failure::Server(ServerFailure::Failure));
    const REFUSED: Answer = Answer::Failed(Failure::Server(ServerFailure::Refused));
    const SILENT: Answer = Answer::Failed(Failure::TimedOut);
    const GONE: Answer = Answer::Nothing { exists: false, ttl: None };

    fn watch(subject: Subject) -> (Watch, Instant) {
        let now = Instant::now();
        (
            Watch::new(
                Needed { wanted: Wanted::Typed("m.test".to_owned()), subject },
                Vec::new(),
                now,
            ),
            now,
        )
    }

    fn records(texts: &[&str], seconds: u64) -> Answer {
        let addresses = texts.iter().map(|text| text.parse().expect(text)).collect();
        let ttl = Duration::from_secs(seconds);
        Answer::Records { records: Records::Addresses(addresses), ttl }
    }

    fn answered(kind: Kind, answer: Answer) -> Answered {
        let name = Name::from_text("m.test");
        Answered { id: LookupId(0), kind, name, answer, unanswered: Vec::new(), is_heard: false }
    }

    /// The same about a later name of the search list, after these that failed.
    fn of_wildcard(kind: Kind, answer: Answer, unanswered: &[&str]) -> Answered {
        let failure = Failure::Server(ServerFailure::Failure);
        let names = unanswered.iter().map(|text| Name::from_text(text).expect("a name"));
        let unanswered = names.map(|name| (name, failure)).collect();
        let name = Name::from_text("m.test.corp.test");
        Answered { id: LookupId(0), kind, name, answer, unanswered, is_heard: false }
    }

    /// One round with an answer for each family; says whether either changed anything.
    fn round(watch: &mut Watch, now: Instant, v4: Answer, v6: Answer) -> [bool; 2] {
        watch.begin(now);
        [(Kind::A, v4), (Kind::Aaaa, v6)]
            .map(|(kind, answer)| watch.on_answer(answered(kind, answer), true, now))
    }

    fn known(watch: &Watch) -> Vec<String> {
        watch.addresses().map(|address| address.to_string()).collect()
    }

    /// The pause until the next look-up.
    fn pause(watch: &Watch, now: Instant) -> Duration {
        watch.due_at().expect("nothing is under way") - now
    }

    #[test]
    fn an_answer_lives_as_long_as_it_says_within_bounds() {
        for (v4, v6, want) in [
            (records(&["10.0.0.1"], 60), GONE, 60),
            (records(&["10.0.0.1"], 20), GONE, 20),
            (records(&["10.0.0.1"], 20), records(&["::1"], 7), 7),
            (records(&["10.0.0.1"], 0), GONE, 1),
            (records(&["10.0.0.1"], 86_400), records(&["::1"], 86_400), 300),
            (records(&["10.0.0.1"], 86_400), FAILED, 30),
            (GONE, GONE, 5),
            (GONE, Answer::Nothing { exists: false, ttl: Some(2 * SECOND) }, 2),
            (FAILED, GONE, 1),
        ] {
            let (mut watch, now) = watch(Subject::Host);
            round(&mut watch, now, v4.clone(), v6.clone());
            assert_eq!(pause(&watch, now), Duration::from_secs(want), "{v4:?} {v6:?}");
        }
    }

    #[test]
    fn the_last_good_answer_outlasts_failures_and_nothing_else() {
        let (mut watch, now) = watch(Subject::Host);
        let both = [records(&["10.0.0.1"], 9), records(&["::1"], 9)];
        let [v4, v6] = both.clone();
        assert_eq!(round(&mut watch, now, v4, v6), [true, true]);
        let now = now + 9 * SECOND;
        assert_eq!(round(&mut watch, now, FAILED, FAILED), [false, true], "why is news");
        assert_eq!(known(&watch), ["10.0.0.1", "::1"]);
        assert_eq!(watch.error().expect("it failed").to_string(), "name_server_failure");
        let now = now + 9 * SECOND;
        let [v4, v6] = both;
        assert_eq!(round(&mut watch, now, v4, v6), [false, true], "that it is over is, too");
        assert_eq!(watch.error(), None);
        let now = now + 9 * SECOND;
        assert_eq!(round(&mut watch, now, records(&["10.0.0.1"], 9), GONE), [false, true]);
        assert_eq!(known(&watch), ["10.0.0.1"]);
    }

    #[test]
    fn what_a_name_gave_outlasts_what_a_later_one_gives_while_it_only_fails() {
        for (name, v4_fails, v6_fails, order) in [
            ("it fails for both", &["m.test"][..], &["m.test"][..], [0, 1]),
            ("it has no IPv6, and only fails for IPv4", &["m.test"], &[], [0, 1]),
            ("and that is known last", &["m.test"], &[], [1, 0]),
        ] {
            let (mut watch, now) = watch(Subject::Host);
            round(&mut watch, now, records(&["10.0.0.1"], 1), GONE);
            let now = now + SECOND;
            watch.begin(now);
            let answers = [
                of_wildcard(Kind::A, records(&["10.9.9.9"], 60), v4_fails),
                of_wildcard(Kind::Aaaa, records(&["::9"], 60), v6_fails),
            ];
            for at in order {
                watch.on_answer(answers[at].clone(), true, now);
            }
            assert_eq!(known(&watch), ["10.0.0.1"], "{name}");
            let error = watch.error().expect("it fails").to_string();
            assert!(error.ends_with("server_failure"), "{error}");
            assert_eq!(pause(&watch, now), DNS_RETRY_MIN, "it is asked for again soon");
        }
    }

    #[test]
    fn a_name_that_failed_itself_is_not_gone_for_one_family() {
        let (mut watch, now) = watch(Subject::Host);
        round(&mut watch, now, records(&["10.0.0.1"], 1), GONE);
        let now = now + SECOND;
        watch.begin(now);
        watch.on_answer(answered(Kind::A, FAILED), true, now);
        // Asked anew after a change of resolv.conf, the other family goes through the whole list.
        watch.on_answer(of_wildcard(Kind::Aaaa, records(&["::9"], 60), &[]), true, now);
        assert_eq!(known(&watch), ["10.0.0.1"]);
    }

    #[test]
    fn of_two_names_that_gave_a_part_each_the_first_is_not_parked_by_itself() {
        let (mut watch, now) = watch(Subject::Host);
        watch.begin(now);
        watch.on_answer(answered(Kind::Aaaa, records(&["::1"], 1)), true, now);
        watch.on_answer(of_wildcard(Kind::A, records(&["10.9.9.9"], 1), &[]), true, now);
        assert_eq!(known(&watch), ["10.9.9.9", "::1"]);
        let now = now + SECOND;
        round(&mut watch, now, records(&["10.0.0.1"], 1), FAILED);
        assert_eq!(known(&watch), ["10.0.0.1", "::1"]);
    }

    #[test]
    fn of_two_names_that_gave_a_part_each_both_may_fail_and_both_parts_stay() {
        for order in [[0, 1], [1, 0]] {
            let (mut watch, now) = watch(Subject::Host);
            watch.begin(now);
            watch.on_answer(answered(Kind::Aaaa, records(&["::1"], 1)), true, now);
            watch.on_answer(of_wildcard(Kind::A, records(&["10.9.9.9"], 1), &[]), true, now);
            let now = now + SECOND;
            watch.begin(now);
            let answers = [
                of_wildcard(Kind::A, FAILED, &[]),
                of_wildcard(Kind::Aaaa, records(&["::9"], 60), &["m.test"]),
            ];
            for at in order {
                watch.on_answer(answers[at].clone(), true, now);
            }
            assert_eq!(known(&watch), ["10.9.9.9", "::1"], "{order:?}");
        }
    }

    #[test]
    fn a_later_name_counts_once_the_first_is_gone_and_until_it_is_back() {
        let (mut watch, now) = watch(Subject::Host);
        let other = records(&["10.9.9.9"], 1);
        for (unanswered, want) in [(&["m.test"][..], "10.9.9.9"), (&[], "10.9.9.9")] {
            watch.begin(watch.due_at().expect("idle"));
            watch.on_answer(of_wildcard(Kind::A, other.clone(), unanswered), true, now);
            watch.on_answer(of_wildcard(Kind::Aaaa, GONE, &[]), true, now);
            assert_eq!(known(&watch), [want], "nothing better is known");
        }
        let now = now + SECOND;
        watch.begin(now);
        watch.on_answer(answered(Kind::A, records(&["10.0.0.1"], 9)), true, now);
        assert_eq!(known(&watch), ["10.9.9.9"], "the other family may say that it is not");
        watch.on_answer(answered(Kind::Aaaa, GONE), true, now + SECOND);
        assert_eq!(known(&watch), ["10.0.0.1"], "it is back");
        assert_eq!(pause(&watch, now), 9 * SECOND, "as of when its answer came");
        // Gone for sure, whatever another name of the list does.
        let now = now + 9 * SECOND;
        watch.begin(now);
        watch.on_answer(of_wildcard(Kind::A, other, &["m.test.lan"]), true, now);
        watch.on_answer(of_wildcard(Kind::Aaaa, GONE, &["m.test.lan"]), true, now);
        assert_eq!(known(&watch), ["10.9.9.9"]);
    }

    #[test]
    fn each_error_is_news_once_until_there_is_none() {
        let (mut watch, mut now) = watch(Subject::Host);
        let mut news = Vec::new();
        for _ in 0..4 {
            for failure in [FAILED, REFUSED] {
                round(&mut watch, now, failure.clone(), failure);
                now += pause(&watch, now);
                news.extend(watch.take_news());
            }
        }
        assert_eq!(news.len(), 2, "{news:?}");
        round(&mut watch, now, records(&["10.0.0.1"], 1), GONE);
        assert_eq!((watch.take_news(), watch.take_news()), (Some(Ok(())), None));
        round(&mut watch, now + SECOND, FAILED, FAILED);
        assert!(watch.take_news().is_some_and(|news| news.is_err()), "news again");
    }

    #[test]
    fn another_order_is_no_change() {
        let (mut watch, now) = watch(Subject::Host);
        round(&mut watch, now, records(&["10.0.0.1", "10.0.0.2"], 1), GONE);
        let now = now + SECOND;
        let shuffled = records(&["10.0.0.2", "10.0.0.1"], 1);
        assert_eq!(round(&mut watch, now, shuffled, GONE), [false, false]);
        assert_eq!(known(&watch), ["10.0.0.1", "10.0.0.2"]);
        let now = now + SECOND;
        let other = records(&["10.0.0.2", "10.0.0.3"], 1);
        assert_eq!(round(&mut watch, now, other, GONE), [true, false]);
    }

    #[test]
    fn pauses_after_failures_grow_to_their_bound_and_begin_anew() {
        let (mut watch, mut now) = watch(Subject::Host);
        for want in [1, 2, 2, 2] {
            round(&mut watch, now, FAILED, FAILED);
            assert_eq!(pause(&watch, now), Duration::from_secs(want));
            now += pause(&watch, now);
        }
        round(&mut watch, now, records(&["10.0.0.1"], 1), GONE);
        now += SECOND;
        round(&mut watch, now, FAILED, FAILED);
        assert_eq!(pause(&watch, now), SECOND);
    }

    #[test]
    fn only_a_name_that_no_server_answers_for_again_and_again_may_wait() {
        let (mut watch, mut now) = watch(Subject::Host);
        for (v4, v6, want) in [
            (SILENT, SILENT, Urgency::Usual),
            (SILENT, SILENT, Urgency::Low),
            (SILENT, SILENT, Urgency::Low),
            (GONE, SILENT, Urgency::Usual),
            (FAILED, SILENT, Urgency::Usual),
            (SILENT, SILENT, Urgency::Usual),
            (SILENT, SILENT, Urgency::Low),
            (records(&["10.0.0.1"], 1), SILENT, Urgency::Usual),
        ] {
            round(&mut watch, now, v4, v6);
            now = watch.due_at().expect("idle");
            assert_eq!(watch.urgency(), want);
        }
    }

    #[test]
    fn a_missing_name_and_a_missing_record_are_two_errors() {
        let exists = Answer::Nothing { exists: true, ttl: None };
        for (v4, v6, want) in [
            (GONE, GONE, "no_such_name"),
            (exists, GONE, "no_record"),
            (GONE, FAILED, "name_server_failure"),
        ] {
            let (mut watch, now) = watch(Subject::Host);
            round(&mut watch, now, v4, v6);
            assert_eq!(watch.error().expect("there is some").to_string(), want);
        }
    }

    #[test]
    fn a_name_that_is_not_vital_may_be_missing_for_longer() {
        for (is_vital, want) in [(true, 5), (false, 120)] {
            let (mut watch, now) = watch(Subject::Service);
            watch.begin(now);
            let nothing = Answer::Nothing { exists: false, ttl: Some(120 * SECOND) };
            watch.on_answer(answered(Kind::Srv, nothing), is_vital, now);
            assert_eq!(pause(&watch, now), Duration::from_secs(want));
        }
    }

    #[test]
    fn doubt_asks_at_once_but_not_all_the_time() {
        let (mut watch, now) = watch(Subject::Host);
        round(&mut watch, now, records(&["10.0.0.1"], 60), GONE);
        let later = now + SECOND / 4;
        watch.expedite(later);
        assert_eq!(watch.due_at(), Some(now + DNS_REFRESH_MIN));
        assert!(watch.is_open(later) && !watch.is_due(later));
        let later = now + 20 * SECOND;
        watch.expedite(later);
        assert_eq!(watch.due_at(), Some(now + DNS_REFRESH_MIN), "never later than it was");
        assert!(watch.is_due(later) && watch.is_open(later));
        watch.begin(later);
        watch.expedite(later);
        assert_eq!((watch.due_at(), watch.is_open(later)), (None, true));
    }

    #[test]
    fn a_life_begins_with_the_answer_and_doubt_outlasts_the_look_up() {
        let (mut watch, now) = watch(Subject::Host);
        watch.begin(now);
        watch.on_answer(answered(Kind::A, records(&["10.0.0.1"], 60)), true, now);
        let late = now + 3 * SECOND;
        watch.expedite(late);
        watch.on_answer(answered(Kind::Aaaa, records(&["::1"], 60)), true, late);
        assert!(watch.is_due(late), "asked more than a second ago, and doubted since");
        watch.begin(late);
        watch.on_answer(answered(Kind::A, records(&["10.0.0.1"], 60)), true, late);
        watch.on_answer(answered(Kind::Aaaa, FAILED), true, late + SECOND);
        assert_eq!(watch.due_at(), Some(late + SECOND + DNS_RETRY_PARTIAL));
        let at = late + 40 * SECOND;
        watch.begin(at);
        watch.on_answer(answered(Kind::A, records(&["10.0.0.1"], 5)), true, at);
        watch.on_answer(answered(Kind::Aaaa, FAILED), true, at + SECOND);
        assert_eq!(watch.due_at(), Some(at + 5 * SECOND));
    }

    #[test]
    fn of_too_many_the_same_are_kept_in_whatever_order_they_come() {
        let (mut watch, now) = watch(Subject::Host);
        let numbers = 0..2 * DNS_RECORDS_MAX;
        let all: Vec<String> = numbers.map(|i| format!("10.0.{}.{}", i / 256, i % 256)).collect();
        let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(round(&mut watch, now, records(&all, 1), GONE), [true, true]);
        assert_eq!(known(&watch).len(), DNS_RECORDS_MAX);
        all.reverse();
        let now = now + SECOND;
        assert_eq!(round(&mut watch, now, records(&all, 1), GONE), [false, false]);
    }

    #[test]
    fn what_is_in_the_hosts_file_is_read_again() {
        let (mut watch, now) = watch(Subject::Host);
        let own: Vec<IpAddr> = ["::1", "10.0.0.1"].map(|text| text.parse().expect(text)).to_vec();
        assert!(!watch.is_settled());
        watch.resolve_locally(&own, now);
        assert_eq!(known(&watch), ["10.0.0.1", "::1"]);
        assert!(watch.is_settled());
        assert_eq!(pause(&watch, now), HOSTS_TTL);
    }
}
