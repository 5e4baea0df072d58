//! What is known of one endpoint from the answers that it gave to health checks, and when it has to
//! be asked again. The states are those of the promise: they change by passes or failures in a row.

use std::time::Duration;

use etcd_gateway::upstream::CheckLimits;

use super::endpoint::Standing;
use crate::connection::Id;

/// Answers of another kind in a row that make a stranger, where each alone could be of a member
/// that ends.
const STRANGE_MAX: u8 = 3;
/// Checks without an answer after which one that is not known is asked less often, and how often.
const MUTE_MAX: u32 = 12;
const MUTE_INTERVAL: Duration = Duration::from_secs(60);
/// What a check costs that writes to disks, in intervals.
const COSTLY: u32 = 6;

/// What one check has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// It does not serve, or was not reached.
    Failed {
        is_answer: bool,
    },
    /// It did what no such server does; `is_certain`: not even while it ends.
    Strange {
        is_certain: bool,
    },
    /// For reasons of our own nothing was found out.
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unknown { strange: u8, mute: u32 },
    Passing { failures: u32 },
    Failing { since: Duration, passes: u32 },
    Foreign,
}

const UNKNOWN: State = State::Unknown { strange: 0, mute: 0 };

/// A check that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) on: Option<Id>,
    /// When it was dialed for, connected, or asked over a connection that was kept.
    pub(super) step_at: Duration,
    /// Asked over a connection that was kept, which the server may have ended just before.
    pub(super) is_kept: bool,
    /// Another connection may be dialed, or another request sent: it is to be repeated, or asked
    /// otherwise.
    pub(super) goes_on: bool,
}

#[derive(Clone, Debug)]
pub(super) struct CheckBook {
    pub(super) state: State,
    /// It may be a stranger, as long as it has not answered as a member.
    is_tentative: bool,
    is_proven: bool,
    /// It is asked in a way that writes to disks.
    pub(super) is_costly: bool,
    /// It once was, so that a pause may be as long as after that.
    pub(super) was_costly: bool,
    /// A stranger that was not there, and may be another server when it is.
    is_away: bool,
    pub(super) begun_at: Option<Duration>,
    pub(super) flight: Option<Flight>,
    /// By when the next check has to begin.
    pub(super) due_at: Duration,
    /// The last check was not passed.
    pub(super) has_failed: bool,
    /// When a check last ended undecided, or it was not to be asked for a while.
    pub(super) vague_at: Duration,
}

impl CheckBook {
    pub(super) fn new(is_tentative: bool) -> CheckBook {
        CheckBook {
            state: UNKNOWN,
            is_tentative,
            is_proven: false,
            is_costly: false,
            was_costly: false,
            is_away: false,
            begun_at: None,
            flight: None,
            due_at: Duration::ZERO,
            has_failed: false,
            vague_at: Duration::ZERO,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        match self.state {
            // Used as without checks, until one shows that it may be away.
            State::Unknown { mute: 0, .. } if !self.must_answer() => Standing::Serving,
            State::Passing { .. } | State::Foreign => Standing::Serving,
            State::Unknown { .. } => Standing::Unknown,
            State::Failing { .. } => Standing::Failing,
        }
    }

    /// Whether it is asked: a stranger is not, unless it was away.
    pub(super) fn is_asked(&self) -> bool {
        self.state != State::Foreign || self.is_away
    }

    /// Whether silence counts against it.
    pub(super) fn must_answer(&self) -> bool {
        self.is_proven || !self.is_tentative
    }

    /// The earliest moment of the next check.
    pub(super) fn rested_at(&self, limits: &CheckLimits) -> Duration {
        self.begun_at.map_or(Duration::ZERO, |at| at + limits.spacing)
    }

    /// Something speaks against it: the next check comes as soon as it may.
    pub(super) fn suspect(&mut self, limits: &CheckLimits, now: Duration) {
        if self.flight.is_none() {
            self.due_at = self.due_at.min(now.max(self.rested_at(limits)));
        }
    }

    /// A client's dial has shown that it is not there. What comes back may be another server.
    pub(super) fn on_outage(&mut self, limits: &CheckLimits, now: Duration) {
        match self.state {
            State::Foreign => {
                self.is_away = true;
                if self.flight.is_none() {
                    self.due_at = now.max(self.rested_at(limits));
                }
            }
            State::Passing { .. } => {
                self.state = UNKNOWN;
                self.vague_at = now;
                self.suspect(limits, now);
            }
            State::Unknown { .. } | State::Failing { .. } => {}
        }
    }

    pub(super) fn on_outcome(&mut self, outcome: Outcome, limits: &CheckLimits, now: Duration) {
        self.flight = None;
        self.has_failed = outcome != Outcome::Passed;
        self.is_away = matches!(outcome, Outcome::Local | Outcome::Failed { is_answer: false });
        match outcome {
            Outcome::Passed => self.pass(limits),
            Outcome::Local => self.vague_at = now,
            Outcome::Failed { is_answer } => self.fail(is_answer, limits, now),
            Outcome::Strange { is_certain } => match self.state {
                State::Unknown { strange, mute } if !self.must_answer() => {
                    let is_stranger = is_certain || strange + 1 == STRANGE_MAX;
                    let unknown = State::Unknown { strange: strange + 1, mute };
                    self.state = if is_stranger { State::Foreign } else { unknown };
                }
                State::Foreign => {}
                _ => self.fail(true, limits, now),
            },
        }
        let pause = self.pause(limits);
        let most = if pause == limits.spacing { pause } else { pause + pause / 10 };
        self.due_at = now + most;
    }

    fn pass(&mut self, limits: &CheckLimits) {
        self.is_proven = true;
        self.state = match self.state {
            State::Failing { since, passes } if passes + 1 < limits.rise => {
                State::Failing { since, passes: passes + 1 }
            }
            _ => State::Passing { failures: 0 },
        };
    }

    fn fail(&mut self, is_answer: bool, limits: &CheckLimits, now: Duration) {
        self.state = match self.state {
            State::Unknown { mute, .. } if !is_answer && !self.must_answer() => {
                State::Unknown { strange: 0, mute: mute + 1 }
            }
            State::Passing { failures } if failures + 1 < limits.fall => {
                State::Passing { failures: failures + 1 }
            }
            State::Failing { since, .. } => State::Failing { since, passes: 0 },
            State::Foreign if !is_answer => State::Foreign,
            State::Unknown { .. } | State::Passing { .. } | State::Foreign => {
                self.is_proven = true;
                State::Failing { since: now, passes: 0 }
            }
        };
    }

    /// The usual time until the next check, without chance.
    fn pause(&self, limits: &CheckLimits) -> Duration {
        let interval = limits.interval * if self.is_costly { COSTLY } else { 1 };
        let pause = match self.state {
            State::Passing { failures: 1.. } | State::Failing { passes: 1.., .. } => Duration::ZERO,
            State::Unknown { mute: MUTE_MAX.., .. } => interval.max(MUTE_INTERVAL),
            _ => interval,
        };
        pause.max(limits.spacing)
    }

    /// The longest time until it counts as failing, once each check fails.
    pub(super) fn patience(&self, limits: &CheckLimits, timeout: Duration) -> Duration {
        let interval = limits.interval * if self.was_costly { COSTLY } else { 1 };
        let pause = interval.max(limits.spacing) * 11 / 10;
        // Repeated, connected anew and answered late, in any of three forms.
        let each = 5 * timeout + limits.spacing + Duration::from_millis(40);
        pause + each * (limits.fall + 1)
    }
}
