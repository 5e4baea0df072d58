//! A connection's socket: reading, writing and splicing, and when it gets TCP_NODELAY.
//!
//! Decides nothing else. A dialed socket gets TCP_NODELAY before its second write. The first one is
//! sent at once without it, since no segment is unacknowledged (RFC 896; Linux delays the tail of a
//! long write only behind a small segment, and none was sent yet), and many connections never have
//! a second one.

use std::io::{self, ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;

use super::errno::{is_refusal, net_error, retry};
use super::splice::Pipe;
use super::{NetError, Read, Write};

/// A connection's socket.
#[derive(Debug)]
pub struct Stream {
    pub(super) socket: TcpStream,
    delay: Delay,
}

/// Whether the kernel may delay small segments until earlier ones are acknowledged (TCP_NODELAY,
/// tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delay {
    /// It may, but nothing was written yet that could be unacknowledged.
    Unwritten,
    /// It may; the next write sets TCP_NODELAY.
    Written,
    /// It may not.
    Off,
}

impl Stream {
    /// A stream that was accepted: it has TCP_NODELAY from its listener.
    pub(super) fn accepted(socket: TcpStream) -> Stream {
        Stream { socket, delay: Delay::Off }
    }

    /// A stream that is being dialed.
    pub(super) fn dialed(socket: TcpStream) -> Stream {
        Stream { socket, delay: Delay::Unwritten }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        read_outcome(retry(|| self.socket.read(buffer)))
    }

    pub(super) fn write(&mut self, buffer: &[u8]) -> Write {
        self.before_write();
        write_outcome(retry(|| self.socket.write(buffer)))
    }

    pub(super) fn splice_in(&mut self, pipe: &mut Pipe, bytes_max: usize) -> Read {
        match pipe.fill(&self.socket, bytes_max) {
            Err(error) if self.refuses_splice(&error) => Read::Failed(NetError::NotSupported),
            outcome => read_outcome(outcome),
        }
    }

    pub(super) fn splice_out(&mut self, pipe: &mut Pipe, bytes: usize) -> Write {
        self.before_write();
        write_outcome(pipe.empty(&self.socket, bytes))
    }

    /// Whether the error of a splice means that splicing is not available, and not that the
    /// connection is lost: a lost one may have the same errno, that of an ICMP message for
    /// instance, but it no longer has a peer.
    pub(super) fn refuses_splice(&self, error: &io::Error) -> bool {
        is_refusal(error) && self.socket.peer_addr().is_ok()
    }

    /// Sets TCP_NODELAY if it is time. Called before each write.
    fn before_write(&mut self) {
        self.delay = match self.delay {
            Delay::Unwritten => Delay::Written,
            Delay::Written => {
                // Fails for a lost socket, which the write reports.
                let _ = self.socket.set_nodelay(true);
                Delay::Off
            }
            Delay::Off => Delay::Off,
        };
    }
}

fn read_outcome(outcome: io::Result<usize>) -> Read {
    match outcome {
        Ok(0) => Read::Eof,
        Ok(count) => Read::Data(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Read::WouldBlock,
        Err(error) => Read::Failed(net_error(error)),
    }
}

fn write_outcome(outcome: io::Result<usize>) -> Write {
    match outcome {
        Ok(0) => Write::WouldBlock,
        Ok(count) => Write::Data(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Write::WouldBlock,
        Err(error) => Write::Failed(net_error(error)),
    }
}
