//! One question to the name servers: whom to ask, for how long, and which answer to believe.
//!
//! Owns the tries that are open. Must not know sockets or the clock: what is to be sent is handed
//! out as a [`Command`], what came back is handed in, `now` and random numbers are arguments.
//!
//! ```text
//!   server A ──► silence ──────────────► asked again ──► a late answer to either is heard
//!      └─ after at most 2 s ─► server B ──► cut ──┬─► by TCP ─────────────► the first answer
//!                                                 └─► by EDNS, up to 1232 ► that is whole
//! ```
//!
//! Questions are plain, as those of the C library: there are servers and firewalls that drop,
//! refuse or garble what has an OPT record in every way there is, and what is asked for here nearly
//! always fits 512 octets. What does not is asked for in both ways at once, by TCP and with EDNS:
//! where one of them does not work, the other costs no time, and nothing has to be remembered.
//!
//! Each server is asked through a socket, and with it a port, and an id of its own (RFC 5452):
//! whoever wants to forge an answer has to guess both. The socket is kept until the question is
//! over, and asking again sends the same message once more, so that an answer counts however late
//! it is. One that names another id or another question is passed over as if it had not come, and
//! the wait goes on.

use std::time::{Duration, Instant};

use super::message::{self, Kind, Records, Reply};
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
    /// What could be read of an answer that had no end: better than none.
    part: Option<(Records, Duration)>,
    try_again_at: Instant,
    give_up_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    exchange: Exchange,
    server: usize,
    way: Way,
    id: u16,
    foreign: usize,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By datagram.
    Datagram,
    /// By stream, since resolv.conf(5) wants no datagrams.
    Stream,
    /// By stream, since the answer did not fit a datagram.
    StreamForMore,
    /// By datagram with EDNS, at the same time and for the same reason.
    LargeDatagram,
}

impl Way {
    fn transport(self) -> Transport {
        match self {
            Way::Datagram | Way::LargeDatagram => Transport::Datagram,
            Way::Stream | Way::StreamForMore => Transport::Stream,
        }
    }

    fn is_for_more(self) -> bool {
        matches!(self, Way::StreamForMore | Way::LargeDatagram)
    }
}

impl Query {
    /// Begins with the first try. `time_max`: all the time that it may take.
    pub(super) fn begin(
        name: Name,
        kind: Kind,
        time_max: Duration,
        around: &mut Surroundings<'_>,
    ) -> Query {
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
            part: None,
            try_again_at: around.now,
            give_up_at: around.now + around.time_in_all().min(time_max),
        };
        query.ask_next_server(around);
        query
    }

    /// Its answer is not worth waiting for any longer than that.
    pub(super) fn give_up_by(&mut self, deadline: Instant) {
        self.give_up_at = self.give_up_at.min(deadline);
    }

    /// The next server is to be asked by then.
    pub(super) fn try_again_by(&mut self, deadline: Instant) {
        self.try_again_at = self.try_again_at.min(deadline);
    }

    /// Whether the exchange is one of its tries.
    pub(super) fn owns(&self, exchange: Exchange) -> bool {
        self.position(exchange).is_some()
    }

    /// When to call [`Query::expire`].
    pub(super) fn deadline(&self) -> Instant {
        self.try_again_at.min(self.give_up_at)
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, around: &mut Surroundings<'_>) -> Option<Conclusion> {
        if self.give_up_at <= around.now {
            // What a server said outlasts the silence of another. That one server's host refuses
            // says nothing of the silent ones.
            let failure = match self.failure {
                Failure::Unreachable => Failure::TimedOut,
                failure => failure,
            };
            return Some(self.fail(failure, around));
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
        let position = self.position(exchange)?;
        let Try { id, server, way, .. } = self.tries[position];
        let edns = way == Way::LargeDatagram;
        let reply = message::read_reply(bytes, id, &self.name, self.kind, edns);
        if let Reply::Records { .. } | Reply::Alias { .. } | Reply::Nothing { .. } = reply {
            *around.server_first = server;
        }
        match reply {
            Reply::Foreign => self.on_foreign(position, around),
            Reply::Records { records, ttl } => {
                let conclusion = Conclusion::Records(records, self.shortest(ttl));
                Some(self.conclude(conclusion, around))
            }
            Reply::Alias { target, ttl } => self.on_alias(target, ttl, around),
            Reply::Nothing { exists, ttl } => {
                let ttl = ttl.map(|ttl| self.shortest(ttl));
                Some(self.conclude(Conclusion::Nothing { exists, ttl }, around))
            }
            Reply::Incomplete { part } => {
                let ttl = |(records, ttl)| (records, self.shortest(ttl));
                self.part = part.map(ttl).or(self.part.take());
                self.on_cut(position, around)
            }
            Reply::Truncated => self.on_cut(position, around),
            Reply::Failed(failure) => self.on_failed(exchange, Failure::Server(failure), around),
            Reply::Malformed => self.on_failed(exchange, Failure::Malformed, around),
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
        let position = self.position(exchange)?;
        let Try { server, way, .. } = self.close(position, around);
        // What a server said outlasts what only its host did.
        if !failure.is_silence() || self.failure.is_silence() {
            self.failure = failure;
        }
        if failure == Failure::Shortage {
            // Ours, so the next server would be no better; the time to try again is set already.
            return None;
        }
        if way.is_for_more() && self.tries.iter().any(|open| open.server == server) {
            // It is still asked in the other way.
            return None;
        }
        self.failed_in_a_row += 1;
        if self.failed_in_a_row < around.server_count() {
            self.ask_next_server(around);
        } else if self.tries.is_empty() {
            return Some(self.fail(self.failure, around));
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
        let Try { exchange, foreign, way, .. } = self.tries[position];
        let is_hopeless = way.transport() == Transport::Stream || foreign >= DNS_FOREIGN_MAX;
        if is_hopeless { self.on_failed(exchange, Failure::Malformed, around) } else { None }
    }

    /// The answer did not fit: a stream has room for any, a larger datagram for most.
    fn on_cut(&mut self, position: usize, around: &mut Surroundings<'_>) -> Option<Conclusion> {
        let Try { exchange, server, way, .. } = self.tries[position];
        if way != Way::Datagram {
            return self.on_failed(exchange, Failure::Malformed, around);
        }
        self.close(position, around);
        self.ask(server, Way::StreamForMore, around);
        self.ask(server, Way::LargeDatagram, around);
        None
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
        // It was of another name.
        self.part = None;
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

    fn position(&self, exchange: Exchange) -> Option<usize> {
        self.tries.iter().position(|open| open.exchange == exchange)
    }

    /// Asks the next server, or asks it again.
    fn ask_next_server(&mut self, around: &mut Surroundings<'_>) {
        let server = self.server_next % around.server_count();
        self.server_next = (server + 1) % around.server_count();
        self.try_again_at = around.now + around.patience();
        let latest = self.tries.iter().rposition(|open| open.server == server);
        let way = match latest.map(|position| self.tries[position].way) {
            None if around.configuration.tcp_only => Way::Stream,
            None => Way::Datagram,
            Some(Way::Datagram | Way::LargeDatagram) => {
                return self.resend(latest.expect("it was found"), around);
            }
            Some(Way::Stream) if self.tries.len() < DNS_TRIES_OPEN_MAX => Way::Stream,
            // What was sent by a stream needs no repetition.
            Some(Way::Stream | Way::StreamForMore) => return,
        };
        self.ask(server, way, around);
    }

    fn ask(&mut self, server: usize, way: Way, around: &mut Surroundings<'_>) {
        if self.tries.len() == DNS_TRIES_OPEN_MAX {
            self.close(0, around);
        }
        *around.exchanges += 1;
        let exchange = Exchange(*around.exchanges);
        // The cast keeps the lowest 16 of 64 random bits.
        let id = (around.random)() as u16;
        self.tries.push(Try { exchange, server, way, id, foreign: 0 });
        around.commands.push(Command::Open {
            exchange,
            server: around.configuration.servers[server],
            transport: way.transport(),
            message: self.message(id, way),
        });
        self.try_again_at = around.now + around.patience();
    }

    fn resend(&mut self, position: usize, around: &mut Surroundings<'_>) {
        let Try { exchange, id, way, .. } = self.tries[position];
        let message = self.message(id, way);
        around.commands.push(Command::Resend { exchange, message });
    }

    fn message(&self, id: u16, way: Way) -> Vec<u8> {
        message::question(id, &self.name, self.kind, way == Way::LargeDatagram)
    }

    fn close(&mut self, position: usize, around: &mut Surroundings<'_>) -> Try {
        let closed = self.tries.remove(position);
        around.commands.push(Command::Close(closed.exchange));
        closed
    }

    /// Nobody gave a whole answer.
    fn fail(&mut self, failure: Failure, around: &mut Surroundings<'_>) -> Conclusion {
        let conclusion = match self.part.take() {
            Some((records, ttl)) => Conclusion::Records(records, ttl),
            None => Conclusion::Failed(failure),
        };
        self.conclude(conclusion, around)
    }

    fn conclude(&mut self, conclusion: Conclusion, around: &mut Surroundings<'_>) -> Conclusion {
        self.abandon(around.commands);
        conclusion
    }
}
