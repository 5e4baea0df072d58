//! The admin side of a running gateway: its answers, its limits, and its end.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::util::*;

const ADMIN: &str = "--admin-addr=127.0.0.1:0";
/// As in the program's limits.
const CONNECTIONS_MAX: usize = 32;

fn observed(endpoints: &[SocketAddr]) -> (Gateway, SocketAddr) {
    let gateway = Gateway::start(endpoints, &[ADMIN]);
    let admin = admin_address(&gateway);
    (gateway, admin)
}

#[test]
fn health_readiness_and_status_say_what_is_true() {
    let server = backend(echo);
    let (gateway, admin) = observed(&[server.address()]);
    assert_eq!((get(admin, "/healthz").status, get(admin, "/healthz").text()), (200, "ok\n"));
    assert_eq!(get(admin, "/readyz").text(), "ready\n");
    round_trip(&gateway.connect(), b"twelve bytes");
    until("the connection is counted", || {
        let status = get(admin, "/status").json();
        let endpoint = &status["endpoints"][0];
        endpoint["bytes"]["from_clients"] == 12 && endpoint["bytes"]["from_endpoint"] == 12
    });
    let status = get(admin, "/status?history=300").json();
    let endpoint = &status["endpoints"][0];
    assert_eq!(status["state"], "running");
    assert_eq!(endpoint["address"], server.address().to_string());
    assert_eq!((&endpoint["state"], &endpoint["source"]), (&"up".into(), &"typed".into()));
    assert_eq!(endpoint["dials"]["succeeded"], 1);
    assert!(endpoint["history"]["bytes"].as_array().is_some_and(|samples| !samples.is_empty()));
}

#[test]
fn a_gateway_without_a_usable_endpoint_is_not_ready() {
    let closed = refused_address();
    let (gateway, admin) = observed(&[closed]);
    // The reset of a rejected client may be there before it is connected.
    let _ = TcpStream::connect(gateway.address()).and_then(|mut client| client.read(&mut [0]));
    until("the endpoint is known to be down", || get(admin, "/readyz").status == 503);
    assert_eq!(get(admin, "/readyz").text(), "no_endpoint_active\n");
    let status = get(admin, "/status").json();
    assert_eq!(status["not_ready"][0], "no_endpoint_active");
    assert_eq!(status["endpoints"][0]["last_error"]["reason"], "refused");
    assert_eq!(status["changes"][0]["reason"], "refused");
    let metrics = get(admin, "/metrics");
    let up = metrics.sum("etcd_gateway_endpoint_up");
    let refused = metrics.sum("etcd_gateway_clients_rejected_total");
    assert_eq!((up, refused), (0.0, 1.0));
    assert_eq!(get(admin, "/healthz").status, 200);
}

#[test]
fn sums_of_metrics_fit_and_both_formats_are_had() {
    let server = backend(echo);
    let (gateway, admin) = observed(&[server.address()]);
    let open = gateway.connect();
    round_trip(&open, b"a");
    for _ in 0..3 {
        let client = gateway.connect();
        round_trip(&client, b"abc");
    }
    until("the three have ended", || {
        get(admin, "/metrics").sum("etcd_gateway_connections_ended_total") == 3.0
    });
    let metrics = get(admin, "/metrics");
    assert_eq!(metrics.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(metrics.sum("etcd_gateway_clients_accepted_total"), 4.0);
    assert_eq!(metrics.sum("etcd_gateway_connections"), 1.0);
    assert_eq!(metrics.metric("etcd_gateway_dial_duration_seconds_count"), Some(4.0));
    assert_eq!(metrics.metric("etcd_gateway_first_byte_seconds_count"), Some(4.0));
    assert_eq!(metrics.metric("etcd_gateway_connection_duration_seconds_count"), Some(3.0));
    let descriptors = metrics.metric("process_open_fds").expect("a number") as usize;
    // The connection that asked is open as long as it asks.
    until("as many descriptors as are open", || gateway.descriptors() + 1 == descriptors);
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{accept}\r\nConnection: close\r\n\r\n");
    let metrics = ask(admin, &request);
    assert!(metrics.field("content-type").is_some_and(|kind| kind.contains("openmetrics")));
    assert!(metrics.text().ends_with("# EOF\n"));
    assert!(metrics.field("date").is_some_and(|date| date.ends_with(" GMT")));
}

#[test]
fn requests_of_one_connection_are_answered_in_order() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let mut stream = admin_connection(admin);
    let paths = ["/healthz", "/metrics", "/nothing", "/status", "/", "/healthz"];
    let requests = paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    stream.write_all(requests.concat().as_bytes()).expect("room for six requests");
    let mut stream = BufReader::new(stream);
    let replies = paths.map(|_| read_reply(&mut stream).expect("as many answers"));
    assert_eq!(replies.each_ref().map(|reply| reply.status), [200, 200, 404, 200, 200, 200]);
    assert!(replies[1].text().contains("etcd_gateway_build_info"));
    assert_eq!(replies[3].json()["state"], "running");
    assert!(replies[4].text().starts_with("<!DOCTYPE html>"), "{}", replies[4].text());
    assert_eq!(replies[5].text(), "ok\n");
}

#[test]
fn what_is_not_asked_well_is_refused_in_a_line() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let long = "x".repeat(3000);
    let fields = "F: 1\r\n".repeat(2000);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(), 405),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
    ] {
        let reply = ask(admin, &request);
        assert_eq!(reply.status, status, "{request:.40}");
        assert_eq!(reply.text().lines().count(), 1, "{request:.40}");
        let allow = reply.field("allow");
        assert_eq!(allow, (status == 405).then_some("GET, HEAD"), "{request:.40}");
    }
    let head = ask(admin, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn it_answers_while_the_gateway_drains_and_closes_last() {
    let server = backend(echo);
    let (mut gateway, admin) = observed(&[server.address()]);
    let client = gateway.connect();
    round_trip(&client, b"a");
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(get(admin, "/readyz").text(), "draining\n");
    assert_eq!(get(admin, "/status").json()["state"], "draining");
    drop(client);
    assert!(gateway.wait_exit().success());
    let refused = TcpStream::connect(admin).expect_err("it is gone");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn more_connections_than_allowed_close_the_idle_one_of_longest() {
    let (gateway, admin) = observed(&[refused_address()]);
    let descriptors = gateway.descriptors();
    const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut idle: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| admin_connection(admin)).collect();
    for stream in &mut idle {
        stream.write_all(REQUEST).expect("room for a request");
        let reply = read_reply(&mut BufReader::new(stream)).expect("an answer");
        assert_eq!(reply.status, 200);
    }
    gateway.wait_descriptors(descriptors + CONNECTIONS_MAX);
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(idle[0].read(&mut [0]).expect("an orderly end"), 0);
    idle[1].write_all(REQUEST).expect("room");
    let reply = read_reply(&mut BufReader::new(&idle[1])).expect("the others go on");
    assert_eq!(reply.status, 200);
}

/// None is cut off for another one before it had an answer: the others wait in the backlog.
#[test]
fn twice_as_many_clients_at_once_as_may_be_connected_are_all_answered() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let clients = (0..2 * CONNECTIONS_MAX).map(|_| {
        let mut client = admin_connection(admin);
        let request = b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client.write_all(request).expect("room for a request");
        client
    });
    let clients: Vec<TcpStream> = clients.collect();
    let threads = clients.into_iter().map(|client| {
        thread::spawn(move || read_reply(&mut BufReader::new(client)).expect("an answer").status)
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        assert_eq!(thread.join().expect("an answer"), 200);
    }
}

#[test]
fn clients_that_stall_give_their_places_to_others() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let stalled = (0..CONNECTIONS_MAX).map(|_| {
        let mut client = admin_connection(admin);
        client.write_all(b"GET /healthz HTTP/1.1\r\n").expect("room for a part of a request");
        client
    });
    let mut stalled: Vec<TcpStream> = stalled.collect();
    assert_eq!(get(admin, "/healthz").status, 200);
    // Later its head would have been late, which is answered.
    assert_eq!(stalled[0].read(&mut [0]).expect("an orderly end"), 0);
    let reply = read_reply(&mut BufReader::new(&stalled[1])).expect("the others go on");
    assert_eq!(reply.status, 408);
}

/// Reads answers, and asks on as long as it is answered; and begins again.
fn ask_for_ever(admin: SocketAddr, is_over: &AtomicBool) {
    const AHEAD: usize = 20;
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = BufReader::new(admin_connection(admin));
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        let _ = stream.get_mut().write_all(&request.repeat(AHEAD));
        // What was sent behind the last answer may have reset the connection.
        while !is_over.load(Ordering::Relaxed)
            && stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty())
        {
            let count = stream.buffer().len();
            stream.consume(count);
            let _ = stream.get_mut().write_all(request);
        }
    }
}

/// Also while the admin side has a small part of the time, as there is a client of the endpoint.
#[test]
fn clients_that_always_ask_do_not_keep_others_out() {
    let server = backend(echo);
    let (gateway, admin) = observed(&[server.address()]);
    let client = gateway.connect();
    round_trip(&client, b"a");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS_MAX {
            scope.spawn(|| ask_for_ever(admin, &is_over));
        }
        let others = scope.spawn(|| [(); 10].map(|()| get(admin, "/readyz").status)).join();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(others.expect("they are answered"), [200; 10]);
    });
}

#[test]
fn a_head_that_is_late_is_answered() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let mut client = admin_connection(admin);
    client.write_all(b"GET /healthz HTTP/1.1\r\n").expect("room for a part of a request");
    let reply = read_reply(&mut BufReader::new(client)).expect("an answer");
    assert_eq!(
        (reply.status, reply.text()),
        (408, "the head of the request did not come in time\n")
    );
}

#[test]
fn a_half_closed_request_is_answered() {
    let (_gateway, admin) = observed(&[refused_address()]);
    let mut stream = admin_connection(admin);
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").expect("room for a request");
    stream.shutdown(Shutdown::Write).expect("it is connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and an end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Starts a gateway that cannot listen where this flag says.
fn start_and_finish(flag: &str) -> Output {
    finish(&mut Gateway::builder().endpoint("127.0.0.1:1").arg(flag).command(), "")
}

#[test]
fn a_socket_of_the_file_system_is_made_replaced_refused_and_removed() {
    let folder = TemporaryDirectory::new();
    let path = folder.path().join("admin.sock");
    let flag = format!("--admin-addr=unix:{}", path.display());
    drop(UnixListener::bind(&path).expect("a folder of our own"));
    let mut gateway = Gateway::start(&[refused_address()], &[&flag]);
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut curl = Command::new("curl");
    curl.arg("--silent").arg("--unix-socket").arg(&path).arg("http://localhost/healthz");
    let output = curl.output().expect("curl is installed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
    let second = start_and_finish(&flag);
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(message.contains("address in use"), "{message}");
    drop(UnixStream::connect(&path).expect("the first one still listens"));
    let file = folder.path().join("file");
    fs::write(&file, "kept").expect("a folder of our own");
    for (path, problem) in [(file.clone(), "not a socket"), (file.join("admin"), "no such folder")]
    {
        let path = path.display();
        let output = start_and_finish(&format!("--admin-addr=unix:{path}"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted = format!("etcd-gateway: cannot listen on unix:{path}: {problem}\n");
        assert!(message.ends_with(&wanted), "{message}");
    }
    assert_eq!(fs::read(&file).expect("it is there"), b"kept");
    gateway.signal("TERM");
    assert!(gateway.wait_exit().success());
    assert!(!path.exists(), "removed at the end");
}
