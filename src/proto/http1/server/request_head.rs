//! The head of a request: collected until its empty line, then read once. Its first line is checked
//! byte by byte as it arrives, since what is not HTTP/1.1 may never send an empty line.
//!
//! Each refusal is decided at one byte of the input, so that it is the same however that is cut.

use httparse::{EMPTY_HEADER, Error, Header, Status};

use super::accept::accepts_open_metrics;
use super::refusal::Refusal;
use super::{Method, ServedRequest, ServerLimits, Terms};
use crate::config::limits::ADMIN_EMPTY_LINES_MAX;
use crate::proto::http1::head::{Lines, content_length, elements, has_field, keeps_alive};

/// A head that is being collected.
///
/// Invariant: the first `checked` bytes of `lines` have led to `line`.
#[derive(Debug)]
pub(super) struct RequestHead {
    lines: Lines,
    line: RequestLine,
    checked: usize,
    /// Lines before it (RFC 9112, 2.2), which are not kept.
    empty_lines: u8,
}

/// The place within the first line, which is `METHOD TARGET HTTP/1.1` (RFC 9112, 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestLine {
    Start,
    /// Behind a carriage return at its start, where an empty line ends.
    EmptyLine,
    Method,
    /// Behind this many bytes of the target.
    Target(usize),
    /// Behind a target and a carriage return.
    TargetEnd,
    /// Within the version, which begins at this byte.
    Version(usize),
    /// Behind its end.
    Done,
}

impl RequestHead {
    pub(super) fn new() -> RequestHead {
        RequestHead { lines: Lines::new(), line: RequestLine::Start, checked: 0, empty_lines: 0 }
    }

    /// The number of bytes that are kept.
    pub(super) fn kept(&self) -> usize {
        self.lines.len()
    }

    /// Whether more has come than empty lines.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.line, RequestLine::Start | RequestLine::EmptyLine)
    }

    /// Whether the method is this one.
    pub(super) fn is_of_method(&self, method: &[u8]) -> bool {
        self.lines.bytes().strip_prefix(method).is_some_and(|rest| rest.starts_with(b" "))
    }

    /// Takes bytes from the front of `bytes`, at most up to the end of the head. Returns the
    /// request once its head is whole.
    ///
    /// # Errors
    /// [`Refusal`] when it will never be one.
    pub(super) fn take(
        &mut self,
        bytes: &mut &[u8],
        limits: &ServerLimits,
    ) -> Result<Option<(ServedRequest, Terms)>, Refusal> {
        while !bytes.is_empty() {
            let taken = self.lines.take(bytes, limits.head_bytes_max);
            let is_whole = taken.map(|head| head.is_some());
            if is_whole == Ok(true) && matches!(self.lines.bytes(), b"\n" | b"\r\n") {
                self.skip_empty_line()?;
                continue;
            }
            // What breaks the first line came before what breaks the head.
            self.check_line(limits)?;
            match is_whole {
                Ok(true) => return read_request(self.lines.bytes(), limits).map(Some),
                Ok(false) => {}
                Err(_) => return Err(Refusal::HeadTooLong),
            }
        }
        Ok(None)
    }

    fn skip_empty_line(&mut self) -> Result<(), Refusal> {
        if self.empty_lines >= ADMIN_EMPTY_LINES_MAX {
            return Err(Refusal::Malformed);
        }
        let empty_lines = self.empty_lines + 1;
        *self = RequestHead { empty_lines, ..RequestHead::new() };
        Ok(())
    }

    /// Checks what has come of the first line and was not checked before.
    fn check_line(&mut self, limits: &ServerLimits) -> Result<(), Refusal> {
        let bytes = self.lines.bytes();
        while self.line != RequestLine::Done && self.checked < bytes.len() {
            self.checked += 1;
            self.line = self.line.behind(&bytes[..self.checked], limits)?;
        }
        Ok(())
    }
}

impl RequestLine {
    /// The place behind the last byte of `line`, of which those before led here.
    fn behind(self, line: &[u8], limits: &ServerLimits) -> Result<RequestLine, Refusal> {
        let Some((&byte, before)) = line.split_last() else { return Ok(self) };
        match (self, byte) {
            (RequestLine::Start, b'\r') => Ok(RequestLine::EmptyLine),
            (RequestLine::Start | RequestLine::Method, _) if is_token(byte) => {
                Ok(RequestLine::Method)
            }
            (RequestLine::Method, b' ') => Ok(RequestLine::Target(0)),
            (RequestLine::Target(1..), b' ') => Ok(RequestLine::Version(line.len())),
            (RequestLine::Target(1..), b'\r') => Ok(RequestLine::TargetEnd),
            // A request of HTTP/0.9, which knows no other method, ends here.
            (RequestLine::Target(1..) | RequestLine::TargetEnd, b'\n') => {
                Err(if line.starts_with(b"GET ") { Refusal::Version } else { Refusal::Malformed })
            }
            (RequestLine::Target(bytes), b'!'..=b'~') if byte != b'#' => {
                match bytes < limits.target_bytes_max {
                    true => Ok(RequestLine::Target(bytes + 1)),
                    false => Err(Refusal::TargetTooLong),
                }
            }
            (RequestLine::Version(start), b'\n') => {
                check_version(&before[start..])?;
                Ok(RequestLine::Done)
            }
            (RequestLine::Version(_), _) => Ok(self),
            _ => Err(Refusal::Malformed),
        }
    }
}

/// Whether it may be in a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Checks a version without its end of line. HTTP/1.2 and above do not exist, and the library does
/// not read them, although a server may take them for HTTP/1.1 (RFC 9110, 2.5).
fn check_version(text: &[u8]) -> Result<(), Refusal> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match text.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") => Ok(()),
        Some([b'0'..=b'9', rest @ ..])
            if rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') =>
        {
            Err(Refusal::Version)
        }
        _ => Err(Refusal::Malformed),
    }
}

/// Reads a head that is whole.
fn read_request(bytes: &[u8], limits: &ServerLimits) -> Result<(ServedRequest, Terms), Refusal> {
    let mut fields = vec![EMPTY_HEADER; limits.fields_max];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Err(Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
        Ok(_) | Err(_) => return Err(Refusal::Malformed),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::Malformed);
    };
    let fields = &*request.headers;
    check_host(fields, version)?;
    let has_body = has_body(fields)?;
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    let (path, query) = match path_and_query(target) {
        Some(parts) => parts,
        // The whole server as a target, or another server's address (RFC 9112, 3.2.3 and 3.2.4).
        None if method == Method::Other => (target, ""),
        None => return Err(Refusal::Malformed),
    };
    // A body is not read, so that what follows it cannot be found.
    let keeps_alive = !has_body && keeps_alive(fields, version);
    let terms = Terms { is_head: method == Method::Head, version, keeps_alive };
    let (path, query) = (path.to_owned(), query.to_owned());
    let accepts_open_metrics = accepts_open_metrics(fields);
    Ok((ServedRequest { method, path, query, accepts_open_metrics }, terms))
}

/// Checks that there is one host, or none in HTTP/1.0 (RFC 9112, 3.2). It may be empty.
fn check_host(fields: &[Header<'_>], version: u8) -> Result<(), Refusal> {
    let mut hosts = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (None, _) if version == 0 => Ok(()),
        (Some(host), None) if host.value.iter().all(|byte| is_of_host(*byte)) => Ok(()),
        _ => Err(Refusal::Host),
    }
}

/// Whether it may be in a host or its port (RFC 3986, 3.2.2).
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%[]:!$&'()*+,;=".contains(&byte)
}

/// Whether a body follows.
///
/// # Errors
/// [`Refusal::Length`] when its end is unclear (RFC 9112, 6.3): where a proxy on the way saw
/// another end, the rest of the connection means to it something else than to us.
fn has_body(fields: &[Header<'_>]) -> Result<bool, Refusal> {
    let length = content_length(fields).map_err(|_| Refusal::Length)?;
    if !has_field(fields, "transfer-encoding") {
        return Ok(length.is_some_and(|length| length > 0));
    }
    let last = elements(fields, "transfer-encoding").last();
    let is_chunked = last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    match length.is_none() && is_chunked {
        true => Ok(true),
        false => Err(Refusal::Length),
    }
}

/// The parts of a target that is a path (RFC 9112, 3.2.1) or a URI with a host (3.2.2), which is
/// not looked at: each name of this server leads to the same resources.
fn path_and_query(target: &str) -> Option<(&str, &str)> {
    let path = match target.starts_with('/') {
        true => target,
        false => {
            let (scheme, rest) = target.split_once("://")?;
            let is_known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            if !is_known || end == 0 {
                return None;
            }
            &rest[end..]
        }
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Some((if path.is_empty() { "/" } else { path }, query))
}
