//! A client over one connection: one request at a time, and the next one when the answer is whole.

use std::collections::VecDeque;

use super::body::Body;
use super::head::{Framing, Head, Lines, is_interim, read_head};
use super::{Delivery, HttpError, Limits, Received, Request, Response};
use crate::config::limits::HTTP_INTERIM_MAX;

/// The client's end of one connection.
///
/// Invariants: `written <= request.bytes().len()`; what is kept is bounded by the limits, and what
/// is received and not yet polled by them and by the bytes since the last poll.
#[derive(Debug)]
pub struct Client {
    limits: Limits,
    delivery: Delivery,
    /// The request on its way out, or the last one.
    request: Request,
    written: usize,
    state: State,
    /// What was received and is to be polled.
    received: VecDeque<Received>,
}

/// The state of the answer.
#[derive(Debug)]
enum State {
    /// The head is awaited, behind this many interim ones.
    Head { lines: Lines, interim: u8 },
    /// The body is awaited.
    Body { status: u16, body: Body, content: Vec<u8>, keeps_alive: bool },
    /// The answer is whole, and the server awaits the next request.
    Idle,
    /// The answer is whole, and the connection is of no further use.
    Over,
    /// There will be no whole answer.
    Failed(HttpError),
}

impl Client {
    /// A client that sends `request` first. There is none without a request: a connection that
    /// sends nothing delays the shutdown of a member of etcd by seven seconds.
    pub fn new(request: Request, limits: Limits, delivery: Delivery) -> Client {
        let state = State::awaiting();
        Client { limits, delivery, request, written: 0, state, received: VecDeque::new() }
    }

    /// Sends a further request over a connection that is [idle](Client::is_idle).
    ///
    /// # Panics
    /// When it is not.
    pub fn send(&mut self, request: Request) {
        assert!(self.is_idle() && self.received.is_empty(), "another answer is awaited");
        (self.request, self.written) = (request, 0);
        self.state = State::awaiting();
        self.check_invariants();
    }

    /// The bytes that are still to be written; empty once all were, or none need to be.
    pub fn outgoing(&self) -> &[u8] {
        match self.state {
            State::Head { .. } | State::Body { .. } => &self.request.bytes()[self.written..],
            State::Idle | State::Over | State::Failed(_) => &[],
        }
    }

    /// Notes that the first `bytes` of [`Client::outgoing`] were written.
    pub fn wrote(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.outgoing().len(), "more than there was");
        self.written = (self.written + bytes).min(self.request.bytes().len());
        self.check_invariants();
    }

    /// Whether the last answer was whole, and the connection may carry another request.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether an answer is awaited: all of it, or the head of a streamed one.
    pub fn awaits_answer(&self) -> bool {
        match self.state {
            State::Head { .. } => true,
            State::Body { .. } => self.delivery == Delivery::Whole,
            State::Idle | State::Over | State::Failed(_) => false,
        }
    }

    /// The number of bytes that are kept of what was received.
    pub fn kept(&self) -> usize {
        let state = match &self.state {
            State::Head { lines, .. } => lines.len(),
            State::Body { body, content, .. } => body.kept() + content.len(),
            State::Idle | State::Over | State::Failed(_) => 0,
        };
        let received = self.received.iter().map(|received| match received {
            Received::Response(response) => response.body.len(),
            Received::Part(part) => part.len(),
            Received::Head(_) | Received::End | Received::Closed => 0,
        });
        state + received.sum::<usize>()
    }

    /// Takes bytes that were read. An answer may come before the request was written out: it counts
    /// like another, but the connection is not kept.
    pub fn incoming(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match &mut self.state {
                State::Head { .. } => self.take_head(&mut rest),
                State::Body { .. } => self.take_body(&mut rest),
                State::Idle => {
                    self.close_idle();
                    return;
                }
                State::Over | State::Failed(_) => return,
            };
            if let Err(error) = taken {
                self.state = State::Failed(error);
            }
        }
        self.check_invariants();
    }

    /// What was received next; `None` when more has to be written or read.
    ///
    /// # Errors
    /// [`HttpError`] when there will be no more, after all that came before.
    pub fn poll(&mut self) -> Result<Option<Received>, HttpError> {
        match (self.received.pop_front(), &self.state) {
            (Some(received), _) => Ok(Some(received)),
            (None, State::Failed(error)) => Err(*error),
            (None, _) => Ok(None),
        }
    }

    /// The server sends no more: in order, or since the connection is lost. Returns whether
    /// [`Client::poll`] now knows the outcome; where not, the reason of the loss is all there is.
    pub fn end(&mut self, is_orderly: bool) -> bool {
        let is_until_end = matches!(&self.state, State::Body { body: Body::UntilEnd, .. });
        match &self.state {
            State::Idle => self.close_idle(),
            State::Body { .. } if is_orderly && is_until_end => self.finish(),
            State::Head { lines, interim: 0 } if is_orderly && lines.len() == 0 => {
                self.state = State::Failed(HttpError::Unanswered);
            }
            State::Head { .. } | State::Body { .. } if is_orderly => {
                self.state = State::Failed(HttpError::ClosedEarly);
            }
            State::Head { .. } | State::Body { .. } | State::Over => return false,
            State::Failed(_) => {}
        }
        self.check_invariants();
        true
    }

    fn take_head(&mut self, bytes: &mut &[u8]) -> Result<(), HttpError> {
        let State::Head { lines, interim } = &mut self.state else { return Ok(()) };
        let interim = *interim;
        let head = match lines.take(bytes, self.limits.head_bytes_max) {
            Ok(Some(head)) => read_head(head)?,
            Ok(None) => return lines.check_beginning(),
            // What is not a head at all is not a long one.
            Err(error) => return lines.check_beginning().and(Err(error)),
        };
        if !is_interim(head.status) {
            return self.begin_body(head);
        }
        // No request asks for another protocol.
        if head.status == 101 {
            return Err(HttpError::Malformed);
        }
        if interim >= HTTP_INTERIM_MAX {
            return Err(HttpError::TooManyInterim);
        }
        self.state = State::Head { lines: Lines::new(), interim: interim + 1 };
        Ok(())
    }

    fn begin_body(&mut self, head: Head) -> Result<(), HttpError> {
        let Head { status, framing, keeps_alive } = head;
        if let Framing::Length(length) = framing {
            self.check_length(0, length)?;
        }
        if self.delivery == Delivery::Streamed {
            self.received.push_back(Received::Head(status));
        }
        let (body, content) = (Body::new(framing), Vec::new());
        let is_whole = body.is_whole();
        self.state = State::Body { status, body, content, keeps_alive };
        if is_whole {
            self.finish();
        }
        Ok(())
    }

    fn take_body(&mut self, bytes: &mut &[u8]) -> Result<(), HttpError> {
        let State::Body { body, content, .. } = &mut self.state else { return Ok(()) };
        let piece = body.take(bytes, self.limits.head_bytes_max)?;
        let (announced, is_whole) = (body.announced(), body.is_whole());
        match self.delivery {
            Delivery::Whole => {
                let length = content.len() + piece.len();
                if length <= self.limits.body_bytes_max {
                    content.extend_from_slice(piece);
                }
                self.check_length(length, announced)?;
            }
            Delivery::Streamed => self.deliver(piece),
        }
        if is_whole {
            self.finish();
        }
        Ok(())
    }

    /// Checks the length of a body that is delivered whole: the bytes that have come, and those
    /// that are announced.
    fn check_length(&self, come: usize, announced: u64) -> Result<(), HttpError> {
        let most = self.limits.body_bytes_max as u64;
        let is_too_long = (come as u64).saturating_add(announced) > most;
        match self.delivery == Delivery::Whole && is_too_long {
            true => Err(HttpError::TooLong),
            false => Ok(()),
        }
    }

    fn deliver(&mut self, piece: &[u8]) {
        match self.received.back_mut() {
            _ if piece.is_empty() => {}
            Some(Received::Part(part)) => part.extend_from_slice(piece),
            _ => self.received.push_back(Received::Part(piece.to_vec())),
        }
    }

    /// Delivers the end of the answer. A server that answered before it had the whole request may
    /// take the rest of it for the next one, or close the connection (RFC 9112, 9.3).
    fn finish(&mut self) {
        let is_written = self.outgoing().is_empty();
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Body { status, content, keeps_alive, .. } = state else { return };
        self.received.push_back(match self.delivery {
            Delivery::Whole => Received::Response(Response { status, body: content }),
            Delivery::Streamed => Received::End,
        });
        if keeps_alive && is_written {
            self.state = State::Idle;
        }
    }

    fn close_idle(&mut self) {
        self.state = State::Over;
        self.received.push_back(Received::Closed);
    }

    fn check_invariants(&self) {
        debug_assert!(self.written <= self.request.bytes().len(), "wrote what there was not");
        debug_assert!(self.received.len() <= 4, "head, part, end, closed");
        if let State::Body { content, .. } = &self.state {
            debug_assert!(content.len() <= self.limits.body_bytes_max, "longer than the limit");
        }
    }
}

impl State {
    fn awaiting() -> State {
        State::Head { lines: Lines::new(), interim: 0 }
    }
}
