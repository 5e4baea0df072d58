//! One question to the name servers: which server to ask, for how long, and which reply to believe.
//!
//! Owns the tries that are open. Must not know sockets or the clock: what is to be sent is handed
//! out as a [`Command`], what came back is handed in, `now` and random numbers are arguments.
//!
//! ```text
//!   server A ──► silence ──────────────► asked again ──► a late reply to either counts
//!      └─ after at most 2 s ─► server B ──► cut ──┬─► by TCP ─────────────► the first reply
//!                                                 └─► by EDNS, up to 1232 ► that is whole
//! ```
//!
//! Questions are plain, as those of the C library: there are servers and firewalls that drop,
//! refuse or garble what has an OPT record in every way there is, and what is asked for here nearly
//! always fits 512 octets. What does not is asked for in both ways at once, by TCP and with EDNS:
//! where one of them does not work, the other costs no time, and nothing has to be remembered.
//!
//! Each server is asked through a socket, and with it a port, and an id of its own (RFC 5452): a
//! forger has to guess both. The socket is kept until the question is over, and asking again sends
//! the same message once more, so that a reply counts however late it is. One that names another id
//! or another question is ignored as if it had not come, and the wait goes on.

mod invariants;

use std::time::{Duration, Instant};

use super::message::{self, Kind, Records, Reply};
use super::name::Name;
use super::resolv_conf::ResolvConf;
use super::{Answer, Command, Failure, QuestionId, Transport};
use crate::config::{
    DNS_ALIASES_MAX, DNS_FOREIGN_MAX, DNS_QUERY_MAX, DNS_RESEND_MAX, DNS_TIMEOUT_MIN,
    DNS_TRIES_OPEN_MAX,
};

/// What all queries share, and the arguments of a pure machine.
pub(super) struct QueryContext<'a> {
    pub(super) configuration: &'a ResolvConf,
    /// The server that the first try of a query goes to.
    pub(super) server_first: &'a mut usize,
    /// Questions so far: the number of the last one.
    pub(super) questions: &'a mut u64,
    pub(super) commands: &'a mut Vec<Command>,
    pub(super) random: &'a mut dyn FnMut() -> u64,
    pub(super) now: Instant,
}

impl QueryContext<'_> {
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
///
/// Invariant: `tries.len() <= DNS_TRIES_OPEN_MAX`, no question twice, every server one of the
/// configuration, `aliases <= DNS_ALIASES_MAX`, and `aliases > 0` exactly if `alias_ttl` is known.
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
    /// What could be read of a reply that had no end: better than none.
    part: Option<(Records, Duration)>,
    try_again_at: Instant,
    give_up_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    question: QuestionId,
    server: usize,
    way: Way,
    id: u16,
    /// Messages so far that were not the reply.
    foreign: usize,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By datagram.
    Datagram,
    /// By stream, since resolv.conf(5) wants no datagrams.
    Stream,
    /// By stream, since the reply did not fit a datagram.
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
    /// Begins with the first try. `time_max`: the most time that the query may take.
    pub(super) fn begin(
        name: Name,
        kind: Kind,
        time_max: Duration,
        context: &mut QueryContext<'_>,
    ) -> Query {
        assert!(context.server_count() > 0, "resolv.conf(5) has a default");
        debug_assert!(time_max >= DNS_TIMEOUT_MIN, "no time for an answer");
        let first = match context.configuration.rotate {
            true => (context.random)() as usize,
            false => *context.server_first,
        };
        let mut query = Query {
            name,
            kind,
            aliases: 0,
            alias_ttl: None,
            tries: Vec::new(),
            server_next: first % context.server_count(),
            failed_in_a_row: 0,
            failure: Failure::TimedOut,
            part: None,
            try_again_at: context.now,
            give_up_at: context.now + context.time_in_all().min(time_max),
        };
        query.ask_next_server(context);
        debug_assert_eq!(query.tries.len(), 1, "one server at first");
        query.invariants(context);
        query
    }

    /// Brings the end forward to the deadline, if it is later.
    pub(super) fn give_up_by(&mut self, deadline: Instant) {
        self.give_up_at = self.give_up_at.min(deadline);
    }

    /// Brings the next try forward to the deadline, if it is later.
    pub(super) fn try_again_by(&mut self, deadline: Instant) {
        self.try_again_at = self.try_again_at.min(deadline);
    }

    /// Whether the question is one of its tries.
    pub(super) fn owns(&self, question: QuestionId) -> bool {
        self.position(question).is_some()
    }

    /// When to call [`Query::expire`].
    pub(super) fn deadline(&self) -> Instant {
        self.try_again_at.min(self.give_up_at)
    }

    /// Does what is due: asks the next server, or gives up. The result, once there is one.
    pub(super) fn expire(&mut self, context: &mut QueryContext<'_>) -> Option<Answer> {
        if self.give_up_at <= context.now {
            // What a server said outlasts the silence of another. That one server's host refuses
            // says nothing of the silent ones.
            let failure = match self.failure {
                Failure::Unreachable => Failure::TimedOut,
                failure => failure,
            };
            return Some(self.fail(failure, context));
        }
        if self.try_again_at <= context.now {
            self.failed_in_a_row = 0;
            self.ask_next_server(context);
        }
        self.invariants(context);
        debug_assert!(self.deadline() > context.now, "it would spin");
        None
    }

    /// Takes a message from a server. The result, once there is one.
    pub(super) fn on_message(
        &mut self,
        question: QuestionId,
        bytes: &[u8],
        context: &mut QueryContext<'_>,
    ) -> Option<Answer> {
        let position = self.position(question)?;
        let Try { id, server, way, .. } = self.tries[position];
        let edns = way == Way::LargeDatagram;
        let reply = message::read_reply(bytes, id, &self.name, self.kind, edns);
        if let Reply::Records { .. } | Reply::Alias { .. } | Reply::Nothing { .. } = reply {
            *context.server_first = server;
        }
        match reply {
            Reply::Foreign => self.on_foreign(position, context),
            Reply::Records { records, ttl } => {
                let ttl = self.shortest(ttl);
                Some(self.finish(Answer::Records { records, ttl }, context))
            }
            Reply::Alias { target, ttl } => self.on_alias(target, ttl, context),
            Reply::Nothing { exists, ttl } => {
                let ttl = ttl.map(|ttl| self.shortest(ttl));
                Some(self.finish(Answer::Nothing { exists, ttl }, context))
            }
            Reply::Incomplete { part } => {
                let part = part.map(|(records, ttl)| (records, self.shortest(ttl)));
                self.part = part.or(self.part.take());
                self.on_cut(position, context)
            }
            Reply::Truncated => self.on_cut(position, context),
            Reply::Failed(failure) => self.on_failed(question, Failure::Server(failure), context),
            Reply::Malformed => self.on_failed(question, Failure::Malformed, context),
        }
    }

    /// Gives a try up that failed: the server refused it, or answered that it cannot help. The next
    /// one is asked at once, unless all of them have just failed like that.
    pub(super) fn on_failed(
        &mut self,
        question: QuestionId,
        failure: Failure,
        context: &mut QueryContext<'_>,
    ) -> Option<Answer> {
        let position = self.position(question)?;
        let Try { server, way, .. } = self.close(position, context);
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
        if self.failed_in_a_row < context.server_count() {
            self.ask_next_server(context);
        } else if self.tries.is_empty() {
            return Some(self.fail(self.failure, context));
        }
        self.invariants(context);
        None
    }

    /// Gives all tries up.
    pub(super) fn abandon(&mut self, commands: &mut Vec<Command>) {
        commands.extend(self.tries.drain(..).map(|open| Command::Close(open.question)));
        assert!(self.tries.is_empty());
    }

    /// Counts a message that is not a reply to the question: a guess of a forger, or a fault of the
    /// server. The right reply may still come, but not behind any number of wrong ones.
    fn on_foreign(&mut self, position: usize, context: &mut QueryContext<'_>) -> Option<Answer> {
        self.tries[position].foreign += 1;
        let Try { question, foreign, way, .. } = self.tries[position];
        debug_assert!(foreign <= DNS_FOREIGN_MAX, "a forger may try without end");
        let is_hopeless = way.transport() == Transport::Stream || foreign >= DNS_FOREIGN_MAX;
        if is_hopeless { self.on_failed(question, Failure::Malformed, context) } else { None }
    }

    /// Asks anew, since the reply did not fit: a stream has room for any, a larger datagram for
    /// most.
    fn on_cut(&mut self, position: usize, context: &mut QueryContext<'_>) -> Option<Answer> {
        let Try { question, server, way, .. } = self.tries[position];
        if way != Way::Datagram {
            return self.on_failed(question, Failure::Malformed, context);
        }
        self.close(position, context);
        self.ask(server, Way::StreamForMore, context);
        self.ask(server, Way::LargeDatagram, context);
        self.invariants(context);
        None
    }

    /// Goes on with the name that this one is an alias of, about which the reply said nothing.
    fn on_alias(
        &mut self,
        target: Name,
        ttl: Duration,
        context: &mut QueryContext<'_>,
    ) -> Option<Answer> {
        self.abandon(context.commands);
        if self.aliases == DNS_ALIASES_MAX || target == self.name {
            return Some(Answer::Failed(Failure::Malformed));
        }
        self.aliases += 1;
        self.alias_ttl = Some(self.shortest(ttl));
        // It was of another name.
        self.part = None;
        self.name = target;
        self.failed_in_a_row = 0;
        self.server_next = *context.server_first;
        self.ask_next_server(context);
        self.invariants(context);
        None
    }

    fn shortest(&self, ttl: Duration) -> Duration {
        self.alias_ttl.map_or(ttl, |alias| alias.min(ttl))
    }

    fn position(&self, question: QuestionId) -> Option<usize> {
        self.tries.iter().position(|open| open.question == question)
    }

    /// Asks the next server, or asks it again.
    fn ask_next_server(&mut self, context: &mut QueryContext<'_>) {
        let server = self.server_next % context.server_count();
        self.server_next = (server + 1) % context.server_count();
        self.try_again_at = context.now + context.patience();
        let latest = self.tries.iter().rposition(|open| open.server == server);
        let way = match latest.map(|position| self.tries[position].way) {
            None if context.configuration.tcp_only => Way::Stream,
            None => Way::Datagram,
            Some(Way::Datagram | Way::LargeDatagram) => {
                return self.resend(latest.expect("it was found"), context);
            }
            Some(Way::Stream) if self.tries.len() < DNS_TRIES_OPEN_MAX => Way::Stream,
            // What was sent by a stream needs no repetition.
            Some(Way::Stream | Way::StreamForMore) => return,
        };
        self.ask(server, way, context);
    }

    fn ask(&mut self, server: usize, way: Way, context: &mut QueryContext<'_>) {
        if self.tries.len() == DNS_TRIES_OPEN_MAX {
            self.close(0, context);
        }
        debug_assert!(server < context.server_count(), "not a server");
        *context.questions += 1;
        let question = QuestionId(*context.questions);
        // The cast keeps the lowest 16 of 64 random bits.
        let id = (context.random)() as u16;
        self.tries.push(Try { question, server, way, id, foreign: 0 });
        context.commands.push(Command::Open {
            question,
            server: context.configuration.servers[server],
            transport: way.transport(),
            message: self.message(id, way),
        });
        self.try_again_at = context.now + context.patience();
    }

    fn resend(&mut self, position: usize, context: &mut QueryContext<'_>) {
        let Try { question, id, way, .. } = self.tries[position];
        debug_assert_eq!(way.transport(), Transport::Datagram, "a stream loses nothing");
        let message = self.message(id, way);
        context.commands.push(Command::Resend { question, message });
    }

    fn message(&self, id: u16, way: Way) -> Vec<u8> {
        message::question(id, &self.name, self.kind, way == Way::LargeDatagram)
    }

    fn close(&mut self, position: usize, context: &mut QueryContext<'_>) -> Try {
        let closed = self.tries.remove(position);
        context.commands.push(Command::Close(closed.question));
        closed
    }

    /// Finishes without a whole reply.
    fn fail(&mut self, failure: Failure, context: &mut QueryContext<'_>) -> Answer {
        let answer = match self.part.take() {
            Some((records, ttl)) => Answer::Records { records, ttl },
            None => Answer::Failed(failure),
        };
        self.finish(answer, context)
    }

    fn finish(&mut self, answer: Answer, context: &mut QueryContext<'_>) -> Answer {
        self.abandon(context.commands);
        answer
    }
}
