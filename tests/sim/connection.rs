//! One connection between the gateway and a peer: both wires, how it was lost, and what the
//! gateway has been told of it, which is what may be asked of the gateway.

use std::time::Duration;

use etcd_gateway::net::{Close, NetError, Readiness};

use crate::actor::Actor;
use crate::pipes::PipeId;
use crate::wire::Wire;

/// Names a connection for the whole run.
pub type Id = usize;

/// What the connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client's.
    Client,
    /// To an endpoint, for this client.
    Server { endpoint: usize, client: Id },
    /// To an endpoint, of the monitor.
    Probe { endpoint: usize },
}

impl Role {
    /// The endpoint that it leads to, if it was dialed.
    pub fn endpoint(self) -> Option<usize> {
        match self {
            Role::Client => None,
            Role::Server { endpoint, .. } | Role::Probe { endpoint } => Some(endpoint),
        }
    }
}

/// How the peer sees the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerView {
    Open,
    /// It has got the gateway's end.
    Ended,
    /// It has got a reset.
    Reset,
    /// It has broken the connection itself.
    Broke,
}

/// What the gateway was told and has not used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reported {
    pub readable: bool,
    pub writable: bool,
    pub urgent: bool,
    pub closed: bool,
    pub error: bool,
    /// An operation showed that the connection is lost.
    pub lost: bool,
    /// When it could first know that the peer sends no more.
    pub half_closed_at: Option<Duration>,
}

/// Everything that events of one turn have said: a bit for each of the things they may say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    turn: u64,
    words: u32,
}

impl Said {
    pub fn add(&mut self, turn: u64, readiness: Readiness) {
        let words = if self.turn == turn { self.words } else { 0 };
        *self = Said { turn, words: words | 1 << bits(readiness) };
    }

    /// Whether an event of that turn said just this.
    pub fn has(&self, turn: u64, readiness: Readiness) -> bool {
        self.turn == turn && self.words >> bits(readiness) & 1 == 1
    }
}

/// The bits of a readiness, the first one on the left.
pub fn bits(readiness: Readiness) -> u32 {
    let Readiness { readable, writable, urgent, closed, error } = readiness;
    let bits = [readable, writable, urgent, closed, error];
    bits.into_iter().fold(0, |bits, bit| bits << 1 | u32::from(bit))
}

/// How the connection died at the gateway's end.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// The error that waits in the socket.
    pub error: Option<NetError>,
    /// What the socket says of its send queue from now on.
    pub unsent: u64,
}

#[derive(Debug)]
pub struct Connection {
    pub role: Role,
    /// Of a client's: the connection dialed for it, the last one if there were several.
    pub server: Option<Id>,
    /// The token it is registered under; none while it waits in a backlog.
    pub token: Option<usize>,
    /// From the peer to the gateway.
    pub inbound: Wire,
    /// From the gateway to the peer.
    pub outbound: Wire,
    pub latency: Duration,
    /// Whether it is established, as far as the kernel knows.
    pub is_established: bool,
    pub dialed_at: Duration,
    /// The dial ended at the gateway itself.
    pub meets_itself: bool,
    /// How often the gateway has looked for the outcome since it was last told of anything.
    pub looks_in_vain: u32,
    pub death: Option<Death>,
    pub reported: Reported,
    /// The next event that could tell of urgent bytes tells of bytes alone.
    pub reports_bytes_first: bool,
    /// There is something to tell, from then on.
    pub report_due: Option<Duration>,
    pub closed: Option<Close>,
    pub actor: Actor,
    pub peer_view: PeerView,
    /// When the gateway last moved a byte or learned of an end here.
    pub progress_at: Duration,
    /// When the peer's kernel last acknowledged something.
    pub acknowledged_at: Duration,
    /// How often the gateway read here, splices not counted.
    pub reads: u64,
    /// Bytes that the gateway wrote here.
    pub written: u64,
    /// Bytes of one segment as the kernel queued it, which takes a slot of a pipe.
    pub segment: u64,
    /// The pipe that holds bytes from here.
    pub pipe: Option<PipeId>,
    /// The gateway has set the options of one that lasts.
    pub has_deferred_options: bool,
    /// How it ends when its socket is closed, as the gateway has set it.
    pub ends_by: Close,
    /// What events have said of it, and in which turn.
    pub said: Said,
}

impl Connection {
    pub fn new(role: Role, actor: Actor, inbound: Wire, outbound: Wire) -> Connection {
        Connection {
            role,
            server: None,
            token: None,
            inbound,
            outbound,
            latency: Duration::ZERO,
            is_established: false,
            dialed_at: Duration::ZERO,
            meets_itself: false,
            looks_in_vain: 0,
            death: None,
            reported: Reported::default(),
            reports_bytes_first: false,
            report_due: None,
            closed: None,
            actor,
            peer_view: PeerView::Open,
            progress_at: Duration::ZERO,
            acknowledged_at: Duration::ZERO,
            reads: 0,
            written: 0,
            segment: u64::MAX,
            pipe: None,
            has_deferred_options: false,
            ends_by: Close::Orderly,
            said: Said::default(),
        }
    }

    pub fn is_client(&self) -> bool {
        self.role == Role::Client
    }

    /// Whether the gateway holds its socket.
    pub fn is_open(&self) -> bool {
        self.token.is_some() && self.closed.is_none()
    }

    pub fn is_dead(&self) -> bool {
        self.death.is_some()
    }

    /// An operation shows the gateway that the connection is lost. That is news but once.
    pub fn show_lost(&mut self, now: Duration) {
        if !self.reported.lost {
            self.reported.lost = true;
            self.reported.half_closed_at.get_or_insert(now);
            self.progress_at = now;
        }
    }

    /// Whether the gateway has taken the peer's end from it.
    pub fn end_is_read(&self) -> bool {
        self.inbound.end_taken
    }

    /// Whether its loss could be known to the gateway.
    pub fn loss_is_reported(&self) -> bool {
        self.is_dead() && (self.reported.lost || self.reported.error)
    }

    /// Whether a read that leaves room in its buffer tells of the end behind the bytes: the socket
    /// is told to be closed, and nothing is told to be in the way.
    pub fn short_read_reveals_end(&self) -> bool {
        let reported = &self.reported;
        let has_error_to_tell = reported.error && !reported.lost;
        reported.closed && !reported.urgent && !has_error_to_tell
    }

    /// What the gateway's kernel would say of its send queue.
    pub fn unsent(&self) -> u64 {
        self.death.map_or_else(|| self.outbound.unacknowledged(), |death| death.unsent)
    }

    /// What is true of the socket now, as an event would tell it.
    pub fn readiness(&self) -> Readiness {
        let is_dead = self.is_dead();
        let inbound = &self.inbound;
        let urgent = inbound.urgent_mark.is_some_and(|mark| mark < inbound.arrived);
        Readiness {
            readable: is_dead
                || inbound.waiting() > 0
                || (inbound.end_arrived && !inbound.end_taken),
            writable: is_dead || (self.is_established && self.outbound.room() > 0),
            urgent,
            closed: is_dead || inbound.end_arrived,
            error: is_dead && !self.reported.lost,
        }
    }

    /// What of that the gateway was not reported: a change is told once, and again only once it was
    /// used up. That is the least that edge-triggered readiness promises; Linux tells more.
    pub fn unreported(&self) -> Readiness {
        let now = self.readiness();
        Readiness {
            readable: now.readable && !self.reported.readable,
            writable: now.writable && !self.reported.writable,
            urgent: now.urgent && !self.reported.urgent,
            closed: now.closed && !self.reported.closed,
            error: now.error && !self.reported.error,
        }
    }
}
