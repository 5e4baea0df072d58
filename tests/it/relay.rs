//! Relaying: every byte, end of file and reset of one side reaches the other as it was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::util::*;

#[test]
fn every_split_of_reads_and_writes_is_byte_exact_both_ways_at_once() {
    const LENGTH: usize = 8 << 20;
    let relay = Relay::start(&[]);
    let pairs: Vec<_> = (0..4).map(|_| relay.pair()).collect();
    thread::scope(|scope| {
        for (number, (client, server)) in (0..).zip(&pairs) {
            let (up, down) = (1000 + number, 2000 + number);
            scope.spawn(move || exchange(client, up, down, LENGTH));
            scope.spawn(move || exchange(server, down, up, LENGTH));
        }
    });
    for _ in &pairs {
        let line = relay.gateway.wait_for_log("pair closed");
        for part in ["cause=completed", "client_bytes=8388608", "server_bytes=8388608"] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
}

fn slow_reader_gets_every_byte(source: &TcpStream, target: &TcpStream, relay: &Relay) {
    let bytes = payload(11, 16 << 20);
    let written = fill(source, &bytes, &relay.fence());
    thread::scope(|scope| {
        scope.spawn(|| {
            write_in_pieces(source, &bytes[written..], 3);
            source.shutdown(Shutdown::Write).expect("the connection is established");
        });
        let (received, end) = read_in_pieces(target, 5, SMALL_BYTES);
        expect_bytes(&received, &bytes);
        assert_eq!(end, Ok(()), "the end of file comes after the last byte");
    });
    // The direction that was silent all the time is still open.
    pass(target, source, b"thanks");
}

#[test]
fn slow_client_with_small_buffers_gets_every_byte() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    slow_reader_gets_every_byte(&server, &client, &relay);
}

#[test]
fn slow_server_with_small_buffers_gets_every_byte() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    slow_reader_gets_every_byte(&client, &server, &relay);
}

/// One side asks and ends its side; only when that has arrived does the other side answer.
fn answer_after_half_close(mut asking: &TcpStream, mut answering: &TcpStream) {
    let answer = payload(23, 2 << 20);
    asking.write_all(b"question").expect("the pair takes a message");
    asking.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(answering, b"question");
    thread::scope(|scope| {
        scope.spawn(|| {
            answering.write_all(&answer).expect("the other direction is open");
            answering.shutdown(Shutdown::Write).expect("the connection is established");
        });
        expect_all(asking, &answer);
    });
}

#[test]
fn client_that_half_closed_gets_the_whole_answer() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    answer_after_half_close(&client, &server);
}

#[test]
fn server_that_half_closed_gets_everything_from_the_client() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    answer_after_half_close(&server, &client);
}

#[test]
fn half_close_in_the_middle_of_an_answer_leaves_it_whole() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (mut client, mut server) = relay.pair();
    let answer = payload(29, 2 << 20);
    let (first, second) = answer.split_at(1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.write_all(first).expect("the client is there");
            expect_all(&server, b"");
            server.write_all(second).expect("the client only ended its own side");
            server.shutdown(Shutdown::Write).expect("the connection is established");
        });
        let mut begin = vec![0; 64 * 1024];
        client.read_exact(&mut begin).expect("the answer begins");
        // The server has most of the first half still to send, and waits for this end of file
        // before it sends the second.
        client.shutdown(Shutdown::Write).expect("the connection is established");
        expect_bytes(&begin, &answer[..begin.len()]);
        expect_all(&client, &answer[begin.len()..]);
    });
}

#[test]
fn server_may_speak_first() {
    let relay = Relay::start(&[]);
    let (client, server) = relay.pair();
    pass(&server, &client, b"hello, I am the server");
}

#[test]
fn pair_completes_when_both_sides_have_ended_and_gives_everything_back() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (mut client, mut server) = relay.pair();
    client.write_all(&payload(1, 1000)).expect("the pair takes it");
    client.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(&server, &payload(1, 1000));
    assert!(relay.gateway.descriptors() >= idle + 2, "the pair is still open");
    server.write_all(&payload(2, 70_000)).expect("the pair takes it");
    server.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(&client, &payload(2, 70_000));

    // Both of our sockets are still open: what ends the pair is its own knowledge.
    let line = relay.gateway.wait_for_log("pair closed");
    let client_address = client.local_addr().expect("a connected socket");
    let server_address = server.local_addr().expect("a connected socket");
    for part in [
        format!("client={client_address}"),
        format!("endpoint={server_address}"),
        "cause=completed".to_owned(),
        "client_bytes=1000".to_owned(),
        "server_bytes=70000".to_owned(),
    ] {
        assert!(line.split(' ').any(|word| word == part), "no {part} in {line}");
    }
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_of_the_client_reaches_the_server() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    pass(&client, &server, b"before");
    reset(client);
    expect_reset(&server);
    let line = relay.gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=client_reset"), "{line}");
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_of_the_server_reaches_the_client() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    pass(&server, &client, b"before");
    reset(server);
    expect_reset(&client);
    let line = relay.gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=server_reset"), "{line}");
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_after_a_half_close_reaches_the_side_that_still_listens() {
    let relay = Relay::start(&[]);
    let (client, server) = relay.pair();
    client.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(&server, b"");
    pass(&server, &client, b"the answer begins");
    reset(server);
    expect_reset(&client);
}

/// Nothing is read from a side that has ended, so only its error can tell.
fn reset_after_its_own_half_close(ended: TcpStream, other: &TcpStream, relay: &Relay) {
    ended.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(other, b"");
    pass(other, &ended, b"the answer begins");
    reset(ended);
    // Behind the end of file a reset shows as EPIPE, and a read shows the end again.
    until("the reset is passed on", || other.take_error().expect("SO_ERROR").is_some());
    relay.gateway.wait_for_log("_reset phase=relaying");
}

#[test]
fn reset_of_a_side_that_has_half_closed_is_passed_on() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    reset_after_its_own_half_close(client, &server, &relay);
    let (client, server) = relay.pair();
    reset_after_its_own_half_close(server, &client, &relay);
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn slow_client_gets_all_bytes_that_came_before_a_reset_of_the_server() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    bytes_before_a_reset_arrive(server, &client, &relay);
}

#[test]
fn slow_server_gets_all_bytes_that_came_before_a_reset_of_the_client() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    bytes_before_a_reset_arrive(client, &server, &relay);
}

/// Ends a loop in another thread even when the test panics; else the scope would wait without end.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn bulk_flows_leave_room_for_a_ping_pong() {
    const ROUND_TRIPS: usize = 500;
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let (done, received) = (AtomicBool::new(false), AtomicUsize::new(0));
    let bulk = gateway.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = payload(1, 1 << 20);
            while !done.load(Ordering::Relaxed) {
                (&bulk).write_all(&bytes).expect("the bulk flow goes on");
            }
            bulk.shutdown(Shutdown::Write).expect("the connection is established");
        });
        scope.spawn(|| {
            let mut buffer = vec![0; 1 << 20];
            loop {
                match (&bulk).read(&mut buffer).expect("the bulk flow goes on") {
                    0 => break,
                    count => received.fetch_add(count, Ordering::Relaxed),
                };
            }
        });
        let _stop = SetOnDrop(&done);
        until("the bulk flow is under way", || received.load(Ordering::Relaxed) > 16 << 20);
        let before = received.load(Ordering::Relaxed);
        let client = gateway.connect();
        for _ in 0..ROUND_TRIPS {
            round_trip(&client, b"ping");
        }
        let meanwhile = received.load(Ordering::Relaxed) - before;
        assert!(meanwhile > 0, "the bulk flow went on during the ping-pong");
    });
}
