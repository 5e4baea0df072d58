//! What a client does while its server is still being dialed: sends, half-closes, resets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc;

use socket2::SockRef;

use crate::util::*;

#[test]
fn client_that_resets_during_the_dial_ends_it() {
    let blackhole = Blackhole::start();
    let gateway = Gateway::start(&[blackhole.address()], &["--connect-timeout=5m"]);
    let idle = gateway.descriptors();
    let mut client = gateway.connect();
    client.write_all(b"bytes for a server that does not answer").expect("room");
    gateway.wait_descriptors(idle + 2);
    reset(client);
    let line = gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=client_reset") && line.contains("phase=dialing"), "{line}");
    gateway.wait_descriptors(idle);
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "the client left, not the endpoint");
}

/// A gateway whose first endpoint never answers and whose second takes over, with a dial time
/// that leaves the test room to act while the first is dialed.
fn gateway_with_a_long_first_dial(blackhole: &Blackhole, second: SocketAddr) -> Gateway {
    Gateway::builder()
        .endpoint(&format!("{}?priority=0", blackhole.address()))
        .endpoint(&format!("{second}?priority=1"))
        .arg("--connect-timeout=2s")
        .start()
}

#[test]
fn client_that_half_closes_during_the_dial_is_served_by_a_later_endpoint() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = gateway_with_a_long_first_dial(&blackhole, server.address());
    let mut client = gateway.connect();
    client.write_all(b"a question and nothing more").expect("the kernel takes it");
    client.shutdown(Shutdown::Write).expect("the connection is established");
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "the first dial is still going on");
    expect_all(&client, b"a question and nothing more");
    // The blackhole was dialed first, or the client half-closed too late to prove anything.
    gateway.wait_for_log("endpoint inactive");
}

#[test]
fn bytes_sent_before_the_dial_succeeds_arrive_once_after_failovers() {
    let (verdict, bytes_received) = mpsc::channel();
    let (blackhole, refused) = (Blackhole::start(), refused_address());
    let server = backend(move |stream| {
        verdict.send(read_in_pieces(&stream, 1, LARGEST)).expect("the test waits for it");
    });
    let gateway = Gateway::builder()
        .endpoint(&format!("{refused}?priority=0"))
        .endpoint(&format!("{}?priority=1", blackhole.address()))
        .endpoint(&format!("{}?priority=2", server.address()))
        .start();
    let client = gateway.connect();
    let bytes = payload(41, 300_000);
    write_in_pieces(&client, &bytes, 1);
    client.shutdown(Shutdown::Write).expect("the connection is established");
    let (received, end) = bytes_received.recv_timeout(DEADLINE).expect("the server is reached");
    expect_bytes(&received, &bytes);
    assert_eq!(end, Ok(()));
    assert_eq!(server.accepted(), 1);
    // Both others were dialed before.
    gateway.wait_for_log(&format!("endpoint inactive endpoint={refused}"));
    gateway.wait_for_log(&format!("endpoint inactive endpoint={}", blackhole.address()));
}

/// The kernel ends a read just before an urgent byte, with less than was asked for and more
/// behind it. A relay that takes that for an empty socket waits without end under edge triggering.
#[test]
fn urgent_byte_does_not_delay_what_follows_it() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = gateway_with_a_long_first_dial(&blackhole, server.address());
    let mut client = gateway.connect();
    client.write_all(b"before").expect("the kernel takes it");
    SockRef::from(&client).send_out_of_band(b"!").expect("an urgent byte");
    client.write_all(b"after").expect("the kernel takes it");
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "all of it waits for the gateway");
    // The client's own end stays open: the bytes must come without the help of an end of file.
    let mut answer = Vec::new();
    while !answer.ends_with(b"after") {
        let mut buffer = [0; 64];
        let count = match client.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.expect("the rest arrives"),
        };
        assert!(count > 0, "no end of file");
        answer.extend_from_slice(&buffer[..count]);
    }
    // An urgent byte is not part of the stream unless the receiver asks for that.
    answer.retain(|byte| *byte != b'!');
    assert_eq!(answer, b"beforeafter");
}
