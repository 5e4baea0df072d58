//! Clients of the admin side while a load goes on, on a thread of their own: one that asks once a
//! second, as Prometheus does, or many that ask for more than they can get.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// What is asked.
pub const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n";
/// The end of the last chunk of an answer, which no line of metrics contains (RFC 9112, 7.1).
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
/// Connections of those who ask a lot, as many as the admin side has.
const CONNECTIONS: usize = 32;
/// Requests wait here, where a connection takes no more.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// The time between two looks at how many requests are due.
const STEP: Duration = Duration::from_millis(3);
/// Attempts to get the metrics.
const ATTEMPTS: usize = 20;
/// An answer that takes longer is a failure.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How the gateway is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// Not at all.
    Not,
    /// Once in this time, over one connection.
    Each(Duration),
    /// This often in a second, over many connections, whether earlier requests are answered or not.
    Offered { per_second: u32 },
    /// Over many connections, each of which asks again when it is answered.
    ClosedLoop,
    /// As many are offered, but another server answers, as many bytes a second as the gateway did.
    Elsewhere { per_second: u32 },
}

/// The answers of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    pub requests: u64,
    pub answers: u64,
    /// Bytes that many clients have received, those of unfinished answers with them.
    pub bytes: u64,
    /// Connections that the gateway has closed.
    pub closed: u64,
    pub time: Duration,
    /// The longest time from a request to the end of its answer, where one asks once a second.
    pub longest: Duration,
}

impl Answered {
    /// This count over the time of the run, a second; 0 where nothing was asked for.
    pub fn a_second(&self, count: u64) -> f64 {
        if self.time.is_zero() { 0.0 } else { count as f64 / self.time.as_secs_f64() }
    }
}

/// Clients that go on until they are ended.
pub struct Watcher {
    end: Sender<()>,
    thread: JoinHandle<Answered>,
}

impl Watcher {
    /// Begins to ask at this address.
    pub fn start(watching: Watching, address: SocketAddr) -> Watcher {
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || match watching {
            Watching::Not => Answered::default(),
            Watching::Each(interval) => ask_each(interval, address, &ended),
            Watching::Offered { per_second } | Watching::Elsewhere { per_second } => {
                Crowd::new(address, Some(per_second)).run(&ended)
            }
            Watching::ClosedLoop => Crowd::new(address, None).run(&ended),
        });
        Watcher { end, thread }
    }

    /// Ends it, and returns its answers.
    pub fn end(self) -> Answered {
        // It may have ended by itself.
        let _ = self.end.send(());
        self.thread.join().expect("the admin side answers")
    }
}

fn ask_each(interval: Duration, address: SocketAddr, ended: &mpsc::Receiver<()>) -> Answered {
    let mut connection = connect(address);
    let started = Instant::now();
    let mut answered = Answered::default();
    // In the middle of the times, so that those who begin with them see as many as they end with.
    let mut due = started + interval / 2;
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        if ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let asked = Instant::now();
        ask(&mut connection).expect("the admin side answers");
        answered.requests += 1;
        answered.answers += 1;
        answered.longest = answered.longest.max(asked.elapsed());
        due += interval;
    }
    answered.time = started.elapsed();
    answered
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("the admin side listens");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a timeout that is not zero");
    BufReader::new(stream)
}

/// The body of one answer.
fn ask(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    connection.get_mut().write_all(REQUEST)?;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let mut body = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let bytes = usize::from_str_radix(line.trim_end(), 16).expect("a size in hexadecimal");
        let begin = body.len();
        body.resize(begin + bytes + 2, 0);
        connection.read_exact(&mut body[begin..])?;
        body.truncate(begin + bytes);
        if bytes == 0 {
            return Ok(String::from_utf8(body).expect("metrics are text"));
        }
    }
}

/// The metrics of the gateway, over a connection of its own. Tries again where the gateway is left
/// by many others and may still have no place for it.
pub fn metrics(address: SocketAddr) -> String {
    let mut attempts = (0..ATTEMPTS).map(|_| ask(&mut connect(address)));
    attempts.find_map(Result::ok).expect("the admin side answers")
}

/// An answer with as many bytes as one of the gateway, and the same end.
pub fn answer(address: SocketAddr) -> Vec<u8> {
    let mut answer = metrics(address).into_bytes();
    answer.extend_from_slice(LAST_CHUNK);
    answer
}

/// Those who ask a lot.
struct Crowd {
    address: SocketAddr,
    /// `None`: as soon as they are answered.
    per_second: Option<u32>,
    poll: Poll,
    clients: Vec<Client>,
    answered: Answered,
}

struct Client {
    stream: mio::net::TcpStream,
    unsent: Vec<u8>,
    /// The end of what was read, in which the end of an answer may have begun.
    tail: Vec<u8>,
}

impl Crowd {
    fn new(address: SocketAddr, per_second: Option<u32>) -> Crowd {
        let (poll, answered) = (Poll::new().expect("epoll"), Answered::default());
        let mut crowd = Crowd { address, per_second, poll, clients: Vec::new(), answered };
        (0..CONNECTIONS).for_each(|place| crowd.open(place));
        crowd
    }

    /// Opens the connection of this place, in place of one that is closed.
    fn open(&mut self, place: usize) {
        let mut stream = mio::net::TcpStream::connect(self.address).expect("there are ports");
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(place), interest).expect("epoll takes it");
        let client = Client { stream, unsent: Vec::new(), tail: Vec::new() };
        match self.clients.get_mut(place) {
            Some(closed) => *closed = client,
            None => self.clients.push(client),
        }
        if self.per_second.is_none() {
            self.request(place);
        }
    }

    fn run(mut self, ended: &mpsc::Receiver<()>) -> Answered {
        let started = Instant::now();
        let mut events = Events::with_capacity(2 * CONNECTIONS);
        let mut scratch = vec![0; 64 * 1024];
        while ended.try_recv() == Err(mpsc::TryRecvError::Empty) {
            match self.poll.poll(&mut events, Some(STEP)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                outcome => outcome.expect("epoll goes on"),
            }
            for event in &events {
                let Token(place) = event.token();
                self.clients[place].send();
                self.receive(place, &mut scratch);
            }
            let due = self.per_second.map_or(0.0, f64::from);
            let due = (due * started.elapsed().as_secs_f64()) as u64;
            for request in self.answered.requests..due {
                self.request(request as usize % CONNECTIONS);
            }
        }
        self.answered.time = started.elapsed();
        self.answered
    }

    fn request(&mut self, place: usize) {
        self.answered.requests += 1;
        let client = &mut self.clients[place];
        if client.unsent.len() < UNSENT_BYTES_MAX {
            client.unsent.extend_from_slice(REQUEST);
        }
        client.send();
    }

    fn receive(&mut self, place: usize, scratch: &mut [u8]) {
        loop {
            match self.clients[place].stream.read(scratch) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::NotConnected => return,
                Ok(0) | Err(_) => {
                    self.answered.closed += 1;
                    self.open(place);
                    return;
                }
                Ok(count) => {
                    let answers = self.clients[place].answers_in(&scratch[..count]);
                    self.answered.answers += answers;
                    self.answered.bytes += count as u64;
                    if self.per_second.is_none() {
                        (0..answers).for_each(|_| self.request(place));
                    }
                }
            }
        }
    }
}

impl Client {
    /// Sends what is taken, maybe nothing.
    fn send(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        // What is wrong with a connection is told by the next read.
        let sent = self.stream.write(&self.unsent).unwrap_or(0);
        self.unsent.drain(..sent);
    }

    /// How many answers end in these bytes.
    fn answers_in(&mut self, bytes: &[u8]) -> u64 {
        self.tail.extend_from_slice(bytes);
        let answers = self.tail.windows(LAST_CHUNK.len()).filter(|end| *end == LAST_CHUNK).count();
        let kept = self.tail.len().min(LAST_CHUNK.len() - 1);
        self.tail.drain(..self.tail.len() - kept);
        answers as u64
    }
}
