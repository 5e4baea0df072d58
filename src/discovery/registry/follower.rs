//! How a registry is followed: a range of all keys, then a watch of what changes, and every failure
//! ends in another range. Pure: what is to be sent over two lines is returned, and the results are
//! handed in.
//!
//! ```text
//!   line 0, ranges   Due ─► (token ─►) page ─► page .. ─► Waiting, a minute ─► Due
//!                     ▲                          │ Store         │
//!                     └── pause ◄── failure ◄────┼───────────────┘
//!   line 1, watch    Off ────────────────────► Due ─► Running ─► failure: Off, and a range
//!   line 2, heartbeats of its member ─────────────────┘   └─► failure: the same
//! ```
//!
//! A range while the watch runs is the net below it: a change that was missed does not show
//! otherwise.

mod heartbeat;
mod watching;

use std::time::Instant;

use super::super::inquiry::{Ask, Heard, Inputs};
use super::Credentials;
use super::members::{Member, Members};
use super::pages::{Page, Pages, Turned, Whole};
use super::problem::{Problem, part};
use super::requests::Requests;
use super::session::Session;
use super::store::Store;
use crate::config::registry::Registry;
use crate::config::{REGISTRY_ANSWER_TIME, REGISTRY_RANGE_INTERVAL, REGISTRY_RANGE_SPACING};
use crate::proto::etcd::Malformed;
use crate::proto::etcd::auth;
use crate::proto::etcd::failure::{self, FailureKind};
use crate::proto::http1::{Delivery, HttpError, Response};
use watching::Watch;

/// The line of tokens and ranges.
pub(super) const RANGES: u8 = 0;
/// The line of the watch.
pub(super) const WATCH: u8 = 1;
/// The line of heartbeats.
pub(super) const HEARTBEAT: u8 = 2;

/// A registry and what is under way to follow it.
#[derive(Debug)]
pub(super) struct Follower {
    requests: Requests,
    members: Members,
    session: Session,
    store: Store,
    pages: Pages,
    ranges: Ranges,
    watch: Watch,
    /// The lines that are to be closed.
    closings: [bool; 3],
    /// Failures in a row.
    failures: u32,
    /// Problems for which the log knows that the registry cannot be followed.
    reported: Vec<Problem>,
    /// A random number, as of the last request.
    dice: u64,
    news: Vec<News>,
}

/// What is under way over the line of ranges.
#[derive(Debug)]
enum Ranges {
    /// Nothing, until a time.
    Waiting { until: Instant },
    /// A range is to begin.
    Due,
    /// A question is to be sent, over the open connection or a new one.
    Ready { question: Question, member: Member, is_open: bool },
    /// An answer is awaited.
    Asked { question: Question, member: Member, is_reused: bool, until: Instant },
}

#[derive(Debug)]
enum Question {
    Token,
    Page(Page),
}

/// What the log should tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The registry cannot be followed, as this member was the last one to show.
    Lost { member: String, problem: Problem },
    /// It is followed again.
    Restored { member: String },
}

impl Follower {
    /// Nothing is asked so far.
    pub(super) fn new(registry: Registry, credentials: Option<Credentials>) -> Follower {
        let prefix = registry.prefix.as_bytes();
        Follower {
            requests: Requests::new(prefix),
            members: Members::new(registry.members),
            session: Session::new(credentials),
            store: Store::new(),
            pages: Pages::new(prefix),
            ranges: Ranges::Due,
            watch: Watch::Off,
            closings: [false; 3],
            failures: 0,
            reported: Vec::new(),
            dice: 0,
            news: Vec::new(),
        }
    }

    /// The members that are asked.
    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// What is known.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// What the log should tell, the first one first.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether the first range may come soon.
    pub(super) fn is_asking(&self) -> bool {
        !self.store.is_known() && self.reported.is_empty() && !self.members.is_unresolved()
    }

    /// What is to be done next, over which line; `None` for nothing more.
    pub(super) fn next_ask(
        &mut self,
        inputs: &Inputs<'_>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<(u8, Ask)> {
        for line in [RANGES, WATCH, HEARTBEAT] {
            if std::mem::take(&mut self.closings[usize::from(line)]) {
                return Some((line, Ask::Close));
            }
        }
        if let Ranges::Due = self.ranges
            && let Some(member) = self.members.choose(inputs.names, random)
        {
            self.dice = random();
            self.begin_range(member, false);
        }
        let range = self.next_range_ask(now).map(|ask| (RANGES, ask));
        let more = range.or_else(|| self.next_watch_ask(now).map(|ask| (WATCH, ask)));
        more.or_else(|| self.next_heartbeat_ask(now, random).map(|ask| (HEARTBEAT, ask)))
    }

    /// Begins a range by its first question: for a token, if one is needed.
    fn begin_range(&mut self, member: Member, is_open: bool) {
        let question = match self.session.question() {
            Some(_) => Question::Token,
            None => {
                self.store.begin_range();
                Question::Page(self.pages.first())
            }
        };
        self.ranges = Ranges::Ready { question, member, is_open };
    }

    fn next_range_ask(&mut self, now: Instant) -> Option<Ask> {
        if !matches!(self.ranges, Ranges::Ready { .. }) {
            return None;
        }
        let ranges = std::mem::replace(&mut self.ranges, Ranges::Due);
        let Ranges::Ready { question, member, is_open } = ranges else { return None };
        let request = match &question {
            Question::Token => self.requests.token(&member, &self.session),
            Question::Page(page) => self.requests.page(&member, page, &self.session),
        };
        let (target, time_limit) = (member.target.clone(), REGISTRY_ANSWER_TIME);
        // For connecting, and again for the answer.
        let until = now + 2 * time_limit;
        self.ranges = Ranges::Asked { question, member, is_reused: is_open, until };
        Some(match is_open {
            true => Ask::Send { request, time_limit },
            false => Ask::Open { target, request, delivery: Delivery::Whole, time_limit },
        })
    }

    /// Takes the result of an ask; whether that changes the services.
    pub(super) fn on_heard(&mut self, line: u8, heard: Heard, now: Instant) -> bool {
        match line {
            RANGES => return self.on_range_heard(heard, now),
            WATCH => return self.on_watch_heard(heard, now),
            _ => self.on_heartbeat_heard(heard, now),
        }
        false
    }

    fn on_range_heard(&mut self, heard: Heard, now: Instant) -> bool {
        if !matches!(self.ranges, Ranges::Asked { .. }) {
            // Of a connection that is to be closed.
            return false;
        }
        let ranges = std::mem::replace(&mut self.ranges, Ranges::Due);
        let Ranges::Asked { question, member, is_reused, until } = ranges else { return false };
        let is_page = matches!(question, Question::Page(_));
        match heard {
            Heard::Response(response) => return self.on_answer(question, member, &response, now),
            Heard::Closed if is_reused => {
                self.ranges = Ranges::Ready { question, member, is_open: false };
            }
            Heard::Closed => self.fail_range(&member, Problem::Connection("closed"), now),
            Heard::Failed(word) if is_page && word == HttpError::TooLong.word() => {
                self.shrink(member, Problem::Connection(word), now);
            }
            Heard::Failed(word) => self.fail_range(&member, Problem::Connection(word), now),
            Heard::Head(_) | Heard::Part(_) | Heard::End => {
                debug_assert!(false, "an answer comes in one piece");
                self.ranges = Ranges::Asked { question, member, is_reused, until };
            }
        }
        false
    }

    fn on_answer(
        &mut self,
        question: Question,
        member: Member,
        response: &Response,
        now: Instant,
    ) -> bool {
        if response.status != 200 {
            self.on_refusal(&question, member, response, now);
            return false;
        }
        let outcome = match question {
            Question::Token => auth::parse(&response.body).map(|token| {
                self.session.grant(Some(token));
                None
            }),
            Question::Page(page) => page.turn(&response.body).map(Some),
        };
        match outcome {
            Ok(None) => self.begin_range(member, true),
            Ok(Some(Turned::Next(page))) => {
                let question = Question::Page(page);
                self.ranges = Ranges::Ready { question, member, is_open: true };
            }
            Ok(Some(Turned::Whole(whole))) => return self.finish_range(whole, member, now),
            Err(Malformed::TooLarge) => {
                self.shrink(member, Problem::Malformed(Malformed::TooLarge), now);
            }
            Err(malformed) => self.fail_range(&member, Problem::Malformed(malformed), now),
        }
        false
    }

    /// Takes an answer with another status than 200.
    fn on_refusal(
        &mut self,
        question: &Question,
        member: Member,
        response: &Response,
        now: Instant,
    ) {
        let problem = match failure::parse(&response.body) {
            Ok(failure) => Problem::Refused(failure.kind),
            Err(_) => Problem::Status(response.status),
        };
        match (question, problem) {
            (Question::Token, Problem::Refused(FailureKind::AuthDisabled)) => {
                self.session.grant(None);
                self.begin_range(member, true);
            }
            (Question::Page(_), problem) if problem.is_about_token() && self.session.renew() => {
                self.store.abandon_range();
                self.begin_range(member, true);
            }
            (_, problem) => self.fail_range(&member, problem, now),
        }
    }

    /// Begins the range anew with smaller pages, as an answer was too long.
    fn shrink(&mut self, member: Member, problem: Problem, now: Instant) {
        match self.pages.shrink() {
            true => {
                self.store.abandon_range();
                self.begin_range(member, false);
            }
            false => self.fail_range(&member, problem, now),
        }
    }

    /// Takes the keys of a whole range. A watch of another member is given up: that was asked for
    /// this range, too, before it failed.
    fn finish_range(&mut self, whole: Whole, member: Member, now: Instant) -> bool {
        self.close(&[RANGES]);
        let Whole { header, keys, is_cut } = whole;
        let differences = self.store.end_range(&header, keys, is_cut, now);
        let interval =
            REGISTRY_RANGE_INTERVAL * 3 / 4 + part(REGISTRY_RANGE_INTERVAL / 2, self.dice);
        let interval = if self.store.is_lacking() { REGISTRY_RANGE_SPACING } else { interval };
        self.ranges = Ranges::Waiting { until: now + interval };
        let revision = header.revision;
        match &mut self.watch {
            Watch::Running(running) if running.member == member => {
                if differences.was_outdated {
                    running.expect(revision, now);
                }
                if running.is_steady(now) {
                    self.recover();
                }
            }
            Watch::Off | Watch::Due { .. } | Watch::Running(_) => {
                self.closings[usize::from(HEARTBEAT)] = true;
                self.watch = Watch::Due { member, revision: revision.saturating_add(1) };
            }
        }
        differences.is_changed
    }

    fn fail_range(&mut self, member: &Member, problem: Problem, now: Instant) {
        self.close(&[RANGES]);
        self.store.abandon_range();
        self.ranges = Ranges::Due;
        self.fail(member, problem, now);
    }

    /// Has these lines be closed.
    fn close(&mut self, lines: &[u8]) {
        lines.iter().for_each(|line| self.closings[usize::from(*line)] = true);
    }

    /// Counts a failure, and lets the next range begin after a pause, unless one is under way.
    fn fail(&mut self, member: &Member, problem: Problem, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if problem.is_of_member() {
            self.members.leave(member);
        }
        self.session.grow_old();
        // One may fail when the process of a member is replaced.
        let is_everywhere = self.failures >= self.members.count().max(2);
        if problem.is_news(is_everywhere, &self.reported) {
            self.reported.push(problem);
            self.news.push(News::Lost { member: member.authority.clone(), problem });
        }
        if let Ranges::Due | Ranges::Waiting { .. } = self.ranges {
            let pause = problem.pause(self.failures, self.members.count(), self.dice);
            self.ranges = match pause.is_zero() {
                true => Ranges::Due,
                false => Ranges::Waiting { until: now + pause },
            };
        }
    }

    /// When to call [`Follower::expire`], if ever.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let of_ranges = match self.ranges {
            Ranges::Waiting { until } | Ranges::Asked { until, .. } => Some(until),
            Ranges::Due | Ranges::Ready { .. } => None,
        };
        let of_watch = match &self.watch {
            Watch::Running(running) => running.next_deadline(),
            Watch::Off | Watch::Due { .. } => None,
        };
        of_ranges.into_iter().chain(of_watch).min()
    }

    /// Does what is due.
    pub(super) fn expire(&mut self, now: Instant) {
        self.expire_watch(now);
        self.expire_heartbeat(now);
        match &self.ranges {
            Ranges::Waiting { until } if *until <= now => self.ranges = Ranges::Due,
            Ranges::Asked { until, member, .. } if *until <= now => {
                let member = member.clone();
                self.fail_range(&member, Problem::NoAnswer, now);
            }
            _ => {}
        }
        debug_assert!(self.next_deadline().is_none_or(|at| at > now), "the same deadline again");
    }

    /// Halves the size of pages this number of times, at 0 until it is 1.
    #[cfg(test)]
    pub(super) fn shrink_pages(&mut self, times: u64) {
        let times = if times == 0 { 9 } else { times };
        (0..times).for_each(|_| {
            self.pages.shrink();
        });
    }
}
