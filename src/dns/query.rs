//! One question to the name servers: whom to ask, for how long, and which answer to believe.
//!
//! Owns the tries that are open. Must not know sockets or the clock: what is to be sent is handed
//! out as a [`Command`], what came back is handed in, `now` and random numbers are arguments.
//!
//! ```text
//!   try 1, server A ──► silence ──────────────────► a late answer is still heard
//!          └─ after at most 2 s ─► try 2, server B ──► cut short ──► the same by TCP ──► answer
//! ```
//!
//! Each try has a socket, and with it a port, and an id of its own (RFC 5452): whoever wants to
//! forge an answer has to guess both, anew for each try. An answer that names another id or another
//! question is passed over as if it had not come, and the wait goes on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::message::{self, Kind, Records, Reply, ServerFailure};
use super::name::Name;
use super::resolv_conf::ResolvConf;
use super::{Command, Exchange, Failure, Transport};
use crate::config::{
    DNS_ALIASES_MAX, DNS_FOREIGN_MAX, DNS_QUERY_MAX, DNS_RESEND_MAX, DNS_TRIES_OPEN_MAX,
};

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// The records, and how long they hold.
    Records(Records, Duration),
    /// There are none: the name has none of that kind, or does not exist at all.
    Nothing { exists: bool, ttl: Option<Duration> },
    /// Nobody could or would say.
    Failed(Failure),
}

/// What a question needs of its surroundings.
pub(super) struct Surroundings<'a> {
    pub(super) configuration: &'a ResolvConf,
    /// The server that the first try of a question goes to.
    pub(super) server_first: &'a mut usize,
    pub(super) exchanges: &'a mut u64,
    pub(super) commands: &'a mut Vec<Command>,
    pub(super) random: &'a mut dyn FnMut() -> u64,
    pub(super) now: Instant,
}

impl Surroundings<'_> {
    fn server_count(&self) -> usize {
        self.configuration.servers.len()
    }

    /// Silence after which the next server is asked.
    fn patience(&self) -> Duration {
        self.configuration.timeout.min(DNS_RESEND_MAX)
    }

    /// As long as the C library would take in all, within a bound.
    fn time_in_all(&self) -> Duration {
        let rounds = u32::from(self.configuration.attempts);
        let tries = rounds.saturating_mul(self.server_count() as u32);
        self.configuration.timeout.saturating_mul(tries).min(DNS_QUERY_MAX)
    }
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Query {
    /// The name that is asked for now: the end of the aliases so far.
    name: Name,
    kind: Kind,
    aliases: usize,
    /// The shortest life of an alias so far.
    alias_ttl: Option<Duration>,
    /// Those that may still be answered, the latest last.
    tries: Vec<Try>,
    server_next: usize,
    /// Servers in a row that failed instead of being silent.
    failed_in_a_row: usize,
    failure: Failure,
    edns: bool,
    try_again_at: Instant,
    give_up_at: Instant,
}

#[derive(Debug)]
struct Try {
    exchange: Exchange,
    server: usize,
    transport: Transport,
    id: u16,
    foreign: usize,
}

impl Query {
    /// Begins with the first try.
    pub(super) fn begin(name: Name, kind: Kind, around: &mut Surroundings<'_>) -> Query {
        let first = match around.configuration.rotate {
            true => (around.random)() as usize,
            false => *around.server_first,
        };
        let mut query = Query {
            name,
            kind,
            aliases: 0,
            alias_ttl: None,
            tries: Vec::new(),
            server_next: first % around.server_count(),
            failed_in_a_row: 0,
            failure: Failure::TimedOut,
            edns: true,
            try_again_at: around.now,
            give_up_at: around.now + around.time_in_all(),
        };
        query.ask_next_server(around);
        query
    }

    /// Its answer is not worth waiting for any longer than that.
    pub(super) fn give_up_by(&mut self, deadline: Instant) {
        self.give_up_at = self.give_up_at.min(deadline);
    }

    /// Whether the exchange is one of its tries.
    pub(super) fn owns(&self, exchange: Exchange) -> bool {
        self.tries.iter().any(|it| it.exchange == exchange)
    }

    /// When to call [`Query::expire`].
    pub(super) fn deadline(&self) -> Instant {
        self.try_again_at.min(self.give_up_at)
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, around: &mut Surroundings<'_>) -> Option<Conclusion> {
        if self.give_up_at <= around.now {
            return Some(self.conclude(Conclusion::Failed(Failure::TimedOut), around));
        }
        if self.try_again_at <= around.now {
            self.failed_in_a_row = 0;
            self.ask_next_server(around);
        }
        None
    }

    /// A message came from the server.
    pub(super) fn on_message(
        &mut self,
        exchange: Exchange,
        bytes: &[u8],
        around: &mut Surroundings<'_>,
    ) -> Option<Conclusion> {
        let position = self.tries.iter().position(|it| it.exchange == exchange)?;
        let Try { id, server, transport, .. } = self.tries[position];
        match message::read_reply(bytes, id, &self.name, self.kind) {
            Reply::Foreign => self.on_foreign(position, around),
            Reply::Truncated if transport == Transport::Datagram => {
                self.close(position, around);
                self.ask(server, Transport::Stream, around);
                None
            }
            Reply::Records { records, ttl } => {
                *around.server_first = server;
                let conclusion = Conclusion::Records(records, self.shortest(ttl));
                Some(self.conclude(conclusion, around))
            }
            Reply::Alias { target, ttl } => {
                *around.server_first = server;
                self.on_alias(target, ttl, around)
            }
            Reply::Nothing { exists, ttl } => {
                *around.server_first = server;
                let ttl = ttl.map(|ttl| self.shortest(ttl));
                Some(self.conclude(Conclusion::Nothing { exists, ttl }, around))
            }
            Reply::Failed(ServerFailure::Format | ServerFailure::NotImplemented) if self.edns => {
                // A server from before RFC 6891 cannot read what we ask with; the question may
                // be put more simply.
                self.edns = false;
                self.close(position, around);
                self.ask(server, transport, around);
                None
            }
            Reply::Failed(failure) => self.on_failed(exchange, Failure::Server(failure), around),
            Reply::Malformed | Reply::Truncated => {
                self.on_failed(exchange, Failure::Malformed, around)
            }
        }
    }

    /// The try came to nothing: the server refused it, or answered that it cannot help. The next
    /// one is asked at once, unless all of them have just failed like that.
    pub(super) fn on_failed(
        &mut self,
        exchange: Exchange,
        failure: Failure,
        around: &mut Surroundings<'_>,
    ) -> Option<Conclusion> {
        let position = self.tries.iter().position(|it| it.exchange == exchange)?;
        self.close(position, around);
        self.failure = failure;
        if failure == Failure::Shortage {
            // Ours, so the next server would be no better; the time to try again is set already.
            return None;
        }
        self.failed_in_a_row += 1;
        if self.failed_in_a_row < around.server_count() {
            self.ask_next_server(around);
        } else if self.tries.is_empty() {
            return Some(Conclusion::Failed(failure));
        }
        None
    }

    /// Gives all tries up.
    pub(super) fn abandon(&mut self, commands: &mut Vec<Command>) {
        commands.extend(self.tries.drain(..).map(|open| Command::Close(open.exchange)));
    }

    /// Not an answer to our question. Somebody guesses, or the server is at fault; either way the
    /// right answer may still come, but not behind any number of wrong ones.
    fn on_foreign(&mut self, position: usize, around: &mut Surroundings<'_>) -> Option<Conclusion> {
        self.tries[position].foreign += 1;
        let Try { exchange, foreign, transport, .. } = self.tries[position];
        let is_hopeless = transport == Transport::Stream || foreign >= DNS_FOREIGN_MAX;
        if is_hopeless { self.on_failed(exchange, Failure::Malformed, around) } else { None }
    }

    /// The name is an alias of another, of which the answer said nothing.
    fn on_alias(
        &mut self,
        target: Name,
        ttl: Duration,
        around: &mut Surroundings<'_>,
    ) -> Option<Conclusion> {
        self.aliases += 1;
        self.alias_ttl = Some(self.shortest(ttl));
        self.abandon(around.commands);
        if self.aliases > DNS_ALIASES_MAX || target == self.name {
            return Some(Conclusion::Failed(Failure::Malformed));
        }
        self.name = target;
        self.failed_in_a_row = 0;
        self.server_next = *around.server_first;
        self.ask_next_server(around);
        None
    }

    fn shortest(&self, ttl: Duration) -> Duration {
        self.alias_ttl.map_or(ttl, |alias| alias.min(ttl))
    }

    fn ask_next_server(&mut self, around: &mut Surroundings<'_>) {
        let server = self.server_next % around.server_count();
        self.server_next = (server + 1) % around.server_count();
        let transport = match around.configuration.tcp_only {
            true => Transport::Stream,
            false => Transport::Datagram,
        };
        self.ask(server, transport, around);
    }

    fn ask(&mut self, server: usize, transport: Transport, around: &mut Surroundings<'_>) {
        if self.tries.len() == DNS_TRIES_OPEN_MAX {
            self.close(0, around);
        }
        *around.exchanges += 1;
        let exchange = Exchange(*around.exchanges);
        // The cast keeps the lowest 16 of 64 random bits.
        let id = (around.random)() as u16;
        let address: SocketAddr = around.configuration.servers[server];
        let message = message::question(id, &self.name, self.kind, self.edns);
        around.commands.push(Command::Open { exchange, server: address, transport, message });
        self.tries.push(Try { exchange, server, transport, id, foreign: 0 });
        self.try_again_at = around.now + around.patience();
    }

    fn close(&mut self, position: usize, around: &mut Surroundings<'_>) {
        let closed = self.tries.remove(position);
        around.commands.push(Command::Close(closed.exchange));
    }

    fn conclude(&mut self, conclusion: Conclusion, around: &mut Surroundings<'_>) -> Conclusion {
        self.abandon(around.commands);
        // What a server said outlasts the silence of another.
        match conclusion {
            Conclusion::Failed(Failure::TimedOut) => Conclusion::Failed(self.failure),
            conclusion => conclusion,
        }
    }
}
