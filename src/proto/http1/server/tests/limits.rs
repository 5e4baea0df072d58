//! Tests of limits at their edges, of what is kept, and of bytes without a meaning.

use super::*;
use crate::config::limits::ADMIN_EMPTY_LINES_MAX;

fn status(input: &str) -> u16 {
    let outcome = one_run(input.as_bytes());
    answers(&outcome)[0].status
}

#[test]
fn a_target_may_be_as_long_as_the_limit() {
    let most = LIMITS.target_bytes_max;
    for (bytes, want) in [(most, 200), (most + 1, 414)] {
        let target = format!("/{}", "a".repeat(bytes - 1));
        assert_eq!(status(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")), want);
        let target = format!("/?{}", "a".repeat(bytes - 2));
        assert_eq!(status(&format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n")), want);
        // It is known before the line is whole.
        let begun = one_run(format!("GET {target}").as_bytes());
        assert_eq!(begun.written.is_empty(), want == 200);
    }
}

#[test]
fn a_head_may_be_as_long_as_the_limit() {
    let beginning = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let room = LIMITS.head_bytes_max - beginning.len() - "\r\n\r\n".len();
    for (bytes, want) in [(room, 200), (room + 1, 431)] {
        let value = "x".repeat(bytes);
        assert_eq!(status(&format!("{beginning}{value}\r\n\r\n")), want);
        let ends = format!("{beginning}{value}\r\n\r\nGET");
        assert_eq!(status(&ends), want, "what is behind it does not count");
    }
    // Empty lines before it do not count.
    let value = "x".repeat(room);
    assert_eq!(status(&format!("\r\n\r\n{beginning}{value}\r\n\r\n")), 200);
    // What breaks the first line came before.
    let behind = "x".repeat(LIMITS.head_bytes_max);
    assert_eq!(status(&format!("GET / HTTP/2\r\n{behind}")), 505);
    for endless in ["x".repeat(200), format!("GET / {}", "x".repeat(194))] {
        assert_eq!(status(&endless), 431, "{endless}");
        assert_eq!(one_run(&endless.as_bytes()[..199]).stage, Stage::Head);
    }
}

#[test]
fn a_head_may_have_as_many_fields_as_the_limit() {
    for (count, want) in [(LIMITS.fields_max, 200), (LIMITS.fields_max + 1, 431)] {
        let fields = "a:b\r\n".repeat(count - 1);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), want);
    }
}

#[test]
fn empty_lines_before_a_request_are_limited() {
    let most = usize::from(ADMIN_EMPTY_LINES_MAX);
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let lines = "\r\n".repeat(most);
    assert_eq!(status(&format!("{lines}{request}")), 200);
    assert_eq!(status(&format!("{lines}\n{request}")), 400);
    let twice = one_run(format!("{lines}{request}{lines}{request}").as_bytes());
    assert_eq!(words(&twice), "Get /? Get /? 200 200 Idle", "before each of them");
}

/// Bytes without an end, at each place where there could be no end.
#[test]
fn an_endless_request_is_refused_within_the_limits() {
    for (beginning, endless, want) in [
        ("", "\r\n", 400),
        ("", "G", 431),
        ("GET /", "a", 414),
        ("GET / ", "a", 431),
        ("GET / HTTP/1.1\r\n", "a", 431),
        ("GET / HTTP/1.1\r\n", "a: b\r\n", 431),
        ("GET / HTTP/1.1\r\n", "\r", 431),
    ] {
        let mut server = Server::new(LIMITS);
        server.incoming(beginning.as_bytes());
        let mut rounds = 0;
        while server.outgoing().is_empty() {
            assert!(rounds < 1000, "no end: {beginning:?} {endless:?}");
            rounds += 1;
            server.incoming(endless.as_bytes());
            assert!(server.kept() < LIMITS.head_bytes_max, "{beginning:?} {endless:?}");
        }
        assert_eq!(decode(server.outgoing(), &[])[0].status, want, "{beginning:?} {endless:?}");
        assert_eq!(server.kept(), 0);
    }
}

/// A crowd of small requests in one read is kept, and shrinks to nothing.
#[test]
fn what_was_read_ahead_is_kept_until_it_is_answered() {
    let one = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let many = one.repeat(500);
    let mut server = Server::new(LIMITS);
    server.incoming(many.as_bytes());
    assert!(server.kept() <= many.len() + LIMITS.head_bytes_max);
    let mut outcome = Outcome { requests: Vec::new(), written: Vec::new(), stage: Stage::Idle };
    answer_all(&mut server, &mut outcome, usize::MAX);
    assert_eq!((outcome.requests.len(), server.kept()), (500, 0));
    assert_eq!(answers(&outcome).len(), 500);
    assert_eq!(server.stage(), Stage::Idle);
}

/// A caller that goes on reading while an answer is under way cannot make memory grow.
#[test]
fn what_is_read_without_being_wanted_is_bounded() {
    let piece = [b'x'; 50];
    for is_begun in [false, true] {
        let mut server = Server::new(LIMITS);
        server.incoming(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let request = server.poll().expect("a request");
        if is_begun {
            server.respond(head(&request));
        }
        for _ in 0..100 {
            server.incoming(&piece);
            assert!(server.kept() <= LIMITS.head_bytes_max + piece.len());
        }
        if !is_begun {
            server.respond(head(&request));
        }
        server.body(&mut |out| {
            out.push(b'/');
            true
        });
        let answers = decode(server.outgoing(), &[]);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].field("connection").is_some(), !is_begun, "if it is known in time");
        server.wrote(server.outgoing().len());
        assert_eq!((server.stage(), server.kept()), (Stage::Lingering, 0));
    }
}

/// Bytes that mean something are more frequent than others, so that heads become whole.
#[test]
fn bytes_without_a_meaning_break_nothing() {
    const PARTS: &[&str] = &[
        "GET ",
        "HEAD ",
        "POST ",
        "/",
        "/unknown",
        "?",
        " ",
        "HTTP/1.1",
        "HTTP/1.0",
        "\r\n",
        "\n",
        "\r",
        "Host: a\r\n",
        "Content-Length: ",
        "0",
        "1",
        ":",
        "a",
        "\0",
        "ä",
        "\r\n\r\n",
        "Connection: close\r\n",
        "Transfer-Encoding: chunked\r\n",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/2",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut served = 0;
    for _ in 0..3000 {
        let mut input = Vec::new();
        for _ in 0..24 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let number = (state >> 11) as usize;
            match number % 8 {
                0 => input.push((number >> 8) as u8),
                _ => input.extend_from_slice(PARTS[(number >> 8) % PARTS.len()].as_bytes()),
            }
        }
        let has_end = state & 1 == 0;
        let want = run(LIMITS, [&*input], has_end, usize::MAX);
        assert_eq!(run(LIMITS, input.chunks(1 + (state % 5) as usize), has_end, 5), want);
        assert!(answers(&want).len() >= want.requests.len());
        served += want.requests.len();
    }
    assert!(served > 100, "{served} requests were whole");
}
