//! HTTP requests: what they mean, and what is answered, depends on their bytes alone, not on how
//! the network cuts them, and what is kept of them is bounded at every moment.
//!
//! The oracle is the server itself, which gets the same bytes in other pieces and writes in others;
//! and a reader of answers that is written here, which must find one for each request.

use etcd_gateway::proto::http1::{
    Head, Length, Method, ServedRequest, Server, ServerLimits, Stage,
};

/// Small ones, which short inputs reach.
const LIMITS: ServerLimits =
    ServerLimits { head_bytes_max: 160, target_bytes_max: 24, fields_max: 4 };
/// Statuses of refusals.
const REFUSALS: [u16; 5] = [400, 408, 414, 431, 505];

/// All that a server gives and writes, and where that leads.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    requests: Vec<ServedRequest>,
    written: Vec<u8>,
    stage: Stage,
}

/// How a connection goes on behind the input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Open,
    End,
    TimeOut,
}

/// Reads the first byte as how it is cut and ends, and the rest as requests. The bits: 0-1 how the
/// connection goes on, 2-7 the seed of the pieces.
pub fn check(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let then = [Then::Open, Then::End, Then::TimeOut, Then::Open][usize::from(selector & 3)];
    let seed = usize::from(selector >> 2);
    let want = run(bytes, then, &[usize::MAX], usize::MAX);
    for lengths in [&[1][..], &[1 + seed % 7, 1 + seed / 7, 2, 13]] {
        assert_eq!(run(bytes, then, lengths, 1 + seed), want, "{lengths:?}");
    }
    check_answers(&want);
}

fn run(bytes: &[u8], then: Then, lengths: &[usize], step: usize) -> Outcome {
    let mut server = Server::new(LIMITS);
    let mut outcome = Outcome { requests: Vec::new(), written: Vec::new(), stage: Stage::Idle };
    let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
    while !rest.is_empty() {
        let length = (*lengths.next().expect("a cycle")).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        assert!(server.wants_input(), "an answer is whole, and nothing is read behind it");
        server.incoming(piece);
        check_kept(&server, piece.len());
        answer_all(&mut server, &mut outcome, piece.len(), step);
    }
    match then {
        Then::Open => {}
        Then::End => server.end(),
        Then::TimeOut => server.time_out_head(),
    }
    answer_all(&mut server, &mut outcome, 0, step);
    outcome.stage = server.stage();
    if then == Then::End {
        assert_eq!((outcome.stage, server.kept()), (Stage::Over, 0));
    }
    outcome
}

fn check_kept(server: &Server, piece: usize) {
    let kept = server.kept();
    assert!(kept <= LIMITS.head_bytes_max + piece, "{kept} bytes are kept");
}

/// Answers what is asked, by the path: with a length or without, in pieces of which some are empty.
fn answer_all(server: &mut Server, outcome: &mut Outcome, piece: usize, step: usize) {
    loop {
        if let Some(request) = server.poll() {
            assert_eq!((server.poll(), server.stage()), (None, Stage::Answering));
            check_request(&request);
            server.respond(head(&request));
            outcome.requests.push(request);
        }
        let path = outcome.requests.last().map_or("", |request| request.path.as_str());
        let mut given = 0;
        while server.wants_body() {
            let (at, end) = (given, (given + 3).min(path.len()));
            given = end;
            server.body(&mut |out| {
                out.extend_from_slice(&path.as_bytes()[at..end]);
                at == end
            });
            write_all(server, &mut outcome.written, step);
            check_kept(server, piece);
        }
        // Behind the last piece of a body the next request may be waiting already.
        if server.stage() != Stage::Answering {
            return;
        }
        write_all(server, &mut outcome.written, step);
    }
}

/// Only what is there now: a written refusal may follow what was written.
fn write_all(server: &mut Server, written: &mut Vec<u8>, step: usize) {
    let mut left = server.outgoing().len();
    while left > 0 {
        let ready = left.min(step);
        written.extend_from_slice(&server.outgoing()[..ready]);
        server.wrote(ready);
        left -= ready;
    }
}

fn check_request(request: &ServedRequest) {
    let ServedRequest { method, path, query, .. } = request;
    assert!(path.len() + query.len() <= LIMITS.target_bytes_max);
    assert!(path.starts_with('/') || *method == Method::Other);
    assert!(!path.contains('?') || !path.starts_with('/'));
    assert!(path.bytes().chain(query.bytes()).all(|byte| byte.is_ascii_graphic()));
}

fn head(request: &ServedRequest) -> Head {
    let length = match request.path.len() % 2 {
        0 => Length::Unknown,
        _ => Length::Known(request.path.len()),
    };
    let status = if request.method == Method::Other { 405 } else { 200 };
    Head { status, content_type: "text/plain", length, fields: &[("Allow", "GET, HEAD")] }
}

/// Each request has an answer with its path, in order; behind them is at most one refusal.
fn check_answers(outcome: &Outcome) {
    let mut rest = &outcome.written[..];
    for request in &outcome.requests {
        let (head, body) = split(rest, b"\r\n\r\n");
        let head = str::from_utf8(head).expect("a head is text");
        let status = if request.method == Method::Other { 405 } else { 200 };
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}");
        assert!(head.ends_with("Cache-Control: no-store\r\nAllow: GET, HEAD"), "{head:?}");
        let (content, behind) = match () {
            () if request.method == Method::Head => (request.path.as_bytes().to_vec(), body),
            () if head.contains("\r\nTransfer-Encoding: chunked\r\n") => read_chunks(body),
            () if head.contains("\r\nContent-Length: ") => {
                let (content, behind) = body.split_at(request.path.len());
                (content.to_vec(), behind)
            }
            () => (body.to_vec(), &[][..]),
        };
        assert_eq!(content, request.path.as_bytes());
        rest = behind;
    }
    if rest.is_empty() {
        return;
    }
    let (head, body) = split(rest, b"\r\n\r\n");
    let head = str::from_utf8(head).expect("a head is text");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    assert!(status.is_some_and(|status| REFUSALS.contains(&status)), "{head:?}");
    assert!(head.contains("\r\nConnection: close\r\n"));
    assert!(body.is_empty() || body.iter().position(|byte| *byte == b'\n') == Some(body.len() - 1));
    assert!(matches!(outcome.stage, Stage::Lingering | Stage::Over));
}

fn read_chunks(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut content, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, behind) = split(rest, b"\r\n");
        let size = usize::from_str_radix(str::from_utf8(size).expect("text"), 16).expect("a size");
        let (chunk, behind) = behind.split_at(size);
        content.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n").expect("the end of a chunk");
        if size == 0 {
            return (content, rest);
        }
    }
}

/// What is before the first `text`, and what is behind it.
fn split<'a>(bytes: &'a [u8], text: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(text.len()).position(|window| window == text).expect("there");
    (&bytes[..at], &bytes[at + text.len()..])
}
