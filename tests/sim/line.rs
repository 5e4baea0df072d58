//! One connection to a member of etcd that says which endpoints there are: what the member says
//! over it, and how much of that the gateway has got.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_gateway::net::{NetError, Readiness};

use crate::inquiry::{Asked, Reply, Said};
use crate::reports::{Reported, StreamState};

/// Something in the bytes of a member that means something.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The bytes before it, and those before its end.
    begin: usize,
    end: usize,
    /// It is whole only once the connection has ended.
    pub is_until_end: bool,
    is_begun: bool,
    said: Said,
}

/// What the gateway has read, and whether all of it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub said: Said,
    pub is_whole: bool,
}

/// A watch as the member has it.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// The revision of the next change to tell.
    pub next: u64,
    /// It is refused, canceled or lost.
    pub is_over: bool,
}

#[derive(Debug)]
pub struct Line {
    pub token: usize,
    /// The member at the other end.
    pub member: usize,
    pub opened_at: Duration,
    pub is_open: bool,
    pub is_established: bool,
    /// The gateway knows that it is.
    pub is_known: bool,
    pub death: Option<NetError>,
    pub written: u64,
    pub request: Vec<u8>,
    /// What the member was asked, until its answer was read.
    pub asked: Option<Asked>,
    /// When the gateway first tried to send the question that is under way, until its answer was
    /// read.
    pub questioned_at: Option<Duration>,
    /// Questions that were sent whole.
    pub questions: u64,
    pub is_answered: bool,
    pub watch: Option<Watch>,
    /// All that the member says over it.
    pub said: Vec<u8>,
    pub marks: VecDeque<Mark>,
    pub arrived: usize,
    pub taken: usize,
    /// The connection ends once so much has arrived; whether by a reset.
    pub breaks_at: Option<(usize, bool)>,
    pub has_ended: bool,
    /// The member is gone, and no packet says so.
    pub is_mute: bool,
    /// The last write did not take all, and an event is to say when to go on.
    pub is_blocked: bool,
    pub reported_readable: bool,
    pub reported_writable: bool,
}

impl Line {
    pub fn new(token: usize, member: usize, opened_at: Duration) -> Line {
        Line {
            token,
            member,
            opened_at,
            is_open: true,
            is_established: false,
            is_known: false,
            death: None,
            written: 0,
            request: Vec::new(),
            asked: None,
            questioned_at: None,
            questions: 0,
            is_answered: false,
            watch: None,
            said: Vec::new(),
            marks: VecDeque::new(),
            arrived: 0,
            taken: 0,
            breaks_at: None,
            has_ended: false,
            is_mute: false,
            is_blocked: false,
            reported_readable: false,
            reported_writable: false,
        }
    }

    /// Whether the member has ended it, or it is lost.
    pub fn is_over(&self) -> bool {
        self.death.is_some() || self.has_ended
    }

    /// Whether no question was sent whole over it so far.
    pub fn is_unasked(&self) -> bool {
        self.questions == 0
    }

    /// Whether the last answer was read to its end, and no further question is under way.
    pub fn is_idle(&self) -> bool {
        self.questions > 0 && self.questioned_at.is_none()
    }

    pub fn hears(&self) -> bool {
        self.is_open && self.is_established && !self.is_mute && !self.is_over()
    }

    /// Adds what the member says, with what it means.
    pub fn say(&mut self, reply: Reply) {
        let Reply { bytes, said, ends, is_until_end, is_streamed } = reply;
        let begin = self.said.len();
        self.said.extend(&bytes);
        let end = self.said.len();
        // A message may be understood before the line break behind it, and a refusal with its last
        // brace, before the end of the chunks.
        let last_brace = bytes.iter().rposition(|byte| *byte == b'}');
        let begin = match (&said, last_brace) {
            _ if is_streamed => begin,
            (Said::Refused, Some(last_brace)) => begin + last_brace,
            _ => end.saturating_sub(1),
        };
        self.marks.push_back(Mark { begin, end, is_until_end, is_begun: false, said });
        if ends {
            self.breaks_at.get_or_insert((end, false));
        }
    }

    /// What the gateway has got to read since it was last asked for.
    pub fn take_heard(&mut self, is_at_end: bool) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(mark) = self.marks.front_mut() {
            let is_whole = mark.end <= self.taken && (!mark.is_until_end || is_at_end);
            if mark.begin >= self.taken || !is_whole && mark.is_begun {
                break;
            }
            mark.is_begun = true;
            heard.push(Heard { said: mark.said.clone(), is_whole });
            if !is_whole {
                break;
            }
            self.marks.pop_front();
        }
        heard
    }
}

impl Reported for Line {
    const EVENT: &'static str = "event of a line";

    fn token(&self) -> usize {
        self.token
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn unreported(&self) -> Readiness {
        StreamState {
            is_dead: self.death.is_some(),
            has_ended: self.has_ended,
            has_bytes: self.arrived > self.taken,
            is_established: self.is_established,
            reported_readable: self.reported_readable,
            reported_writable: self.reported_writable,
        }
        .unreported()
    }

    fn on_reported(&mut self, readiness: Readiness) {
        self.reported_readable |= readiness.readable;
        self.reported_writable |= readiness.writable;
    }
}
