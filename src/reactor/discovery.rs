//! Drives discovery: lets it do what is due, carries out what the resolver asks for, a socket for
//! each question, by UDP or TCP, and hands on what was found. Knows nothing of names; bounds and
//! answers are the resolver's business.

use std::net::SocketAddr;
use std::time::Instant;

use super::context::{Context, Timer};
use super::files::HostsReading;
use super::token::{Kind, Token};
use super::wheel::TimerKey;
use crate::arena::Arena;
use crate::config::DNS_DESCRIPTORS_MAX;
use crate::discovery::{Discovery, Found, Unusable};
use crate::net::{Dial, Host, Net, NetError, Read, Readiness, Receive, Write};
use crate::proto::dns::stream::Framing;
use crate::proto::dns::{Command, Exchange, Failure, Transport};
use crate::upstream::DialFailure;

/// Discovery, and what it holds of the outside world.
pub(super) struct DiscoveryDriver<N: Net + Host> {
    pub(super) discovery: Discovery,
    sockets: Arena<Socket<N>>,
    timer: Option<TimerKey>,
    pub(super) hosts: HostsReading<N>,
    /// Something has happened that it may act on.
    is_dirty: bool,
    /// Time alone has.
    is_overdue: bool,
    /// The next round is to look at the files that say how to look up, whatever is due.
    rereads: bool,
    /// Nothing is looked up any longer, since the process is to end.
    is_stopped: bool,
}

/// What one question goes through.
struct Socket<N: Net + Host> {
    exchange: Exchange,
    kind: SocketKind<N>,
}

enum SocketKind<N: Net + Host> {
    Datagram(N::Datagram),
    Stream { stream: N::Stream, framing: Framing, is_established: bool },
}

/// What a look at a socket found, beside that nothing more is there now.
enum Input {
    /// The message is at the start of the scratch buffer.
    Datagram(usize),
    /// It is whole in the framing.
    Message(Vec<u8>),
    Failed(NetError),
    Nothing,
}

impl<N: Net + Host> DiscoveryDriver<N> {
    /// Nothing is asked yet.
    pub(super) fn new(discovery: Discovery) -> DiscoveryDriver<N> {
        let is_dirty = !discovery.names().is_empty();
        DiscoveryDriver {
            discovery,
            sockets: Arena::default(),
            timer: None,
            hosts: HostsReading::default(),
            is_dirty,
            is_overdue: false,
            rereads: false,
            is_stopped: false,
        }
    }

    /// Whether there is something to do before this turn ends.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty && !self.is_stopped
    }

    /// It is to be run before this turn ends.
    pub(super) fn mark_dirty(&mut self) {
        self.is_dirty = true;
    }

    /// Sockets of the resolver.
    pub(super) fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Whether the endpoints may ever be others than they are.
    pub(super) fn is_looking(&self) -> bool {
        !self.discovery.names().is_empty() && !self.is_stopped
    }

    /// Whether a look-up is under way or due.
    pub(super) fn is_asking(&self, now: Instant) -> bool {
        self.discovery.names().is_asking(now)
    }

    /// A dial to the address failed: what led there may be out of date.
    pub(super) fn doubt(&mut self, address: SocketAddr, failure: DialFailure, now: Instant) {
        if self.discovery.names().is_empty() {
            return;
        }
        match failure.is_evidence() {
            true => self.discovery.names_mut().on_dial_failed(address, now),
            false => self.discovery.reconsider(now),
        }
        self.mark_dirty();
    }

    /// No endpoint works: every name is in doubt.
    pub(super) fn doubt_all(&mut self, now: Instant) {
        if !self.discovery.names().is_empty() {
            self.discovery.on_none_active(now);
            self.mark_dirty();
        }
    }

    /// Begins a run, for which [`DiscoveryDriver::is_dirty`] asked: to be followed by rounds.
    pub(super) fn begin_run(&mut self, context: &Context<N>) {
        self.is_dirty = false;
        self.hosts.begin_turn();
        let is_timer = std::mem::take(&mut self.is_overdue);
        // A name server was silent for too long: by now resolv.conf(5) may name others. Or it was
        // begun for a host that is not wanted any longer, and has to come to its end, too.
        let is_overdue = is_timer && self.discovery.names().is_overdue(context.now);
        self.rereads = is_overdue || self.hosts.is_under_way();
    }

    /// Begins a round: the look-ups that are due, and the answers that have come.
    pub(super) fn begin_round(&mut self, context: &mut Context<N>) {
        if std::mem::take(&mut self.rereads) || self.discovery.names().is_refresh_due(context.now) {
            self.refresh_names(context);
        }
        let net = &mut context.net;
        self.discovery.advance(context.now, &mut || net.random());
    }

    /// The endpoints that should exist, if that may be others than before.
    pub(super) fn take_found(&mut self, context: &mut Context<N>) -> Option<Vec<Found>> {
        let now = context.now;
        let mut usability = |address: SocketAddr, is_resolved: bool| {
            match context.own_listener(address) {
                Some(listener) => Err(Unusable::OwnListener(listener)),
                // A host with addresses of both families is common, and a network with one of
                // them is, too. What was typed is dialed, whatever the routes say now.
                None if is_resolved && !context.net.has_route(address.ip()) => {
                    Err(Unusable::NoRoute)
                }
                None => Ok(()),
            }
        };
        self.discovery.take_found(&mut usability, now).map(<[Found]>::to_vec)
    }

    /// Ends a round: carries out what the resolver wants, and reports. Whether there is to be
    /// another one. What was found may name hosts that are to be looked up in turn, and /etc/hosts
    /// may know them at once. Each round settles or begins something, so there are few.
    pub(super) fn end_round(&mut self, context: &mut Context<N>) -> bool {
        self.execute(context);
        for report in self.discovery.take_reports() {
            context.log_finding(&report);
        }
        !self.hosts.is_under_way() && self.discovery.names().is_refresh_due(context.now)
    }

    /// Ends a run. Whether nothing is asked now, so that no one is to wait for an answer.
    pub(super) fn end_run(&mut self, context: &mut Context<N>) -> bool {
        if self.hosts.is_under_way() {
            self.mark_dirty();
        } else {
            let wanted = self.discovery.next_deadline();
            context.rearm(&mut self.timer, wanted, Timer::Discovery);
        }
        !self.discovery.names().is_asking(context.now)
    }

    /// A name is due, a look-up has had its turn, or a name server was silent for too long.
    pub(super) fn on_timer(&mut self) {
        self.timer = None;
        self.is_overdue = true;
        self.mark_dirty();
    }

    /// An event of a socket of the resolver.
    pub(super) fn on_event(
        &mut self,
        context: &mut Context<N>,
        token: Token,
        readiness: Readiness,
    ) {
        let Some(key) = token.key_in(&self.sockets) else {
            context.metrics.events_stale += 1;
            return;
        };
        let exchange = self.sockets[key].exchange;
        // Given a message, the resolver may have given the socket up.
        while let Some(socket) = self.sockets.get_mut(key) {
            let Context { net, scratch, now, .. } = context;
            let input = look(net, socket, scratch, readiness);
            let outcome = match &input {
                Input::Nothing => break,
                Input::Datagram(bytes) => Ok(&scratch[..*bytes]),
                Input::Message(message) => Ok(&message[..]),
                Input::Failed(error) => Err(failure_of(*error)),
            };
            self.discovery.on_exchange(exchange, outcome, *now, &mut || net.random());
            self.execute(context);
            self.mark_dirty();
        }
    }

    /// Nothing is looked up from now on.
    pub(super) fn stop(&mut self, context: &mut Context<N>) {
        self.is_stopped = true;
        self.hosts.abandon();
        if let Some(timer) = self.timer.take() {
            context.wheel.cancel(timer);
        }
        for socket in self.sockets.drain() {
            close(&mut context.net, socket);
        }
    }

    /// Opens and closes sockets until the resolver wants nothing more. A question that could not be
    /// sent is one more thing that it may act on, each a bounded number of times.
    fn execute(&mut self, context: &mut Context<N>) {
        loop {
            let commands = self.discovery.names_mut().take_commands();
            if commands.is_empty() {
                break;
            }
            for command in commands {
                let (exchange, outcome) = match command {
                    Command::Close(exchange) => {
                        self.close(context, exchange);
                        (exchange, Ok(()))
                    }
                    Command::Open { exchange, server, transport, message } => {
                        (exchange, self.open(context, exchange, server, transport, &message))
                    }
                    Command::Resend { exchange, message } => {
                        (exchange, self.resend(context, exchange, &message))
                    }
                };
                if let Err(error) = outcome {
                    let Context { net, now, .. } = context;
                    let outcome = Err(failure_of(error));
                    self.discovery.on_exchange(exchange, outcome, *now, &mut || net.random());
                }
            }
        }
        debug_assert!(self.sockets.len() <= DNS_DESCRIPTORS_MAX, "more than was reserved");
    }

    fn open(
        &mut self,
        context: &mut Context<N>,
        exchange: Exchange,
        server: SocketAddr,
        transport: Transport,
        message: &[u8],
    ) -> Result<(), NetError> {
        let key = self.sockets.reserve();
        let token = Token::new(Kind::Exchange, key).pack();
        let mut sent = Ok(());
        let kind = match transport {
            Transport::Datagram => {
                let mut datagram = context.net.open_datagram(server, token)?;
                sent = context.net.send(&mut datagram, message);
                SocketKind::Datagram(datagram)
            }
            Transport::Stream => {
                let stream = context.net.dial(server, token)?;
                let framing = Framing::new(message);
                SocketKind::Stream { stream, framing, is_established: false }
            }
        };
        // Even if nothing could be sent: it is the resolver that gives sockets up.
        self.sockets.fill(key, Socket { exchange, kind });
        sent
    }

    fn resend(
        &mut self,
        context: &mut Context<N>,
        exchange: Exchange,
        message: &[u8],
    ) -> Result<(), NetError> {
        let mut sockets = self.sockets.iter_mut();
        let found = sockets.find(|(_, socket)| socket.exchange == exchange);
        match found.map(|(_, socket)| &mut socket.kind) {
            Some(SocketKind::Datagram(datagram)) => context.net.send(datagram, message),
            Some(SocketKind::Stream { .. }) | None => Ok(()),
        }
    }

    /// Safe within a handler: each socket has a generation of its own, so a late event of this one
    /// finds no socket.
    fn close(&mut self, context: &mut Context<N>, exchange: Exchange) {
        let found = self.sockets.iter().find(|(_, socket)| socket.exchange == exchange);
        let key = found.map(|(key, _)| key);
        if let Some(socket) = key.and_then(|key| self.sockets.remove(key)) {
            close(&mut context.net, socket);
        }
    }
}

fn close<N: Net + Host>(net: &mut N, socket: Socket<N>) {
    match socket.kind {
        SocketKind::Datagram(datagram) => net.close_datagram(datagram),
        SocketKind::Stream { stream, .. } => net.close(stream),
    }
}

/// Goes on with the socket as far as it goes.
fn look<N: Net + Host>(
    net: &mut N,
    socket: &mut Socket<N>,
    scratch: &mut [u8],
    readiness: Readiness,
) -> Input {
    match &mut socket.kind {
        SocketKind::Datagram(datagram) => match net.receive(datagram, scratch) {
            Receive::Datagram(bytes) => Input::Datagram(bytes),
            Receive::WouldBlock => Input::Nothing,
            Receive::Failed(error) => Input::Failed(error),
        },
        SocketKind::Stream { stream, framing, is_established } => {
            if !*is_established {
                match net.dial_result(stream, readiness) {
                    Dial::Connected => *is_established = true,
                    Dial::Pending => return Input::Nothing,
                    Dial::Lost(error) | Dial::Failed(error) => return Input::Failed(error),
                }
            }
            converse(net, stream, framing, scratch)
        }
    }
}

/// Writes what is left of the question, and reads what there is of the answer.
fn converse<N: Net + Host>(
    net: &mut N,
    stream: &mut N::Stream,
    framing: &mut Framing,
    scratch: &mut [u8],
) -> Input {
    while !framing.unwritten().is_empty() {
        match net.write(stream, framing.unwritten()) {
            Write::Data(bytes) => framing.wrote(bytes),
            Write::WouldBlock => return Input::Nothing,
            Write::Failed(error) => return Input::Failed(error),
        }
    }
    // At most 64 KiB are kept, so there is an end to it, whoever sends.
    loop {
        if let Some(message) = framing.message() {
            return Input::Message(message.to_vec());
        }
        match net.read(stream, scratch) {
            Read::Data(bytes) => framing.take(&scratch[..bytes]),
            Read::WouldBlock => return Input::Nothing,
            Read::Eof => return Input::Failed(NetError::Reset),
            Read::Failed(error) => return Input::Failed(error),
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
