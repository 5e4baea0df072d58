//! Answers to requests that no member of etcd gives: without an end, too long, too slow, or none.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;

/// Far more than any limit on an answer.
const HUGE: usize = 100_000_000;
/// Between two bytes of an answer that is slow. The limits on an answer are below a few seconds,
/// so that a second would hardly differ from silence.
const DRIP: Duration = Duration::from_millis(20);

/// An answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Another protocol, and the connection stays open.
    Garbage,
    /// Random bytes.
    Noise,
    /// A field of the head that does not end.
    EndlessField,
    /// Fields without an end.
    EndlessHead,
    /// A body without a length, which does not end.
    EndlessBody,
    /// Chunks without an end.
    EndlessChunks,
    /// The line before a chunk, which does not end.
    EndlessExtension,
    /// Trailers without an end.
    EndlessTrailers,
    /// A head in single bytes, each after a while.
    SlowHead,
    /// A body in single bytes, each after a while.
    SlowBody,
    /// A body in chunks of a single byte, each after a while.
    SlowChunks,
    /// 100 MB of JSON that is valid, whose length is announced.
    HugeJson,
    /// The same in chunks.
    HugeJsonInChunks,
    /// An array within an array within an array, 100 MB deep.
    HugeNesting,
    /// As deep as fits into an answer.
    Nesting,
    /// As many values as fit into an answer, of the kind that takes the most memory.
    ManyValues,
    /// A length that no number can hold.
    HugeLength,
    /// The size of a chunk that no number can hold.
    ChunkOverflow,
    /// The largest size of a chunk that a number can hold.
    ChunkLargest,
    /// Interim answers without an end.
    EndlessInterim,
    /// An answer that leads elsewhere.
    Redirect,
    /// Two lengths.
    TwoLengths,
    /// The first half of an answer, and the end of the connection.
    Half,
    /// The same, and a reset.
    HalfReset,
    /// The end of the connection.
    Close,
    /// A reset.
    Reset,
    /// Nothing, over a connection that stays open.
    Nothing,
    /// An answer whose body is of another kind.
    Page,
    /// An answer with nothing in it.
    Empty,
}

impl Hostile {
    /// Every one of them.
    pub const ALL: [Hostile; 29] = [
        Hostile::Garbage,
        Hostile::Noise,
        Hostile::EndlessField,
        Hostile::EndlessHead,
        Hostile::EndlessBody,
        Hostile::EndlessChunks,
        Hostile::EndlessExtension,
        Hostile::EndlessTrailers,
        Hostile::SlowHead,
        Hostile::SlowBody,
        Hostile::SlowChunks,
        Hostile::HugeJson,
        Hostile::HugeJsonInChunks,
        Hostile::HugeNesting,
        Hostile::Nesting,
        Hostile::ManyValues,
        Hostile::HugeLength,
        Hostile::ChunkOverflow,
        Hostile::ChunkLargest,
        Hostile::EndlessInterim,
        Hostile::Redirect,
        Hostile::TwoLengths,
        Hostile::Half,
        Hostile::HalfReset,
        Hostile::Close,
        Hostile::Reset,
        Hostile::Nothing,
        Hostile::Page,
        Hostile::Empty,
    ];

    /// Answers so, until all is said or the other side has closed the connection.
    pub(super) fn answer(self, stream: &mut TcpStream) {
        // Fails when the gateway has had enough, which is what it should.
        let _ = self.write(stream);
    }

    fn write(self, to: &mut TcpStream) -> io::Result<()> {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        match self {
            Hostile::Garbage => say(to, "220 mail.test ESMTP\r\n")?,
            Hostile::Noise => to.write_all(&noise())?,
            Hostile::EndlessField => for_ever(to, "HTTP/1.1 200 OK\r\nX: ", "aaaaaaaa")?,
            Hostile::EndlessHead => for_ever(to, "HTTP/1.1 200 OK\r\n", "X: a\r\n")?,
            Hostile::EndlessBody => for_ever(to, "HTTP/1.1 200 OK\r\n\r\n{\"a\":\"", "a")?,
            Hostile::EndlessChunks => {
                for_ever(to, &format!("{chunked}6\r\n{{\"a\":\"\r\n"), "1\r\na\r\n")?;
            }
            Hostile::EndlessExtension => for_ever(to, &format!("{chunked}1;"), "a")?,
            Hostile::EndlessTrailers => for_ever(to, &format!("{chunked}0\r\n"), "X: a\r\n")?,
            Hostile::SlowHead => slowly(to, "HTTP/1.1 200 OK\r\n", "X: a\r\n")?,
            Hostile::SlowBody => slowly(to, "HTTP/1.1 200 OK\r\n\r\n{\"a\":\"", "a")?,
            Hostile::SlowChunks => {
                slowly(to, &format!("{chunked}6\r\n{{\"a\":\"\r\n"), "1\r\na\r\n")?;
            }
            Hostile::HugeJson => {
                say(to, &format!("HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n"))?;
                repeat(to, "{\"a\":[", "1,", HUGE)?;
            }
            Hostile::HugeJsonInChunks => {
                say(to, &format!("{chunked}{HUGE:x}\r\n"))?;
                repeat(to, "{\"a\":[", "1,", HUGE)?;
            }
            Hostile::HugeNesting => repeat(to, "HTTP/1.1 200 OK\r\n\r\n", "[", HUGE)?,
            Hostile::Nesting => body(to, &"[".repeat(32_000))?,
            Hostile::ManyValues => {
                body(to, &format!("{{\"a\":[1{}]}}", ",{\"\":1}".repeat(9_000)))?
            }
            Hostile::HugeLength => {
                say(to, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}")?;
            }
            Hostile::ChunkOverflow => say(to, &format!("{chunked}10000000000000002\r\n{{}}\r\n"))?,
            Hostile::ChunkLargest => say(to, &format!("{chunked}ffffffffffffffff\r\n{{}}\r\n"))?,
            Hostile::EndlessInterim => for_ever(to, "", "HTTP/1.1 100 Continue\r\n\r\n")?,
            Hostile::Redirect => say(
                to,
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n\
                 Content-Length: 0\r\n\r\n",
            )?,
            Hostile::TwoLengths => {
                say(to, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")?
            }
            Hostile::Half => return half(to),
            Hostile::HalfReset => {
                half(to)?;
                return reset(to);
            }
            Hostile::Close => return Ok(()),
            Hostile::Reset => return reset(to),
            Hostile::Nothing => {}
            Hostile::Page => body(to, "<html></html>")?,
            Hostile::Empty => body(to, "")?,
        }
        wait_end(to)
    }
}

fn say(to: &mut TcpStream, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())
}

fn half(to: &mut TcpStream) -> io::Result<()> {
    say(to, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"header\":")
}

/// Has the connection end by a reset when it is closed.
fn reset(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// A whole answer with this body.
fn body(to: &mut TcpStream, body: &str) -> io::Result<()> {
    say(to, &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// Bytes of every value, in an order that looks like none.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    (0..100_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn for_ever(to: &mut TcpStream, first: &str, then: &str) -> io::Result<()> {
    repeat(to, first, then, usize::MAX)
}

/// Writes one text, and another one until as many bytes were written.
fn repeat(to: &mut TcpStream, first: &str, then: &str, bytes: usize) -> io::Result<()> {
    say(to, first)?;
    let piece = then.repeat(64 * 1024 / then.len());
    let mut written = first.len();
    while written < bytes {
        say(to, &piece)?;
        written = written.saturating_add(piece.len());
    }
    Ok(())
}

/// Writes one text, and another one in single bytes with pauses, without an end.
fn slowly(to: &mut TcpStream, first: &str, then: &str) -> io::Result<()> {
    say(to, first)?;
    let started = Instant::now();
    for byte in then.bytes().cycle() {
        to.write_all(&[byte])?;
        thread::park_timeout(DRIP);
        assert!(started.elapsed() < DEADLINE, "the gateway reads on");
    }
    Ok(())
}

/// Waits until the other side has closed the connection.
fn wait_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
