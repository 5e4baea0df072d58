//! Tests of answers: their heads, and their bodies in each framing, as a decoder of the tests and
//! our own client read them.

use super::*;
use crate::proto::http1::{Client, Delivery, Limits, Received, Request};

const TEXT: &str = "text/plain; charset=utf-8";

/// A server that has been asked by this head.
fn asked(head: &str) -> Server {
    let mut server = Server::new(LIMITS);
    server.incoming(head.as_bytes());
    server.poll().expect("a request");
    server
}

fn plain(length: Length) -> Head {
    Head { status: 200, content_type: "text/plain", length, fields: &[] }
}

/// All that is written of an answer whose body has these pieces, each written before the next one
/// is asked for.
fn written(server: &mut Server, pieces: &[&str]) -> Vec<u8> {
    let (mut all, mut given) = (Vec::new(), 0);
    loop {
        if server.wants_body() {
            let before = server.outgoing().len();
            let address = server.outgoing().as_ptr_range().start;
            server.body(&mut |out| {
                assert!(out.len() >= before && (before == 0 || out[0] == b'H'), "{address:?}");
                out.extend_from_slice(pieces[given].as_bytes());
                given += 1;
                given == pieces.len()
            });
        }
        if server.outgoing().is_empty() {
            if !server.wants_body() {
                assert!(given == 0 || given == pieces.len(), "{given} pieces were taken");
                return all;
            }
            continue;
        }
        let half = server.outgoing().len().div_ceil(2);
        all.extend_from_slice(&server.outgoing()[..half]);
        server.wrote(half);
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const OLD_GET: &str = "GET / HTTP/1.0\r\n\r\n";
const OLD_GET_AND_KEEP: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn a_head_has_its_fields_in_their_order() {
    let mut server = asked(GET);
    let fields = &[("Content-Security-Policy", "default-src 'none'"), ("X", "y")];
    server.respond(Head { fields, ..plain(Length::Known(3)) });
    assert_eq!(
        String::from_utf8_lossy(&written(&mut server, &["a", "", "bc"])),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\
         X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nX: y\r\n\r\nabc"
    );
    assert_eq!(server.stage(), Stage::Idle);
}

#[test]
fn a_body_is_framed_as_the_client_understands() {
    let kept = (Stage::Idle, true);
    let closed = (Stage::Lingering, true);
    let until_end = (Stage::Lingering, false);
    for (request, length, connection, (stage, is_delimited)) in [
        (GET, Length::Known(5), None, kept),
        (GET, Length::Unknown, None, kept),
        (GET_AND_CLOSE, Length::Known(5), Some("close"), closed),
        (GET_AND_CLOSE, Length::Unknown, Some("close"), closed),
        (OLD_GET, Length::Known(5), Some("close"), closed),
        (OLD_GET, Length::Unknown, Some("close"), until_end),
        (OLD_GET_AND_KEEP, Length::Known(5), Some("keep-alive"), kept),
        (OLD_GET_AND_KEEP, Length::Unknown, Some("close"), until_end),
    ] {
        for pieces in [&["hello"][..], &["hel", "lo"], &["", "h", "", "", "ello"]] {
            let mut server = asked(request);
            server.respond(plain(length));
            let answers = decode(&written(&mut server, pieces), &[]);
            let [answer] = &answers[..] else { panic!("{answers:?}") };
            let shown = (request, length);
            assert_eq!((answer.status, answer.body_text()), (200, "hello"), "{shown:?}");
            assert_eq!(answer.field("connection"), connection, "{shown:?}");
            assert_eq!((server.stage(), answer.is_delimited), (stage, is_delimited), "{shown:?}");
        }
    }
}

/// The last piece may be empty, and all of them.
#[test]
fn a_body_of_unknown_length_may_be_empty() {
    for pieces in [&[""][..], &["", ""], &["a", ""]] {
        for (request, stage) in [(GET, Stage::Idle), (OLD_GET, Stage::Lingering)] {
            let mut server = asked(request);
            server.respond(plain(Length::Unknown));
            let answers = decode(&written(&mut server, pieces), &[]);
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0].body_text(), pieces.concat());
            assert_eq!(server.stage(), stage);
        }
    }
}

#[test]
fn head_and_statuses_without_a_body_have_none() {
    for (method, status, length, want) in [
        ("HEAD", 200, Length::Known(7), Some(("content-length", "7"))),
        ("HEAD", 200, Length::Unknown, Some(("transfer-encoding", "chunked"))),
        ("HEAD", 404, Length::Known(0), Some(("content-length", "0"))),
        ("GET", 200, Length::Known(0), Some(("content-length", "0"))),
        ("GET", 204, Length::Known(7), None),
        ("GET", 304, Length::Unknown, None),
    ] {
        let mut server = asked(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        server.respond(Head { status, ..plain(length) });
        assert!(!server.wants_body());
        server.body(&mut |_| panic!("a body for {method} and {status}"));
        let answers = decode(server.outgoing(), &[method == "HEAD"]);
        assert_eq!((answers.len(), answers[0].status), (1, status));
        let has_type = answers[0].field("content-type").is_some();
        assert_eq!(has_type, want.is_some(), "{status}");
        for name in ["content-length", "transfer-encoding"] {
            let wanted = want.filter(|want| want.0 == name).map(|want| want.1);
            assert_eq!(answers[0].field(name), wanted, "{method} {status} {name}");
        }
        server.wrote(server.outgoing().len());
        assert_eq!(server.stage(), Stage::Idle, "{method} {status}");
    }
}

#[test]
fn refusals_are_one_line_of_text() {
    for (input, status) in
        [("\0", 400), ("GET /\n", 505), ("HEAD / HTTP/2\n", 505), ("HEADS /\n", 400)]
    {
        let outcome = one_run(input.as_bytes());
        let is_head = input.starts_with("HEAD ");
        let answers = decode(&outcome.written, &[is_head]);
        assert_eq!((answers.len(), answers[0].status), (1, status), "{input:?}");
        assert_eq!(answers[0].field("content-type"), Some(TEXT));
        assert_eq!(answers[0].field("connection"), Some("close"));
        assert_eq!(answers[0].field("x-content-type-options"), Some("nosniff"));
        let body = answers[0].body_text();
        match is_head {
            true => assert_eq!(body, "", "no body for HEAD"),
            false => assert!(body.len() > 20 && body.find('\n') == Some(body.len() - 1), "{body}"),
        }
    }
}

/// A body that is shorter than announced is cut off by the end of the connection.
#[test]
fn an_answer_that_ends_early_ends_the_connection() {
    let mut server = asked(GET);
    server.incoming(GET.as_bytes());
    server.respond(plain(Length::Known(5)));
    let answer = written(&mut server, &["a", "b"]);
    assert!(answer.ends_with(b"\r\n\r\nab"));
    assert_eq!((server.stage(), server.poll(), server.kept()), (Stage::Lingering, None, 0));
}

#[test]
fn a_piece_is_wanted_when_all_before_is_written() {
    let mut server = asked(GET);
    server.respond(plain(Length::Known(3)));
    assert!(server.wants_body(), "the head goes out with the first piece");
    server.wrote(1);
    assert!(!server.wants_body());
    server.wrote(server.outgoing().len());
    assert!(server.wants_body() && server.outgoing().is_empty());
    for left in [2, 1, 0] {
        server.body(&mut |out| {
            assert!(out.is_empty());
            out.push(b'a');
            false
        });
        assert!(!server.wants_body() && server.outgoing() == b"a");
        server.wrote(1);
        assert_eq!(server.wants_body(), left > 0, "complete with its last byte");
    }
    assert_eq!(server.stage(), Stage::Idle);
}

/// What our own client receives over a connection that it keeps, where it is one.
#[test]
fn our_own_client_reads_the_answers() {
    let limits = Limits { head_bytes_max: 300, body_bytes_max: 100 };
    let long = "x".repeat(80);
    let mut server = Server::new(LIMITS);
    let request = Request::get("a:1", "/").expect("sendable");
    let mut client = Client::new(request.clone(), limits, Delivery::Whole);
    for (length, pieces) in [
        (Length::Unknown, &["one", "", &*long, "two"][..]),
        (Length::Known(3), &["o", "ne"]),
        (Length::Unknown, &[""]),
        (Length::Known(0), &[]),
    ] {
        server.incoming(client.outgoing());
        client.wrote(client.outgoing().len());
        server.poll().expect("a request");
        server.respond(plain(length));
        for piece in written(&mut server, pieces).chunks(7) {
            client.incoming(piece);
        }
        let Ok(Some(Received::Response(response))) = client.poll() else { panic!("{length:?}") };
        assert_eq!(String::from_utf8_lossy(&response.body), pieces.concat());
        assert_eq!((response.status, client.is_idle(), server.stage()), (200, true, Stage::Idle));
        client.send(request.clone());
    }
}
