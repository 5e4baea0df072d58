//! The floor: a relay without features, as one would write it to find out what relaying costs at
//! least. It is here to be measured and for nothing else.
//!
//! One thread, one epoll, sockets registered once and edge-triggered, no call that could be saved:
//! a socket is non-blocking from the first, and is told not to delay before its second write. It
//! has no health, no timers, no limits, no second endpoint and no log; whatever goes wrong with a
//! connection ends it. Two ways to move bytes:
//!
//! ```text
//! copy     read(source) ──► one buffer for all ──► write(sink)       what is left over waits
//! splice   splice(source) ──► a pipe for each flow ──► splice(sink)  what is left over waits
//! ```
//!
//! Runs as a process of its own: the bench starts its own executable once more, with `--floor`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use slab::Slab;
use socket2::{Domain, SockRef, Socket, Type};

const LISTENER: Token = Token(usize::MAX);
/// Reads of one flow before the other connections get their turn.
const READS_PER_TURN: usize = 16;

/// How bytes are moved, and with how much room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Through one buffer of that size, in bytes.
    Copy(usize),
    /// Through pipes of that size, in bytes.
    Splice(usize),
}

impl Floor {
    /// The arguments that make the bench's own executable this relay.
    pub fn arguments(self, listen: SocketAddr, backend: SocketAddr) -> [String; 3] {
        let floor = match self {
            Floor::Copy(bytes) => format!("--floor=copy:{bytes}"),
            Floor::Splice(bytes) => format!("--floor=splice:{bytes}"),
        };
        [floor, listen.to_string(), backend.to_string()]
    }

    /// Reads what `arguments` wrote; `None` if this is not a floor.
    pub fn from_arguments(arguments: &[String]) -> Option<(Floor, SocketAddr, SocketAddr)> {
        let [floor, listen, backend] = arguments else { return None };
        let (way, bytes) = floor.strip_prefix("--floor=")?.split_once(':')?;
        let bytes = bytes.parse().ok()?;
        let floor = match way {
            "copy" => Floor::Copy(bytes),
            "splice" => Floor::Splice(bytes),
            _ => return None,
        };
        Some((floor, listen.parse().ok()?, backend.parse().ok()?))
    }

    /// Relays until the process is ended.
    pub fn run(self, listen: SocketAddr, backend: SocketAddr) -> ! {
        let mut relay = Relay::new(self, listen, backend).expect("the floor starts");
        let error = loop {
            if let Err(error) = relay.turn() {
                break error;
            }
        };
        panic!("the floor cannot go on: {error}");
    }
}

struct Relay {
    floor: Floor,
    backend: SocketAddr,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    pairs: Slab<Pair>,
    /// Flows to look at, as tokens of their sources; empty between turns.
    ready: Vec<usize>,
    /// Flows that have used up their turn.
    unfinished: Vec<usize>,
    buffer: Vec<u8>,
}

/// A client and its server. Flow 0 goes from end 0, the client, to end 1; flow 1 comes back.
struct Pair {
    ends: [End; 2],
    flows: [Flow; 2],
}

struct End {
    stream: TcpStream,
    readable: bool,
    writable: bool,
    /// It sends no more, so that reading goes on until the end of file.
    closed: bool,
    delay: Delay,
}

/// Whether the kernel may hold small segments back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delay {
    Unwritten,
    Written,
    Off,
}

struct Flow {
    is_over: bool,
    transit: Transit,
}

/// What was read and not yet written.
enum Transit {
    Copied { rest: Vec<u8>, written: usize },
    Piped { pipe: (OwnedFd, OwnedFd), held: usize, room: usize },
}

impl Relay {
    fn new(floor: Floor, listen: SocketAddr, backend: SocketAddr) -> io::Result<Relay> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(listen)?;
        // Accepted sockets inherit it.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let buffer = match floor {
            Floor::Copy(bytes) => vec![0; bytes],
            Floor::Splice(_) => Vec::new(),
        };
        Ok(Relay {
            floor,
            backend,
            poll,
            events: Events::with_capacity(1024),
            listener,
            pairs: Slab::new(),
            ready: Vec::new(),
            unfinished: Vec::new(),
            buffer,
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        let timeout = (!self.unfinished.is_empty()).then_some(Duration::ZERO);
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.append(&mut self.unfinished);
        let mut is_called = false;
        for event in &self.events {
            let Token(token) = event.token();
            if event.token() == LISTENER {
                is_called = true;
                continue;
            }
            let Some(pair) = self.pairs.get_mut(token / 2) else { continue };
            let end = &mut pair.ends[token % 2];
            end.readable |= event.is_readable();
            end.writable |= event.is_writable();
            end.closed |= event.is_read_closed();
            // What came in goes out at the other end; what can go out now came in there.
            if event.is_readable() {
                ready.push(token);
            }
            if event.is_writable() {
                ready.push(token ^ 1);
            }
        }
        ready.iter().for_each(|&token| self.pump(token));
        ready.clear();
        self.ready = ready;
        if is_called { self.accept() } else { Ok(()) }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                // One that cannot be established is gone, and so is its client.
                Ok((stream, _)) => drop(self.open(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn open(&mut self, client: TcpStream) -> io::Result<()> {
        let server =
            Socket::new(Domain::for_address(self.backend), Type::STREAM.nonblocking(), None)?;
        match server.connect(&self.backend.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                return Err(error);
            }
            _ => {}
        }
        let server = TcpStream::from_std(server.into());
        let flows = [Flow::new(self.floor)?, Flow::new(self.floor)?];
        let slot = self.pairs.vacant_entry();
        let mut ends = [End::new(client, Delay::Off), End::new(server, Delay::Unwritten)];
        for (side, end) in ends.iter_mut().enumerate() {
            let token = Token(slot.key() * 2 + side);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut end.stream, token, interest)?;
        }
        slot.insert(Pair { ends, flows });
        Ok(())
    }

    /// Moves what there is from this source; closes the pair when both flows are over.
    fn pump(&mut self, token: usize) {
        let Some(pair) = self.pairs.get_mut(token / 2) else { return };
        match pair.pump(token % 2, &mut self.buffer) {
            Ok(true) => self.unfinished.push(token),
            Ok(false) if !pair.flows.iter().all(|flow| flow.is_over) => {}
            Ok(false) | Err(_) => drop(self.pairs.remove(token / 2)),
        }
    }
}

impl Pair {
    /// Whether there is more to do at once.
    fn pump(&mut self, source: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let [client, server] = &mut self.ends;
        let (from, to) = if source == 0 { (client, server) } else { (server, client) };
        // The last end of file is told by closing.
        let is_last = self.flows[1 - source].is_over;
        let flow = &mut self.flows[source];
        for _ in 0..READS_PER_TURN {
            if !flow.flush(to)? || flow.is_over || !from.readable || !to.writable {
                return Ok(false);
            }
            flow.fill(from, to, buffer)?;
            if flow.is_over && !is_last {
                to.stream.shutdown(Shutdown::Write)?;
            }
        }
        Ok(true)
    }
}

impl End {
    fn new(stream: TcpStream, delay: Delay) -> End {
        End { stream, readable: false, writable: false, closed: false, delay }
    }

    /// To be called before each write.
    fn before_write(&mut self) -> io::Result<()> {
        match self.delay {
            Delay::Unwritten => self.delay = Delay::Written,
            Delay::Written => {
                self.delay = Delay::Off;
                self.stream.set_nodelay(true)?;
            }
            Delay::Off => {}
        }
        Ok(())
    }
}

impl Flow {
    fn new(floor: Floor) -> io::Result<Flow> {
        let transit = match floor {
            Floor::Copy(_) => Transit::Copied { rest: Vec::new(), written: 0 },
            Floor::Splice(room) => {
                let pipe = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
                // An ordinary user's pipes stay small when there are many of them: so be it.
                let size = i32::try_from(room).expect("pipes are smaller than that");
                let _ = fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(size));
                Transit::Piped { pipe, held: 0, room }
            }
        };
        Ok(Flow { is_over: false, transit })
    }

    /// Writes what waits; returns whether nothing waits then.
    fn flush(&mut self, sink: &mut End) -> io::Result<bool> {
        match &mut self.transit {
            Transit::Copied { rest, .. } if rest.is_empty() => Ok(true),
            Transit::Piped { held: 0, .. } => Ok(true),
            _ if !sink.writable => Ok(false),
            Transit::Copied { rest, written } => {
                *written += sink.write(&rest[*written..])?;
                if *written < rest.len() {
                    return Ok(false);
                }
                (*rest, *written) = (Vec::new(), 0);
                Ok(true)
            }
            Transit::Piped { pipe, held, .. } => {
                sink.before_write()?;
                match moved(splice(&pipe.0, None, &sink.stream, None, *held, flags()))? {
                    Some(count) => *held -= count,
                    None => sink.writable = false,
                }
                Ok(*held == 0)
            }
        }
    }

    /// Reads once, with nothing waiting, and writes what came.
    fn fill(&mut self, source: &mut End, sink: &mut End, buffer: &mut [u8]) -> io::Result<()> {
        let count = match &mut self.transit {
            Transit::Copied { rest, .. } => {
                let count = source.read(buffer)?;
                if let Some(count) = count {
                    let written = sink.write(&buffer[..count])?;
                    rest.extend_from_slice(&buffer[written..count]);
                }
                count
            }
            Transit::Piped { pipe, held, room } => {
                let count = moved(splice(&source.stream, None, &pipe.1, None, *room, flags()))?;
                // The pipe is empty, so it is the socket that has nothing.
                source.readable = count.is_some();
                *held = count.unwrap_or(0);
                count
            }
        };
        self.is_over = count == Some(0);
        Ok(())
    }
}

impl End {
    /// `None` if there is nothing now; a short read has left nothing behind, either.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(None);
            }
            count => count?,
        };
        self.readable = count == buffer.len() || self.closed;
        Ok(Some(count))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.before_write()?;
        let count = match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            count => count?,
        };
        self.writable = count == bytes.len();
        Ok(count)
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

/// `None` if it would have had to wait.
fn moved(outcome: nix::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Err(nix::Error::EAGAIN) => Ok(None),
        other => Ok(Some(other?)),
    }
}
