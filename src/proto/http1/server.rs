//! A server over one connection: one request after another, each answered before the next one is
//! looked at. What breaks the rules of HTTP is answered here; all else is the caller's to answer.
//!
//! ```text
//!               request_head.rs  a head, byte by byte ──► refusal.rs  why it is refused
//!   incoming ──►│ accept.rs      the format it wants
//!               ▼
//!   poll ──► ServedRequest ──► respond, body ──► answer.rs  head and framing ──► outgoing, wrote
//! ```

mod accept;
mod answer;
mod refusal;
mod request_head;
#[cfg(test)]
mod tests;

use self::answer::Answer;
use self::refusal::Refusal;
use self::request_head::RequestHead;

/// The most of one request that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Most bytes of a head, with the empty line that ends it.
    pub head_bytes_max: usize,
    /// Most bytes of the target: the path with its query, or the whole URI.
    pub target_bytes_max: usize,
    /// Most fields of a head.
    pub fields_max: usize,
}

/// What is done to a resource, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// As [`Method::Get`]; no body is sent.
    Head,
    /// Any other, even one that does not exist. Names of methods differ in small and capital
    /// letters (RFC 9110, 9.1).
    Other,
}

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedRequest {
    pub method: Method,
    /// The path without the query, as it came: visible characters of ASCII, not decoded. It begins
    /// with `/`, unless the method is [`Method::Other`] and the target has no path.
    pub path: String,
    /// What is behind the first `?`, as it came; empty where there is none.
    pub query: String,
    /// Whether metrics are wanted as OpenMetrics rather than as plain text.
    pub accepts_open_metrics: bool,
}

/// The beginning of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 200 to 599.
    pub status: u16,
    /// The media type of the body. Not sent where the status allows no body.
    pub content_type: &'static str,
    pub length: Length,
    /// Further fields, with their names: none of those that every answer has.
    pub fields: &'static [(&'static str, &'static str)],
}

/// The length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// In bytes.
    Known(usize),
    /// Known at its end.
    Unknown,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of a request has come, apart from empty lines.
    Idle,
    /// A request has begun, and its head is not whole.
    Head,
    /// A request is to be answered, or its answer is not written yet.
    Answering,
    /// All is written. The connection is to be shut for writing and to be read until its end or a
    /// time limit: closed at once, what is still on the way from the client would cause a reset,
    /// which destroys what the client has not read of the answer (RFC 9112, 9.6).
    Lingering,
    /// Nothing is left to be done: the connection is to be closed.
    Over,
}

/// How a request wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    /// Whether no body is sent.
    is_head: bool,
    /// The minor version of HTTP/1: 0 or 1.
    version: u8,
    /// Whether a further request may follow.
    keeps_alive: bool,
}

/// The server's end of one connection.
///
/// Invariant: bytes behind a request are kept only while it is answered, and if another request may
/// follow it. What is kept of the input is at most the limit of a head and what one call of
/// [`Server::incoming`] brings.
#[derive(Debug)]
pub struct Server {
    limits: ServerLimits,
    state: State,
    /// What was read behind the request that is being answered.
    ahead: Ahead,
    /// Whether the client sends no more.
    has_ended: bool,
    /// Requests that were whole, and refusals.
    asked: u64,
    /// The date of answers; empty: it is not known.
    date: String,
}

#[derive(Debug)]
enum State {
    /// A request is awaited.
    Reading(RequestHead),
    /// A request is whole; `Some` until it is polled.
    Asked {
        request: Option<ServedRequest>,
        terms: Terms,
    },
    Answering(Answer),
    Lingering,
    Over,
}

/// Bytes that are looked at later. They stay where they are until all were, so that a crowd of
/// small requests does not move those behind it again and again.
#[derive(Debug, Default)]
struct Ahead {
    bytes: Vec<u8>,
    /// How many of them were looked at; fewer than there are, or none.
    seen: usize,
}

impl Server {
    /// A server at the beginning of a connection.
    pub fn new(limits: ServerLimits) -> Server {
        let state = State::Reading(RequestHead::new());
        Server {
            limits,
            state,
            ahead: Ahead::default(),
            has_ended: false,
            asked: 0,
            date: String::new(),
        }
    }

    /// Sets the date of the answers from now on, in the form of RFC 9110, 5.6.7. Without it they
    /// have no `Date`, as those of a server without a clock (6.6.1).
    pub fn set_date(&mut self, date: String) {
        self.date = date;
    }

    /// Whether bytes should be read from the connection: for a request, or in order to throw them
    /// away. Otherwise they wait in the socket.
    pub fn wants_input(&self) -> bool {
        match self.state {
            State::Reading(_) | State::Lingering => !self.has_ended,
            State::Asked { .. } | State::Answering(_) | State::Over => false,
        }
    }

    /// Takes bytes that were read. Those behind a request are kept until it is answered. A caller
    /// that goes on although [`Server::wants_input`] says otherwise gets the connection closed.
    pub fn incoming(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        self.read(&mut rest);
        if !rest.is_empty() {
            self.keep(rest);
        }
        self.check_invariants();
    }

    /// The next request, once it is whole, and once only. None follows before its answer is
    /// written.
    pub fn poll(&mut self) -> Option<ServedRequest> {
        match &mut self.state {
            State::Asked { request, .. } => request.take(),
            State::Reading(_) | State::Answering(_) | State::Lingering | State::Over => None,
        }
    }

    /// Begins the answer to the request that was polled last.
    ///
    /// # Panics
    /// When there is none, or its answer was begun before.
    pub fn respond(&mut self, head: Head) {
        let State::Asked { request: None, terms } = &self.state else {
            panic!("no request awaits an answer");
        };
        self.answer(Answer::new(head, *terms, &self.date));
        self.check_invariants();
    }

    /// Makes the answer to the request that was polled last the last one, although a further
    /// request may have come already.
    pub fn conclude(&mut self) {
        if let State::Asked { terms, .. } = &mut self.state {
            terms.keeps_alive = false;
            self.ahead = Ahead::default();
        }
        self.check_invariants();
    }

    /// Whether a further piece of the body is wanted: an answer was begun, its body is not
    /// complete, and all before is written. The head alone may wait for the first piece, so that
    /// both go out in one packet.
    pub fn wants_body(&self) -> bool {
        match &self.state {
            State::Answering(answer) => answer.wants_body(),
            State::Reading(_) | State::Asked { .. } | State::Lingering | State::Over => false,
        }
    }

    /// Has one piece of the body written. `write` appends to the bytes that go out, which it must
    /// not change otherwise, and returns whether the body is complete; it may append nothing. It is
    /// not called where no body is wanted.
    ///
    /// A body of a known length is complete with its last byte, whatever `write` returns. One that
    /// ends before is cut off by the end of the connection.
    pub fn body(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> bool) {
        if let State::Answering(answer) = &mut self.state {
            answer.append(write);
            if !answer.keeps_alive {
                self.ahead = Ahead::default();
            }
            self.advance();
        }
        self.check_invariants();
    }

    /// The bytes that are still to be written.
    pub fn outgoing(&self) -> &[u8] {
        match &self.state {
            State::Answering(answer) => answer.outgoing(),
            State::Reading(_) | State::Asked { .. } | State::Lingering | State::Over => &[],
        }
    }

    /// Notes that the first `bytes` of [`Server::outgoing`] were written.
    pub fn wrote(&mut self, bytes: usize) {
        if let State::Answering(answer) = &mut self.state {
            answer.wrote(bytes);
            self.advance();
        }
        self.check_invariants();
    }

    /// The client sends no more. It may still read: requests that are whole are answered.
    pub fn end(&mut self) {
        self.has_ended = true;
        match self.state {
            State::Reading(_) | State::Lingering => self.state = State::Over,
            State::Asked { .. } | State::Answering(_) | State::Over => {}
        }
        self.check_invariants();
    }

    /// The head of a request has not come in time. It is answered with 408, and the connection
    /// closed; an idle one without an answer, which the client could take for that to its next
    /// request. Does nothing once the head is whole.
    pub fn time_out_head(&mut self) {
        match self.stage() {
            Stage::Idle => self.state = State::Over,
            Stage::Head => self.refuse(Refusal::TimedOut),
            Stage::Answering | Stage::Lingering | Stage::Over => {}
        }
        self.check_invariants();
    }

    /// How far the connection has come.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Reading(head) if head.has_begun() => Stage::Head,
            State::Reading(_) => Stage::Idle,
            State::Asked { .. } | State::Answering(_) => Stage::Answering,
            State::Lingering => Stage::Lingering,
            State::Over => Stage::Over,
        }
    }

    /// The number of requests that were whole, or were refused: where it is another one, another
    /// answer is being given.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// The number of bytes that are kept of what was received.
    pub fn kept(&self) -> usize {
        let state = match &self.state {
            State::Reading(head) => head.kept(),
            State::Asked { request: Some(request), .. } => request.path.len() + request.query.len(),
            State::Asked { request: None, .. } => 0,
            State::Answering(_) | State::Lingering | State::Over => 0,
        };
        state + self.ahead.bytes.len()
    }

    /// Reads one request from the front of `bytes`, as far as one is awaited.
    fn read(&mut self, bytes: &mut &[u8]) {
        let State::Reading(head) = &mut self.state else { return };
        match head.take(bytes, &self.limits) {
            Ok(None) => {}
            Ok(Some((request, terms))) => {
                self.asked += 1;
                self.state = State::Asked { request: Some(request), terms };
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Keeps what came behind a request, if another one may follow.
    fn keep(&mut self, bytes: &[u8]) {
        let terms_kept = match &mut self.state {
            State::Asked { terms, .. } => &mut terms.keeps_alive,
            State::Answering(answer) => &mut answer.keeps_alive,
            State::Reading(_) | State::Lingering | State::Over => return,
        };
        // What is read without being wanted has to have an end, too.
        *terms_kept &= self.ahead.bytes.len() < self.limits.head_bytes_max;
        match *terms_kept {
            true => self.ahead.bytes.extend_from_slice(bytes),
            false => self.ahead = Ahead::default(),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let State::Reading(head) = &self.state else { return };
        self.asked += 1;
        self.answer(Answer::refusal(refusal, head.is_of_method(b"HEAD"), &self.date));
    }

    fn answer(&mut self, answer: Answer) {
        if !answer.keeps_alive {
            self.ahead = Ahead::default();
        }
        self.state = State::Answering(answer);
    }

    /// Goes on behind an answer, once all of it is written.
    fn advance(&mut self) {
        let State::Answering(answer) = &self.state else { return };
        match answer.is_over() {
            false => {}
            true if answer.keeps_alive => self.read_next(),
            true if self.has_ended => self.state = State::Over,
            true => self.state = State::Lingering,
        }
    }

    fn read_next(&mut self) {
        self.state = State::Reading(RequestHead::new());
        let Ahead { bytes, seen } = std::mem::take(&mut self.ahead);
        let mut rest = &bytes[seen..];
        self.read(&mut rest);
        let is_followed = matches!(self.state, State::Asked { terms, .. } if terms.keeps_alive);
        if is_followed && !rest.is_empty() {
            let seen = bytes.len() - rest.len();
            self.ahead = Ahead { bytes, seen };
        }
        if self.has_ended && matches!(self.state, State::Reading(_)) {
            self.state = State::Over;
        }
    }

    fn check_invariants(&self) {
        let is_kept = !self.ahead.bytes.is_empty();
        debug_assert!(self.ahead.seen < self.ahead.bytes.len() || !is_kept, "nothing is ahead");
        match &self.state {
            State::Reading(_) => debug_assert!(!is_kept && !self.has_ended, "not read"),
            State::Asked { terms, .. } => debug_assert!(terms.keeps_alive || !is_kept),
            State::Answering(answer) => {
                debug_assert!(answer.keeps_alive || !is_kept);
                debug_assert!(!answer.is_over(), "not noticed");
            }
            State::Lingering | State::Over => debug_assert!(!is_kept),
        }
    }
}
