//! A server on the core of the gateway that answers as often as the gateway did, with as many
//! bytes, and does nothing else: what a bulk flow loses to any process that answers there.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::machine;

/// What each request begins with.
const REQUEST_START: &[u8] = b"GET ";
/// The listener; connections have smaller numbers.
const LISTENER: Token = Token(usize::MAX);
/// How far it may be behind, to catch up: the kernel counts waits in milliseconds.
const BEHIND_MAX: Duration = Duration::from_millis(20);

/// The server, which goes on until the process ends.
pub struct Elsewhere {
    pub address: SocketAddr,
    /// Nanoseconds from one answer to the next.
    interval: Arc<AtomicU64>,
}

/// What the server's thread has.
struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<TcpStream>>,
    /// The connection of each request that is not answered.
    asked: Vec<usize>,
    answer: Vec<u8>,
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
        let (connections, asked) = (Vec::new(), Vec::new());
        let server = Server { poll, listener, connections, asked, answer };
        let pace = Arc::clone(&interval);
        thread::spawn(move || {
            machine::pin(core);
            server.run(&pace);
        });
        Elsewhere { address, interval }
    }

    /// Answers this often from now on.
    pub fn set_pace(&self, per_second: f64) {
        self.interval.store((1e9 / per_second) as u64, Ordering::Relaxed);
    }
}

impl Server {
    fn run(mut self, interval: &AtomicU64) {
        let mut events = Events::with_capacity(64);
        let mut scratch = vec![0; 64 * 1024];
        let mut due = Instant::now();
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let wait = (!self.asked.is_empty()).then_some(wait);
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
            if !self.asked.is_empty() && due <= now {
                self.answer_one();
                let interval = Duration::from_nanos(interval.load(Ordering::Relaxed));
                due = (due + interval).max(now - BEHIND_MAX);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.connections.len());
            let registry = self.poll.registry();
            registry.register(&mut stream, token, Interest::READABLE).expect("epoll takes it");
            self.connections.push(Some(stream));
        }
    }

    fn receive(&mut self, place: usize, scratch: &mut [u8]) {
        while let Some(stream) = &mut self.connections[place] {
            match stream.read(scratch) {
                Ok(count) if count > 0 => {
                    let windows = scratch[..count].windows(REQUEST_START.len());
                    let requests = windows.filter(|bytes| *bytes == REQUEST_START).count();
                    self.asked.extend((0..requests).map(|_| place));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {
                    self.connections[place] = None;
                    self.asked.retain(|asked| *asked != place);
                }
            }
        }
    }

    fn answer_one(&mut self) {
        let place = self.asked.remove(0);
        if let Some(stream) = &mut self.connections[place] {
            let sent = stream.write(&self.answer).unwrap_or(self.answer.len());
            assert!(sent == self.answer.len(), "an answer of this size fits into a socket");
        }
    }
}
