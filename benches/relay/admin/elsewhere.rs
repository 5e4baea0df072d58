//! A server on the core of the gateway that sends the same answers at the rate at which the gateway
//! sent them, and does nothing else: what a bulk flow loses to any process that answers there.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::watcher::REQUEST;
use crate::machine;

/// The listener; connections have smaller numbers.
const LISTENER: Token = Token(usize::MAX);
/// Bytes that are read at once, as many as the admin side keeps of a connection.
const READ_BYTES: usize = 8 * 1024;
/// Bytes that are sent at once: an answer about hundreds of endpoints fits in no socket.
const PIECE_BYTES: usize = 8 * 1024;
/// How far it may be behind, to catch up: the kernel counts waits in milliseconds.
const BEHIND_MAX: Duration = Duration::from_millis(20);

/// The server, which goes on until the process ends.
pub struct Elsewhere {
    pub address: SocketAddr,
    /// Nanoseconds from one piece to the next.
    interval: Arc<AtomicU64>,
}

/// What the server's thread has.
struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    /// The places of those that wait for a piece of an answer, each once.
    queue: VecDeque<usize>,
    answer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// Requests that were read and are not answered.
    asked: usize,
    /// Bytes of the answer to the first of them that were sent.
    sent: usize,
}

impl Elsewhere {
    /// Listens, and answers on this core, each time with this.
    pub fn start(answer: Vec<u8>, core: usize) -> Elsewhere {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = TcpListener::bind(any).expect("there are ports");
        let address = listener.local_addr().expect("it is bound");
        let poll = Poll::new().expect("epoll");
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE).expect("epoll takes it");
        let interval = Arc::new(AtomicU64::new(u64::from(u32::MAX)));
        let (connections, queue) = (Vec::new(), VecDeque::new());
        let server = Server { poll, listener, connections, queue, answer };
        let pace = Arc::clone(&interval);
        thread::spawn(move || {
            machine::pin(core);
            server.run(&pace);
        });
        Elsewhere { address, interval }
    }

    /// Sends this many bytes a second from now on.
    pub fn set_pace(&self, bytes_a_second: f64) {
        let interval = PIECE_BYTES as f64 / bytes_a_second.max(1.0);
        self.interval.store((1e9 * interval) as u64, Ordering::Relaxed);
    }
}

impl Server {
    fn run(mut self, interval: &AtomicU64) {
        let mut events = Events::with_capacity(64);
        let mut scratch = vec![0; READ_BYTES];
        let mut due = Instant::now();
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let wait = (!self.queue.is_empty()).then_some(wait);
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                outcome => outcome.expect("epoll goes on"),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(place) => self.receive(place, &mut scratch),
                }
            }
            let now = Instant::now();
            if due <= now
                && let Some(place) = self.queue.pop_front()
            {
                let sent = self.send_piece(place, &mut scratch);
                let interval = Duration::from_nanos(interval.load(Ordering::Relaxed));
                let share = if sent > 0 { sent as f64 / PIECE_BYTES as f64 } else { 1.0 };
                let interval = interval.mul_f64(share);
                due = (due + interval).max(now - BEHIND_MAX);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.connections.len());
            let registry = self.poll.registry();
            registry.register(&mut stream, token, Interest::READABLE).expect("epoll takes it");
            self.connections.push(Some(Connection { stream, asked: 0, sent: 0 }));
        }
    }

    /// Reads what a connection asks for, unless something that it asked for is unanswered: its
    /// other requests wait in the socket, as they do with the gateway.
    fn receive(&mut self, place: usize, scratch: &mut [u8]) {
        while let Some(connection) = &mut self.connections[place] {
            if connection.asked > 0 {
                return;
            }
            match connection.stream.read(scratch) {
                Ok(count) if count > 0 => {
                    // No other byte of a request is the same as its first one.
                    let begins = scratch[..count].iter().filter(|byte| **byte == REQUEST[0]);
                    connection.asked = begins.count();
                    if connection.asked > 0 {
                        self.queue.push_back(place);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.connections[place] = None,
            }
        }
    }

    /// Sends a piece to a connection that waits for it: how many bytes.
    fn send_piece(&mut self, place: usize, scratch: &mut [u8]) -> usize {
        let Some(connection) = &mut self.connections[place] else { return 0 };
        let rest = &self.answer[connection.sent..];
        let sent = match connection.stream.write(&rest[..rest.len().min(PIECE_BYTES)]) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.connections[place] = None;
                return 0;
            }
        };
        connection.sent += sent;
        if connection.sent == self.answer.len() {
            connection.sent = 0;
            connection.asked -= 1;
        }
        if connection.asked > 0 {
            self.queue.push_back(place);
        } else {
            self.receive(place, scratch);
        }
        sent
    }
}
