//! The watch of a registry: its beginning, its messages, and its end.

use std::time::Instant;

use super::super::super::inquiry::{Ask, Heard};
use super::super::members::Member;
use super::super::problem::Problem;
use super::super::stream::Stream;
use super::heartbeat::Heartbeat;
use super::{Follower, HEARTBEAT, News, Ranges, WATCH};
use crate::config::{
    REGISTRY_ANSWER_TIME, REGISTRY_RANGE_SPACING, REGISTRY_STEADY_AGE, REGISTRY_WATCH_LAG_MAX,
};
use crate::proto::etcd::failure::FailureKind;
use crate::proto::etcd::watch::Message;
use crate::proto::http1::Delivery;

/// What is under way over the line of the watch.
#[derive(Debug)]
pub(super) enum Watch {
    /// Nothing, until a range is whole.
    Off,
    /// It is to begin, with the changes of a revision.
    Due { member: Member, revision: u64 },
    /// It was asked for.
    Running(Running),
}

/// A watch that was asked for.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) member: Member,
    stream: Stream,
    state: State,
    /// A revision that it has to reach, and until when.
    expected: Option<(u64, Instant)>,
    /// What is asked of the member meanwhile.
    pub(super) heartbeat: Heartbeat,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It has to say by then that it is there.
    Asked { until: Instant },
    /// It is there, and after a while that was noted.
    Created { at: Instant, is_noted: bool },
}

impl Running {
    fn new(member: Member, stream: Stream, now: Instant) -> Running {
        let state = State::Asked { until: now + 2 * REGISTRY_ANSWER_TIME };
        Running { member, stream, state, expected: None, heartbeat: Heartbeat::Off }
    }

    /// Requires it to reach a revision soon, which a range has shown.
    pub(super) fn expect(&mut self, revision: u64, now: Instant) {
        self.expected.get_or_insert((revision, now + REGISTRY_WATCH_LAG_MAX));
    }

    /// When it has to have said something.
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Asked { until } => Some(until),
            State::Created { .. } => self.expected.map(|(_, until)| until),
        }
    }

    /// When something is due about it.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let is_noted = matches!(self.state, State::Created { is_noted: true, .. });
        let steady_at = self.steady_at().filter(|_| !is_noted);
        self.deadline().into_iter().chain(steady_at).chain(self.heartbeat.deadline()).min()
    }

    /// When it counts as working.
    fn steady_at(&self) -> Option<Instant> {
        match self.state {
            State::Asked { .. } => None,
            State::Created { at, .. } => Some(at + REGISTRY_STEADY_AGE),
        }
    }

    /// Whether it counts as working.
    pub(super) fn is_steady(&self, now: Instant) -> bool {
        self.steady_at().is_some_and(|at| at <= now)
    }

    /// Notes that it works; whether that is news. What fails afterwards counts, also while this
    /// watch goes on.
    fn note_steady(&mut self, now: Instant) -> bool {
        let is_steady = self.is_steady(now);
        match &mut self.state {
            State::Created { is_noted, .. } if is_steady => !std::mem::replace(is_noted, true),
            State::Created { .. } | State::Asked { .. } => false,
        }
    }

    /// The member has said what is up to a revision.
    fn reach(&mut self, revision: u64) {
        self.expected = self.expected.filter(|(expected, _)| *expected > revision);
    }
}

impl Follower {
    pub(super) fn next_watch_ask(&mut self, now: Instant) -> Option<Ask> {
        let Watch::Due { member, revision } = &self.watch else { return None };
        let request = self.requests.watch(member, *revision, &self.session);
        let target = member.target.clone();
        let running = Running::new(member.clone(), self.requests.stream(), now);
        self.watch = Watch::Running(running);
        let (delivery, time_limit) = (Delivery::Streamed, REGISTRY_ANSWER_TIME);
        Some(Ask::Open { target, request, delivery, time_limit })
    }

    pub(super) fn on_watch_heard(&mut self, heard: Heard, now: Instant) -> bool {
        // It may be of a connection that is to be closed.
        let Watch::Running(running) = &mut self.watch else { return false };
        let problem = match heard {
            Heard::Head(status) => {
                running.stream.take_status(status);
                return false;
            }
            Heard::Part(bytes) => return self.on_part(&bytes, now),
            Heard::End | Heard::Closed => running.stream.end(),
            Heard::Failed(word) => Problem::Connection(word),
            Heard::Response(_) => {
                debug_assert!(false, "a watch comes in parts");
                return false;
            }
        };
        self.fail_watch(problem, now);
        false
    }

    /// Takes a part of the stream; whether it changes the services.
    fn on_part(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let mut is_changed = false;
        while let Watch::Running(running) = &mut self.watch {
            match running.stream.next(&mut bytes) {
                Ok(Some(message)) => is_changed |= self.on_message(message, now),
                Ok(None) => break,
                Err(problem) => self.fail_watch(problem, now),
            }
        }
        if self.store.is_lacking() {
            self.refill(now);
        }
        is_changed
    }

    fn on_message(&mut self, message: Message, now: Instant) -> bool {
        let Watch::Running(running) = &mut self.watch else { return false };
        let problem = match message {
            Message::Created(_) => {
                running.state = State::Created { at: now, is_noted: false };
                running.heartbeat = Heartbeat::begin(now, self.dice);
                self.session.grow_old();
                return false;
            }
            // A part of a revision that is followed by another: each is a change by itself.
            Message::Events { header, events, is_fragment } => {
                if !is_fragment {
                    running.reach(header.revision);
                }
                let changes = events.iter().map(|event| self.store.apply(event, now));
                return changes.fold(false, |before, is_changed| before | is_changed);
            }
            Message::Progress(header) => {
                running.reach(header.revision);
                return false;
            }
            Message::Compacted { .. } => Problem::Refused(FailureKind::Compacted),
            Message::Canceled(failure) | Message::Failed(failure) => Problem::Refused(failure.kind),
        };
        self.fail_watch(problem, now);
        false
    }

    /// Gives the watch up, and begins a range in its place. A refusal may be due to an old token,
    /// which etcd 3.5.1 words as one of the user: then it counts with a new one.
    pub(super) fn fail_watch(&mut self, problem: Problem, now: Instant) {
        self.close(&[WATCH, HEARTBEAT]);
        self.note_steady(now);
        let Watch::Running(running) = std::mem::replace(&mut self.watch, Watch::Off) else {
            return;
        };
        if problem.is_about_token() && self.session.renew() {
            if let Ranges::Waiting { .. } = self.ranges {
                self.ranges = Ranges::Due;
            }
            return;
        }
        self.fail(&running.member, problem, now);
    }

    /// Forgets failures once a watch has run for a while.
    fn note_steady(&mut self, now: Instant) {
        if let Watch::Running(running) = &mut self.watch
            && running.note_steady(now)
        {
            self.recover();
        }
    }

    /// Gives the watch up if it has not said in time what it has to say.
    pub(super) fn expire_watch(&mut self, now: Instant) {
        self.note_steady(now);
        let Watch::Running(running) = &self.watch else { return };
        if running.deadline().is_none_or(|at| at > now) {
            return;
        }
        let problem = match running.state {
            State::Asked { .. } => Problem::NoAnswer,
            State::Created { .. } => Problem::WatchLags,
        };
        self.fail_watch(problem, now);
    }

    /// The registry is followed: failures before this are forgotten.
    pub(super) fn recover(&mut self) {
        self.failures = 0;
        let Watch::Running(Running { member, .. }) = &self.watch else { return };
        if !std::mem::take(&mut self.reported).is_empty() {
            self.news.push(News::Restored { member: member.authority.clone() });
        }
    }

    /// Brings the next range forward, since only that can tell what the keys are.
    fn refill(&mut self, now: Instant) {
        if let Ranges::Waiting { until } = &mut self.ranges
            && self.failures == 0
        {
            *until = (*until).min(now + REGISTRY_RANGE_SPACING);
        }
    }
}
