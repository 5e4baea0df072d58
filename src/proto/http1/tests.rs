//! Tests of the client with whole answers, each cut in every way, and with hostile ones.

use super::*;
use crate::config::limits::{HTTP_FIELDS_MAX, HTTP_FRAMING_WEIGHT, HTTP_INTERIM_MAX};

const LIMITS: Limits = Limits { head_bytes_max: 300, body_bytes_max: 20 };
/// A head that fits into the limits and has more fields than their number allows.
const WIDE: Limits = Limits { head_bytes_max: 16 * 1024, body_bytes_max: 20 };

/// How a connection goes on behind the bytes of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Open,
    End,
    Loss,
}

fn request() -> Request {
    Request::get("a:1", "/health").expect("sendable")
}

/// A client that has sent its request.
fn client(limits: Limits, delivery: Delivery) -> Client {
    let mut client = Client::new(request(), limits, delivery);
    client.wrote(client.outgoing().len());
    client
}

/// Takes all that can be polled; parts of a body become one.
fn poll_all(client: &mut Client, log: &mut Vec<Received>) -> Result<(), HttpError> {
    while let Some(received) = client.poll()? {
        match (log.last_mut(), received) {
            (Some(Received::Part(before)), Received::Part(part)) => {
                assert!(!part.is_empty());
                before.extend(part);
            }
            (_, received) => log.push(received),
        }
    }
    Ok(())
}

/// What a client receives of these pieces, why it fails, and whether it is idle at the end.
fn run<'a>(
    mut client: Client,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    then: Then,
) -> (Vec<Received>, Option<HttpError>, bool) {
    let mut log = Vec::new();
    for piece in pieces {
        client.incoming(piece);
        if let Err(error) = poll_all(&mut client, &mut log) {
            return (log, Some(error), client.is_idle());
        }
    }
    if then != Then::Open {
        client.end(then == Then::End);
    }
    let error = poll_all(&mut client, &mut log).err();
    (log, error, client.is_idle())
}

/// The outcome in words: of a whole delivery the status and the body.
fn outcome(answer: &[u8], then: Then) -> String {
    let (log, error, is_idle) = run(client(LIMITS, Delivery::Whole), [answer], then);
    let mut words: Vec<String> = Vec::new();
    for received in log {
        words.push(match received {
            Received::Response(Response { status, body }) => {
                format!("{status} {:?}", String::from_utf8_lossy(&body))
            }
            Received::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        });
    }
    words.extend(error.map(|error| error.to_string()));
    words.extend(is_idle.then(|| "idle".to_owned()));
    words.join(", ")
}

const ANSWERS: &[(&str, Then, &str)] = &[
    // By length.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Open, "200 \"ok\", idle"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Then::Open, "200 \"\", idle"),
    ("HTTP/1.1 200\r\ncontent-LENGTH:2\r\n\r\nok", Then::Open, "200 \"ok\", idle"),
    ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Then::Open, "200 \"ok\", idle"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 02\r\nContent-Length: 2\r\n\r\nok",
        Then::Open,
        "200 \"ok\", idle",
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::End, "200 \"ok\", closed"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Loss, "200 \"ok\", closed"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", Then::Open, "200 \"ok\", closed"),
    ("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", Then::Open, "503 \"no\", idle"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n12345678901234567890",
        Then::Open,
        "200 \"12345678901234567890\", idle",
    ),
    // Without a body, whatever the fields say.
    ("HTTP/1.1 204 No\r\nContent-Length: 7\r\n\r\n", Then::Open, "204 \"\", idle"),
    ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", Then::Open, "304 \"\", idle"),
    // In chunks.
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Then::Open,
        "200 \"ok\", idle",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,Chunked ,\r\n\r\n\
      01 ;a=\"b\"\r\no\r\nC;x\r\nk, and other\r\n0;y\r\nX: y\r\nZ:\r\n\r\n",
        Then::Open,
        "200 \"ok, and other\", idle",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
        Then::Open,
        "200 \"\", closed",
    ),
    // Until the end.
    ("HTTP/1.1 200 OK\r\n\r\nok", Then::End, "200 \"ok\""),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nok", Then::End, "200 \"ok\""),
    ("HTTP/1.1 200 OK\r\n\r\nok", Then::Open, ""),
    ("HTTP/1.1 200 OK\r\n\r\nok", Then::Loss, ""),
    // Connections that are kept, and others.
    (
        "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok",
        Then::Open,
        "200 \"ok\"",
    ),
    (
        "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n\
      Connection: close\r\n\r\n408 Request Timeout",
        Then::End,
        "408 \"408 Request Timeout\"",
    ),
    ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Open, "200 \"ok\""),
    (
        "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        Then::Open,
        "200 \"ok\", idle",
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\
      \r\nok and more",
        Then::Open,
        "200 \"ok\"",
    ),
    // Behind interim answers.
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Then::Open,
        "200 \"ok\", idle",
    ),
];

const HOSTILE: &[(&str, Then, &str)] = &[
    // Not an answer.
    ("", Then::End, "closed_unanswered"),
    ("", Then::Loss, ""),
    ("H", Then::End, "closed_early"),
    ("SSH-2.0-OpenSSH", Then::Open, "answer_malformed"),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/2 200\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.2 200 OK\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 20 OK\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 -20 OK\r\n\r\n", Then::Open, "answer_malformed"),
    ("\0\0\u{12}\u{4}\0\0\0\0\0", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nX y\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 101 Upgrade\r\n\r\n", Then::Open, "answer_malformed"),
    ("HTTP/1.1 100 Continue\r\n\r\n", Then::End, "closed_early"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Then::End, "closed_early"),
    // Lengths.
    ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\nok", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", Then::Open, "answer_malformed"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", Then::Open, "conflicting_lengths"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        Then::Open,
        "conflicting_lengths",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        Then::Open,
        "conflicting_lengths",
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n", Then::Open, "answer_too_long"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        Then::Open,
        "answer_too_long",
    ),
    ("HTTP/1.1 200 OK\r\n\r\n123456789012345678901", Then::Open, "answer_too_long"),
    // Codings.
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Then::Open,
        "transfer_coding_unsupported",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        Then::Open,
        "transfer_coding_unsupported",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        Then::Open,
        "transfer_coding_unsupported",
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", Then::Open, "transfer_coding_unsupported"),
    (
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Then::Open,
        "transfer_coding_unsupported",
    ),
];

const HOSTILE_CHUNKS: &[(&str, Then, &str)] = &[
    ("\r\n", Then::Open, "answer_malformed"),
    (" 2\r\nok\r\n", Then::Open, "answer_malformed"),
    (";x\r\n\r\n", Then::Open, "answer_malformed"),
    ("-2\r\n", Then::Open, "answer_malformed"),
    ("2x\r\n", Then::Open, "answer_malformed"),
    ("2\nok\r\n", Then::Open, "answer_malformed"),
    ("2;a\nok\r\n", Then::Open, "answer_malformed"),
    ("2\r\nokk", Then::Open, "answer_malformed"),
    ("2\r\nok\n", Then::Open, "answer_malformed"),
    ("2\r\nok\r\r\n", Then::Open, "answer_malformed"),
    ("10000000000000000\r\n", Then::Open, "answer_malformed"),
    ("ffffffffffffffff\r\n", Then::Open, "answer_too_long"),
    ("15\r\n", Then::Open, "answer_too_long"),
    ("2\r\nok\r\n13\r\n", Then::Open, "answer_too_long"),
    ("0\r\nno trailer\r\n\r\n", Then::Open, "answer_malformed"),
    ("2\r\nok\r\n", Then::End, "closed_early"),
    ("2\r\nok\r\n0\r\n", Then::End, "closed_early"),
    ("0\r\nX: y\r\n", Then::End, "closed_early"),
];

fn chunked(chunks: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

/// All answers of the tables.
fn all() -> Vec<(Vec<u8>, Then, &'static str)> {
    let mut all = Vec::new();
    for (answer, then, want) in ANSWERS.iter().chain(HOSTILE) {
        all.push((answer.as_bytes().to_vec(), *then, *want));
    }
    for (chunks, then, want) in HOSTILE_CHUNKS {
        all.push((chunked(chunks).into_bytes(), *then, *want));
    }
    all
}

#[test]
fn each_reason_is_one_word_of_its_own() {
    for (error, word) in [
        (HttpError::Malformed, "answer_malformed"),
        (HttpError::HeadTooLong, "head_too_long"),
        (HttpError::TooManyFields, "too_many_header_fields"),
        (HttpError::TooLong, "answer_too_long"),
        (HttpError::TooManyInterim, "too_many_interim_answers"),
        (HttpError::UnsupportedCoding, "transfer_coding_unsupported"),
        (HttpError::ConflictingLengths, "conflicting_lengths"),
        (HttpError::ClosedEarly, "closed_early"),
        (HttpError::Unanswered, "closed_unanswered"),
    ] {
        assert_eq!(error.to_string(), word);
    }
}

#[test]
fn answers_are_whole_or_refused_with_a_reason() {
    for (answer, then, want) in all() {
        assert_eq!(outcome(&answer, then), want, "{:?}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn an_answer_means_the_same_however_it_is_cut() {
    for (answer, then, _) in all() {
        for delivery in [Delivery::Whole, Delivery::Streamed] {
            let want = run(client(LIMITS, delivery), [&answer[..]], then);
            let shown = String::from_utf8_lossy(&answer);
            for cut in 0..=answer.len() {
                let (first, second) = answer.split_at(cut);
                let pieces = [first, second];
                assert_eq!(run(client(LIMITS, delivery), pieces, then), want, "{cut} {shown:?}");
            }
            let bytes = run(client(LIMITS, delivery), answer.chunks(1), then);
            assert_eq!(bytes, want, "byte by byte {shown:?}");
        }
    }
}

#[test]
fn a_streamed_answer_comes_as_it_arrives() {
    let mut client = client(LIMITS, Delivery::Streamed);
    assert!(client.awaits_answer());
    client.incoming(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.poll(), Ok(Some(Received::Head(200))));
    assert_eq!((client.poll(), client.awaits_answer()), (Ok(None), false));
    client.incoming(b"5\r\nhe");
    assert_eq!(client.poll(), Ok(Some(Received::Part(b"he".to_vec()))));
    client.incoming(b"llo\r\n4\r\n you\r\n40\r\n");
    assert_eq!(client.poll(), Ok(Some(Received::Part(b"llo you".to_vec()))));
    let long = [b'x'; 0x40];
    client.incoming(&long);
    assert_eq!(client.poll(), Ok(Some(Received::Part(long.to_vec()))), "a stream has no limit");
    client.incoming(b"\r\n0\r\n\r\n");
    assert_eq!(client.poll(), Ok(Some(Received::End)));
    assert_eq!((client.poll(), client.is_idle()), (Ok(None), true));
}

/// What came before a failure is delivered before it, although both came in one read.
#[test]
fn parts_come_before_the_failure_behind_them() {
    let mut client = client(LIMITS, Delivery::Streamed);
    client.incoming(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx");
    assert_eq!(client.poll(), Ok(Some(Received::Head(200))));
    assert_eq!(client.poll(), Ok(Some(Received::Part(b"ok".to_vec()))));
    assert_eq!(client.poll(), Err(HttpError::Malformed));
    assert_eq!(client.poll(), Err(HttpError::Malformed), "and nothing else from then on");
}

#[test]
fn a_kept_connection_carries_one_request_after_another() {
    let mut client = Client::new(request(), LIMITS, Delivery::Whole);
    for body in ["one", "two", ""] {
        assert!(client.outgoing().starts_with(b"GET /health HTTP/1.1\r\n"));
        assert!(!client.is_idle());
        client.wrote(3);
        assert!(client.outgoing().starts_with(b" /health"));
        client.wrote(client.outgoing().len());
        assert!(client.outgoing().is_empty());
        let length = body.len();
        client.incoming(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        client.incoming(body.as_bytes());
        let response = Response { status: 200, body: body.as_bytes().to_vec() };
        assert_eq!(client.poll(), Ok(Some(Received::Response(response))));
        assert_eq!((client.poll(), client.is_idle(), client.kept()), (Ok(None), true, 0));
        client.send(request());
    }
    assert!(client.end(true), "the race of a request with the server's close");
    assert_eq!(client.poll(), Err(HttpError::Unanswered));
}

#[test]
fn an_answer_to_half_a_request_counts_but_the_connection_is_not_kept() {
    let mut client = Client::new(request(), LIMITS, Delivery::Whole);
    client.wrote(5);
    client.incoming(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n");
    assert!(!client.outgoing().is_empty(), "the server may want the rest of it");
    client.incoming(b"no");
    let response = Response { status: 413, body: b"no".to_vec() };
    assert_eq!(client.poll(), Ok(Some(Received::Response(response))));
    assert!(!client.is_idle() && client.outgoing().is_empty());
}

fn with_fields(count: usize) -> String {
    let fields = "a:b\r\n".repeat(count);
    format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n")
}

fn with_interim(count: usize) -> String {
    let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(count);
    format!("{interim}HTTP/1.1 204 No\r\n\r\n")
}

#[test]
fn numbers_of_fields_and_interim_answers_are_limited() {
    let most = usize::from(HTTP_INTERIM_MAX);
    for (answer, want) in [
        (with_fields(HTTP_FIELDS_MAX - 1), None),
        (with_fields(HTTP_FIELDS_MAX), Some(HttpError::TooManyFields)),
        (with_interim(most), None),
        (with_interim(most + 1), Some(HttpError::TooManyInterim)),
    ] {
        let found = run(client(WIDE, Delivery::Whole), [answer.as_bytes()], Then::Open);
        assert_eq!((found.1, found.0.len()), (want, usize::from(want.is_none())), "{answer}");
    }
}

/// Bytes without an end, in each place where a line or a body could have none.
#[test]
fn an_endless_answer_is_refused_within_the_limits() {
    for (beginning, endless, error) in [
        (String::new(), "HTTP/1.", HttpError::HeadTooLong),
        (String::new(), "x", HttpError::Malformed),
        ("HTTP/1.1 200 ".to_owned(), "x", HttpError::HeadTooLong),
        ("HTTP/1.1 200 OK\r\n".to_owned(), "a: b\r\n", HttpError::HeadTooLong),
        ("HTTP/1.1 200 OK\r\n".to_owned(), "\r", HttpError::HeadTooLong),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "\n", HttpError::TooLong),
        (chunked(""), "0", HttpError::HeadTooLong),
        (chunked("1;"), "x", HttpError::HeadTooLong),
        (chunked(""), "1;ext\r\na\r\n", HttpError::TooLong),
        (chunked("0\r\n"), "a: b\r\n", HttpError::HeadTooLong),
        (chunked("0\r\n"), "a", HttpError::HeadTooLong),
    ] {
        let mut client = client(LIMITS, Delivery::Whole);
        client.incoming(beginning.as_bytes());
        let mut rounds = 0;
        let found = loop {
            assert!(rounds < 1000, "no end: {beginning:?} {endless:?}");
            rounds += 1;
            client.incoming(endless.as_bytes());
            let kept_max = LIMITS.head_bytes_max + LIMITS.body_bytes_max;
            assert!(client.kept() <= kept_max, "{beginning:?} {endless:?}");
            match client.poll() {
                Ok(received) => assert_eq!(received, None),
                Err(error) => break error,
            }
        };
        assert_eq!((found, client.kept()), (error, 0), "{beginning:?} {endless:?}");
    }
}

/// The chunks of a stream, all of this many bytes, until they are refused.
fn chunks_taken(bytes: usize, chunks_max: usize) -> (usize, Option<HttpError>) {
    let mut client = client(LIMITS, Delivery::Streamed);
    client.incoming(chunked("").as_bytes());
    let chunk = format!("{bytes:x}\r\n{}\r\n", "a".repeat(bytes));
    for taken in 0..chunks_max {
        client.incoming(chunk.as_bytes());
        if let Err(error) = poll_all(&mut client, &mut Vec::new()) {
            return (taken, Some(error));
        }
    }
    (chunks_max, None)
}

#[test]
fn chunks_with_little_in_them_are_refused_in_the_long_run() {
    let share = LIMITS.head_bytes_max * HTTP_FRAMING_WEIGHT;
    let line = b"1\r\n".len() * HTTP_FRAMING_WEIGHT;
    // The first byte of a chunk that is too many has not been taken yet.
    assert_eq!(chunks_taken(1, 2000), ((share - line) / (line - 1) + 1, Some(HttpError::TooLong)));
    assert_eq!(chunks_taken(line - 1, 2000), (share - line + 1, Some(HttpError::TooLong)));
    assert_eq!(chunks_taken(line, 2000), (2000, None));
}
