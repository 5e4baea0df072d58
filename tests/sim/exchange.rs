//! Sockets to name servers: datagrams, and streams that carry one question and its answer. What the
//! gateway may do with them; who answers what is in `name_server.rs`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use etcd_gateway::net::{Dial, NetError, Read, Readiness, Receive, Write};

use crate::agenda::Happening;
use crate::connection::Id;
use crate::faults::Fault;
use crate::habits::Streams;
use crate::message::{Question, framed, read_question};
use crate::names::server_of;
use crate::world::World;
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
    /// The server cannot or will not, or nobody can read what it says.
    Failed,
    /// Nothing that was asked for.
    Foreign,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    pub exchange: usize,
    /// Or the news that nobody takes the question.
    pub bytes: Result<Vec<u8>, NetError>,
    pub meaning: Meaning,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub stands: bool,
    pub is_known: bool,
    pub death: Option<NetError>,
    pub written: Vec<u8>,
    /// What the server sends, how much of it has arrived and was read.
    pub incoming: Vec<u8>,
    pub arrived: usize,
    pub taken: usize,
    pub has_ended: bool,
    /// It breaks once so much has arrived.
    pub breaks_at: Option<usize>,
    pub meaning: Meaning,
    pub told_readable: bool,
    pub told_writable: bool,
}

/// One socket.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub token: usize,
    pub server: usize,
    pub is_open: bool,
    pub opened_in: u64,
    pub question: Option<Question>,
    /// Which book of the oracle it is for, and which page.
    pub book: Option<(usize, usize)>,
    /// What came of it so far: for a datagram.
    pub inbox: VecDeque<Letter>,
    pub is_told: bool,
    pub stream: Option<Stream>,
    pub news_due: Option<Duration>,
}

impl Exchange {
    /// What is true of it, and was not told.
    fn untold(&self) -> Readiness {
        let none = Readiness::default();
        let Some(stream) = &self.stream else {
            return Readiness { readable: !self.inbox.is_empty() && !self.is_told, ..none };
        };
        let is_dead = stream.death.is_some();
        let has_more = is_dead || stream.arrived > stream.taken || stream.has_ended;
        Readiness {
            readable: has_more && !stream.told_readable,
            writable: (is_dead || stream.stands) && !stream.told_writable,
            closed: (is_dead || stream.has_ended) && !stream.told_readable,
            error: is_dead && !stream.told_readable,
            ..none
        }
    }
}

impl World {
    fn open_exchange(&mut self, address: SocketAddr, token: usize, is_stream: bool) -> usize {
        let server = server_of(address).expect("checked when it was opened");
        let stream = Stream {
            stands: false,
            is_known: false,
            death: None,
            written: Vec::new(),
            incoming: Vec::new(),
            arrived: 0,
            taken: 0,
            has_ended: false,
            breaks_at: None,
            meaning: Meaning::Foreign,
            told_readable: false,
            told_writable: false,
        };
        self.exchanges.push(Exchange {
            token,
            server,
            is_open: true,
            opened_in: self.oracle.turns,
            question: None,
            book: None,
            inbox: VecDeque::new(),
            is_told: false,
            stream: is_stream.then_some(stream),
            news_due: None,
        });
        self.context.sockets_open += 1;
        self.exchanges.len() - 1
    }

    /// The gateway lacks something that every question takes.
    fn question_shortage(&mut self) -> Option<NetError> {
        let is_short =
            !self.context.has_descriptor() || self.context.strike(Fault::QuestionShortage);
        is_short.then(|| self.context.random.one_of(&[NetError::Descriptors, NetError::Memory]))
    }

    pub fn open_datagram(&mut self, address: SocketAddr, token: usize) -> Result<usize, NetError> {
        self.oracle.operation_begins();
        self.check_exchange(address, false);
        let server = server_of(address).expect("checked just now");
        self.context.advance("ask", server, 0);
        if let Some(error) = self.question_shortage() {
            self.question_fell_short();
            return Err(error);
        }
        Ok(self.open_exchange(address, token, false))
    }

    /// The question goes out in one datagram.
    pub fn send_question(&mut self, exchange: usize, bytes: &[u8]) -> Result<(), NetError> {
        self.oracle.operation_begins();
        assert!(self.exchanges[exchange].is_open, "{exchange}: a question through a closed socket");
        let question = read_question(bytes);
        self.context.advance("question", exchange, u64::from(question.kind));
        self.check_question(exchange, &question);
        let before = self.exchanges[exchange].question.replace(question.clone());
        let is_same = before.is_none_or(|before| before == question);
        assert!(is_same, "{exchange}: two questions through one socket");
        if self.context.strike(Fault::QuestionUnsent) {
            let error = self.context.random.one_of(&[
                NetError::Refused,
                NetError::NetworkUnreachable,
                NetError::HostUnreachable,
                NetError::Denied,
                NetError::Memory,
            ]);
            return Err(error);
        }
        if !self.context.strike(Fault::QueryLost) {
            let latency = self.context.name_latency();
            self.context.plan_in(latency, Happening::Ask(exchange));
        }
        Ok(())
    }

    pub fn receive(&mut self, exchange: usize, buffer: &mut [u8]) -> Receive {
        self.oracle.operation_begins();
        let it = &mut self.exchanges[exchange];
        assert!(it.is_open, "{exchange}: a look at a closed socket");
        let Some(letter) = it.inbox.pop_front() else {
            it.is_told = false;
            self.context.note("no answer", exchange, 0);
            return Receive::WouldBlock;
        };
        match letter.bytes {
            Ok(bytes) => {
                self.context.advance("answer", exchange, bytes.len() as u64);
                assert!(bytes.len() <= buffer.len(), "room for any datagram");
                buffer[..bytes.len()].copy_from_slice(&bytes);
                self.has_received(exchange, &letter.meaning);
                Receive::Datagram(bytes.len())
            }
            Err(error) => {
                self.context.advance("answer fails", exchange, 0);
                Receive::Failed(error)
            }
        }
    }

    pub fn close_exchange(&mut self, exchange: usize) {
        self.oracle.operation_begins();
        self.context.advance("close exchange", exchange, 0);
        let it = &mut self.exchanges[exchange];
        assert!(it.is_open, "{exchange}: a socket is closed twice");
        it.is_open = false;
        it.inbox.clear();
        self.context.sockets_open -= 1;
    }

    /// There may be something to tell.
    pub fn touch_exchange(&mut self, exchange: usize) {
        let it = &self.exchanges[exchange];
        let is_news = it.untold() != Readiness::default();
        if !it.is_open || it.news_due.is_some() || !is_news {
            return;
        }
        let due = self.context.now + self.context.lateness();
        self.exchanges[exchange].news_due = Some(due);
        self.exchange_news.push(exchange);
    }

    /// What an event would say now, which is told then.
    pub fn tell_exchange(&mut self, exchange: usize) -> Option<(usize, Readiness)> {
        let it = &mut self.exchanges[exchange];
        it.news_due = None;
        let readiness = it.untold();
        if !it.is_open || readiness == Readiness::default() {
            return None;
        }
        it.is_told |= readiness.readable;
        if let Some(stream) = &mut it.stream {
            stream.told_readable |= readiness.readable || readiness.closed || readiness.error;
            stream.told_writable |= readiness.writable;
        }
        Some((it.token, readiness))
    }

    pub fn dial_name_server(&mut self, address: SocketAddr, token: usize) -> Result<Id, NetError> {
        self.check_exchange(address, true);
        let server = server_of(address).expect("checked just now");
        self.context.advance("ask by stream", server, 0);
        if let Some(error) = self.question_shortage() {
            self.question_fell_short();
            return Err(error);
        }
        if self.context.strike(Fault::StreamRefused) && self.context.random.chance(500) {
            return Err(NetError::Refused);
        }
        let exchange = self.open_exchange(address, token, true);
        let latency = self.context.name_latency();
        self.context.plan_in(2 * latency, Happening::Stream(exchange));
        Ok(STREAMS + exchange)
    }

    fn stream(&mut self, id: Id) -> &mut Stream {
        let it = &mut self.exchanges[id - STREAMS];
        assert!(it.is_open, "{id}: a closed stream");
        it.stream.as_mut().expect("its id is that of a stream")
    }

    pub fn stream_result(&mut self, id: Id) -> Dial {
        self.oracle.operation_begins();
        let stream = self.stream(id);
        assert!(!stream.is_known, "asked again how a dial went that stands");
        let outcome = match stream.death {
            Some(error) => Dial::Failed(error),
            None if stream.stands => Dial::Connected,
            None => Dial::Pending,
        };
        stream.is_known = outcome == Dial::Connected;
        if outcome == Dial::Pending {
            (stream.told_readable, stream.told_writable) = (false, false);
        }
        self.context.progress += 1;
        outcome
    }

    pub fn write_question(&mut self, id: Id, bytes: &[u8]) -> Write {
        self.oracle.operation_begins();
        let trickles = self.context.strike(Fault::StreamTrickles);
        let blocks = trickles && self.context.random.chance(300);
        let exchange = id - STREAMS;
        let stream = self.stream(id);
        assert!(stream.is_known, "{id}: a write before the stream stands");
        if let Some(error) = stream.death {
            return Write::Failed(error);
        }
        if blocks {
            stream.told_writable = false;
            self.touch_exchange(exchange);
            return Write::WouldBlock;
        }
        let count = if trickles { 1 } else { bytes.len() };
        stream.written.extend(&bytes[..count]);
        if count < bytes.len() {
            stream.told_writable = false;
        }
        let question = framed(&stream.written).map(read_question);
        self.context.advance("write to a server", exchange, count as u64);
        self.touch_exchange(exchange);
        if let Some(question) = question {
            assert!(self.exchanges[exchange].question.is_none(), "{id}: bytes behind the question");
            self.check_question(exchange, &question);
            self.exchanges[exchange].question = Some(question);
            if !self.context.strike(Fault::QueryLost) {
                let latency = self.context.name_latency();
                self.context.plan_in(latency, Happening::Ask(exchange));
            }
        }
        Write::Data(count)
    }

    pub fn read_answer(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        self.oracle.operation_begins();
        let trickles = self.context.strike(Fault::StreamTrickles);
        let exchange = id - STREAMS;
        let stream = self.stream(id);
        assert!(stream.is_known, "{id}: a read before the stream stands");
        let waiting = stream.arrived - stream.taken;
        if waiting == 0 {
            return match (stream.death, stream.has_ended) {
                (Some(error), _) => Read::Failed(error),
                (None, true) => Read::Eof,
                (None, false) => {
                    stream.told_readable = false;
                    Read::WouldBlock
                }
            };
        }
        let count = if trickles { 1 } else { waiting.min(buffer.len()) };
        let from = stream.taken;
        buffer[..count].copy_from_slice(&stream.incoming[from..from + count]);
        stream.taken += count;
        if count < buffer.len() {
            stream.told_readable = false;
        }
        let is_whole = framed(&stream.incoming[..stream.taken]).is_some();
        let was_whole = framed(&stream.incoming[..from]).is_some();
        let meaning = stream.meaning.clone();
        self.context.advance("read from a server", exchange, count as u64);
        self.touch_exchange(exchange);
        if is_whole && !was_whole {
            self.has_received(exchange, &meaning);
        }
        Read::Data(count)
    }

    pub fn close_stream(&mut self, id: Id) {
        self.close_exchange(id - STREAMS);
    }

    /// Something reaches the gateway's end of a stream: the dial is decided, or bytes arrive.
    pub fn stream_moves(&mut self, exchange: usize) {
        if !self.exchanges[exchange].is_open {
            return;
        }
        let server = self.exchanges[exchange].server;
        let stands = self.exchanges[exchange].stream.as_ref().is_some_and(|it| it.stands);
        if !stands {
            self.decide_stream(exchange, server);
            return self.touch_exchange(exchange);
        }
        let trickles = self.context.strike(Fault::StreamTrickles);
        let stream = self.exchanges[exchange].stream.as_mut().expect("it stands");
        let (left, before) = (stream.incoming.len() - stream.arrived, stream.arrived);
        stream.arrived += if trickles { left.min(1) } else { left };
        let is_all = stream.arrived == stream.incoming.len();
        if let Some(at) = stream.breaks_at.filter(|at| *at <= stream.arrived) {
            let at = at.max(before);
            stream.arrived = at;
            stream.incoming.truncate(at);
            let ends = self.context.random.chance(500);
            let stream = self.exchanges[exchange].stream.as_mut().expect("it stands");
            match ends {
                true => stream.has_ended = true,
                false => stream.death = Some(NetError::Reset),
            }
        } else if !is_all {
            self.context.plan_in(Duration::from_micros(1), Happening::Stream(exchange));
        }
        self.touch_exchange(exchange);
    }

    fn decide_stream(&mut self, exchange: usize, server: usize) {
        use crate::name_server::ServerPlace;
        let streams = self.names().habits.servers[server].streams;
        let is_refused = self.context.strike(Fault::StreamRefused);
        let place = self.servers[server];
        let stream = self.exchanges[exchange].stream.as_mut().expect("a stream is decided");
        match place {
            ServerPlace::Silent => {}
            ServerPlace::Up if streams == Streams::Dropped => {}
            ServerPlace::Up if !is_refused && streams == Streams::Taken => stream.stands = true,
            ServerPlace::Up | ServerPlace::Refuses => stream.death = Some(NetError::Refused),
        }
    }
}
