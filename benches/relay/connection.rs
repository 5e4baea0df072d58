//! One connection of the load, at a client or at the backend, and what it does.
//!
//! Knows its socket and its job, nothing of the other connections. Sockets are registered once and
//! edge-triggered: what an event told holds until a call finds otherwise.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::time::Instant;

use mio::net::TcpStream;
use socket2::SockRef;

use super::latency::Latency;

/// Bytes of a question or an answer that are read or written at once.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Bulk bytes written at once, as many programs do.
const BULK_BYTES: usize = 64 * 1024;
/// Chunks moved for one connection before the others get their turn.
const CHUNKS_PER_STEP: usize = 4;

/// What came through.
#[derive(Debug)]
pub struct Tally {
    /// Questions that were answered.
    pub echoes: u64,
    /// Bulk bytes, at the side that received them.
    pub bytes: u64,
    /// From a question to the end of its answer.
    pub latency: Latency,
}

/// What a connection does.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// A client that waits for its turn.
    Idle,
    /// A client that asks and waits for the answer, `answers` times.
    Ask {
        /// Bytes of each question, and of its answer.
        bytes: usize,
        /// Bytes of the question that have not been sent.
        unsent: usize,
        /// Bytes of the answer that have not come.
        missing: usize,
        /// Answers to come, this one included.
        answers: u32,
        /// When the question began.
        since: Instant,
    },
    /// A backend that sends everything back; `owed` bytes are still to be sent.
    Echo { owed: usize },
    /// Either side, in bulk: as much as is taken, as much as comes.
    Bulk { sends: bool, receives: bool },
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more until the next event.
    Wait,
    /// More to do, when the others have had their turn.
    Again,
    /// Every question was answered.
    Done,
    /// The other side closed.
    Closed,
}

/// A socket with a job.
pub struct Connection {
    pub stream: TcpStream,
    pub job: Job,
    pub is_client: bool,
    pub readable: bool,
    pub writable: bool,
    /// The other side sends no more, so reading goes on until it says so.
    pub closed: bool,
    /// It is in the queue of those with something to do.
    pub queued: bool,
}

impl Job {
    /// A number of questions, the first of them begun at `since`.
    pub fn ask(bytes: usize, answers: u32, since: Instant) -> Job {
        Job::Ask { bytes, unsent: bytes, missing: bytes, answers, since }
    }
}

impl Connection {
    pub fn new(stream: TcpStream, job: Job, is_client: bool) -> Connection {
        Connection {
            stream,
            job,
            is_client,
            readable: false,
            writable: false,
            closed: false,
            queued: false,
        }
    }

    /// Does what can be done now.
    pub fn step(&mut self, chunk: &mut [u8], tally: &mut Tally) -> io::Result<Step> {
        match self.job {
            Job::Idle if self.closed => Ok(Step::Closed),
            Job::Idle => Ok(Step::Wait),
            Job::Ask { .. } => self.ask(chunk, tally),
            Job::Echo { owed } => self.echo(owed, chunk),
            Job::Bulk { sends, receives } => self.bulk(sends, receives, chunk, tally),
        }
    }

    /// Every question but the first goes out as soon as the one before was answered.
    fn ask(&mut self, chunk: &mut [u8], tally: &mut Tally) -> io::Result<Step> {
        let Job::Ask { bytes, mut unsent, mut missing, mut answers, mut since } = self.job else {
            unreachable!("the job was looked at just now");
        };
        if self.readable {
            let Some(count) = self.read(chunk)? else { return Ok(Step::Closed) };
            missing = missing.checked_sub(count).expect("no more comes back than was sent");
            if missing == 0 {
                let now = Instant::now();
                tally.latency.add(now - since);
                tally.echoes += 1;
                answers -= 1;
                if answers == 0 {
                    self.job = Job::Idle;
                    return Ok(Step::Done);
                }
                (unsent, missing, since) = (bytes, bytes, now);
            }
        }
        if self.writable && unsent > 0 {
            unsent -= self.write(&chunk[..unsent])?;
        }
        self.job = Job::Ask { bytes, unsent, missing, answers, since };
        Ok(if self.readable || (self.writable && unsent > 0) { Step::Again } else { Step::Wait })
    }

    /// Reads no more while it owes: a client that asks much has to take the answer meanwhile.
    fn echo(&mut self, mut owed: usize, chunk: &mut [u8]) -> io::Result<Step> {
        if owed == 0 && self.readable {
            let Some(count) = self.read(chunk)? else { return Ok(Step::Closed) };
            owed = count;
        }
        if owed > 0 && self.writable {
            owed -= self.write(&chunk[..owed])?;
        }
        self.job = Job::Echo { owed };
        Ok(if self.readable && owed == 0 { Step::Again } else { Step::Wait })
    }

    fn bulk(
        &mut self,
        sends: bool,
        receives: bool,
        chunk: &mut [u8],
        tally: &mut Tally,
    ) -> io::Result<Step> {
        for _ in 0..CHUNKS_PER_STEP {
            if self.closed && !receives {
                return Ok(Step::Closed);
            }
            if receives && self.readable {
                let Some(count) = self.discard(chunk.len())? else { return Ok(Step::Closed) };
                tally.bytes += count as u64;
            }
            if sends && self.writable {
                self.write(&chunk[..BULK_BYTES])?;
            }
        }
        let is_ready = (receives && self.readable) || (sends && self.writable);
        Ok(if is_ready { Step::Again } else { Step::Wait })
    }

    /// Reads what is there, maybe nothing; `None` at the end of file. A short read means that
    /// there is no more, unless the other side has closed.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        let outcome = self.stream.read(chunk);
        self.received(outcome, chunk.len())
    }

    /// Reads without looking: the kernel need not copy what is not read (tcp(7), MSG_TRUNC), and
    /// a load that costs little leaves it to the relay to set the pace.
    fn discard(&mut self, bytes: usize) -> io::Result<Option<usize>> {
        // The kernel asks how much there is room for and touches none of it.
        let mut room = [MaybeUninit::uninit(); CHUNK_BYTES];
        let socket = SockRef::from(&self.stream);
        let outcome = socket.recv_with_flags(&mut room[..bytes], nix::libc::MSG_TRUNC);
        self.received(outcome, bytes)
    }

    fn received(&mut self, outcome: io::Result<usize>, room: usize) -> io::Result<Option<usize>> {
        let count = match outcome {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Some(0));
            }
            other => other?,
        };
        self.readable = count == room || self.closed;
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
