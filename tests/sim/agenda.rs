//! What is going to happen, and when: a queue by virtual time. Owns the order of happenings, and
//! must not know what they do; the world dispatches them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use etcd_gateway::net::NetError;

use crate::connection::Id;

/// A direction of a connection, as the gateway sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// Something that is going to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A client connects to a listener.
    Arrive(usize),
    /// Bytes or an end arrive at the other end of a wire.
    Deliver(Id, Direction),
    /// A dial is decided.
    Decide(Id),
    /// The peer's program acts.
    Act(Id),
    /// The peer resets the connection, or is silent from now on.
    Break(Id),
    /// The connection is lost at the gateway's end: the peer reset it, or the kernel gave it up.
    Die(Id, Loss),
    /// The gateway's reset arrives at the peer.
    Reset(Id),
    /// Readiness that was delayed can be reported.
    Report,
    /// A poll returns, so that a test goes on.
    Wake,
    /// An endpoint changes its state.
    Flap(usize),
    /// Many clients come.
    Burst,
    /// A question arrives at its name server.
    Ask(usize),
    /// A message arrives from a name server, or from an impostor.
    Post(usize),
    /// A dial to a name server is decided, or bytes arrive from there.
    Stream(usize),
    /// The next part of a handshake.
    Flight(Id),
    /// A connection of a check is decided, or bytes of an answer arrive.
    Visit(usize),
    /// A request of a check arrives at its server.
    Asked(usize),
    /// A server ends a connection of checks.
    Hang(usize),
    /// A member may come into another state.
    MemberChange(usize),
    /// A dial to a member that says which endpoints there are is decided, or bytes arrive from it.
    Line(usize),
    /// A question to such a member arrives.
    LineAsked(usize),
    /// Such a member ends a connection.
    LineHang(usize),
    /// Such a member tells over a watch what is new.
    News(usize),
    /// Something may change at the etcd that names the endpoints.
    ClusterChange,
    /// A member learns what the others have agreed on.
    Replicate(usize),
    /// The records of the name servers change.
    ZoneChange,
    /// A name server changes its state.
    ServerFlap(usize),
    /// Something of a guest of the admin side.
    Guest(Deed),
    /// The process is asked to end.
    Terminate,
}

/// What a guest of the admin side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// One comes.
    Comes,
    /// It goes on with what it has to say.
    GoesOn(usize),
    Reads(usize),
}

/// Why a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    Reset,
    TimedOut,
    Unreachable,
    Other,
}

impl Loss {
    pub fn error(self) -> NetError {
        match self {
            Loss::Reset => NetError::Reset,
            Loss::TimedOut => NetError::TimedOut,
            Loss::Unreachable => NetError::HostUnreachable,
            Loss::Other => NetError::Other(71),
        }
    }
}

/// The queue. Happenings of one moment come in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Agenda {
    queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    planned: u64,
}

impl Agenda {
    pub fn plan(&mut self, at: Duration, happening: Happening) {
        self.planned += 1;
        self.queue.push(Reverse((at, self.planned, happening)));
    }

    /// The moment of the next happening.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next happening, if its moment has come.
    pub fn take_due(&mut self, now: Duration) -> Option<Happening> {
        self.next_at().filter(|at| *at <= now)?;
        self.queue.pop().map(|Reverse((.., happening))| happening)
    }
}
