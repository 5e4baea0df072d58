//! What the program at the other end of a connection does: clients and servers, as settings of one
//! small machine. Decides how much to read and to send; the world moves the bytes.

use std::time::Duration;

use crate::faults::{Fault, Faults};
use crate::plan::Plan;
use crate::random::Random;

/// When it begins to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    AtOnce,
    /// Once it has received that number of bytes, or the end.
    AfterBytes(u64),
    /// Once it has received the end.
    AfterEnd,
}

/// When it ends its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Once it has sent what it wanted to.
    WhenSent,
    /// Once it has sent what it wanted to and received the end.
    AfterPeer,
    Never,
}

/// How it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Eagerly,
    /// At most that number of bytes each time it acts.
    Slowly(u64),
    Never,
}

/// The program.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    pub reads: Reads,
    pub speaks: Speaks,
    pub ends: Ends,
    /// Bytes it wants to send.
    pub sends: u64,
    /// Whether it also sends a byte for each one it received.
    pub echoes: bool,
    /// The most it sends each time it acts.
    pub chunk: u64,
    /// The longest pause between two acts.
    pub pause: Duration,
    /// Bytes, in and out, after which it breaks the connection.
    pub breaks_after: Option<u64>,
    /// Whether an act of its is on the agenda.
    pub is_scheduled: bool,
}

impl Actor {
    /// Does nothing by itself: a test plays it.
    pub fn puppet() -> Actor {
        Actor {
            reads: Reads::Eagerly,
            speaks: Speaks::AtOnce,
            ends: Ends::Never,
            sends: 0,
            echoes: false,
            chunk: u64::MAX,
            pause: Duration::ZERO,
            breaks_after: None,
            is_scheduled: false,
        }
    }

    /// Sends back what it receives, and ends when the peer has.
    pub fn echo() -> Actor {
        Actor { echoes: true, ends: Ends::AfterPeer, ..Actor::puppet() }
    }

    /// A well-behaved client with so much to say, and an echo wanted.
    pub fn plain_client(sends: u64) -> Actor {
        Actor { sends, ends: Ends::WhenSent, ..Actor::puppet() }
    }

    /// Whatever a client may be like in such a run.
    pub fn client(random: &mut Random, faults: &mut Faults, plan: &Plan) -> Actor {
        let sends = amount(random, plan);
        let actor = match random.below(8) {
            0 => Actor { sends, ends: Ends::AfterPeer, ..Actor::puppet() },
            1 => Actor { sends, ends: Ends::WhenSent, ..Actor::puppet() },
            2 => Actor { sends: random.below(100), ends: Ends::AfterPeer, ..Actor::puppet() },
            // Half-closes before it is served.
            3 => Actor { ends: Ends::WhenSent, ..Actor::puppet() },
            4 => Actor {
                sends,
                speaks: Speaks::AfterBytes(1),
                ends: Ends::AfterPeer,
                ..Actor::puppet()
            },
            5 => Actor { sends, speaks: Speaks::AfterEnd, ends: Ends::WhenSent, ..Actor::puppet() },
            6 => Actor { sends, ends: Ends::Never, ..Actor::puppet() },
            _ => Actor::puppet(),
        };
        actor.with_manners(random, faults, plan)
    }

    /// Whatever a server may be like in such a run.
    pub fn server(random: &mut Random, faults: &mut Faults, plan: &Plan) -> Actor {
        let sends = amount(random, plan);
        let actor = match random.below(8) {
            0 | 1 => Actor::echo(),
            2 => Actor { sends: random.below(20), ends: Ends::AfterPeer, ..Actor::puppet() },
            // Speaks first.
            3 => Actor { sends, ends: Ends::WhenSent, ..Actor::puppet() },
            4 => {
                let speaks = Speaks::AfterBytes(random.below(100));
                Actor { sends, speaks, ends: Ends::AfterPeer, ..Actor::puppet() }
            }
            5 => Actor { sends, speaks: Speaks::AfterEnd, ends: Ends::WhenSent, ..Actor::puppet() },
            6 => Actor { sends, ends: Ends::Never, ..Actor::echo() },
            _ => Actor { ends: Ends::WhenSent, ..Actor::puppet() },
        };
        actor.with_manners(random, faults, plan)
    }

    fn with_manners(mut self, random: &mut Random, faults: &mut Faults, plan: &Plan) -> Actor {
        let sends_max = plan.sends_max();
        self.chunk = random.one_of(if plan.is_bulk {
            &[20_000, 300_000, u64::MAX, u64::MAX]
        } else {
            &[1, 100, 1500, 20_000, u64::MAX]
        });
        // A byte at a time is for short ones: what matters is then soon seen.
        self.chunk = self.chunk.max(self.sends / 64);
        self.pause = Duration::from_micros(random.one_of(&[0, 0, 1, 50, 1000, 20_000]));
        self.reads = match random.below(8) {
            0 if !plan.is_bulk => Reads::Slowly(random.one_of(&[1, 100, 5000])),
            // What is on the way to it then stays where it is, in a pipe perhaps.
            0 => Reads::Never,
            1 | 2 if plan.is_bulk => {
                self.pause = self.pause.max(Duration::from_millis(1));
                Reads::Slowly(random.one_of(&[5000, 30_000, 300_000]))
            }
            _ => Reads::Eagerly,
        };
        if faults.strike(Fault::PeerStalls, random) {
            self.reads = random.one_of(&[Reads::Never, self.reads]);
            // Enough to fill the queues, if the other one stalls, too.
            self.sends = random.one_of(&[self.sends, (sends_max / 50).min(1_000_000)]);
            self.pause = Duration::from_millis(random.one_to(3000));
        }
        if faults.strike(Fault::PeerResets, random) {
            self.breaks_after = Some(random.one_of(if plan.is_bulk {
                &[100_000, 300_000, 1_000_000, 2_000_000]
            } else {
                &[0, 1, 1000, 30_000]
            }));
        }
        self
    }

    /// From now on it comes to an end as fast as it can.
    pub fn expedite(&mut self, sent: u64) {
        self.reads = Reads::Eagerly;
        self.speaks = Speaks::AtOnce;
        self.ends = Ends::WhenSent;
        self.sends = sent;
        self.echoes = false;
        self.pause = Duration::ZERO;
        self.breaks_after = None;
    }

    /// How many of the waiting bytes it takes now.
    pub fn takes(&self, waiting: u64) -> u64 {
        match self.reads {
            Reads::Eagerly => waiting,
            Reads::Slowly(most) => waiting.min(most),
            Reads::Never => 0,
        }
    }

    /// How many bytes it still wants to send, as things are.
    pub fn wants_to_send(&self, sent: u64, received: u64, has_end: bool) -> u64 {
        let may_speak = match self.speaks {
            Speaks::AtOnce => true,
            Speaks::AfterBytes(bytes) => received >= bytes || has_end,
            Speaks::AfterEnd => has_end,
        };
        let wanted = self.sends + if self.echoes { received } else { 0 };
        if may_speak { wanted.saturating_sub(sent) } else { 0 }
    }

    /// Whether it ends its side now.
    pub fn wants_to_end(&self, sent: u64, received: u64, has_end: bool) -> bool {
        let may_speak = self.speaks != Speaks::AfterEnd || has_end;
        let has_said_all = may_speak && self.wants_to_send(sent, received, has_end) == 0;
        match self.ends {
            Ends::WhenSent => has_said_all,
            Ends::AfterPeer => has_said_all && has_end,
            Ends::Never => false,
        }
    }
}

fn amount(random: &mut Random, plan: &Plan) -> u64 {
    let most = random.one_of(if plan.is_bulk {
        &[1000, 300_000, 1_000_000, 3_000_000, 3_000_000]
    } else {
        &[1, 100, 1000, 1000, 20_000, 20_000, 70_000, 300_000]
    });
    random.below(most + 1).min(plan.sends_max())
}
