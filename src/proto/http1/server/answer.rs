//! An answer on its way out: its head, and its body in the framing that the client understands.
//! Must not know what the body says.

use super::refusal::Refusal;
use super::{Head, Length, Terms};

/// The place of the size of a chunk, which is known when the chunk has been written behind it. A
/// size may begin with zeros (RFC 9112, 7.1).
const CHUNK_SIZE: &[u8] = b"00000000";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// An answer of which something is still to be appended or to be written.
///
/// Invariant: `written <= out.len()`.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether another request may follow.
    pub(super) keeps_alive: bool,
    body: Body,
    /// The bytes that go out, of which the first `written` have gone.
    out: Vec<u8>,
    written: usize,
    /// Whether a part of the body was appended.
    has_begun: bool,
}

/// What is still to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// This many bytes; never 0.
    Counted(usize),
    Chunked,
    /// Until the connection ends, since HTTP/1.0 has no chunks.
    UntilEnd,
    /// Nothing.
    Complete,
}

impl Answer {
    /// `date`: empty where it is not known.
    pub(super) fn new(head: Head, terms: Terms, date: &str) -> Answer {
        debug_assert!((200..600).contains(&head.status), "not a final status");
        let allows_body = !matches!(head.status, 204 | 304);
        let body = match head.length {
            _ if !allows_body || terms.is_head => Body::Complete,
            Length::Known(0) => Body::Complete,
            Length::Known(bytes) => Body::Counted(bytes),
            Length::Unknown if terms.version == 0 => Body::UntilEnd,
            Length::Unknown => Body::Chunked,
        };
        let keeps_alive = terms.keeps_alive && body != Body::UntilEnd;

        let mut out = Vec::new();
        let (status, reason) = (head.status.to_string(), reason(head.status));
        append(&mut out, &["HTTP/1.1 ", &status, " ", reason, "\r\n"]);
        if !date.is_empty() {
            field(&mut out, "Date", date);
        }
        if allows_body {
            field(&mut out, "Content-Type", head.content_type);
            match head.length {
                Length::Known(bytes) => field(&mut out, "Content-Length", &bytes.to_string()),
                Length::Unknown if terms.version == 0 => {}
                Length::Unknown => field(&mut out, "Transfer-Encoding", "chunked"),
            }
        }
        match (keeps_alive, terms.version) {
            (false, _) => field(&mut out, "Connection", "close"),
            (true, 0) => field(&mut out, "Connection", "keep-alive"),
            (true, _) => {}
        }
        field(&mut out, "X-Content-Type-Options", "nosniff");
        field(&mut out, "Cache-Control", "no-store");
        for (name, value) in head.fields {
            field(&mut out, name, value);
        }
        append(&mut out, &["\r\n"]);
        Answer { keeps_alive, body, out, written: 0, has_begun: false }
    }

    /// The answer to what is not a request, or not one that can be understood: a line of text,
    /// behind which the connection is closed.
    pub(super) fn refusal(refusal: Refusal, is_head: bool, date: &str) -> Answer {
        let text = refusal.text();
        let head = Head {
            status: refusal.status(),
            content_type: "text/plain; charset=utf-8",
            length: Length::Known(text.len()),
            fields: &[],
        };
        let terms = Terms { is_head, version: 1, keeps_alive: false };
        let mut answer = Answer::new(head, terms, date);
        answer.append(&mut |out| {
            append(out, &[text]);
            true
        });
        answer
    }

    /// Whether a piece of the body may be appended: nothing but the head waits to be written, of
    /// which nothing is written yet, or nothing at all.
    pub(super) fn wants_body(&self) -> bool {
        let is_head_alone = !self.has_begun && self.written == 0;
        self.body != Body::Complete && (is_head_alone || self.outgoing().is_empty())
    }

    /// Whether all of it is written.
    pub(super) fn is_over(&self) -> bool {
        self.body == Body::Complete && self.outgoing().is_empty()
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        &self.out[self.written..]
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.outgoing().len(), "more than there was");
        self.written = (self.written + bytes).min(self.out.len());
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            self.has_begun = true;
        }
    }

    /// Has one piece of the body appended, unless there is nothing to append.
    pub(super) fn append(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> bool) {
        if self.body == Body::Complete {
            return;
        }
        self.has_begun = true;
        let before = self.out.len();
        if self.body == Body::Chunked {
            self.out.extend_from_slice(CHUNK_SIZE);
            self.out.extend_from_slice(b"\r\n");
        }
        let start = self.out.len();
        let is_last = write(&mut self.out);
        debug_assert!(self.out.len() >= start, "more was taken away than appended");
        let bytes = self.out.len().saturating_sub(start);
        match self.body {
            Body::Counted(left) => {
                debug_assert!(bytes <= left, "more than was announced");
                self.out.truncate(start + left);
                let left = left.saturating_sub(bytes);
                self.body = if left == 0 { Body::Complete } else { Body::Counted(left) };
                // Only the end of the connection can say that the rest does not come.
                self.keeps_alive &= !(is_last && left > 0);
            }
            // A chunk without content would be the last one.
            Body::Chunked if bytes == 0 => self.out.truncate(before),
            Body::Chunked => {
                self.out[before..before + CHUNK_SIZE.len()].copy_from_slice(&hexadecimal(bytes));
                self.out.extend_from_slice(b"\r\n");
            }
            Body::UntilEnd | Body::Complete => {}
        }
        if is_last {
            if self.body == Body::Chunked {
                self.out.extend_from_slice(LAST_CHUNK);
            }
            self.body = Body::Complete;
        }
    }
}

fn append(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(!name.contains(['\r', '\n', ':']) && !value.contains(['\r', '\n']));
    append(out, &[name, ": ", value, "\r\n"]);
}

/// Eight digits, which are enough for all that is in memory as one piece.
fn hexadecimal(bytes: usize) -> [u8; 8] {
    debug_assert!(u32::try_from(bytes).is_ok(), "a piece of more than 4 GiB");
    let mut digits = [b'0'; CHUNK_SIZE.len()];
    let mut rest = bytes;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    digits
}

/// The usual phrase for a status (RFC 9110, 15), which no program reads; none for those that are
/// never sent.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
