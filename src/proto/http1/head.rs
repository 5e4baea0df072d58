//! The head of an answer: collected until its empty line, then read once. Decides how the body
//! behind it is delimited, and whether the connection may be kept. Its lines and fields are read
//! in the same way where they are those of a request.

use httparse::{EMPTY_HEADER, Error, Header, Status};

use super::HttpError;
use crate::config::limits::HTTP_FIELDS_MAX;

/// Lines that end with an empty one: a head, or trailers.
///
/// Invariant: no line in `bytes[..line]` is the one that ends them, and `bytes[line..]` has no end
/// of line. So each byte is searched once.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the last line begins.
    line: usize,
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Whether the server keeps the connection after this answer, and a client can tell its end.
    pub(super) keeps_alive: bool,
}

/// How the body of an answer is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length in bytes; 0 where there is none.
    Length(u64),
    Chunked,
    /// By the end of the connection.
    UntilEnd,
}

/// The beginning of every head. What is not HTTP/1 shows by its first bytes, without a wait for an
/// end of line that may never come.
const BEGINNING: &[u8] = b"HTTP/1.";

impl Lines {
    pub(super) fn new() -> Lines {
        Lines { bytes: Vec::new(), line: 0 }
    }

    /// The number of bytes that are kept.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that are kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes bytes from the front of `bytes` up to and including the empty line. Returns all lines
    /// once that has come.
    ///
    /// # Errors
    /// [`HttpError::HeadTooLong`] when it has not come within `bytes_max` bytes.
    pub(super) fn take(
        &mut self,
        bytes: &mut &[u8],
        bytes_max: usize,
    ) -> Result<Option<&[u8]>, HttpError> {
        while !bytes.is_empty() {
            let room = bytes_max.saturating_sub(self.bytes.len());
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let taken = end.map_or(room.min(bytes.len()), |end| end + 1);
            let (line, rest) = bytes.split_at(taken);
            self.bytes.extend_from_slice(line);
            *bytes = rest;
            if end.is_some() {
                if matches!(&self.bytes[self.line..], b"\n" | b"\r\n") {
                    return Ok(Some(&self.bytes));
                }
                self.line = self.bytes.len();
            }
            if self.bytes.len() >= bytes_max {
                return Err(HttpError::HeadTooLong);
            }
        }
        Ok(None)
    }

    /// Checks the first bytes of a head.
    ///
    /// # Errors
    /// [`HttpError::Malformed`] when they are not those of HTTP/1.
    pub(super) fn check_beginning(&self) -> Result<(), HttpError> {
        let known = self.bytes.len().min(BEGINNING.len());
        match self.bytes[..known] == BEGINNING[..known] {
            true => Ok(()),
            false => Err(HttpError::Malformed),
        }
    }
}

/// Reads a head that is whole.
///
/// # Errors
/// [`HttpError`] when it is none, or leaves open where the body ends.
pub(super) fn read_head(bytes: &[u8]) -> Result<Head, HttpError> {
    let mut fields = [EMPTY_HEADER; HTTP_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Err(Error::TooManyHeaders) => return Err(HttpError::TooManyFields),
        Ok(_) | Err(_) => return Err(HttpError::Malformed),
    }
    let (Some(version), Some(status)) = (response.version, response.code) else {
        return Err(HttpError::Malformed);
    };
    let has_body = !is_interim(status) && status != 204 && status != 304;
    let framing = match has_body {
        true => framing(response.headers, version)?,
        false => Framing::Length(0),
    };
    let keeps_alive = framing != Framing::UntilEnd && keeps_alive(response.headers, version);
    Ok(Head { status, framing, keeps_alive })
}

/// Checks trailers that are whole, which say nothing that is of use here.
///
/// # Errors
/// [`HttpError`] when they are none.
pub(super) fn check_trailers(bytes: &[u8]) -> Result<(), HttpError> {
    let mut fields = [EMPTY_HEADER; HTTP_FIELDS_MAX];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(Status::Complete((length, _))) if length == bytes.len() => Ok(()),
        Err(Error::TooManyHeaders) => Err(HttpError::TooManyFields),
        Ok(_) | Err(_) => Err(HttpError::Malformed),
    }
}

/// Whether a status is that of an interim answer, behind which the final one comes.
pub(super) fn is_interim(status: u16) -> bool {
    (100..200).contains(&status)
}

fn framing(fields: &[Header<'_>], version: u8) -> Result<Framing, HttpError> {
    let length = content_length(fields)?;
    if !has_field(fields, "transfer-encoding") {
        return Ok(length.map_or(Framing::UntilEnd, Framing::Length));
    }
    if length.is_some() {
        return Err(HttpError::ConflictingLengths);
    }
    // HTTP/1.0 has no transfer codings: something on the way has passed on what it did not
    // understand (RFC 9112, 6.1).
    if version == 0 {
        return Err(HttpError::UnsupportedCoding);
    }
    let mut codings = elements(fields, "transfer-encoding");
    match (codings.next(), codings.next()) {
        (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err(HttpError::UnsupportedCoding),
    }
}

/// The length that the head states, once or several times alike (RFC 9110, 8.6). One that no number
/// can hold is the largest.
pub(super) fn content_length(fields: &[Header<'_>]) -> Result<Option<u64>, HttpError> {
    let mut known = None;
    for digits in elements(fields, "content-length") {
        let mut length = 0_u64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(HttpError::Malformed);
            }
            length = length.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        }
        if known.is_some_and(|known| known != length) {
            return Err(HttpError::ConflictingLengths);
        }
        known = Some(length);
    }
    match known.is_none() && has_field(fields, "content-length") {
        true => Err(HttpError::Malformed),
        false => Ok(known),
    }
}

/// Whether the sender keeps the connection (RFC 9112, 9.3). `version`: the minor one of HTTP/1.
pub(super) fn keeps_alive(fields: &[Header<'_>], version: u8) -> bool {
    let mut keeps_alive = version > 0;
    for option in elements(fields, "connection") {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keeps_alive
}

/// Whether there is a field of this name.
pub(super) fn has_field(fields: &[Header<'_>], name: &str) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}

/// The elements of the lists in all fields of this name (RFC 9110, 5.6.1), without empty ones.
pub(super) fn elements<'a>(
    fields: &'a [Header<'a>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let fields = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let elements = fields.flat_map(|field| field.value.split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}
