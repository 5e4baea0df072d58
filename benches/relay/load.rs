//! The load: clients and backend in one event loop on one thread, so that neither waits for the
//! scheduler and a core of its own is enough for both.
//!
//! Knows nothing of relays: it is given an address to connect to and counts what comes through.
//! What is counted has arrived: an answer at its client, bulk bytes at the side that receives.
//!
//! ```text
//!            client side                        backend side
//!   echo     asks      ── n bytes ──►  relay ──► echoes    and back, again and again
//!   visit    asks      ── n bytes ──►  relay ──► echoes    and back once, close, connect anew
//!   up       sends     ──  bytes  ──►  relay ──► receives
//!   down     receives  ◄──  bytes ──   relay ◄── sends
//! ```

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use slab::Slab;
use socket2::SockRef;

use super::connection::{CHUNK_BYTES, Connection, Job, Step, Tally};
use super::latency::Latency;

/// The longest wait for anything at all to come through.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the relay to close what the clients have closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Long enough for a connection that is on its way to arrive.
const FORGET_TIME: Duration = Duration::from_millis(50);
/// Connections on their way through the relay at once: less than the shortest backlog of a relay.
const OPENING_MAX: usize = 64;
/// Tokens from here on are listeners: the upper half, so that it fits 32 bits, too.
const FIRST_LISTENER: usize = 1 << (usize::BITS - 1);

/// The token of the signals.
const SIGNALS: Token = Token(usize::MAX);

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Send `bytes`, wait until they are back, again. `busy` clients at a time do, and each
    /// lets another have its turn after that number of `answers`.
    Echo { bytes: usize, busy: usize, answers: u32 },
    /// Connect, one echo of `bytes`, close, again.
    Visit { bytes: usize },
    /// Clients send, or receive, or both, as much as goes.
    Bulk { up: bool, down: bool },
}

/// The loop with all its sockets.
pub struct Load {
    poll: Poll,
    /// Kept open as long as the loop goes on.
    _signals: SignalFd,
    events: Events,
    listeners: Vec<TcpListener>,
    connections: Slab<Connection>,
    /// Connections with something to do.
    queue: VecDeque<usize>,
    /// Clients that wait for their turn.
    idle: VecDeque<usize>,
    /// How often a client may still be given its turn.
    turns_left: u64,
    /// What the backend has accepted in this load.
    accepted: usize,
    chunk: Vec<u8>,
    pattern: Pattern,
    /// Where clients connect.
    target: Option<SocketAddr>,
    tally: Tally,
    /// What has gone wrong with a client.
    failure: Option<String>,
}

impl Pattern {
    /// `clients` that all echo all the time.
    pub const fn echo(bytes: usize) -> Pattern {
        Pattern::Echo { bytes, busy: usize::MAX, answers: u32::MAX }
    }

    fn client_job(self, now: Instant) -> Job {
        match self {
            Pattern::Echo { bytes, answers, .. } => Job::ask(bytes, answers, now),
            Pattern::Visit { bytes } => Job::ask(bytes, 1, now),
            Pattern::Bulk { up, down } => Job::Bulk { sends: up, receives: down },
        }
    }

    fn backend_job(self) -> Job {
        match self {
            Pattern::Echo { .. } | Pattern::Visit { .. } => Job::Echo { owed: 0 },
            Pattern::Bulk { up, down } => Job::Bulk { sends: down, receives: up },
        }
    }
}

impl Load {
    /// No connection and no listener yet. From now on SIGTERM and SIGINT are events.
    pub fn new() -> Load {
        let poll = Poll::new().expect("epoll");
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        signals.thread_block().expect("this thread may hold them back");
        let signals = SignalFd::new(&signals).expect("signalfd");
        let descriptor = signals.as_raw_fd();
        let registry = poll.registry();
        let mut source = SourceFd(&descriptor);
        registry.register(&mut source, SIGNALS, Interest::READABLE).expect("epoll takes it");
        Load {
            poll,
            _signals: signals,
            events: Events::with_capacity(1024),
            listeners: Vec::new(),
            connections: Slab::new(),
            queue: VecDeque::new(),
            idle: VecDeque::new(),
            turns_left: u64::MAX,
            accepted: 0,
            chunk: vec![7; CHUNK_BYTES],
            pattern: Pattern::echo(1),
            target: None,
            tally: Tally { echoes: 0, bytes: 0, latency: Latency::new() },
            failure: None,
        }
    }

    /// Opens one more address at which the backend answers.
    pub fn listen(&mut self, address: SocketAddr) {
        let mut listener = TcpListener::bind(address).expect("it was free just now");
        let token = Token(FIRST_LISTENER + self.listeners.len());
        let registry = self.poll.registry();
        registry.register(&mut listener, token, Interest::READABLE).expect("epoll takes it");
        self.listeners.push(listener);
    }

    /// Lets go of what relays have connected to for reasons of their own, such as a first look.
    pub fn forget(&mut self) {
        self.target = None;
        let end = Instant::now() + FORGET_TIME;
        while Instant::now() < end {
            self.turn();
        }
        self.connections.clear();
        self.queue.clear();
    }

    /// Opens the connections of the clients, which say nothing yet, through to the backend. Visits
    /// open theirs themselves.
    pub fn open(
        &mut self,
        pattern: Pattern,
        clients: usize,
        target: SocketAddr,
    ) -> Result<(), String> {
        assert!(self.connections.is_empty(), "the load before has ended");
        self.pattern = pattern;
        self.target = Some(target);
        self.accepted = 0;
        let mut opened = 0;
        let mut progress = (0, Instant::now());
        while self.accepted < clients {
            while opened < clients && opened < self.accepted + OPENING_MAX {
                let key = self.connect(Job::Idle);
                self.idle.push_back(key);
                opened += 1;
            }
            self.turn_towards(|load| load.accepted as u64, &mut progress)?;
        }
        Ok(())
    }

    /// Lets the clients begin, and goes on until the first of them has been served.
    pub fn begin(
        &mut self,
        pattern: Pattern,
        clients: usize,
        target: SocketAddr,
    ) -> Result<(), String> {
        match pattern {
            Pattern::Visit { .. } => {
                self.open(pattern, 0, target)?;
                (0..clients).for_each(|_| _ = self.connect(pattern.client_job(Instant::now())));
            }
            Pattern::Echo { .. } | Pattern::Bulk { .. } => {
                self.open(pattern, clients, target)?;
                self.start(pattern);
            }
        }
        self.go_on(Duration::ZERO).map(|_| ())
    }

    /// Gives the clients that wait something to do, as far as the pattern has them busy.
    pub fn start(&mut self, pattern: Pattern) {
        self.pattern = pattern;
        let busy = match pattern {
            Pattern::Echo { busy, .. } => busy.min(self.idle.len()),
            Pattern::Visit { .. } | Pattern::Bulk { .. } => self.idle.len(),
        };
        (0..busy).for_each(|_| self.start_one());
    }

    /// Goes on for this time, and for longer if nothing at all came through in it.
    pub fn go_on(&mut self, time: Duration) -> Result<(&Tally, Duration), String> {
        self.clear_tally();
        let start = Instant::now();
        loop {
            let spent = start.elapsed();
            let anything = self.tally.echoes + self.tally.bytes > 0;
            if anything && spent >= time {
                return Ok((&self.tally, spent));
            }
            self.check(start + time)?;
            self.turn();
        }
    }

    /// Has each client ask once, `busy` of them at a time.
    pub fn ask_once(&mut self, bytes: usize, busy: usize) -> Result<(), String> {
        let clients = self.idle.len() as u64;
        self.clear_tally();
        self.turns_left = clients;
        self.start(Pattern::Echo { bytes, busy, answers: 1 });
        let mut progress = (0, Instant::now());
        while self.tally.echoes < clients {
            self.turn_towards(|load| load.tally.echoes, &mut progress)?;
        }
        Ok(())
    }

    /// Closes the clients and waits for the relay to close the rest.
    pub fn end(&mut self) {
        self.target = None;
        self.connections.retain(|_, connection| {
            if connection.is_client {
                // With a reset, so that no port stays behind in TIME_WAIT: not part of any figure.
                let socket = SockRef::from(&connection.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("a TCP socket has it");
            }
            !connection.is_client
        });
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.connections.is_empty() && Instant::now() < deadline {
            self.turn();
        }
        self.connections.clear();
        self.queue.clear();
        self.idle.clear();
        self.turns_left = u64::MAX;
        self.failure = None;
    }

    /// A turn that is to raise this count; `progress` is how far it was, and since when.
    fn turn_towards(
        &mut self,
        count: impl Fn(&Load) -> u64,
        progress: &mut (u64, Instant),
    ) -> Result<(), String> {
        self.turn();
        if count(self) > progress.0 {
            *progress = (count(self), Instant::now());
        }
        self.check(progress.1)
    }

    /// Whether clients are still being served, the last time at `since`.
    fn check(&mut self, since: Instant) -> Result<(), String> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None if since.elapsed() > STALL_TIMEOUT => Err("nothing comes through".to_owned()),
            None => Ok(()),
        }
    }

    fn clear_tally(&mut self) {
        self.tally.echoes = 0;
        self.tally.bytes = 0;
        self.tally.latency.clear();
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
            if event.token() == SIGNALS {
                eprintln!("bench: asked to end");
                // Like a panic without its message: the relays are ended on the way out.
                resume_unwind(Box::new("asked to end"));
            } else if key >= FIRST_LISTENER {
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
        loop {
            match self.listeners[index].accept() {
                Ok((stream, _)) => {
                    self.insert(Connection::new(stream, self.pattern.backend_job(), false));
                    self.accepted += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the backend cannot accept: {error}"),
            }
        }
    }

    fn connect(&mut self, job: Job) -> usize {
        let target = self.target.expect("clients connect while a load goes on");
        let stream = TcpStream::connect(target).expect("the loopback has ports to spare");
        self.insert(Connection::new(stream, job, true))
    }

    fn insert(&mut self, mut connection: Connection) -> usize {
        // As HTTP clients and etcd do; a pause of 40 ms would measure nothing but itself.
        connection.stream.set_nodelay(true).expect("a TCP socket has it");
        let slot = self.connections.vacant_entry();
        let key = slot.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut connection.stream, Token(key), interest).expect("epoll takes it");
        slot.insert(connection);
        key
    }

    fn start_one(&mut self) {
        if self.turns_left == 0 {
            return;
        }
        self.turns_left -= 1;
        let key = self.idle.pop_front().expect("as many as were counted wait");
        // One that has failed is gone, and the load with it.
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.job = self.pattern.client_job(Instant::now());
        if !connection.queued {
            connection.queued = true;
            self.queue.push_back(key);
        }
    }

    fn step(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        let step = connection.step(&mut self.chunk, &mut self.tally);
        match step {
            Ok(Step::Wait) => {}
            Ok(Step::Again) => {
                connection.queued = true;
                self.queue.push_back(key);
            }
            Ok(Step::Done) if matches!(self.pattern, Pattern::Visit { .. }) => {
                self.connections.remove(key);
                if self.target.is_some() {
                    self.connect(self.pattern.client_job(Instant::now()));
                }
            }
            Ok(Step::Done) => {
                self.idle.push_back(key);
                self.start_one();
            }
            // The backend may lose connections: when the load ends, relays reset them.
            Ok(Step::Closed) | Err(_) => {
                if connection.is_client {
                    let end = step.map(|_| "end of file");
                    self.failure = Some(format!("a client lost its connection: {end:?}"));
                }
                self.connections.remove(key);
            }
        }
    }
}
