//! One connection of a guest, a client of the admin side: what it says and when, how it reads, and
//! what the gateway knows of it.

use std::time::Duration;

use etcd_gateway::net::{NetError, Readiness};

use super::requests::Speech;
use crate::random::Random;
use crate::reports::Reported;

const MILLISECOND: Duration = Duration::from_millis(1);

/// How a guest reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Eagerly,
    /// A number of bytes at most, and then nothing for a while.
    Slowly(usize, Duration),
    Never,
}

/// What a guest does once it has said all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    Stays,
    Ends,
    Resets,
}

#[derive(Debug)]
pub struct Guest {
    pub speech: Speech,
    /// What it does next: says its bytes up to there, and then waits for so long.
    steps: Vec<(usize, Duration)>,
    pub leaves: Leaving,
    pub reads: Reading,
    /// The door at which it came.
    pub door: usize,
    /// None while it waits in a backlog.
    pub token: Option<usize>,
    pub is_open: bool,
    /// Bytes that have arrived at the gateway, and those that it took.
    pub arrived: usize,
    pub taken: usize,
    pub has_ended: bool,
    pub death: Option<NetError>,
    /// Bytes that the gateway wrote, those that the guest has read, and how many may wait.
    pub written: usize,
    pub drained: usize,
    /// When it read last.
    pub read_at: Duration,
    room: usize,
    pub is_reading: bool,
    /// The gateway has shut its side.
    pub is_shut: bool,
    pub reported_readable: bool,
    pub reported_writable: bool,
}

impl Guest {
    pub fn new(door: usize, speech: Speech) -> Guest {
        let steps = vec![(speech.bytes.len(), 100 * MILLISECOND)];
        Guest {
            speech,
            steps,
            leaves: Leaving::Ends,
            reads: Reading::Eagerly,
            door,
            token: None,
            is_open: false,
            arrived: 0,
            taken: 0,
            has_ended: false,
            death: None,
            written: 0,
            drained: 0,
            read_at: Duration::ZERO,
            room: 64 * 1024,
            is_reading: false,
            is_shut: false,
            reported_readable: false,
            reported_writable: false,
        }
    }

    /// Whatever a guest may be like.
    pub fn draw(random: &mut Random, door: usize) -> Guest {
        let speech = Speech::draw(random);
        let steps = steps(random, &speech);
        let leaves = match random.below(8) {
            0..4 => Leaving::Stays,
            4..=6 => Leaving::Ends,
            _ => Leaving::Resets,
        };
        let reads = match random.below(8) {
            0 => Reading::Never,
            1 => Reading::Slowly(
                random.one_of(&[1, 100, 1000, 5000]),
                random.one_of(&[1, 20, 300, 4000]) * MILLISECOND,
            ),
            _ => Reading::Eagerly,
        };
        let room = random.one_of(&[1, 100, 3000, 16_384, 64 * 1024, 1 << 20]);
        Guest { steps, leaves, reads, room, ..Guest::new(door, speech) }
    }

    /// From now on it says nothing, and comes to an end.
    pub fn expedite(&mut self) {
        self.steps.clear();
        self.reads = Reading::Eagerly;
        self.room = self.room.max(64 * 1024);
        if self.leaves == Leaving::Stays {
            self.leaves = Leaving::Ends;
        }
    }

    /// The next thing that it does: how many bytes arrive, and when it goes on. `None`: it has said
    /// all.
    pub fn next_step(&mut self) -> Option<(usize, Duration)> {
        (!self.steps.is_empty()).then(|| self.steps.remove(0))
    }

    pub fn is_over(&self) -> bool {
        self.death.is_some() || self.has_ended
    }

    pub fn waiting(&self) -> usize {
        self.arrived - self.taken
    }

    /// Bytes that the gateway may write now.
    pub fn space(&self) -> usize {
        self.room.saturating_sub(self.written - self.drained)
    }
}

/// When which bytes are said.
fn steps(random: &mut Random, speech: &Speech) -> Vec<(usize, Duration)> {
    let length = speech.bytes.len();
    let pause = random.one_of(&[0, 0, 1, 20, 300, 2000, 6000]) * MILLISECOND;
    let rest = random.one_of(&[0, 1, 100, 3000, 20_000]) * MILLISECOND;
    let mut cuts: Vec<usize> = match random.below(6) {
        // One request after another.
        0 | 1 => speech.messages.iter().map(|message| message.begin).collect(),
        2 => (0..random.below(5)).map(|_| random.below(length as u64 + 1) as usize).collect(),
        3 if length < 200 => (1..length).collect(),
        3 => (0..length).step_by(1 + length / 40).collect(),
        _ => Vec::new(),
    };
    cuts.retain(|cut| (1..length).contains(cut));
    cuts.sort_unstable();
    cuts.dedup();
    let mut steps: Vec<_> = cuts.into_iter().map(|cut| (cut, pause)).collect();
    steps.push((length, rest));
    steps
}

impl Reported for Guest {
    const EVENT: &'static str = "event of a guest";

    fn token(&self) -> usize {
        self.token.expect("a guest that was accepted")
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn unreported(&self) -> Readiness {
        let is_dead = self.death.is_some();
        Readiness {
            readable: (self.is_over() || self.waiting() > 0) && !self.reported_readable,
            writable: (is_dead || self.space() > 0) && !self.reported_writable,
            closed: self.is_over() && !self.reported_readable,
            error: is_dead && !self.reported_readable,
            urgent: false,
        }
    }

    fn on_reported(&mut self, readiness: Readiness) {
        self.reported_readable |= readiness.readable;
        self.reported_writable |= readiness.writable;
    }
}
