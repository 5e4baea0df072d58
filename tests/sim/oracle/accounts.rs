//! What the oracle knows of each connection, from the operations of the gateway on it: clients that
//! it holds, what they wait for, and which connections are pairs.

use std::time::Duration;

use super::pipe::Way;
use super::record::PerTurn;
use crate::connection::{Connection, Id, Role};
use crate::world::World;

/// What is known of one connection.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Of a dialed one: whether the gateway knows the outcome of the dial.
    pub(super) is_decided: bool,
    /// Of one to a server: whether the gateway knows that it is established, and since when.
    pub(super) is_known: bool,
    pub(super) known_at: Duration,
    /// The way by which the next bytes from here go.
    pub(super) way: Way,
    /// Bytes that the gateway read here.
    pub(super) read_in_turn: PerTurn,
    /// Of a client's: the endpoints that failed it.
    pub(super) tried: Vec<usize>,
    /// When it first lacked a descriptor or memory for its server, and when it last did.
    pub(super) short: Option<(Duration, Duration)>,
    /// The endpoint whose turn it was when its last dial could not begin for that reason.
    pub(super) turn_lost_at: Option<usize>,
    /// The last turn in which there was no endpoint for it.
    pub(super) no_choice_in: Option<u64>,
    /// When that, or a shortage, was first so.
    pub(super) waits_since: Option<Duration>,
    /// When that was first so since it was last dialed for.
    pub(super) waits_anew_since: Option<Duration>,
}

impl Account {
    fn new() -> Account {
        Account {
            is_decided: false,
            is_known: false,
            known_at: Duration::ZERO,
            way: Way::Copied { full_reads: 0 },
            read_in_turn: PerTurn::default(),
            tried: Vec::new(),
            short: None,
            turn_lost_at: None,
            no_choice_in: None,
            waits_since: None,
            waits_anew_since: None,
        }
    }

    /// What comes next from the connection has to be read.
    pub(super) fn copies_on(&mut self) {
        self.way = Way::Copied { full_reads: 0 };
    }
}

#[derive(Debug)]
pub(super) struct Accounts {
    /// By connection, as far as the gateway has had to do with them.
    all: Vec<Account>,
    /// One of which nothing is known.
    blank: Account,
    /// Clients that the gateway holds, in the order of their coming.
    pub(super) clients: Vec<Id>,
    /// Sockets of probes that it holds.
    pub(super) probes: Vec<Id>,
}

impl Accounts {
    pub(super) fn new() -> Accounts {
        let (clients, probes) = (Vec::new(), Vec::new());
        Accounts { all: Vec::new(), blank: Account::new(), clients, probes }
    }

    pub(super) fn of(&self, id: Id) -> &Account {
        self.all.get(id).unwrap_or(&self.blank)
    }

    pub(super) fn of_mut(&mut self, id: Id) -> &mut Account {
        if self.all.len() <= id {
            self.all.resize(id + 1, Account::new());
        }
        &mut self.all[id]
    }

    /// Both connections of a pair whose server connection the gateway knows to be established.
    pub(super) fn pair_of<'a>(
        &self,
        world: &'a World,
        client: Id,
    ) -> Option<(&'a Connection, &'a Connection)> {
        let connections = &world.network.connections;
        let client = &connections[client];
        let server = client.server.filter(|server| self.of(*server).is_known)?;
        Some((client, &connections[server]))
    }

    /// The other connection of the pair.
    pub(super) fn mate_of<'a>(&self, world: &'a World, id: Id) -> Option<&'a Connection> {
        match world.network.connections[id].role {
            Role::Client => self.pair_of(world, id).map(|(_, server)| server),
            Role::Server { client, .. } => self.pair_of(world, client).map(|(client, _)| client),
            Role::Probe { .. } => None,
        }
    }

    /// Flows of the client's pair that have read what they could not write yet, not into a pipe.
    pub(super) fn flows_parked(&self, world: &World, client: Id) -> usize {
        let Some((client, server)) = self.pair_of(world, client) else { return 0 };
        usize::from(is_parked(client, server)) + usize::from(is_parked(server, client))
    }
}

/// Whether bytes from the source wait in memory for the sink to take them.
fn is_parked(source: &Connection, sink: &Connection) -> bool {
    let holds = !sink.reported.lost && source.inbound.taken > sink.written;
    holds && source.pipe.is_none()
}
