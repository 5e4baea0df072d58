//! The heartbeat of the member whose watch runs: a small question every two seconds, by which one
//! that is stopped, cut off from here or cut off from its peers is left soon. A watch without
//! changes says nothing, so its silence shows neither.

use std::time::Instant;

use super::super::super::inquiry::{Ask, Heard};
use super::super::problem::{Problem, part};
use super::watching::Watch;
use super::{Follower, HEARTBEAT, RANGES, Ranges};
use crate::config::{REGISTRY_HEARTBEAT_INTERVAL, REGISTRY_HEARTBEAT_TIME};
use crate::proto::etcd::failure::FailureKind;
use crate::proto::etcd::status;
use crate::proto::http1::{Delivery, Response};
use crate::upstream::DialFailure;

/// What is under way over the line of heartbeats.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heartbeat {
    /// Nothing: the watch has not begun.
    Off,
    /// Nothing, until a time.
    Waiting { until: Instant, is_open: bool },
    /// The question is to be sent, over the open connection or a new one.
    Due { is_open: bool },
    /// The answer is awaited.
    Asked { is_reused: bool, until: Instant },
}

impl Heartbeat {
    /// The first question comes after an interval. `dice`: a random number.
    pub(super) fn begin(now: Instant, dice: u64) -> Heartbeat {
        Heartbeat::wait(false, now, dice)
    }

    fn wait(is_open: bool, now: Instant, dice: u64) -> Heartbeat {
        let pause = REGISTRY_HEARTBEAT_INTERVAL - part(REGISTRY_HEARTBEAT_INTERVAL / 4, dice);
        Heartbeat::Waiting { until: now + pause, is_open }
    }

    /// When something is due.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Heartbeat::Waiting { until, .. } | Heartbeat::Asked { until, .. } => Some(until),
            Heartbeat::Off | Heartbeat::Due { .. } => None,
        }
    }
}

impl Follower {
    pub(super) fn next_heartbeat_ask(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Ask> {
        let Watch::Running(running) = &mut self.watch else { return None };
        let Heartbeat::Due { is_open } = running.heartbeat else { return None };
        self.dice = random();
        let time_limit = REGISTRY_HEARTBEAT_TIME;
        // For connecting, and again for the answer.
        let until = now + 2 * time_limit;
        running.heartbeat = Heartbeat::Asked { is_reused: is_open, until };
        let request = self.requests.heartbeat(&running.member);
        let (target, delivery) = (running.member.target.clone(), Delivery::Whole);
        Some(match is_open {
            true => Ask::Send { request, time_limit },
            false => Ask::Open { target, request, delivery, time_limit },
        })
    }

    pub(super) fn on_heartbeat_heard(&mut self, heard: Heard, now: Instant) {
        // It may be of a connection that is to be closed.
        let Watch::Running(running) = &mut self.watch else { return };
        let problem = match (running.heartbeat, heard) {
            (Heartbeat::Asked { .. }, Heard::Response(response)) => problem_of(&response),
            (Heartbeat::Asked { is_reused: true, .. }, Heard::Closed) => {
                running.heartbeat = Heartbeat::Due { is_open: false };
                return;
            }
            (Heartbeat::Asked { .. }, Heard::Closed) => Some(Problem::Connection("closed")),
            // A shortage of our own says nothing of the member.
            (Heartbeat::Asked { .. }, Heard::Failed(word)) if word == DialFailure::Local.word() => {
                running.heartbeat = Heartbeat::wait(false, now, self.dice);
                return;
            }
            (Heartbeat::Asked { .. }, Heard::Failed(word)) => Some(Problem::Connection(word)),
            // Closed while it was idle, as a server may do after each answer.
            (Heartbeat::Waiting { until, .. }, Heard::Closed | Heard::Failed(_)) => {
                running.heartbeat = Heartbeat::Waiting { until, is_open: false };
                return;
            }
            _ => return,
        };
        match problem {
            Some(problem) => self.fail_heartbeat(problem, now),
            None => running.heartbeat = Heartbeat::wait(true, now, self.dice),
        }
    }

    /// Leaves the member, also with a range that it was asked for.
    fn fail_heartbeat(&mut self, problem: Problem, now: Instant) {
        let Watch::Running(running) = &self.watch else { return };
        if let Ranges::Ready { member, .. } | Ranges::Asked { member, .. } = &self.ranges
            && *member == running.member
        {
            self.close(&[RANGES]);
            self.store.abandon_range();
            self.ranges = Ranges::Due;
        }
        self.fail_watch(problem, now);
    }

    /// Asks when it is time, and gives the watch up when the answer is not there in time. A member
    /// that a range has left is not asked: it counts as failed already, unless its turn comes again
    /// while the watch runs.
    pub(super) fn expire_heartbeat(&mut self, now: Instant) {
        let Watch::Running(running) = &mut self.watch else { return };
        if running.heartbeat.deadline().is_none_or(|at| at > now) {
            return;
        }
        match running.heartbeat {
            _ if self.members.has_left(&running.member) => {
                running.heartbeat = Heartbeat::wait(false, now, self.dice);
                self.closings[usize::from(HEARTBEAT)] = true;
            }
            Heartbeat::Waiting { is_open, .. } => running.heartbeat = Heartbeat::Due { is_open },
            Heartbeat::Asked { .. } => self.fail_heartbeat(Problem::NoAnswer, now),
            Heartbeat::Off | Heartbeat::Due { .. } => {}
        }
    }
}

/// What the answer says against the member. An answer that is not the status of a member of etcd,
/// as of a proxy in front of it, shows that the server is there.
fn problem_of(response: &Response) -> Option<Problem> {
    let status = status::parse(&response.body).ok().filter(|_| response.status == 200)?;
    status.leader.is_none().then_some(Problem::Refused(FailureKind::NoLeader))
}
