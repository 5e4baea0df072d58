//! Carries out what the resolver asks for: a socket for each question, by UDP or TCP, and what came
//! of it handed back. Knows nothing of names; bounds and answers are the resolver's business.

use std::net::SocketAddr;

use slab::Slab;

use super::files::HostsReading;
use super::token::{Generation, Token};
use super::wheel::TimerKey;
use super::{Reactor, Timer};
use crate::config::DNS_DESCRIPTORS_MAX;
use crate::discovery::Discovery;
use crate::net::{Dial, Net, NetError, Read, Readiness, Receive, Write};
use crate::proto::dns::stream::Framing;
use crate::proto::dns::{Command, Exchange, Failure, Transport};

/// Discovery, and what it holds of the outside world.
pub(super) struct Finder<N: Net> {
    pub(super) discovery: Discovery,
    sockets: Slab<Socket<N>>,
    timer: Option<TimerKey>,
    pub(super) hosts: HostsReading<N>,
    /// Something has happened that it may act on.
    is_stirred: bool,
    /// Time alone has.
    is_overdue: bool,
}

/// What one question goes through.
struct Socket<N: Net> {
    exchange: Exchange,
    generation: Generation,
    kind: SocketKind<N>,
}

enum SocketKind<N: Net> {
    Datagram(N::Datagram),
    Stream { stream: N::Stream, framing: Framing, stands: bool },
}

/// What a look at a socket found, beside that nothing more is there now.
enum Looked {
    /// The message is at the start of the scratch buffer.
    Datagram(usize),
    /// It is whole in the framing.
    Message(Vec<u8>),
    Failed(NetError),
    Nothing,
}

impl<N: Net> Finder<N> {
    pub(super) fn new(discovery: Discovery) -> Finder<N> {
        let is_stirred = !discovery.names().is_empty();
        Finder {
            discovery,
            sockets: Slab::new(),
            timer: None,
            hosts: HostsReading::default(),
            is_stirred,
            is_overdue: false,
        }
    }

    pub(super) fn is_stirred(&self) -> bool {
        self.is_stirred
    }

    /// It is to be attended to before this turn ends.
    pub(super) fn stir(&mut self) {
        self.is_stirred = true;
    }

    pub(super) fn sockets(&self) -> usize {
        self.sockets.len()
    }
}

impl<N: Net> Reactor<N> {
    /// Lets discovery do what is due, tells what it has to tell, and adopts what it has found.
    pub(super) fn attend_finder(&mut self) {
        if !self.finder.is_stirred || !self.is_running() {
            return;
        }
        self.finder.is_stirred = false;
        let now = self.now;
        self.finder.hosts.begin_turn();
        // What was found may name hosts that are to be looked up in turn, and /etc/hosts may know
        // them at once. Each round settles or begins something, so there are few.
        let is_timer = std::mem::take(&mut self.finder.is_overdue);
        let mut rereads = is_timer && self.finder.discovery.names().is_overdue(now);
        // Begun for a host that is not wanted any more, it has to come to its end, too.
        rereads |= self.finder.hosts.is_under_way();
        loop {
            if std::mem::take(&mut rereads) || self.finder.discovery.names().is_refresh_due(now) {
                self.refresh_names();
            }
            self.advance_finder();
            if self.finder.hosts.is_under_way()
                || !self.finder.discovery.names().is_refresh_due(now)
            {
                break;
            }
        }
        // Once nothing is asked any more nobody waits for an answer.
        self.recheck_waiting |= !self.finder.discovery.names().is_asking(now);
        if self.finder.hosts.is_under_way() {
            self.finder.stir();
            return;
        }
        let wanted = self.finder.discovery.next_deadline();
        self.wheel.fit(&mut self.finder.timer, wanted, Timer::Finder);
    }

    fn advance_finder(&mut self) {
        let now = self.now;
        let net = &mut self.net;
        self.finder.discovery.advance(now, &mut || net.random());
        self.adopt();
        self.obey_resolver();
        for report in self.finder.discovery.take_reports() {
            self.log_finding(&report);
        }
    }

    /// A name is due, a look-up has had its turn, or a name server was silent for too long: by now
    /// resolv.conf(5) may name others.
    pub(super) fn on_finder_timer(&mut self) {
        self.finder.timer = None;
        self.finder.is_overdue = true;
        self.finder.stir();
    }

    pub(super) fn on_exchange_event(&mut self, key: usize, of: Generation, told: Readiness) {
        let socket = self.finder.sockets.get(key).filter(|socket| socket.generation == of);
        let Some(exchange) = socket.map(|socket| socket.exchange) else {
            self.metrics.events_stale += 1;
            return;
        };
        loop {
            // Told of a message, the resolver may have given the socket up.
            let socket = self.finder.sockets.get_mut(key);
            let Some(socket) = socket.filter(|socket| socket.generation == of) else { break };
            let looked = look(&mut self.net, socket, &mut self.scratch, told);
            let outcome = match &looked {
                Looked::Nothing => break,
                Looked::Datagram(bytes) => Ok(&self.scratch[..*bytes]),
                Looked::Message(message) => Ok(&message[..]),
                Looked::Failed(error) => Err(failure_of(*error)),
            };
            let net = &mut self.net;
            let random = &mut || net.random();
            self.finder.discovery.on_exchange(exchange, outcome, self.now, random);
            self.obey_resolver();
            self.finder.stir();
        }
    }

    /// Nothing is looked up any more.
    pub(super) fn abandon_exchanges(&mut self) {
        self.finder.hosts.abandon();
        if let Some(timer) = self.finder.timer.take() {
            self.wheel.cancel(timer);
        }
        for socket in self.finder.sockets.drain() {
            close(&mut self.net, socket);
        }
    }

    /// Opens and closes sockets until the resolver wants nothing more. A question that could not be
    /// sent is one more thing that it may act on, each a bounded number of times.
    fn obey_resolver(&mut self) {
        loop {
            let commands = self.finder.discovery.names_mut().take_commands();
            if commands.is_empty() {
                break;
            }
            for command in commands {
                let (exchange, outcome) = match command {
                    Command::Close(exchange) => {
                        self.close_exchange(exchange);
                        (exchange, Ok(()))
                    }
                    Command::Open { exchange, server, transport, message } => {
                        (exchange, self.open_exchange(exchange, server, transport, &message))
                    }
                    Command::Resend { exchange, message } => {
                        (exchange, self.resend(exchange, &message))
                    }
                };
                if let Err(error) = outcome {
                    self.tell_resolver(exchange, Err(failure_of(error)));
                }
            }
        }
        debug_assert!(self.finder.sockets.len() <= DNS_DESCRIPTORS_MAX, "more than was reserved");
    }

    fn open_exchange(
        &mut self,
        exchange: Exchange,
        server: SocketAddr,
        transport: Transport,
        message: &[u8],
    ) -> Result<(), NetError> {
        let (slot, generation) = (self.finder.sockets.vacant_key(), self.next_generation());
        let token = Token::Exchange { slot, generation }.pack();
        let mut sent = Ok(());
        let kind = match transport {
            Transport::Datagram => {
                let mut datagram = self.net.open_datagram(server, token)?;
                sent = self.net.send(&mut datagram, message);
                SocketKind::Datagram(datagram)
            }
            Transport::Stream => {
                let stream = self.net.dial(server, token)?;
                SocketKind::Stream { stream, framing: Framing::new(message), stands: false }
            }
        };
        // Even if nothing could be sent: it is the resolver that gives sockets up.
        let key = self.finder.sockets.insert(Socket { exchange, generation, kind });
        assert_eq!(key, slot, "the token names the slot");
        sent
    }

    fn resend(&mut self, exchange: Exchange, message: &[u8]) -> Result<(), NetError> {
        let mut sockets = self.finder.sockets.iter_mut();
        let found = sockets.find(|(_, socket)| socket.exchange == exchange);
        match found.map(|(_, socket)| &mut socket.kind) {
            Some(SocketKind::Datagram(datagram)) => self.net.send(datagram, message),
            Some(SocketKind::Stream { .. }) | None => Ok(()),
        }
    }

    fn tell_resolver(&mut self, exchange: Exchange, outcome: Result<&[u8], Failure>) {
        let net = &mut self.net;
        self.finder.discovery.on_exchange(exchange, outcome, self.now, &mut || net.random());
    }

    /// Safe within a handler: each socket has a generation of its own, so a late event of this one
    /// finds nobody.
    fn close_exchange(&mut self, exchange: Exchange) {
        let mut sockets = self.finder.sockets.iter();
        let Some((key, _)) = sockets.find(|(_, socket)| socket.exchange == exchange) else {
            return;
        };
        let socket = self.finder.sockets.remove(key);
        close(&mut self.net, socket);
    }
}

fn close<N: Net>(net: &mut N, socket: Socket<N>) {
    match socket.kind {
        SocketKind::Datagram(datagram) => net.close_datagram(datagram),
        SocketKind::Stream { stream, .. } => net.close(stream),
    }
}

/// Goes on with the socket as far as it goes.
fn look<N: Net>(
    net: &mut N,
    socket: &mut Socket<N>,
    scratch: &mut [u8],
    told: Readiness,
) -> Looked {
    match &mut socket.kind {
        SocketKind::Datagram(datagram) => match net.receive(datagram, scratch) {
            Receive::Datagram(bytes) => Looked::Datagram(bytes),
            Receive::WouldBlock => Looked::Nothing,
            Receive::Failed(error) => Looked::Failed(error),
        },
        SocketKind::Stream { stream, framing, stands } => {
            if !*stands {
                match net.dial_result(stream, told) {
                    Dial::Connected => *stands = true,
                    Dial::Pending => return Looked::Nothing,
                    Dial::Lost(error) | Dial::Failed(error) => return Looked::Failed(error),
                }
            }
            converse(net, stream, framing, scratch)
        }
    }
}

/// Writes what is left of the question, and reads what there is of the answer.
fn converse<N: Net>(
    net: &mut N,
    stream: &mut N::Stream,
    framing: &mut Framing,
    scratch: &mut [u8],
) -> Looked {
    while !framing.unwritten().is_empty() {
        match net.write(stream, framing.unwritten()) {
            Write::Data(bytes) => framing.wrote(bytes),
            Write::WouldBlock => return Looked::Nothing,
            Write::Failed(error) => return Looked::Failed(error),
        }
    }
    // At most 64 KiB are kept, so there is an end to it, whoever sends.
    loop {
        if let Some(message) = framing.message() {
            return Looked::Message(message.to_vec());
        }
        match net.read(stream, scratch) {
            Read::Data(bytes) => framing.take(&scratch[..bytes]),
            Read::WouldBlock => return Looked::Nothing,
            Read::Eof => return Looked::Failed(NetError::Reset),
            Read::Failed(error) => return Looked::Failed(error),
        }
    }
}

fn failure_of(error: NetError) -> Failure {
    match error {
        NetError::Descriptors | NetError::Memory => Failure::Shortage,
        NetError::TimedOut => Failure::TimedOut,
        _ => Failure::Unreachable,
    }
}
