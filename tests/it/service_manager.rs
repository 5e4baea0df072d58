//! What the gateway tells the service manager that has started it.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener};
use std::process;
use std::thread;

use crate::signals::{LONG_DRAIN, expect_orderly_end};
use crate::util::*;

/// The next state that the gateway reports to its supervisor.
fn receive(supervisor: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = supervisor.recv(&mut buffer).expect("a notification");
    String::from_utf8(buffer[..length].to_vec()).expect("notifications are text")
}

fn states_are_notified(supervisor: &UnixDatagram, notify_socket: &str) {
    supervisor.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let (place, server) = (Reservation::new(), backend(echo));
    let builder = Gateway::builder()
        .endpoint(&server.address().to_string())
        .arg(&format!("--listen-addr={}", place.address()))
        .arg(LONG_DRAIN)
        .env("NOTIFY_SOCKET", notify_socket);
    // Started elsewhere, so that we learn of READY=1 before anything else of it.
    let starting = thread::spawn(move || builder.start());
    assert!(receive(supervisor).lines().any(|line| line == "READY=1"));
    let client = TcpStream::connect(place.address()).expect("who is ready listens");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    round_trip(&client, b"served");
    let gateway = starting.join().expect("the gateway has started");
    supervisor.set_nonblocking(true).expect("a socket can be non-blocking");
    let error = supervisor.recv(&mut [0; 256]).expect_err("nothing has changed");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    supervisor.set_nonblocking(false).expect("a socket can be blocking");

    gateway.signal("TERM");
    assert!(receive(supervisor).lines().any(|line| line == "STOPPING=1"));
    round_trip(&client, b"notified before the end, not after it");
    drop(client);
    expect_orderly_end(gateway);
}

#[test]
fn supervisor_at_a_path_is_notified_of_the_states() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket in a new directory");
    states_are_notified(&supervisor, path.to_str().expect("a path of plain letters"));
    fs::remove_file(&path).expect("the gateway leaves the socket alone");
}

#[test]
fn supervisor_at_an_abstract_name_is_notified_of_the_states() {
    let name = format!("etcd-gateway-test-{}", process::id());
    let address = UnixAddress::from_abstract_name(&name).expect("a short name");
    let supervisor = UnixDatagram::bind_addr(&address).expect("a new abstract name");
    states_are_notified(&supervisor, &format!("@{name}"));
}

#[test]
fn supervisor_that_is_gone_does_not_matter() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("unread");
    let server = backend(echo);
    let gateway = Gateway::builder()
        .endpoint(&server.address().to_string())
        .env("NOTIFY_SOCKET", path)
        .start();
    round_trip(&gateway.connect(), b"served");
    gateway.signal("TERM");
    expect_orderly_end(gateway);
}

/// What cannot be spoken to is logged by its reason, once, and stops nothing.
#[test]
fn supervisor_that_cannot_be_notified_is_logged_with_the_reason() {
    let directory = TemporaryDirectory::new();
    let path = |name: &str| directory.path().join(name).to_str().expect("plain letters").to_owned();
    fs::write(path("file"), "").expect("a file of our own");
    let _stream = UnixListener::bind(path("stream")).expect("a socket in a new directory");
    let long = format!("/{}", "x".repeat(200));
    for (socket, lines, reason) in [
        ("vsock:2:1234", 1, "vsock_not_supported"),
        ("vsock-stream:2:1234", 1, "vsock_not_supported"),
        ("run/notify", 1, "not_an_address"),
        ("a word reason=none", 1, "not_an_address"),
        (&long, 1, "too_long"),
        (&path("missing"), 2, "not_found"),
        (&path("file"), 2, "refused"),
        (&path("stream"), 2, "not_a_datagram_socket"),
    ] {
        let server = backend(echo);
        let builder = Gateway::builder().endpoint(&server.address().to_string());
        let mut gateway = builder.env("NOTIFY_SOCKET", socket).start();
        round_trip(&gateway.connect(), b"served");
        gateway.signal("TERM");
        assert!(gateway.wait_exit().success());
        let about = "WARN service manager not notified ";
        let logged: Vec<_> =
            gateway.log().into_iter().filter(|line| line.starts_with(about)).collect();
        assert_eq!(logged.len(), lines, "{logged:?}");
        let end = format!("socket={socket:?} reason={reason}");
        assert!(logged.iter().all(|line| line.ends_with(&end)), "no {end} in {logged:?}");
        assert_eq!(gateway.log_count("WARN"), lines);
    }
}
