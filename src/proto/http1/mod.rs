//! HTTP/1.1 (RFC 9112): as a client, whole requests out and bounded answers in; as a server,
//! bounded requests in and answers out piece by piece. Must not know a socket, TLS or JSON.
//!
//! ```text
//!   Request ──► Client ──► outgoing, wrote ──► socket
//!               │ head.rs  head of an answer
//!               │ body.rs  its body, by length, in chunks or until the end
//!   Received ◄──┴◄──────── incoming, end ◄──── socket
//!
//!   ServedRequest ◄── Server ◄── incoming, end ◄── socket
//!   Head, body ─────► Server ──► outgoing, wrote ──► socket
//! ```
//!
//! Each byte is looked at a fixed number of times however a message is cut, and what is kept is
//! bounded by [`Limits`] and [`ServerLimits`]: a head is parsed once, when the empty line
//! behind it has come, and only new bytes are searched for that line.

mod body;
mod client;
mod head;
mod request;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::client::Client;
pub use self::request::{Request, Unsendable};
pub use self::server::{Head, Length, Method, ServedRequest, Server, ServerLimits, Stage};

/// The most bytes that are kept of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a head, of the trailers, and of the head of a chunk.
    pub head_bytes_max: usize,
    /// Most bytes of a body that is delivered whole. A streamed one has no limit, as none of it is
    /// kept.
    pub body_bytes_max: usize,
}

/// How answers are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece, once it is whole.
    Whole,
    /// The status first, then the body as its parts arrive, then its end.
    Streamed,
}

/// An answer in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status: a number of three digits, never that of an interim answer (1xx).
    pub status: u16,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// What has been received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The whole answer.
    Response(Response),
    /// The head of a streamed answer: its status.
    Head(u16),
    /// More of the body of a streamed answer; never empty.
    Part(Vec<u8>),
    /// The end of a streamed answer, which was whole.
    End,
    /// The server has closed the connection between two answers, or has sent bytes there that
    /// belong to no answer.
    Closed,
}

impl Received {
    /// Whether nothing follows over this connection. What follows a whole answer depends on whether
    /// the client is [idle](Client::is_idle) then.
    pub fn is_final(&self, is_idle: bool) -> bool {
        match self {
            Received::Head(_) | Received::Part(_) => false,
            Received::Response(_) | Received::End => !is_idle,
            Received::Closed => true,
        }
    }
}

/// Why there is no whole answer. Its text is one word for the log. Each ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// It is not HTTP/1.0 or HTTP/1.1, or breaks its rules.
    Malformed,
    /// The head, the trailers, or the head of a chunk are longer than the limit.
    HeadTooLong,
    /// The head or the trailers have more fields than the limit.
    TooManyFields,
    /// The body is longer than the limit, or is announced to be, or its chunks have too little in
    /// them.
    TooLong,
    /// More interim answers (1xx) came than the limit.
    TooManyInterim,
    /// The body has another transfer coding than `chunked`, which alone has to be understood and
    /// which alone was offered.
    UnsupportedCoding,
    /// The head states two lengths. Where a proxy on the way believes one and its peer the other,
    /// a part of one answer is taken for the next, so the connection cannot be trusted (RFC 9112,
    /// 6.3).
    ConflictingLengths,
    /// The connection ended within the answer.
    ClosedEarly,
    /// The connection ended before the first byte of the answer. Where it was a kept one, the
    /// server may have closed it just before the request, which is then repeated over a new one.
    Unanswered,
}

impl HttpError {
    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            HttpError::Malformed => "answer_malformed",
            HttpError::HeadTooLong => "head_too_long",
            HttpError::TooManyFields => "too_many_header_fields",
            HttpError::TooLong => "answer_too_long",
            HttpError::TooManyInterim => "too_many_interim_answers",
            HttpError::UnsupportedCoding => "transfer_coding_unsupported",
            HttpError::ConflictingLengths => "conflicting_lengths",
            HttpError::ClosedEarly => "closed_early",
            HttpError::Unanswered => "closed_unanswered",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::error::Error for HttpError {}
