//! The load: clients and backend in one event loop on one thread, so that neither waits for the
//! scheduler and a core of its own is enough for both.
//!
//! Knows nothing of relays: it is given an address to connect to and counts what comes through.
//! What is counted has arrived: an answer at its client, bulk bytes at the side that receives.
//!
//! ```text
//!            client side                       backend side
//!   echo     Asker     ── 128 B ──►  relay ──► Echoer     and back, again and again
//!   visit    Asker     ──  64 B ──►  relay ──► Echoer     and back once, close, connect anew
//!   up       Sender    ── bytes ──►  relay ──► Receiver
//!   down     Receiver  ◄── bytes ──  relay ◄── Sender
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// Bytes read or written at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks moved for one connection before the others get their turn.
const CHUNKS_PER_STEP: usize = 4;
/// The longest wait for anything at all to come through.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the relay to close what the clients have closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Tokens from here on are listeners.
const FIRST_LISTENER: usize = 1 << 32;

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// Send so many bytes, wait until they are back, again.
    Echo(usize),
    /// Connect, one echo of so many bytes, close, again.
    Visit(usize),
    /// Send as much as is taken.
    Up,
    /// Receive as much as comes.
    Down,
}

/// What came through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Echoes that were answered; with `Visit` also connections.
    pub echoes: u64,
    /// Bulk bytes.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    /// How much of the answer is still to come; nothing before the first question.
    Asker {
        missing: usize,
    },
    Echoer,
    Sender,
    Receiver,
}

struct Connection {
    stream: TcpStream,
    role: Role,
    is_client: bool,
    readable: bool,
    writable: bool,
    /// The other side sends no more, so reading goes on until it says so.
    closed: bool,
    queued: bool,
}

/// What a step on a connection led to.
enum Step {
    /// Nothing more until the next event.
    Wait,
    /// More to do, when the others have had their turn.
    Again,
    /// One visit is over.
    Left,
    /// The other side closed.
    Closed,
}

/// The loop with all its sockets.
pub struct Load {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    connections: Slab<Connection>,
    /// Connections with something to do.
    queue: VecDeque<usize>,
    chunk: Vec<u8>,
    pattern: Pattern,
    /// Where clients connect.
    target: Option<SocketAddr>,
    tally: Tally,
}

impl Load {
    /// No connection and no listener yet.
    pub fn new() -> Load {
        Load {
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            listeners: Vec::new(),
            connections: Slab::new(),
            queue: VecDeque::new(),
            chunk: vec![7; CHUNK_BYTES],
            pattern: Pattern::Up,
            target: None,
            tally: Tally::default(),
        }
    }

    /// Opens one more address at which the backend answers.
    pub fn listen(&mut self) -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = TcpListener::bind(any).expect("the loopback is there");
        let token = Token(FIRST_LISTENER + self.listeners.len());
        let registry = self.poll.registry();
        registry.register(&mut listener, token, Interest::READABLE).expect("epoll takes it");
        let address = listener.local_addr().expect("a bound socket has an address");
        self.listeners.push(listener);
        address
    }

    /// Connects the clients and goes on until the first of them has been served.
    pub fn begin(&mut self, pattern: Pattern, clients: usize, target: SocketAddr) {
        assert!(self.connections.is_empty(), "the load before has ended");
        self.pattern = pattern;
        self.target = Some(target);
        for _ in 0..clients {
            self.connect();
        }
        self.go_on(Duration::ZERO);
    }

    /// Goes on for this time, and for longer if nothing at all came through in it.
    pub fn go_on(&mut self, time: Duration) -> (Tally, Duration) {
        self.tally = Tally::default();
        let start = Instant::now();
        loop {
            let spent = start.elapsed();
            let anything = self.tally.echoes + self.tally.bytes > 0;
            if anything && spent >= time {
                return (self.tally, spent);
            }
            assert!(spent < time + STALL_TIMEOUT, "nothing comes through");
            self.turn();
        }
    }

    /// Closes the clients and waits for the relay to close the rest.
    pub fn end(&mut self) {
        self.target = None;
        self.connections.retain(|_, connection| !connection.is_client);
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.connections.is_empty() && Instant::now() < deadline {
            self.turn();
        }
        self.connections.clear();
        self.queue.clear();
    }

    fn turn(&mut self) {
        let wait = if self.queue.is_empty() { Duration::from_millis(10) } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            outcome => outcome.expect("epoll goes on"),
        }
        let mut ready_listeners = Vec::new();
        for event in &self.events {
            let Token(key) = event.token();
            if key >= FIRST_LISTENER {
                ready_listeners.push(key - FIRST_LISTENER);
            } else if let Some(connection) = self.connections.get_mut(key) {
                connection.readable |= event.is_readable();
                connection.writable |= event.is_writable();
                connection.closed |= event.is_read_closed();
                if !connection.queued {
                    connection.queued = true;
                    self.queue.push_back(key);
                }
            }
        }
        ready_listeners.into_iter().for_each(|index| self.accept(index));
        for _ in 0..self.queue.len() {
            let key = self.queue.pop_front().expect("counted just now");
            self.step(key);
        }
    }

    fn accept(&mut self, index: usize) {
        let role = match self.pattern {
            Pattern::Echo(_) | Pattern::Visit(_) => Role::Echoer,
            Pattern::Up => Role::Receiver,
            Pattern::Down => Role::Sender,
        };
        loop {
            match self.listeners[index].accept() {
                Ok((stream, _)) => self.insert(stream, role, false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the backend cannot accept: {error}"),
            }
        }
    }

    fn connect(&mut self) {
        let Some(target) = self.target else { return };
        let role = match self.pattern {
            Pattern::Echo(_) | Pattern::Visit(_) => Role::Asker { missing: 0 },
            Pattern::Up => Role::Sender,
            Pattern::Down => Role::Receiver,
        };
        let stream = TcpStream::connect(target).expect("the loopback has ports to spare");
        self.insert(stream, role, true);
    }

    fn insert(&mut self, mut stream: TcpStream, role: Role, is_client: bool) {
        // As HTTP clients and etcd do; a pause of 40 ms would measure nothing but itself.
        stream.set_nodelay(true).expect("a TCP socket has it");
        let slot = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(slot.key());
        self.poll.registry().register(&mut stream, token, interest).expect("epoll takes it");
        slot.insert(Connection {
            stream,
            role,
            is_client,
            readable: false,
            writable: false,
            closed: false,
            queued: false,
        });
    }

    fn step(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        let step = match connection.role {
            Role::Asker { missing } => {
                connection.ask(missing, self.pattern, &mut self.chunk, &mut self.tally)
            }
            Role::Echoer => connection.echo(&mut self.chunk),
            Role::Sender => connection.send(&self.chunk),
            Role::Receiver => connection.receive(&mut self.chunk, &mut self.tally),
        };
        match step {
            Ok(Step::Wait) => {}
            Ok(Step::Again) => {
                connection.queued = true;
                self.queue.push_back(key);
            }
            Ok(Step::Left) => {
                self.connections.remove(key);
                self.connect();
            }
            // The backend may lose connections: when the load ends, relays reset them.
            Ok(Step::Closed) | Err(_) => {
                let end = step.map(|_| "end of file");
                assert!(!connection.is_client, "a client lost its connection: {end:?}");
                self.connections.remove(key);
            }
        }
    }
}

impl Connection {
    /// The first question goes out when the connection stands, every other one with the answer
    /// to the one before.
    fn ask(
        &mut self,
        mut missing: usize,
        pattern: Pattern,
        chunk: &mut [u8],
        tally: &mut Tally,
    ) -> io::Result<Step> {
        let (bytes, is_visit) = match pattern {
            Pattern::Echo(bytes) => (bytes, false),
            Pattern::Visit(bytes) => (bytes, true),
            Pattern::Up | Pattern::Down => unreachable!("nobody asks in bulk"),
        };
        if self.readable {
            let Some(count) = self.read(chunk)? else { return Ok(Step::Closed) };
            missing = missing.checked_sub(count).expect("no more comes back than was sent");
            let is_answered = missing == 0 && count > 0;
            tally.echoes += u64::from(is_answered);
            if is_answered && is_visit {
                return Ok(Step::Left);
            }
        }
        if self.writable && missing == 0 {
            missing = self.write(&chunk[..bytes])?;
            assert_eq!(missing, bytes, "one question always fits");
        }
        self.role = Role::Asker { missing };
        Ok(if self.readable { Step::Again } else { Step::Wait })
    }

    fn echo(&mut self, chunk: &mut [u8]) -> io::Result<Step> {
        if self.readable {
            let Some(count) = self.read(chunk)? else { return Ok(Step::Closed) };
            let written = self.write(&chunk[..count])?;
            assert_eq!(written, count, "one answer always fits");
        }
        Ok(if self.readable { Step::Again } else { Step::Wait })
    }

    fn send(&mut self, chunk: &[u8]) -> io::Result<Step> {
        for _ in 0..CHUNKS_PER_STEP {
            if self.closed {
                return Ok(Step::Closed);
            }
            if !self.writable {
                return Ok(Step::Wait);
            }
            self.write(chunk)?;
        }
        Ok(Step::Again)
    }

    fn receive(&mut self, chunk: &mut [u8], tally: &mut Tally) -> io::Result<Step> {
        for _ in 0..CHUNKS_PER_STEP {
            if !self.readable {
                return Ok(Step::Wait);
            }
            let Some(count) = self.read(chunk)? else { return Ok(Step::Closed) };
            tally.bytes += count as u64;
        }
        Ok(Step::Again)
    }

    /// Reads what is there, maybe nothing; `None` at the end of file. A short read means that
    /// the kernel will tell when there is more, so nobody has to ask.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        let count = match self.stream.read(chunk) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Some(0));
            }
            other => other?,
        };
        self.readable = count == chunk.len() || self.closed;
        Ok(Some(count))
    }

    /// Writes what is taken, maybe nothing; after a short write the kernel tells as well.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            other => other?,
        };
        self.writable = count == bytes.len();
        Ok(count)
    }
}
