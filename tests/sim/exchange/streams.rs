//! Streams to name servers. Each of them carries one question and its answer, both behind their
//! length (RFC 1035, section 4.2.2).

use std::time::Duration;

use etcd_gateway::net::{Dial, NetError, Read, Write};

use super::{Exchanges, Meaning, STREAMS, question_travels, shortage};
use crate::agenda::Happening;
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::habits::Streams;
use crate::message::{Question, framed, read_question};
use crate::name_server::ServerPlace;

#[derive(Clone, Debug)]
pub struct Stream {
    pub is_established: bool,
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
    /// All that has arrived was reported, be it read or not: an event follows what arrives later,
    /// as with `EPOLLET` of epoll(7).
    pub reported_readable: bool,
    pub reported_writable: bool,
}

impl Stream {
    fn new() -> Stream {
        Stream {
            is_established: false,
            is_known: false,
            death: None,
            written: Vec::new(),
            incoming: Vec::new(),
            arrived: 0,
            taken: 0,
            has_ended: false,
            breaks_at: None,
            meaning: Meaning::Foreign,
            reported_readable: false,
            reported_writable: false,
        }
    }
}

impl Exchanges {
    pub fn dial(
        &mut self,
        context: &mut Context,
        server: usize,
        token: usize,
    ) -> Result<Id, NetError> {
        context.advance("ask by stream", server, 0);
        if let Some(error) = shortage(context) {
            return Err(error);
        }
        if context.strike(Fault::StreamRefused) && context.random.chance(500) {
            return Err(NetError::Refused);
        }
        let exchange = self.open(context, server, token, Some(Stream::new()));
        let latency = context.name_latency();
        context.plan_in(2 * latency, Happening::Stream(exchange));
        Ok(STREAMS + exchange)
    }

    fn stream(&mut self, id: Id) -> &mut Stream {
        let exchange = &mut self.all[id - STREAMS];
        assert!(exchange.is_open, "{id}: a closed stream");
        exchange.stream.as_mut().expect("its id is that of a stream")
    }

    pub fn dial_result(&mut self, context: &mut Context, id: Id) -> Dial {
        let stream = self.stream(id);
        assert!(!stream.is_known, "asked again how a dial went that is established");
        let outcome = match stream.death {
            Some(error) => Dial::Failed(error),
            None if stream.is_established => Dial::Connected,
            None => Dial::Pending,
        };
        stream.is_known = outcome == Dial::Connected;
        if outcome == Dial::Pending {
            (stream.reported_readable, stream.reported_writable) = (false, false);
        }
        context.progress += 1;
        outcome
    }

    /// Writes a part of a question. Gives the question once it is whole: it is then to be sent.
    pub fn write(
        &mut self,
        context: &mut Context,
        id: Id,
        bytes: &[u8],
    ) -> (Write, Option<Question>) {
        let trickles = context.strike(Fault::StreamTrickles);
        let blocks = trickles && context.random.chance(300);
        let exchange = id - STREAMS;
        let stream = self.stream(id);
        assert!(stream.is_known, "{id}: a write before the stream is established");
        if let Some(error) = stream.death {
            return (Write::Failed(error), None);
        }
        if blocks {
            stream.reported_writable = false;
            self.touch(context, exchange);
            return (Write::WouldBlock, None);
        }
        let count = if trickles { 1 } else { bytes.len() };
        stream.written.extend(&bytes[..count]);
        if count < bytes.len() {
            stream.reported_writable = false;
        }
        let question = framed(&stream.written).map(read_question);
        context.advance("write to a server", exchange, count as u64);
        self.touch(context, exchange);
        (Write::Data(count), question)
    }

    /// A question was written to the end.
    pub fn send_by_stream(&mut self, context: &mut Context, exchange: usize, question: Question) {
        let before = self.all[exchange].question.replace(question);
        assert!(before.is_none(), "{exchange}: bytes behind the question");
        question_travels(context, exchange);
    }

    /// Reads a part of an answer. Gives what it is worth once it is whole.
    pub fn read(
        &mut self,
        context: &mut Context,
        id: Id,
        buffer: &mut [u8],
    ) -> (Read, Option<Meaning>) {
        let trickles = context.strike(Fault::StreamTrickles);
        let exchange = id - STREAMS;
        let stream = self.stream(id);
        assert!(stream.is_known, "{id}: a read before the stream is established");
        let waiting = stream.arrived - stream.taken;
        if waiting == 0 {
            let nothing = match (stream.death, stream.has_ended) {
                (Some(error), _) => Read::Failed(error),
                (None, true) => Read::Eof,
                (None, false) => {
                    stream.reported_readable = false;
                    Read::WouldBlock
                }
            };
            return (nothing, None);
        }
        let count = if trickles { 1 } else { waiting.min(buffer.len()) };
        let from = stream.taken;
        buffer[..count].copy_from_slice(&stream.incoming[from..from + count]);
        stream.taken += count;
        let is_whole = framed(&stream.incoming[..stream.taken]).is_some();
        let was_whole = framed(&stream.incoming[..from]).is_some();
        let meaning = (is_whole && !was_whole).then(|| stream.meaning.clone());
        context.advance("read from a server", exchange, count as u64);
        self.touch(context, exchange);
        (Read::Data(count), meaning)
    }

    /// Bytes arrive at the gateway's end of a stream.
    pub fn bytes_arrive(&mut self, context: &mut Context, exchange: usize) {
        if !self.all[exchange].is_open {
            return;
        }
        let trickles = context.strike(Fault::StreamTrickles);
        let stream = self.all[exchange].stream.as_mut().expect("bytes arrive at streams alone");
        let (left, before) = (stream.incoming.len() - stream.arrived, stream.arrived);
        let known = (before, stream.has_ended, stream.death);
        stream.arrived += if trickles { left.min(1) } else { left };
        let is_all = stream.arrived == stream.incoming.len();
        if let Some(at) = stream.breaks_at.filter(|at| *at <= stream.arrived) {
            let at = at.max(before);
            stream.arrived = at;
            stream.incoming.truncate(at);
            match context.random.chance(500) {
                true => stream.has_ended = true,
                false => stream.death = Some(NetError::Reset),
            }
        } else if !is_all {
            context.plan_in(Duration::from_micros(1), Happening::Stream(exchange));
        }
        if known != (stream.arrived, stream.has_ended, stream.death) {
            stream.reported_readable = false;
        }
        self.touch(context, exchange);
    }

    /// The dial of a stream is decided, by the state of its server at this moment.
    pub fn decide(
        &mut self,
        context: &mut Context,
        exchange: usize,
        place: ServerPlace,
        streams: Streams,
    ) {
        let is_refused = context.strike(Fault::StreamRefused);
        let stream = self.all[exchange].stream.as_mut().expect("a stream is decided");
        match place {
            ServerPlace::Silent => {}
            ServerPlace::Up if streams == Streams::Dropped => {}
            ServerPlace::Up if !is_refused && streams == Streams::Taken => {
                stream.is_established = true;
            }
            ServerPlace::Up | ServerPlace::Refuses => stream.death = Some(NetError::Refused),
        }
        stream.reported_readable = false;
        self.touch(context, exchange);
    }
}
