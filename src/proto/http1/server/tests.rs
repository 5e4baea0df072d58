//! Tests of the server with whole conversations: each cut in every way, in order, and refused where
//! the rules are broken. What is common to the tests of answers and of limits is here, too.

mod answers;
mod decoder;
mod limits;

use std::fmt::Write as _;

use self::decoder::{Answer, decode};
use super::*;

const LIMITS: ServerLimits =
    ServerLimits { head_bytes_max: 200, target_bytes_max: 40, fields_max: 5 };

/// What a conversation has led to.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    requests: Vec<ServedRequest>,
    written: Vec<u8>,
    stage: Stage,
}

/// The answer of the tests: its path as the body.
fn head(request: &ServedRequest) -> Head {
    Head {
        status: if request.method == Method::Other { 405 } else { 200 },
        content_type: "text/plain",
        length: match request.path.starts_with("/unknown") {
            true => Length::Unknown,
            false => Length::Known(request.path.len()),
        },
        fields: if request.method == Method::Other { &[("Allow", "GET, HEAD")] } else { &[] },
    }
}

/// Answers all that is asked, `step` bytes of the output at a time.
fn answer_all(server: &mut Server, outcome: &mut Outcome, step: usize) {
    loop {
        if let Some(request) = server.poll() {
            assert_eq!(server.poll(), None, "each request is given once");
            server.respond(head(&request));
            outcome.requests.push(request);
        }
        while server.wants_body() {
            let path = &outcome.requests.last().expect("a request").path;
            server.body(&mut |out| {
                out.extend_from_slice(path.as_bytes());
                true
            });
        }
        let ready = server.outgoing().len().min(step);
        if ready == 0 {
            return;
        }
        assert_eq!((server.stage(), server.wants_input()), (Stage::Answering, false));
        outcome.written.extend_from_slice(&server.outgoing()[..ready]);
        server.wrote(ready);
    }
}

/// The outcome of these pieces, each of which waits for the answers to those before.
fn run<'a>(
    limits: ServerLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    has_end: bool,
    step: usize,
) -> Outcome {
    let mut server = Server::new(limits);
    let stage = server.stage();
    let mut outcome = Outcome { requests: Vec::new(), written: Vec::new(), stage };
    for piece in pieces {
        server.incoming(piece);
        assert!(server.kept() <= limits.head_bytes_max + piece.len(), "{}", server.kept());
        answer_all(&mut server, &mut outcome, step);
    }
    if has_end {
        server.end();
        answer_all(&mut server, &mut outcome, step);
    }
    outcome.stage = server.stage();
    outcome
}

fn one_run(input: &[u8]) -> Outcome {
    run(LIMITS, [input], false, usize::MAX)
}

/// The answers in an outcome.
fn answers(outcome: &Outcome) -> Vec<Answer> {
    let mut heads: Vec<bool> =
        outcome.requests.iter().map(|request| request.method == Method::Head).collect();
    // A refused request was one of HEAD if its answer has no line of text.
    heads.push(outcome.written.ends_with(b"\r\n\r\n"));
    decode(&outcome.written, &heads)
}

/// The outcome in words: the requests, the statuses of the answers, and the stage.
fn words(outcome: &Outcome) -> String {
    let mut text = String::new();
    for ServedRequest { method, path, query, .. } in &outcome.requests {
        let _ = write!(text, "{method:?} {path}?{query} ");
    }
    for Answer { status, .. } in answers(outcome) {
        let _ = write!(text, "{status} ");
    }
    let _ = write!(text, "{:?}", outcome.stage);
    text
}

/// Requests, and the outcome of each.
const REQUESTS: &[(&str, &str)] = &[
    ("", "Idle"),
    ("\r\n\n\r\n", "Idle"),
    ("\r", "Idle"),
    ("G", "Head"),
    ("GET / HTTP/1.1\r\nHost: a\r\n", "Head"),
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Get /? 200 Idle"),
    ("GET / HTTP/1.1\nHost: a\n\n", "Get /? 200 Idle"),
    ("\r\n\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nG", "Get /? 200 Head"),
    ("HEAD /a HTTP/1.1\r\nHost: a:1\r\n\r\n", "Head /a? 200 Idle"),
    // Pipelined.
    (
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\nHEAD /b?c?d HTTP/1.1\r\nhost:\r\n\r\n\
      POST /unknown HTTP/1.1\r\nHOST: [::1]:1\r\n\r\nGET /e HTTP/1.1\r\nHost: a\r\n\r\n",
        "Get /a? Head /b?c?d Other /unknown? Get /e? 200 200 405 200 Idle",
    ),
    (
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/3\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
        "Get /a? 200 505 Lingering",
    ),
    // Methods.
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "Other /? 405 Idle"),
    ("HEADS / HTTP/1.1\r\nHost: a\r\n\r\n", "Other /? 405 Idle"),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "Other *? 405 Idle"),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "Other a:1? 405 Idle"),
    // Targets.
    ("GET /a%20b/../c;d?e=f&%3f HTTP/1.1\r\nHost: a\r\n\r\n", "Get /a%20b/../c;d?e=f&%3f 200 Idle"),
    ("GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "Get /? 200 Idle"),
    ("GET //a HTTP/1.1\r\nHost: a\r\n\r\n", "Get //a? 200 Idle"),
    ("GET http://a:1/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "Get /b?c 200 Idle"),
    ("GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n", "Get /? 200 Idle"),
    ("GET http://a?b/c HTTP/1.1\r\nHost: a\r\n\r\n", "Get /?b/c 200 Idle"),
    // Connections that are kept, and others.
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET", "Get /? 200 Lingering"),
    ("GET / HTTP/1.0\r\n\r\nGET", "Get /? 200 Lingering"),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "Get /? 200 Idle"),
    ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "Get /? 200 Lingering"),
    ("GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Get /unknown? 200 Lingering"),
    // Bodies are not read.
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n\
      GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        "Other /? 405 Lingering",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, Chunked\r\n\r\n0\r\n\r\n\
      GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        "Get /? 200 Lingering",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", "Get /? 200 Idle"),
    (
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        "Other /? 405 Lingering",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "Get /? 200 Idle"),
];

/// What is refused with 400: heads, without the empty line at their end where they need one.
const MALFORMED: &[&str] = &[
    "\r\n\r\n\n\n\n",
    "\rG",
    " ",
    "\u{16}",
    "SSH-2.0-OpenSSH_10.0\r",
    "\0",
    "GET\r",
    "GET  ",
    "GET\t",
    "G(",
    "GET /\0",
    "GET /\u{7f}",
    "GET /ä",
    "GET /#",
    "GET /a\rb",
    "POST /\r\n",
    "GET / \r\n",
    "GET / /b HTTP/1.1\r\n",
    "GET / HTTP/1.1 \r\n",
    "GET / HTTP/1.1\r\r\n",
    "GET / http/1.1\r\n",
    "GET / HTTP/\r\n",
    "GET / HTTP/x\r\n",
    "GET / HTTP/1.x\r\n",
    "GET / FTP/1.1\r\n",
    // Targets.
    "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    // Fields.
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb : c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n d\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n\td\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\rd\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb:\rc\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: \0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb\0: c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n\r\r\n\n",
    // Hosts.
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    // Lengths.
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
];

/// What is refused as a version that is not served, by its first line alone.
const OTHER_VERSIONS: &[&str] = &[
    "PRI * HTTP/2.0\r\n",
    "GET /\r\n",
    "GET /\n",
    "GET / HTTP/0.9\r\n",
    "GET / HTTP/1.2\r\n",
    "GET / HTTP/1.10\r\n",
    "GET / HTTP/2\n",
    "GET / HTTP/3.0\r\n",
    "GET / HTTP/10.1\r\n",
];

/// All inputs of the tables, and what they lead to.
fn all() -> Vec<(&'static str, &'static str)> {
    let mut all = REQUESTS.to_vec();
    all.extend(MALFORMED.iter().map(|input| (*input, "400 Lingering")));
    all.extend(OTHER_VERSIONS.iter().map(|input| (*input, "505 Lingering")));
    all
}

#[test]
fn requests_are_given_or_refused() {
    for (input, want) in all() {
        assert_eq!(words(&one_run(input.as_bytes())), want, "{input:?}");
    }
}

/// The last character decides: what breaks a rule is refused at once, and not before.
#[test]
fn a_request_is_refused_at_the_byte_that_breaks_the_rules() {
    for (input, want) in all() {
        if !want.starts_with("400") && !want.starts_with("505") {
            continue;
        }
        let last = input.chars().next_back().map_or(0, char::len_utf8);
        let before = one_run(&input.as_bytes()[..input.len() - last]);
        assert!(before.written.is_empty(), "{input:?}: {}", words(&before));
    }
}

#[test]
fn an_input_means_the_same_however_it_is_cut() {
    for (input, _) in all() {
        for has_end in [false, true] {
            let bytes = input.as_bytes();
            let want = run(LIMITS, [bytes], has_end, usize::MAX);
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let found = run(LIMITS, [first, second], has_end, usize::MAX);
                assert_eq!(found, want, "{cut} {input:?}");
            }
            assert_eq!(run(LIMITS, bytes.chunks(1), has_end, 1), want, "byte by byte {input:?}");
            assert_eq!(run(LIMITS, bytes.chunks(3), has_end, 7), want, "by threes {input:?}");
        }
    }
}

/// Nothing of the second request is looked at before the first is answered.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut server = Server::new(LIMITS);
    server.incoming(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nbad\r");
    for path in ["/a", "/b"] {
        let request = server.poll().expect("a request");
        assert_eq!((&*request.path, server.poll()), (path, None));
        assert_eq!((server.stage(), server.wants_input()), (Stage::Answering, false));
        assert!(!server.wants_body() && server.outgoing().is_empty());
        server.respond(Head { length: Length::Known(0), ..head(&request) });
        let length = server.outgoing().len();
        server.wrote(length - 1);
        assert_eq!((server.poll(), server.outgoing().len()), (None, 1));
        server.wrote(1);
    }
    assert!(server.outgoing().starts_with(b"HTTP/1.1 400 "));
    server.incoming(b"more");
    assert_eq!(server.kept(), 0);
    server.wrote(server.outgoing().len());
    assert_eq!((server.stage(), server.wants_input()), (Stage::Lingering, true));
    server.incoming(b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((server.poll(), server.kept()), (None, 0));
    server.end();
    assert_eq!((server.stage(), server.wants_input()), (Stage::Over, false));
}

#[test]
fn requests_that_are_whole_are_answered_although_the_client_sends_no_more() {
    let asked = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    for (behind, want) in [
        ("", "Get /a? 200 Over"),
        ("GET /b HTTP/1.1\r\nHost: a\r\n\r\n", "Get /a? Get /b? 200 200 Over"),
        ("GET /b HTTP/1.1\r\nHost: a\r\n", "Get /a? 200 Over"),
        ("HTTP/1.1 200 OK\r\n", "Get /a? 200 400 Over"),
    ] {
        let mut server = Server::new(LIMITS);
        server.incoming([asked, behind].concat().as_bytes());
        server.end();
        let stage = server.stage();
        let mut outcome = Outcome { requests: Vec::new(), written: Vec::new(), stage };
        answer_all(&mut server, &mut outcome, usize::MAX);
        outcome.stage = server.stage();
        assert_eq!(words(&outcome), want, "{behind:?}");
    }
    for (input, want) in [("", "Over"), ("\r\n", "Over"), ("GET", "Over"), ("\0", "400 Over")] {
        assert_eq!(words(&run(LIMITS, [input.as_bytes()], true, usize::MAX)), want, "{input:?}");
    }
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_and_an_idle_connection_is_not() {
    for (input, want) in [
        ("", "Over"),
        ("\r\n\r", "Over"),
        ("G", "408 Lingering"),
        ("GET / HTTP/1.1\r\nHost: a\r\n", "408 Lingering"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Answering"),
        ("\0", "400 Lingering"),
    ] {
        let mut server = Server::new(LIMITS);
        server.incoming(input.as_bytes());
        server.time_out_head();
        let written = server.outgoing().to_vec();
        server.wrote(written.len());
        let outcome = Outcome { requests: Vec::new(), written, stage: server.stage() };
        assert_eq!(words(&outcome), want, "{input:?}");
    }
}

#[test]
fn an_answer_can_be_made_the_last_one_and_have_a_date() {
    let mut server = Server::new(LIMITS);
    server.set_date("Sat, 28 Nov 2026 21:00:00 GMT".to_owned());
    server.incoming(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    server.conclude();
    let mut outcome = Outcome { requests: Vec::new(), written: Vec::new(), stage: server.stage() };
    answer_all(&mut server, &mut outcome, usize::MAX);
    outcome.stage = server.stage();
    assert_eq!((words(&outcome).as_str(), server.kept()), ("Get /a? 200 Lingering", 0));
    let text = String::from_utf8(outcome.written).expect("ASCII");
    assert!(text.contains("\r\nDate: Sat, 28 Nov 2026 21:00:00 GMT\r\n"), "{text}");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
}

#[test]
fn metrics_are_wanted_as_open_metrics_where_the_head_says_so() {
    for (accept, want) in [("*/*", false), ("application/openmetrics-text", true)] {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n");
        let outcome = one_run(input.as_bytes());
        assert_eq!(outcome.requests[0].accepts_open_metrics, want, "{accept}");
    }
}

#[test]
#[should_panic(expected = "no request awaits an answer")]
fn nothing_is_answered_that_was_not_polled() {
    let mut server = Server::new(LIMITS);
    server.incoming(b"GET / HTTP/1.0\r\n\r\n");
    server.respond(Head { status: 204, content_type: "", length: Length::Known(0), fields: &[] });
}
