//! What is known of one guest from what the gateway read and wrote: which request is to be answered
//! next, since when, and how far the answer is.

use std::time::Duration;

use etcd_gateway::config::{
    ADMIN_ANSWER_TIMEOUT, ADMIN_HEAD_TIMEOUT, ADMIN_IDLE_TIMEOUT, ADMIN_LINGER_TIMEOUT,
    ADMIN_STALL_TIME,
};

use super::answers::AnswerReader;
use crate::guests::Guest;
use crate::guests::requests::Message;

/// A moment: a turn, and its time.
pub(super) type Moment = (u64, Duration);

/// What the gateway has to do for a guest, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of its first request has come.
    New { since: Duration },
    /// Nothing of a further request has come.
    Idle { since: Duration },
    /// A request has begun.
    Head { since: Duration },
    /// A request is to be answered, or its answer to be given to its end. In which turn it was
    /// asked, and when a byte of the answer was last taken.
    Answering { since: Moment },
    /// The last answer is given.
    Lingering { since: Duration },
}

impl Stage {
    /// From when on its place may be given to another guest.
    pub(super) fn stalls_at(self) -> Duration {
        let (Stage::New { since }
        | Stage::Idle { since }
        | Stage::Head { since }
        | Stage::Answering { since: (_, since) }
        | Stage::Lingering { since }) = self;
        since + ADMIN_STALL_TIME
    }

    /// When its time is over.
    pub(super) fn until(self) -> Duration {
        match self {
            Stage::Idle { since } => since + ADMIN_IDLE_TIMEOUT,
            Stage::New { since } | Stage::Head { since } => since + ADMIN_HEAD_TIMEOUT,
            Stage::Answering { since: (_, since) } => since + ADMIN_ANSWER_TIMEOUT,
            Stage::Lingering { since } => since + ADMIN_LINGER_TIMEOUT,
        }
    }
}

#[derive(Debug)]
pub(super) struct GuestBook {
    pub(super) stage: Stage,
    /// The message that is answered next.
    pub(super) next: usize,
    pub(super) reader: AnswerReader,
    /// The turn in which the present answer began.
    pub(super) begun_in: u64,
    /// The head was late, which is being answered: when its time was over.
    pub(super) late_at: Option<Duration>,
    /// When it first took nothing since it took something.
    pub(super) blocked_at: Option<Duration>,
    /// When its time for an answer may have been given once more.
    pub(super) spared_at: Duration,
    /// The gateway has tried to read.
    pub(super) is_looked_at: bool,
    pub(super) has_ended: bool,
    pub(super) is_lost: bool,
}

impl GuestBook {
    pub(super) fn new((_, now): Moment) -> GuestBook {
        GuestBook {
            stage: Stage::New { since: now },
            next: 0,
            reader: AnswerReader::default(),
            begun_in: 0,
            late_at: None,
            blocked_at: None,
            spared_at: Duration::ZERO,
            is_looked_at: false,
            has_ended: false,
            is_lost: false,
        }
    }

    /// The message that is answered next.
    pub(super) fn message<'a>(&self, guest: &'a Guest) -> Option<&'a Message> {
        guest.speech.messages.get(self.next)
    }

    /// From when on its place may be given to another guest. That its head is late, and answered,
    /// is nothing that it has done.
    pub(super) fn stalls_at(&self) -> Duration {
        match self.late_at {
            Some(late_at) if !self.reader.is_within() => {
                late_at - ADMIN_HEAD_TIMEOUT + ADMIN_STALL_TIME
            }
            _ => self.stage.stalls_at(),
        }
    }

    /// Notes that a part of an answer was taken.
    pub(super) fn take(&mut self, now: Duration) {
        self.blocked_at = None;
        if let Stage::Answering { since: (_, taken_at) } = &mut self.stage {
            *taken_at = now;
        }
    }

    /// Notes what of the next message was read. Returns whether it asks how endpoints do, and is
    /// to be answered from now on.
    pub(super) fn settle(&mut self, guest: &Guest, at: Moment) -> bool {
        let Some(message) = guest.speech.messages.get(self.next) else { return false };
        let is_idle = matches!(self.stage, Stage::New { .. } | Stage::Idle { .. });
        if !is_idle && !matches!(self.stage, Stage::Head { .. }) {
            return false;
        }
        if guest.taken >= message.known_at {
            self.stage = Stage::Answering { since: at };
            return message.subject.is_of_endpoints();
        }
        if guest.taken > message.begin && is_idle {
            self.stage = Stage::Head { since: at.1 };
        }
        false
    }
}
