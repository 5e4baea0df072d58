//! Exchanges: the gateway's own dialogues with servers. One table, one event handler, one deadline
//! and one teardown for all of them. Pairs are not exchanges.
//!
//! | owner | what it owns | until |
//! |---|---|---|
//! | discovery | a socket for each question of its resolver | the answer, or its own command |
//! | monitor | the probe of an inactive endpoint | established, verified or failed |
//! | check of an endpoint | a connection for requests to it, one after another | closed or failed |
//! | line of a source | a connection for requests of a source of endpoints | closed or failed |
//! | admin side | a connection of a client, who asks us | closed, or a time limit |
//!
//! ```text
//!   owner ── open, send, close ──► exchange {owner, socket, dialogue, timer} ◄── event, timer
//!     ▲                                               │
//!     └───────────── Report, by the dispatch ◄────────┘
//! ```
//!
//! The protocols are in `proto/dialogue.rs`, requests over a connection that is kept in
//! `exchanges/requests.rs`. An exchange never calls its owner: it returns a
//! [`Report`], which the dispatch passes on. Its socket is closed as soon as the exchange ends or
//! its owner closes it. That is safe within a handler, because each exchange has a generation of
//! its own: a late event finds none.

mod census;
mod datagrams;
mod pacing;
mod requests;
pub(super) mod served;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::pacing::Pacing;
use self::served::Served;
use super::context::{Context, Timer};
use super::token::{Kind, Token};
use super::wheel::TimerKey;
use crate::address::Address;
use crate::arena::{Arena, Key};
use crate::discovery::Line;
use crate::net::{Dial, Host, Net, NetError, Read, Readiness, Write};
use crate::proto::dialogue::{Dialogue, DialogueError, Progress};
use crate::proto::dns;
use crate::proto::http1::{Received, Server};
use crate::upstream::EndpointId;

/// All exchanges.
pub(super) struct Exchanges<N: Net> {
    table: Arena<Exchange<N>>,
    /// Whether a descriptor was freed since the last [`Exchanges::take_freed`].
    has_freed: bool,
}

/// One exchange.
struct Exchange<N: Net> {
    owner: Owner,
    socket: Socket<N>,
    /// The time limit for connecting, and again for the dialogue; `None`: the owner closes
    /// the exchange in time, or no answer is awaited.
    time_limit: Option<Duration>,
    timer: Option<TimerKey>,
    pacing: Pacing,
}

/// The part that owns an exchange, and the purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Discovery, for one question of its resolver.
    Discovery(dns::QuestionId),
    /// The monitor, for the probe of an endpoint.
    Monitor(EndpointId),
    /// The health check of an endpoint, for its requests.
    Check(EndpointId),
    /// A source of endpoints, for its requests.
    Source(Line),
    /// The admin side, for a connection of a client, by its number.
    Admin(u64),
}

impl Owner {
    /// The kind of the sockets of its streams.
    fn kind(self) -> Kind {
        match self {
            Owner::Discovery(_) | Owner::Monitor(_) | Owner::Admin(_) => Kind::Exchange,
            Owner::Check(_) => Kind::Check,
            Owner::Source(_) => Kind::Line,
        }
    }
}

enum Socket<N: Net> {
    Datagram(N::Datagram),
    Stream {
        stream: N::Stream,
        stage: Stage,
        dialogue: Dialogue,
        /// The error of a write. Bytes that arrived before may still be read.
        lost: Option<NetError>,
    },
    /// A client's, who asks us.
    Served(Served<N>),
}

/// The server of a stream, and whether the connection may lead back to this gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'a> {
    /// An address that may be a listener of this gateway: a connection to that is refused.
    Checked(&'a Address),
    /// An address that is dialed without that check.
    Unchecked(&'a Address),
}

/// The stage of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The stream is being connected. The address is one that must not lead back to this gateway;
    /// `None` where that is not checked.
    Connecting(Option<Address>),
    Established,
}

/// A report of an exchange to its owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// A message was received.
    Message(Vec<u8>),
    /// A part of an HTTP answer was received, or all of it. The exchange is closed after
    /// [`Received::Closed`], and after a whole answer that ends the connection; else it has no
    /// timer from a whole answer on, or from the head of a streamed one.
    Http(Received),
    /// The exchange has succeeded, and is closed.
    Done,
    /// The exchange has failed. A stream is closed; a datagram socket stays until its owner closes
    /// it.
    Failed(ExchangeError),
}

/// Why an exchange has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeError {
    /// An error of the network or of this host.
    Net(NetError),
    /// An error of the dialogue: of its TLS handshake, or of an HTTP answer.
    Dialogue(DialogueError),
}

impl<N: Net> Exchange<N> {
    fn new(
        owner: Owner,
        socket: Socket<N>,
        time_limit: Option<Duration>,
        timer: Option<TimerKey>,
    ) -> Exchange<N> {
        Exchange { owner, socket, time_limit, timer, pacing: Pacing::default() }
    }
}

impl<N: Net> Default for Exchanges<N> {
    fn default() -> Exchanges<N> {
        Exchanges { table: Arena::default(), has_freed: false }
    }
}

impl<N: Net> Exchanges<N> {
    fn served_mut(&mut self, key: Key) -> Option<&mut Served<N>> {
        match &mut self.table.get_mut(key)?.socket {
            Socket::Served(served) => Some(served),
            Socket::Datagram(_) | Socket::Stream { .. } => None,
        }
    }

    /// The dialogue with a client of the admin side; `None` if the connection is closed.
    pub(super) fn server_of(&mut self, key: Key) -> Option<&mut Server> {
        self.served_mut(key).map(Served::server)
    }

    /// The owners of all exchanges, in the order of their slots.
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> {
        self.table.iter().map(|(_, exchange)| exchange.owner)
    }

    /// The owner of the exchange; `None` if the exchange is closed.
    pub(super) fn owner(&self, key: Key) -> Option<Owner> {
        self.table.get(key).map(|exchange| exchange.owner)
    }

    /// The exchange that the token was made for; `None` if it is closed.
    pub(super) fn key_of(&self, token: Token) -> Option<Key> {
        token.key_in(&self.table)
    }

    /// Whether a descriptor was freed since the last call.
    pub(super) fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.has_freed)
    }

    fn find(&self, owner: Owner) -> Option<Key> {
        self.table.iter().find(|(_, exchange)| exchange.owner == owner).map(|(key, _)| key)
    }
}

impl<N: Net + Host> Context<N> {
    /// Begins a dialogue over a stream.
    ///
    /// Without a `time_limit` the owner closes the exchange in time. The resolver does: the end of
    /// a query is the deadline of all its exchanges, and comes forward when another query is over.
    /// A limit here would expire at the same moment, and report as the failure of one server what
    /// is the silence of all.
    ///
    /// # Errors
    /// [`NetError`] when the dialogue cannot begin; then there is no exchange.
    pub(super) fn open_stream(
        &mut self,
        owner: Owner,
        destination: Destination<'_>,
        dialogue: Dialogue,
        time_limit: Option<Duration>,
    ) -> Result<(), NetError> {
        let key = self.exchanges.table.reserve();
        let token = Token::new(owner.kind(), key);
        let (stream, checked) = match destination {
            Destination::Checked(address) => (self.dial(address, token)?, Some(address.clone())),
            Destination::Unchecked(address) => (self.net.dial(address, token.pack())?, None),
        };
        let stage = Stage::Connecting(checked);
        let socket = Socket::Stream { stream, stage, dialogue, lost: None };
        let timer = self.arm_exchange(key, time_limit);
        self.exchanges.table.fill(key, Exchange::new(owner, socket, time_limit, timer));
        Ok(())
    }

    /// Closes the exchange of this owner. Returns whether there was one.
    pub(super) fn close_exchange_of(&mut self, owner: Owner) -> bool {
        let key = self.exchanges.find(owner);
        key.is_some_and(|key| self.close_exchange(key))
    }

    /// The only teardown of an exchange. Returns whether there was one.
    pub(super) fn close_exchange(&mut self, key: Key) -> bool {
        let Some(exchange) = self.exchanges.table.remove(key) else { return false };
        for timer in [exchange.timer, exchange.pacing.timer].into_iter().flatten() {
            self.wheel.cancel(timer);
        }
        match exchange.socket {
            Socket::Datagram(datagram) => self.net.close_datagram(datagram),
            Socket::Stream { stream, .. } | Socket::Served(Served { stream, .. }) => {
                self.net.close(stream);
            }
        }
        self.exchanges.has_freed = true;
        true
    }

    /// Advances an exchange as far as its socket allows. To be called after each of its events,
    /// until it returns `None`.
    pub(super) fn advance_exchange(&mut self, key: Key, readiness: Readiness) -> Option<Report> {
        let report = match &mut self.exchanges.table.get_mut(key)?.socket {
            Socket::Datagram(_) => return self.receive_datagram(key),
            // Its owner advances it, in a step of its own.
            Socket::Served(_) => return None,
            Socket::Stream { stage: Stage::Established, .. } => self.run_dialogue(key),
            Socket::Stream { stage: Stage::Connecting(_), .. } => {
                match self.finish_connecting(key, readiness) {
                    Some(report) => Some(report),
                    None if self.is_connecting(key) => None,
                    None => self.run_dialogue(key),
                }
            }
        };
        if let Some(report) = &report {
            self.follow_report(key, report);
        }
        report
    }

    /// Closes an exchange whose time limit is over.
    pub(super) fn expire_exchange(&mut self, key: Key) -> Option<Report> {
        self.exchanges.table.get_mut(key)?.timer = None;
        self.close_exchange(key);
        Some(Report::Failed(ExchangeError::Net(NetError::TimedOut)))
    }

    fn arm_exchange(&mut self, key: Key, time_limit: Option<Duration>) -> Option<TimerKey> {
        time_limit.map(|limit| self.wheel.arm(self.now + limit, Timer::Exchange(key)))
    }

    fn is_connecting(&self, key: Key) -> bool {
        let socket = self.exchanges.table.get(key).map(|exchange| &exchange.socket);
        matches!(socket, Some(Socket::Stream { stage: Stage::Connecting(_), .. }))
    }

    /// Checks whether the connection is established. The dialogue then gets a time limit of its
    /// own, since that for connecting may be almost over.
    fn finish_connecting(&mut self, key: Key, readiness: Readiness) -> Option<Report> {
        let Context { net, own_listeners, exchanges, .. } = self;
        let Exchange { socket, .. } = &mut exchanges.table[key];
        let Socket::Stream { stream, stage, dialogue, .. } = socket else { return None };
        let Stage::Connecting(endpoint) = stage else { return None };
        match own_listeners.dial_result(net, endpoint.as_ref(), stream, readiness) {
            Dial::Pending => None,
            Dial::Connected | Dial::Lost(_) if dialogue.is_connect() => Some(Report::Done),
            Dial::Lost(error) | Dial::Failed(error) => {
                Some(Report::Failed(ExchangeError::Net(error)))
            }
            Dial::Connected => {
                *stage = Stage::Established;
                self.restart_timer(key);
                None
            }
        }
    }

    fn restart_timer(&mut self, key: Key) {
        let Exchange { time_limit, ref mut timer, .. } = self.exchanges.table[key];
        if let Some(timer) = timer.take() {
            self.wheel.cancel(timer);
        }
        let timer = self.arm_exchange(key, time_limit);
        self.exchanges.table[key].timer = timer;
    }

    /// Writes the outgoing bytes of the dialogue, and reads all incoming ones, as far as its pacing
    /// allows: a stream may never end.
    fn run_dialogue(&mut self, key: Key) -> Option<Report> {
        let Context { net, scratch, exchanges, now, .. } = self;
        let Exchange { socket, pacing, .. } = &mut exchanges.table[key];
        let Socket::Stream { stream, dialogue, lost, .. } = socket else { return None };
        loop {
            let report = report_of(dialogue.poll());
            // The last bytes of a dialogue are sent as far as the socket takes them at once.
            write_out(net, stream, dialogue, lost);
            if report.is_some() {
                return report;
            }
            if !pacing.may_read(*now) {
                self.pause_exchange(key);
                return None;
            }
            let (end, error) = match net.read(stream, scratch) {
                Read::Data(bytes) => {
                    dialogue.incoming(&scratch[..bytes]);
                    pacing.read(bytes);
                    continue;
                }
                Read::WouldBlock => (false, (*lost)?),
                // Once a write has taken the error of a socket, a read returns an end of file
                // (tcp(7)).
                Read::Eof => (lost.is_none(), lost.unwrap_or(NetError::Reset)),
                Read::Failed(error) => (false, error),
            };
            let known = dialogue.end(end).and_then(report_of);
            return Some(known.unwrap_or(Report::Failed(ExchangeError::Net(error))));
        }
    }
}

fn write_out<N: Net>(
    net: &mut N,
    stream: &mut N::Stream,
    dialogue: &mut Dialogue,
    lost: &mut Option<NetError>,
) {
    while lost.is_none() {
        let bytes = dialogue.outgoing();
        if bytes.is_empty() {
            return;
        }
        match net.write(stream, bytes) {
            Write::Data(bytes) => dialogue.wrote(bytes),
            Write::WouldBlock => return,
            Write::Failed(error) => *lost = Some(error),
        }
    }
}

fn report_of(progress: Progress) -> Option<Report> {
    match progress {
        Progress::Pending => None,
        Progress::Message(message) => Some(Report::Message(message)),
        Progress::Http(received) => Some(Report::Http(received)),
        Progress::Done => Some(Report::Done),
        Progress::Failed(error) => Some(Report::Failed(ExchangeError::Dialogue(error))),
    }
}
