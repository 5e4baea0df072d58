//! HTTP answers: what they mean depends on their bytes alone, not on how the network cuts them, and
//! what is kept of them is bounded at every moment.
//!
//! The oracle is the client itself, which gets the same bytes in other pieces and delivers them in
//! another way; and an encoder that is written here, whose bodies must come out as they went in.

use etcd_gateway::proto::http1::{
    Client, Delivery, HttpError, Limits, Received, Request, Response,
};

use super::assert_one_line;

/// Small ones, which short inputs reach.
const LIMITS: Limits = Limits { head_bytes_max: 160, body_bytes_max: 48 };
/// As [`LIMITS`], for bodies in chunks of any size.
const ROOMY: Limits = Limits { head_bytes_max: 1 << 20, ..LIMITS };
/// What separates the answers to one request after another.
const NEXT_REQUEST: &[u8] = b"\xff\xff";

/// All that a client delivers, parts of one body as one, and what it says at the end.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    received: Vec<Received>,
    error: Option<HttpError>,
    is_idle: bool,
}

/// Reads the first byte as how it is cut and ends, and the rest as answers. The bits: 0 whether the
/// connection ends, 1 whether in order, 2-7 the seed of the pieces.
pub fn check(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let end = (selector & 1 != 0).then_some(selector & 2 != 0);
    let answers: Vec<&[u8]> = answers(bytes);
    let whole = check_cuts(&answers, Delivery::Whole, end, selector);
    let streamed = check_cuts(&answers, Delivery::Streamed, end, selector);
    check_deliveries(&whole, &streamed);
    check_body(bytes, usize::from(selector >> 2) + 1);
}

fn answers(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(2).position(|pair| pair == NEXT_REQUEST) {
        answers.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    answers.push(rest);
    answers
}

/// In one piece each, byte by byte, and in pieces of several lengths.
fn check_cuts(answers: &[&[u8]], delivery: Delivery, end: Option<bool>, selector: u8) -> Outcome {
    let want = run(answers, LIMITS, delivery, end, &[usize::MAX]);
    let seed = usize::from(selector >> 2);
    for lengths in [&[1][..], &[1 + seed % 7, 1 + seed / 7, 2, 13]] {
        assert_eq!(run(answers, LIMITS, delivery, end, lengths), want, "{lengths:?}");
    }
    want
}

fn run(
    answers: &[&[u8]],
    limits: Limits,
    delivery: Delivery,
    end: Option<bool>,
    lengths: &[usize],
) -> Outcome {
    let mut outcome = Outcome { received: Vec::new(), error: None, is_idle: false };
    let mut client = Client::new(request(), limits, delivery);
    let mut lengths = lengths.iter().cycle();
    for (number, answer) in answers.iter().enumerate() {
        if number > 0 && client.is_idle() {
            client.send(request());
        }
        client.wrote(client.outgoing().len());
        let mut rest = *answer;
        while !rest.is_empty() {
            let length = (*lengths.next().expect("a cycle")).min(rest.len());
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            client.incoming(piece);
            let most = limits.head_bytes_max + limits.body_bytes_max + piece.len();
            assert!(client.kept() <= most, "{} bytes are kept", client.kept());
            poll_all(&mut client, &mut outcome);
        }
    }
    if let Some(is_orderly) = end {
        let is_known = client.end(is_orderly);
        let before = (outcome.received.len(), outcome.error);
        poll_all(&mut client, &mut outcome);
        let has_changed = (outcome.received.len(), outcome.error) != before;
        assert!(is_known || !has_changed, "an outcome of which it says that there is none");
    }
    outcome.is_idle = client.is_idle();
    outcome
}

fn request() -> Request {
    Request::get("a:1", "/").expect("sendable")
}

fn poll_all(client: &mut Client, outcome: &mut Outcome) {
    loop {
        match client.poll() {
            Ok(None) => return,
            Ok(Some(received)) => {
                assert_eq!(outcome.error, None, "something behind a failure");
                take(received, outcome);
            }
            Err(error) => {
                assert!(outcome.error.is_none_or(|known| known == error), "another reason");
                assert!(!client.is_idle() && client.outgoing().is_empty());
                assert_one_line(error.word());
                outcome.error = Some(error);
                return;
            }
        }
    }
}

fn take(received: Received, outcome: &mut Outcome) {
    match (&received, outcome.received.last_mut()) {
        (Received::Part(part), last) => {
            assert!(!part.is_empty());
            if let Some(Received::Part(before)) = last {
                before.extend(part);
                return;
            }
            assert!(matches!(last, Some(Received::Head(_))), "a part without a head");
        }
        (Received::Response(Response { status, body }), _) => {
            assert!(body.len() <= LIMITS.body_bytes_max);
            assert!(!(100..200).contains(status) && *status < 1000);
        }
        (Received::Head(status), _) => assert!(!(100..200).contains(status)),
        (Received::End | Received::Closed, _) => {}
    }
    outcome.received.push(received);
}

/// Both deliveries tell the same, unless the whole one meets its limit.
fn check_deliveries(whole: &Outcome, streamed: &Outcome) {
    let mut expected = Vec::new();
    for received in &whole.received {
        match received {
            Received::Response(Response { status, body }) => {
                expected.push(Received::Head(*status));
                if !body.is_empty() {
                    expected.push(Received::Part(body.clone()));
                }
                expected.push(Received::End);
            }
            other => expected.push(other.clone()),
        }
    }
    let common = expected.len();
    assert_eq!(streamed.received.get(..common), Some(&expected[..]));
    if whole.error == Some(HttpError::TooLong) {
        return;
    }
    assert_eq!((whole.error, whole.is_idle), (streamed.error, streamed.is_idle));
    let rest = &streamed.received[common..];
    let is_begun =
        matches!(rest, [] | [Received::Head(_)] | [Received::Head(_), Received::Part(_)]);
    assert!(is_begun, "{rest:?}");
}

/// A body in each framing is the body that went in.
fn check_body(body: &[u8], chunk: usize) {
    let by_length =
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body]
            .concat();
    let until_end = [b"HTTP/1.1 200 OK\r\n\r\n", body].concat();
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(chunk) {
        chunked.extend(format!("{:X};extension=\"1\"\r\n", piece.len()).into_bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\nTrailer: 1\r\n\r\n");
    for (answer, end) in [(by_length, None), (until_end, Some(true)), (chunked, None)] {
        let outcome = run(&[&answer], ROOMY, Delivery::Streamed, end, &[chunk, 3]);
        let mut want = vec![Received::Head(200), Received::End];
        if !body.is_empty() {
            want.insert(1, Received::Part(body.to_vec()));
        }
        let want = Outcome { received: want, error: None, is_idle: end.is_none() };
        assert_eq!(outcome, want, "{:?}", String::from_utf8_lossy(&answer));
    }
}
