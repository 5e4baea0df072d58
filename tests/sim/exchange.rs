//! Sockets to name servers: datagrams, and streams that carry one question and its answer each
//! (`exchange/streams.rs`). What the gateway does to them, and what events report of them; which
//! server answers what is in `name_server.rs`.

mod streams;

use std::collections::VecDeque;
use std::time::Duration;

use etcd_gateway::net::{Event, NetError, Readiness, Receive};

use self::streams::Stream;
use crate::agenda::Happening;
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::message::{Question, Reply};
use crate::reports::{self, Reported, Reports, StreamState};
use crate::zone::{Subject, Value};

/// Streams to name servers have ids from here on: the upper half, so that it fits 32 bits, too.
pub const STREAMS: Id = 1 << (Id::BITS - 1);

/// What a message is worth to who can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The answer, and how long it lives.
    Answer { subject: Option<Subject>, kind: u16, value: Value, life: Duration },
    /// There is nothing.
    Nothing { subject: Option<Subject>, kind: u16, life: Duration },
    /// It is an alias of another name, which is to be asked for.
    Alias,
    /// Cut to fit a datagram.
    Cut,
    /// It ends too early, and does not say so: what can be read of it is a part of this, if
    /// anything.
    Part { kind: u16, value: Value },
    /// The server cannot or will not answer, or its answer cannot be read.
    Failed,
    /// Nothing that was asked for.
    Foreign,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    pub exchange: usize,
    /// Or the report that no server listens there.
    pub bytes: Result<Vec<u8>, NetError>,
    pub meaning: Meaning,
}

impl Letter {
    pub fn new(exchange: usize, reply: &Reply, meaning: Meaning) -> Letter {
        Letter { exchange, bytes: Ok(reply.write()), meaning }
    }
}

/// One socket.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub token: usize,
    pub server: usize,
    pub is_open: bool,
    pub opened_in: u64,
    pub question: Option<Question>,
    /// Of a datagram: the messages that have arrived.
    pub inbox: VecDeque<Letter>,
    pub is_reported: bool,
    pub stream: Option<Stream>,
}

impl Exchange {
    /// Whether it is for the same name and kind of records.
    pub fn asks(&self, other: &Question) -> bool {
        let own = self.question.as_ref();
        own.is_some_and(|own| (&own.name, own.kind) == (&other.name, other.kind))
    }
}

impl Reported for Exchange {
    const EVENT: &'static str = "event of an answer";

    fn token(&self) -> usize {
        self.token
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn unreported(&self) -> Readiness {
        let none = Readiness::default();
        let Some(stream) = &self.stream else {
            return Readiness { readable: !self.inbox.is_empty() && !self.is_reported, ..none };
        };
        StreamState {
            is_dead: stream.death.is_some(),
            has_ended: stream.has_ended,
            has_bytes: stream.arrived > stream.taken,
            is_established: stream.is_established,
            reported_readable: stream.reported_readable,
            reported_writable: stream.reported_writable,
        }
        .unreported()
    }

    fn on_reported(&mut self, readiness: Readiness) {
        self.is_reported |= readiness.readable;
        if let Some(stream) = &mut self.stream {
            stream.reported_readable |= readiness.readable || readiness.closed || readiness.error;
            stream.reported_writable |= readiness.writable;
        }
    }
}

#[derive(Debug, Default)]
pub struct Exchanges {
    pub all: Vec<Exchange>,
    reports: Reports,
}

impl Exchanges {
    /// Those that the gateway holds.
    pub fn open_ones(&self) -> impl Iterator<Item = &Exchange> {
        self.all.iter().filter(|exchange| exchange.is_open)
    }

    fn open(
        &mut self,
        context: &mut Context,
        server: usize,
        token: usize,
        stream: Option<Stream>,
    ) -> usize {
        self.all.push(Exchange {
            token,
            server,
            is_open: true,
            opened_in: context.turns,
            question: None,
            inbox: VecDeque::new(),
            is_reported: false,
            stream,
        });
        context.sockets_open += 1;
        self.all.len() - 1
    }

    pub fn open_datagram(
        &mut self,
        context: &mut Context,
        server: usize,
        token: usize,
    ) -> Result<usize, NetError> {
        context.advance("ask", server, 0);
        match shortage(context) {
            Some(error) => Err(error),
            None => Ok(self.open(context, server, token, None)),
        }
    }

    /// The question goes out in one datagram.
    pub fn send_question(
        &mut self,
        context: &mut Context,
        exchange: usize,
        question: Question,
    ) -> Result<(), NetError> {
        let sender = &mut self.all[exchange];
        assert!(sender.is_open, "{exchange}: a question through a closed socket");
        context.advance("question", exchange, u64::from(question.kind));
        let before = sender.question.replace(question);
        let is_same = before.is_none() || before == sender.question;
        assert!(is_same, "{exchange}: two questions through one socket");
        if context.strike(Fault::QuestionUnsent) {
            let error = context.random.one_of(&[
                NetError::Refused,
                NetError::NetworkUnreachable,
                NetError::HostUnreachable,
                NetError::Denied,
                NetError::Memory,
            ]);
            return Err(error);
        }
        question_travels(context, exchange);
        Ok(())
    }

    /// The next message, and what it is worth.
    pub fn receive(
        &mut self,
        context: &mut Context,
        exchange: usize,
        buffer: &mut [u8],
    ) -> (Receive, Option<Meaning>) {
        let receiver = &mut self.all[exchange];
        assert!(receiver.is_open, "{exchange}: a look at a closed socket");
        let Some(letter) = receiver.inbox.pop_front() else {
            receiver.is_reported = false;
            context.note("no answer", exchange, 0);
            return (Receive::WouldBlock, None);
        };
        match letter.bytes {
            Ok(bytes) => {
                context.advance("answer", exchange, bytes.len() as u64);
                assert!(bytes.len() <= buffer.len(), "room for any datagram");
                buffer[..bytes.len()].copy_from_slice(&bytes);
                (Receive::Datagram(bytes.len()), Some(letter.meaning))
            }
            Err(error) => {
                context.advance("answer fails", exchange, 0);
                (Receive::Failed(error), None)
            }
        }
    }

    pub fn close(&mut self, context: &mut Context, exchange: usize) {
        context.advance("close exchange", exchange, 0);
        let closed = &mut self.all[exchange];
        assert!(closed.is_open, "{exchange}: a socket is closed twice");
        closed.is_open = false;
        closed.inbox.clear();
        context.sockets_open -= 1;
    }

    /// There may be something to report.
    fn touch(&mut self, context: &mut Context, index: usize) {
        self.reports.touch(context, &self.all, index);
    }

    /// Reports the changes that are due, until there are `most` events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>, most: usize) {
        self.reports.report(context, &mut self.all, events, most);
    }

    /// An event without a cause.
    pub fn hint(&self, context: &mut Context, hint: Readiness, events: &mut Vec<Event>) {
        reports::hint(context, &self.all, hint, events);
    }

    /// A letter arrives at its socket, if that is still open.
    pub fn deliver(&mut self, context: &mut Context, letter: Letter) {
        let breaks = context.strike(Fault::StreamBreaks);
        let exchange = letter.exchange;
        let receiver = &mut self.all[exchange];
        if !receiver.is_open {
            return context.note("answer for nobody", exchange, 0);
        }
        let Some(stream) = &mut receiver.stream else {
            receiver.inbox.push_back(letter);
            context.note("answer arrives", exchange, 0);
            return self.touch(context, exchange);
        };
        if stream.breaks_at.is_some() || stream.death.is_some() || stream.has_ended {
            return context.note("answer for nobody", exchange, 1);
        }
        let Ok(bytes) = letter.bytes else {
            stream.death = Some(NetError::Reset);
            stream.reported_readable = false;
            return self.touch(context, exchange);
        };
        // What follows the first answer is none of it.
        if stream.incoming.is_empty() {
            stream.meaning = letter.meaning;
        }
        stream.incoming.extend((bytes.len() as u16).to_be_bytes());
        stream.incoming.extend(bytes);
        if breaks {
            let length = stream.incoming.len() as u64;
            stream.breaks_at = Some(context.random.below(length) as usize);
        }
        self.bytes_arrive(context, exchange);
    }
}

/// The gateway lacks something that every question takes.
fn shortage(context: &mut Context) -> Option<NetError> {
    let is_short = !context.has_descriptor() || context.strike(Fault::QuestionShortage);
    is_short.then(|| context.random.one_of(&[NetError::Descriptors, NetError::Memory]))
}

/// The question is on its way to the server, unless it is lost.
fn question_travels(context: &mut Context, exchange: usize) {
    if !context.strike(Fault::QueryLost) {
        let latency = context.name_latency();
        context.plan_in(latency, Happening::Ask(exchange));
    }
}
