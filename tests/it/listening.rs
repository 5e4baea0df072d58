//! Where it listens: addresses that are taken, shared or of another host, and endpoints that lead
//! back to one of them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use crate::util::command_line::{BINARY, ENDPOINT, run, serve};
use crate::util::*;

/// A start that got as far as the sockets and failed.
#[track_caller]
fn refuse_start(listen: &str, endpoint: &str, parts: &[&str]) {
    let arguments = [format!("--listen-addr={listen}"), format!("--endpoints={endpoint}")];
    check_refusal(&arguments, &run(&arguments), 1, parts);
}

/// An address of this machine other than the loopback, if it has one. Nothing is sent.
fn interface_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

#[test]
fn an_address_without_a_host_listens_on_both_families() {
    // A client without a server is reset, maybe before its connect(2) returns.
    let server = backend(echo);
    let endpoint = server.address().to_string();
    let gateway = Gateway::builder().arg("--listen-addr=:0").endpoint(&endpoint).start();
    let port = gateway.address().port();
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if has_ipv6() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    for address in addresses {
        TcpStream::connect_timeout(&address, DEADLINE).expect("the gateway listens there");
    }
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket").to_string();
    refuse_start(&address, "127.0.0.1:1", &[&address, "in use"]);
    refuse_start(&format!("127.0.0.1:0,{address}"), "127.0.0.1:1", &[&address, "in use"]);
}

/// The kernel would let one process share an address with itself.
#[test]
fn an_address_that_is_given_twice_is_refused_even_if_it_is_shared() {
    let place = Reservation::new();
    let address = place.address().to_string();
    let listen = format!("--listen-addr={address},{address}");
    for flag in ["--reuse-port", "--reuse-port=false"] {
        let output = run(&[&*listen, flag, ENDPOINT]);
        check_refusal(&[flag], &output, 2, &["--listen-addr", &address, "given twice"]);
    }
    let output = run(&["--listen-addr=:1,127.0.0.1:1", ENDPOINT]);
    check_refusal(&"a part", &output, 2, &[r#""127.0.0.1:1""#, ":1 covers it already"]);
    // Only the socket shows that this is the same.
    let output = run(&[&format!("--listen-addr={address},localhost:{}", place.address().port())]);
    check_refusal(&"a name", &output, 1, &[&address, "leads there twice"]);
}

#[test]
fn an_address_that_only_one_wants_to_share_is_refused() {
    for [first, second] in [["--reuse-port", "--keepalive=1s"], ["--keepalive=1s", "--reuse-port"]]
    {
        let place = Reservation::new();
        let listen = format!("--listen-addr={}", place.address());
        let serving = Gateway::builder().arg(&listen).arg(first).start();
        let says_so = serving.log_count("reuse_port=true") > 0;
        assert_eq!(says_so, first == "--reuse-port", "{:?}", serving.log());
        let output = run(&[&*listen, second, ENDPOINT]);
        let address = place.address().to_string();
        check_refusal(&[first, second], &output, 1, &[&address, "in use"]);
    }
}

/// 192.0.2.0/24 is for documentation (RFC 5737) and nobody's.
#[test]
fn an_address_that_is_not_ours_is_refused() {
    refuse_start("192.0.2.1:0", "127.0.0.1:1", &["192.0.2.1", "not available"]);
}

/// The message names the endpoint by the address that it resolved to, so not always as typed.
#[track_caller]
fn refuse_loop(listen: &str, endpoint: &str) {
    let reservation = Reservation::new();
    let port = reservation.address().port().to_string();
    let parts = [&format!(":{port}"), "leads back to our own listener"];
    refuse_start(&listen.replace('P', &port), &endpoint.replace('P', &port), &parts);
}

/// Each row: where it listens, and an endpoint that ends there. `P` stands for the port.
#[test]
fn an_endpoint_that_leads_back_is_refused() {
    let mut rows: Vec<(&str, &str)> = vec![
        ("127.0.0.1:P", "127.0.0.1:P"),
        ("127.0.0.1:P", "http://127.0.0.1:P/x"),
        ("127.0.0.1:P", "127.0.0.1:1,127.0.0.1:P"),
        ("127.0.0.1:0,127.0.0.1:P", "127.0.0.1:P"),
        ("127.0.0.1:P", "0.0.0.0:P"),
        ("127.0.0.1:P", "[::ffff:127.0.0.1]:P"),
        ("127.0.0.2:P", "127.0.0.2:P"),
        ("0.0.0.0:P", "127.0.0.1:P"),
        ("0.0.0.0:P", "127.0.0.2:P"),
        ("0.0.0.0:P", "0.0.0.0:P"),
        ("0.0.0.0:P", "[::ffff:127.0.0.1]:P"),
        (":P", "127.0.0.1:P"),
        (":P", "127.0.0.2:P"),
        (":P", "[::ffff:127.0.0.1]:P"),
    ];
    if has_ipv6() {
        rows.extend([
            ("[::1]:P", "[::1]:P"),
            ("[::1]:P", "[::]:P"),
            ("[::]:P", "[::1]:P"),
            ("[::]:P", "[::]:P"),
            (":P", "[::1]:P"),
            (":P", "[::]:P"),
        ]);
    }
    for (listen, endpoint) in rows {
        refuse_loop(listen, endpoint);
    }
    if interface_address().is_none() {
        not_tested("no address but the loopback ones");
    }
    if let Some(address) = interface_address() {
        refuse_loop("0.0.0.0:P", &format!("{address}:P"));
        refuse_loop(":P", &format!("{address}:P"));
        refuse_loop(":P", &format!("[::ffff:{address}]:P"));
    }
}

/// Another day the name may lead elsewhere.
#[test]
fn a_name_that_leads_back_is_skipped() {
    let place = Reservation::new();
    let listen = format!("--listen-addr={}", place.address());
    let endpoint = format!("localhost:{}", place.address().port());
    let gateway = Gateway::builder().arg(&listen).endpoint(&endpoint).start();
    let needle = format!("endpoint skipped endpoint={}", place.address());
    let line = gateway.wait_for_log(&needle);
    assert!(line.contains("reason=own_listener listener="), "{line}");
}

/// Another gateway would serve that connection, or this one: who knows.
#[test]
fn an_endpoint_that_leads_back_to_a_shared_address_is_refused() {
    let place = Reservation::new();
    let listen = format!("--listen-addr={}", place.address());
    let _other =
        Gateway::builder().arg(&listen).arg("--reuse-port").endpoint("127.0.0.1:1").start();
    let endpoint = format!("--endpoints={}", place.address());
    let output = run(&[&*listen, "--reuse-port", &endpoint]);
    let address = place.address().to_string();
    check_refusal(&"a loop", &output, 1, &[&address, "leads back to our own listener"]);
}

/// The same port elsewhere is another server, and each form of listening address does work: the
/// refusals above have no other cause.
#[test]
fn an_endpoint_that_only_looks_like_ours_is_served() {
    let mut rows: Vec<(&str, &str)> = vec![
        ("127.0.0.1:P", "127.0.0.2:P"),
        ("127.0.0.2:P", "127.0.0.1:P"),
        ("127.0.0.1:P", "192.0.2.1:P"),
        ("0.0.0.0:P", "192.0.2.1:P"),
        ("0.0.0.0:P", "127.0.0.1:1"),
        (":P", "127.0.0.1:1"),
        ("127.0.0.1:0,127.0.0.1:P", "127.0.0.1:1"),
    ];
    if has_ipv6() {
        rows.extend([
            ("127.0.0.1:P", "[::1]:P"),
            ("[::1]:P", "127.0.0.1:P"),
            ("[::]:P", "[::1]:1"),
            (":P", "[2001:db8::1]:P"),
        ]);
    }
    for (listen, endpoint) in rows {
        let reservation = Reservation::new();
        let port = reservation.address().port().to_string();
        let listen = format!("--listen-addr={}", listen.replace('P', &port));
        let endpoint = format!("--endpoints={}", endpoint.replace('P', &port));
        serve(Path::new(BINARY), &[&listen, &endpoint]);
    }
}
