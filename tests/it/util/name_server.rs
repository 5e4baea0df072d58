//! A name server of our own, which can misbehave: it answers from records that a test changes at
//! any time, over UDP and TCP, and remembers every query.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::dns::{
    Answer, Code, DATAGRAM_BYTES, Data, GARBAGE_KINDS, Kind, Question, Record, garbage,
};
use super::{Backend, DEADLINE};

const PORT: u16 = 53;
/// Links of a chain of other names that are followed for an answer.
const CHAIN_MAX: usize = 16;
/// For how many seconds it may be believed that there is nothing.
const NEGATIVE_TTL: u32 = 1;

/// How a query is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Answer,
    /// No answer at all.
    Drop,
    /// Another part of the records each time, of that number.
    Part(usize),
    /// The answer comes when the next query is there, which then has to wait likewise.
    Late,
    /// Every answer comes twice.
    Duplicate,
    /// Before the answer there are others that lead to this address: with a wrong id, to a wrong
    /// question, from another port and from another address.
    Forge(Ipv4Addr),
    /// The first of three queries is answered, once the third is there.
    AnswerFirst,
    /// Over UDP nothing but the hint to ask over TCP.
    Truncate,
    /// Over UDP no more than fits 512 octets, and no hint that this is not all.
    CutInSilence,
    /// What cannot be read: over UDP one message of each kind, another one first each time.
    Garbage,
    ServerFailure,
    Refused,
    NoSuchName,
}

/// How queries that have an OPT record are answered, if not as the others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Options {
    Known,
    Dropped,
    FormatError,
    ServerFailure,
    /// The record comes back twice.
    Doubled,
}

/// A query as it came.
#[derive(Clone, Debug)]
pub struct Query {
    pub name: String,
    pub kind: Kind,
    pub id: u16,
    /// Where it came from.
    pub port: u16,
    pub is_tcp: bool,
    pub has_options: bool,
}

/// A name server on port 53 of its address; ends on drop.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

impl NameServer {
    /// A server that knows no name.
    pub fn start(address: Ipv4Addr) -> NameServer {
        let state = State {
            records: HashMap::new(),
            usual: Behaviour::Answer,
            special: HashMap::new(),
            zones: Vec::new(),
            options: Options::Known,
            queries: Vec::new(),
            late: None,
            is_stopping: false,
        };
        let address = SocketAddr::from((address, PORT));
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let mut server = NameServer { address, shared, running: None };
        server.restart();
        server
    }

    /// Gives a name these records and no others, each with the same time to live.
    pub fn set(&self, name: &str, ttl: u32, data: &[Data]) {
        let records = data.iter().map(|data| Record { ttl, data: data.clone() }).collect();
        self.shared.lock().records.insert(name.to_owned(), records);
    }

    /// Gives a name these IPv4 addresses and nothing else.
    pub fn set_addresses(&self, name: &str, ttl: u32, last_octets: &[u8]) {
        let data = |octet: &u8| Data::A(Ipv4Addr::new(127, 0, 0, *octet));
        self.set(name, ttl, &last_octets.iter().map(data).collect::<Vec<Data>>());
    }

    /// From now on the name does not exist.
    pub fn remove(&self, name: &str) {
        self.shared.lock().records.remove(name);
    }

    /// How queries are answered from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().usual = behaviour;
    }

    /// How queries of one kind are answered, however the others are.
    pub fn behave_for(&self, kind: Kind, behaviour: Behaviour) {
        self.shared.lock().special.insert(kind, behaviour);
    }

    /// How queries for the zone's own name and those below it are answered, however others are. Of
    /// zones that contain each other the one counts that was given last.
    pub fn behave_in(&self, zone: &str, behaviour: Behaviour) {
        let mut state = self.shared.lock();
        state.zones.retain(|(other, _)| other != zone);
        state.zones.push((zone.to_owned(), behaviour));
    }

    /// How queries that have an OPT record are answered.
    pub fn treat_options(&self, options: Options) {
        self.shared.lock().options = options;
    }

    /// From now on its port refuses TCP.
    pub fn refuse_tcp(&mut self) {
        self.running.as_mut().expect("the server is running").tcp = None;
    }

    /// All queries so far.
    pub fn queries(&self) -> Vec<Query> {
        self.shared.lock().queries.clone()
    }

    /// How many queries there were so far for a name and a kind.
    pub fn count(&self, name: &str, kind: Kind) -> usize {
        let state = self.shared.lock();
        state.queries.iter().filter(|query| query.name == name && query.kind == kind).count()
    }

    /// Ends it; its port refuses from here on. It knows its records still.
    pub fn kill(&mut self) {
        let running = self.running.take().expect("the server is running");
        self.shared.lock().is_stopping = true;
        // From itself to itself, so it arrives wherever this thread may be.
        running.socket.send_to(&[], self.address).expect("a datagram on the loopback device");
        running.receiver.join().expect("a name server does not panic");
    }

    /// Starts it again after [`NameServer::kill`].
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        self.shared.lock().is_stopping = false;
        let socket = UdpSocket::bind(self.address)
            .unwrap_or_else(|error| panic!("cannot serve names on {}: {error}", self.address));
        let receiver = thread::spawn({
            let socket = socket.try_clone().expect("a second handle");
            let shared = Arc::clone(&self.shared);
            move || shared.receive(&socket)
        });
        let shared = Arc::clone(&self.shared);
        let tcp = Backend::at(self.address, move |stream| shared.serve(&stream));
        self.running = Some(Running { socket, receiver, tcp: Some(tcp) });
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

struct Running {
    socket: UdpSocket,
    receiver: JoinHandle<()>,
    tcp: Option<Backend>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    records: HashMap<String, Vec<Record>>,
    usual: Behaviour,
    special: HashMap<Kind, Behaviour>,
    zones: Vec<(String, Behaviour)>,
    options: Options,
    queries: Vec<Query>,
    /// An answer that is yet to come, and its client.
    late: Option<(Vec<u8>, SocketAddr)>,
    is_stopping: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves UDP until the server is to end.
    fn receive(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        loop {
            // An error tells of a client that was gone when its answer came.
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            let mut state = self.lock();
            if state.is_stopping {
                return;
            }
            if let Some(question) = Question::read(&buffer[..length]) {
                let behaviour = state.note(&question, client.port(), false);
                state.respond(socket, &question, client, behaviour);
            }
        }
    }

    /// Serves one TCP connection to its end: each message follows its length.
    fn serve(&self, mut stream: &TcpStream) {
        let port = stream.peer_addr().map_or(0, |peer| peer.port());
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        loop {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                return;
            }
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut query).is_err() {
                return;
            }
            let Some(question) = Question::read(&query) else { return };
            let mut state = self.lock();
            let behaviour = state.note(&question, port, true);
            let Some(message) = state.message(&question, behaviour, usize::MAX) else { continue };
            drop(state);
            let length = u16::try_from(message.len()).expect("a message of the tests");
            // Fails if the other side has given up.
            let _ = stream.write_all(&[&length.to_be_bytes()[..], &message].concat());
        }
    }
}

impl State {
    /// Remembers a query, and says how it is answered.
    fn note(&mut self, question: &Question, port: u16, is_tcp: bool) -> Behaviour {
        let Question { name, kind, id, .. } = question;
        let has_options = question.has_options;
        self.queries.push(Query {
            name: name.clone(),
            kind: *kind,
            id: *id,
            port,
            is_tcp,
            has_options,
        });
        if has_options && self.options == Options::Dropped {
            return Behaviour::Drop;
        }
        let is_in = |(zone, _): &&(String, Behaviour)| {
            let rest = name.strip_suffix(zone.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let zone = self.zones.iter().rev().find(is_in);
        let special = self.special.get(kind).or(zone.map(|(_, behaviour)| behaviour));
        special.copied().unwrap_or(self.usual)
    }

    fn respond(
        &mut self,
        socket: &UdpSocket,
        question: &Question,
        client: SocketAddr,
        behaviour: Behaviour,
    ) {
        // Fails if the other side has given up, which it may.
        let send = |message: &[u8], client: SocketAddr| drop(socket.send_to(message, client));
        let Some(message) = self.message(question, behaviour, question.datagram_bytes) else {
            return;
        };
        match behaviour {
            Behaviour::Late => {
                if let Some((message, client)) = self.late.replace((message, client)) {
                    send(&message, client);
                }
                return;
            }
            Behaviour::AnswerFirst => {
                let Question { name, kind, .. } = question;
                let mut same =
                    self.queries.iter().filter(|query| (&query.name, &query.kind) == (name, kind));
                let count = same.clone().count();
                let first = same.next().expect("it was noted");
                let mut message = message;
                message[..2].copy_from_slice(&first.id.to_be_bytes());
                if count == 3 {
                    send(&message, SocketAddr::new(client.ip(), first.port));
                }
                return;
            }
            Behaviour::Duplicate => send(&message, client),
            Behaviour::Forge(address) => forge(socket, question, client, address),
            Behaviour::Garbage => {
                let first = self.queries.len();
                let kinds = first + 1..first + GARBAGE_KINDS;
                kinds.for_each(|kind| send(&garbage(question, kind), client));
            }
            _ => {}
        }
        send(&message, client);
    }

    /// The one message that answers the question; `None` if none does.
    fn message(&self, question: &Question, behaviour: Behaviour, most: usize) -> Option<Vec<u8>> {
        let (code, records) = match behaviour {
            Behaviour::Drop => return None,
            Behaviour::Garbage => return Some(garbage(question, self.queries.len())),
            Behaviour::ServerFailure => (Code::ServerFailure, Vec::new()),
            Behaviour::Refused => (Code::Refused, Vec::new()),
            Behaviour::NoSuchName => (Code::NoSuchName, Vec::new()),
            Behaviour::Part(count) => {
                let (code, mut records) = self.look_up(&question.name, question.kind);
                let count = count.min(records.len());
                // Each part overlaps the one before by chance, as with a random choice.
                let first = self.queries.len() * 7 % records.len().max(1);
                records.rotate_left(first);
                records.truncate(count);
                (code, records)
            }
            _ => self.look_up(&question.name, question.kind),
        };
        let answer = Answer { code, is_truncated: false, records, negative_ttl: NEGATIVE_TTL };
        if question.has_options {
            let failed = |code| Answer { code, records: Vec::new(), ..answer.clone() };
            match self.options {
                Options::Known | Options::Dropped => {}
                Options::FormatError => return Some(failed(Code::FormatError).write(question)),
                Options::ServerFailure => {
                    return Some(failed(Code::ServerFailure).write(question));
                }
                Options::Doubled => return Some(answer.write_doubling_options(question)),
            }
        }
        let mut message = answer.write(question);
        let is_datagram = most != usize::MAX;
        if is_datagram && behaviour == Behaviour::CutInSilence {
            message.truncate(DATAGRAM_BYTES);
            return Some(message);
        }
        if message.len() <= most && !(is_datagram && behaviour == Behaviour::Truncate) {
            return Some(message);
        }
        Some(Answer { is_truncated: true, records: Vec::new(), ..answer }.write(question))
    }

    /// The records of that kind, with the links of the chain that leads to them.
    fn look_up(&self, name: &str, kind: Kind) -> (Code, Vec<(String, Record)>) {
        let mut found = Vec::new();
        let mut name = name.to_owned();
        for _ in 0..CHAIN_MAX {
            let Some(records) = self.records.get(&name) else {
                return (Code::NoSuchName, found);
            };
            let mut next = None;
            for record in records {
                let own = record.data.kind();
                if let (Data::Cname(target), true) = (&record.data, kind != Kind::Cname) {
                    next = Some(target.clone());
                }
                if own == kind || own == Kind::Cname {
                    found.push((name.clone(), record.clone()));
                }
            }
            match next {
                Some(target) => name = target,
                None => break,
            }
        }
        (Code::NoError, found)
    }
}

/// Sends answers that lead to `address` and must not be believed.
fn forge(socket: &UdpSocket, question: &Question, client: SocketAddr, address: Ipv4Addr) {
    let record = |name: &str| {
        let data = match question.kind {
            Kind::Srv => {
                Data::Srv { priority: 0, weight: 1, port: 2379, target: address.to_string() }
            }
            Kind::Aaaa => Data::Aaaa(address.to_ipv6_mapped()),
            _ => Data::A(address),
        };
        (name.to_owned(), Record { ttl: 3600, data })
    };
    let message = |question: &Question| {
        let records = vec![record(&question.name)];
        Answer { code: Code::NoError, is_truncated: false, records, negative_ttl: 1 }
            .write(question)
    };
    let mut messages = Vec::new();
    for wrong in [1, 0x100, 0x8000] {
        let mut other = message(question);
        other[..2].copy_from_slice(&(question.id ^ wrong).to_be_bytes());
        messages.push(other);
    }
    // The first letter of the name in the question, and its type.
    for (at, wrong) in [(13, 1), (question.octets_end() - 3, 0x10)] {
        let mut other = message(question);
        other[at] ^= wrong;
        messages.push(other);
    }
    // A query is not an answer.
    let mut query = message(question);
    query[2] &= 0x7f;
    messages.push(query);
    for message in &messages {
        drop(socket.send_to(message, client));
    }
    let own = socket.local_addr().expect("a bound socket").ip();
    for other in [SocketAddr::new(own, 0), SocketAddr::from((address, PORT))] {
        let stranger = UdpSocket::bind(other).expect("a port that is free");
        drop(stranger.send_to(&message(question), client));
    }
}
