//! When members are asked, which one, and in which order what. Pure.
//!
//! ```text
//!   Resting ─due─► Choosing ─► glance: list ─as known─────────────► Resting
//!                   ▲  ▲  │     (where one is known) └ otherwise ┐
//!                   │  │  └─► status ◄───────────────────────────┘
//!                   │  │         └─► list ─► status ─► judged by `belief.rs` ─► Resting
//!                   │  └─ failed or refused: the next candidate
//!                   └──── no candidate is left: Resting, for a while
//! ```
//!
//! The list is asked for after the status, over the same connection, so that it is at least as new
//! as what the status says; and the status again after the list, so that the list is not newer than
//! what that says. Nothing is asked but the list while that is as known.

use std::time::{Duration, Instant};

use crate::address::Address;
use crate::config::{FOLLOW_RETRY_MIN, FOLLOW_SPACING, FOLLOW_SPREAD};
use crate::discovery::inquiry::{Candidate, Target};
use crate::proto::etcd::{members, status};
use crate::proto::http1::{Request, Unsendable};

/// What a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The list, to see whether it is the known one.
    Glance,
    /// The status, which says whether its list counts: before the list, and again after it.
    Status,
    /// The list.
    List,
}

/// The state of the questions.
#[derive(Debug)]
enum Stage {
    /// Nothing is asked until then.
    Resting { until: Instant },
    /// A member is to be chosen.
    Choosing,
    /// This is to be sent to the member.
    Sending(Question),
    /// This was sent.
    Awaiting(Question),
    /// The round is over, and the next one comes after about this time.
    Ended { pause: Duration },
}

/// The questions to members.
#[derive(Debug)]
pub(super) struct Inquiry {
    interval: Duration,
    stage: Stage,
    /// The member that is asked.
    target: Option<Target>,
    /// Whether a connection to it is there, as far as is known.
    is_connected: bool,
    /// Whether it has [`status::PATH_BETA`] in place of [`status::PATH`].
    is_beta: bool,
    /// Members that were asked in this round.
    asked: Vec<Address>,
    begun_at: Option<Instant>,
    /// Something speaks against what is known.
    is_doubtful: bool,
    /// There was no member to ask.
    is_starved: bool,
    /// Rounds in a row without a list.
    failures: u32,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The question is sent over a new connection.
    Open(Target, Question),
    /// The question is sent over the connection that is there.
    Send(Question),
    /// The connection is of no further use.
    Close,
}

impl Inquiry {
    /// The first round is due at once.
    pub(super) fn new(interval: Duration) -> Inquiry {
        Inquiry {
            interval,
            stage: Stage::Choosing,
            target: None,
            is_connected: false,
            is_beta: false,
            asked: Vec::new(),
            begun_at: None,
            is_doubtful: false,
            is_starved: false,
            failures: 0,
        }
    }

    /// When [`Inquiry::expire`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Resting { until } => Some(until),
            Stage::Choosing | Stage::Sending(_) | Stage::Awaiting(_) | Stage::Ended { .. } => None,
        }
    }

    /// Begins a round that is due.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.stage = Stage::Choosing;
        }
    }

    /// Whether an answer is under way.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Sending(_) | Stage::Awaiting(_))
    }

    /// Something speaks against what is known: the next round comes soon.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// What is to be done next; `None`: nothing for now. `is_known`: there is a list that may be
    /// confirmed.
    pub(super) fn next_step(
        &mut self,
        members: &[Candidate],
        is_known: bool,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Step> {
        if let Stage::Ended { pause } = self.stage {
            self.rest(pause, now, random());
        }
        if let Stage::Resting { until } = self.stage {
            self.hasten(until, !members.is_empty(), now, random);
        }
        if let Stage::Choosing | Stage::Resting { .. } = self.stage
            && std::mem::take(&mut self.is_connected)
        {
            return Some(Step::Close);
        }
        match self.stage {
            Stage::Resting { .. } | Stage::Ended { .. } | Stage::Awaiting(_) => None,
            Stage::Choosing => self.choose(members, is_known, now, random),
            Stage::Sending(question) => {
                self.stage = Stage::Awaiting(question);
                match (self.is_connected, &self.target) {
                    (false, Some(target)) => {
                        self.is_connected = true;
                        Some(Step::Open(target.clone(), question))
                    }
                    _ => Some(Step::Send(question)),
                }
            }
        }
    }

    /// Ends the rest early where there is a reason.
    fn hasten(
        &mut self,
        until: Instant,
        has_members: bool,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        if std::mem::take(&mut self.is_doubtful) {
            let soon = now + share(FOLLOW_SPREAD, random());
            let allowed = self.begun_at.map_or(now, |at| at + FOLLOW_SPACING);
            self.stage = Stage::Resting { until: until.min(soon.max(allowed)) };
        }
        if has_members && std::mem::take(&mut self.is_starved) {
            self.stage = Stage::Choosing;
        }
        self.expire(now);
    }

    /// Chooses a member that was not asked in this round, one of those with the best standing.
    fn choose(
        &mut self,
        members: &[Candidate],
        is_known: bool,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Step> {
        if self.asked.is_empty() {
            self.begun_at = Some(now);
            self.is_doubtful = false;
        }
        let mut left: Vec<&Candidate> = members.iter().collect();
        left.retain(|candidate| !self.asked.contains(&candidate.target.address));
        let Some(first) = left.first() else {
            self.is_starved = members.is_empty();
            self.give_up(now, random);
            return None;
        };
        let best = left.iter().take_while(|other| other.standing == first.standing).count();
        let target = left[index(best, random())].target.clone();
        self.asked.push(target.address.clone());
        let question = if is_known { Question::Glance } else { Question::Status };
        (self.is_connected, self.is_beta) = (true, false);
        self.stage = Stage::Awaiting(question);
        self.target = Some(target.clone());
        Some(Step::Open(target, question))
    }

    /// No member is left to ask in this round.
    fn give_up(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        let factor = 1 << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let pause = (FOLLOW_RETRY_MIN * factor).min(self.interval);
        self.rest(pause, now, random());
    }

    /// The round has brought a list.
    pub(super) fn finish(&mut self) {
        self.failures = 0;
        self.stage = Stage::Ended { pause: self.interval };
    }

    fn rest(&mut self, pause: Duration, now: Instant, jitter: u64) {
        self.asked.clear();
        let tenth = pause / 10;
        let until = now + pause - tenth + share(2 * tenth, jitter);
        self.stage = Stage::Resting { until };
    }

    /// The question that an answer is to; `None`: to none.
    pub(super) fn awaited(&self) -> Option<Question> {
        match self.stage {
            Stage::Awaiting(question) => Some(question),
            Stage::Resting { .. } | Stage::Choosing | Stage::Sending(_) | Stage::Ended { .. } => {
                None
            }
        }
    }

    /// Asks the member this next.
    pub(super) fn ask(&mut self, question: Question) {
        debug_assert!(self.target.is_some(), "a question to no member");
        self.stage = Stage::Sending(question);
    }

    /// Asks the same again in the form of etcd 3.3. Returns whether that was not done before.
    pub(super) fn ask_as_beta(&mut self, question: Question) -> bool {
        let is_new = !std::mem::replace(&mut self.is_beta, true);
        if is_new {
            self.ask(question);
        }
        is_new
    }

    /// The connection is gone.
    pub(super) fn on_closed(&mut self) {
        self.is_connected = false;
    }

    /// The member gave no list that counts: the next one is asked.
    pub(super) fn pass_on(&mut self) {
        self.stage = Stage::Choosing;
    }

    /// The member that is asked, or was last.
    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Rounds in a row that brought no list.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The request of a question.
    ///
    /// # Errors
    /// [`Unsendable`] for a host that cannot be in a request.
    pub(super) fn request(&self, question: Question) -> Result<Request, Unsendable> {
        let host = self.target.as_ref().map_or(String::new(), Target::authority);
        let (path, body) = match (question, self.is_beta) {
            (Question::Status, false) => (status::PATH, status::BODY),
            (Question::Status, true) => (status::PATH_BETA, status::BODY),
            (Question::Glance | Question::List, false) => (members::PATH, members::BODY),
            (Question::Glance | Question::List, true) => (members::PATH_BETA, members::BODY),
        };
        Request::post(&host, path, &[], body.as_bytes())
    }
}

/// A part of a duration, by 64 random bits.
fn share(of: Duration, random: u64) -> Duration {
    let nanoseconds = (of.as_nanos() * u128::from(random)) >> 64;
    Duration::from_nanos(nanoseconds as u64)
}

/// A number below `count`, by 64 random bits.
fn index(count: usize, random: u64) -> usize {
    ((count as u128 * u128::from(random)) >> 64) as usize
}
