//! The command `status` of the real binary, before servers that answer as a gateway would, or not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::process::{Output, Stdio};
use std::thread;

use nix::libc;

use crate::util::command_line::{BINARY, ENDPOINT, gateway, run};
use crate::util::*;

const READY: &str = concat!(
    r#"{"version":"0.1.0","state":"running","ready":true,"#,
    r#""endpoints":[{"address":"10.0.0.1:2379"}]}"#
);
const NOT_READY: &str = concat!(
    r#"{"version":"0.1.0","state":"running","ready":false,"#,
    r#""not_ready":["no_endpoint_known"],"endpoints":[]}"#
);

/// Reads the head of a request, and answers with these bytes.
fn answer_with(mut stream: impl Read + Write, answer: &[u8]) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    stream.write_all(answer)?;
    Ok(String::from_utf8(head).expect("a head is ASCII"))
}

fn serve(stream: impl Read + Write, status: &str, body: &str) -> io::Result<String> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    answer_with(stream, answer.as_bytes())
}

/// A server that answers every request in this way.
fn server(status: &'static str, body: &'static str) -> Backend {
    backend(move |stream| {
        let _ = serve(&stream, status, body);
    })
}

fn ask(address: impl std::fmt::Display, more: &[&str]) -> Output {
    let flag = format!("--admin-addr={address}");
    run(&[&["status", &flag], more].concat())
}

#[track_caller]
fn check(output: &Output, status: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(status), ""), "{text}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn the_exit_status_says_whether_the_gateway_is_ready() {
    let ready = server("200 OK", READY);
    check(&ask(ready.address(), &[]), 0, &["state        ready, running\n", "10.0.0.1:2379"]);
    let other = server("200 OK", NOT_READY);
    check(&ask(other.address(), &[]), 3, &["NOT READY: no_endpoint_known", "no endpoint known"]);
    let json = ask(other.address(), &["--output=json"]);
    check(&json, 3, &[]);
    assert_eq!(String::from_utf8_lossy(&json.stdout), format!("{NOT_READY}\n"));
}

#[test]
fn a_name_a_port_alone_and_a_path_lead_to_a_gateway() {
    let ready = server("200 OK", READY);
    let port = ready.address().port();
    for address in [format!("localhost:{port}"), format!(":{port}")] {
        check(&ask(address, &[]), 0, &["ready, running"]);
    }
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).expect("a socket in a directory of our own");
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the command connects");
        serve(stream, "200 OK", READY)
    });
    check(&ask(format_args!("unix:{}", path.display()), &[]), 0, &["ready, running"]);
    let head = served.join().expect("it serves").expect("a whole request");
    assert!(head.starts_with("GET /status HTTP/1.1\r\nHost: localhost\r\n"), "{head}");
}

#[test]
fn what_gives_no_answer_is_status_1_with_the_reason() {
    let refused = refused_address();
    let hole = Blackhole::start();
    let silent = backend(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let closed = backend(drop);
    let absent = server("404 Not Found", "");
    let other = server("200 OK", "hello");
    let odd = server("200 OK", r#"{"ready":true}"#);
    let not_http = backend(|stream| drop(answer_with(stream, b"SSH-2.0-OpenSSH_9\r\n\r\n")));
    for (address, want) in [
        (refused, "cannot connect: connection refused"),
        (hole.address(), "cannot connect: not within 200ms"),
        (silent.address(), "no answer: not within 200ms"),
        (closed.address(), "no answer"),
        (absent.address(), "HTTP status 404"),
        (other.address(), "not JSON"),
        (odd.address(), "another JSON document"),
        (not_http.address(), "no answer of a gateway: answer malformed"),
    ] {
        let output = ask(address, &["--connect-timeout=200ms"]);
        check_refusal(&want, &output, 1, &[&address.to_string(), want]);
    }
    let output = ask("unix:/nowhere/admin.sock", &[]);
    check_refusal(&"a path", &output, 1, &["unix:/nowhere/admin.sock", "cannot connect"]);
}

#[test]
fn bad_usage_is_status_2() {
    for (line, part) in [
        (&["status"][..], "missing --admin-addr"),
        (&["status", "--admin-addr=:1,:2"], "one address is asked"),
        (&["status", "--admin-addr=:1", ENDPOINT], "only the command start has this flag"),
        (&[ENDPOINT, "--watch"], "only the command status has this flag"),
        (&["status", "--admin-addr=unix:@a"], "an abstract socket"),
    ] {
        check_refusal(&line, &run(line), 2, &[part]);
    }
}

/// Reads up to a line with this text.
#[track_caller]
fn wait_for(output: &mut impl BufRead, what: &str) {
    let found = output.lines().map_while(Result::ok).find(|line| line.contains(what));
    assert!(found.is_some(), "it ended before {what}");
}

#[test]
fn with_watch_it_asks_until_it_is_interrupted_whatever_the_gateway_does() {
    let address = refused_address();
    let line = ["status", &format!("--admin-addr={address}"), "--watch"];
    let mut command = gateway(BINARY.as_ref(), &line);
    as_from_a_terminal(&mut command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the command starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    wait_for(&mut output, "not reachable: ");
    let server = Backend::at(address, |stream: TcpStream| drop(serve(&stream, "200 OK", READY)));
    wait_for(&mut output, "ready, running");
    drop(server);
    wait_for(&mut output, "not reachable: ");
    send_signal(child.id(), "INT");
    let status = child.wait().expect("our own child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGINT));
}
