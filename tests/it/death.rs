//! A gateway that dies at once, as by SIGKILL or for want of memory: no peer of a pair that has
//! lasted may take what it got for the whole, and no other pair pays for that.
//!
//! What the gateway's kernel does with its sockets then is set beforehand, and taken back before
//! an orderly end: so these tests also let pairs that have lasted end in every other way.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::util::*;

/// What the gateway's kernel takes for a peer that does not read, all of it.
const QUEUED_BYTES: usize = 256 * 1024;
/// An eighth of it is the age at which pairs count as lasting.
const SOON: &str = "--keepalive=1s";
const LONG_DRAIN: &str = "--drain-timeout=5m";

/// Which of its ends a pair's bytes come from.
#[derive(Clone, Copy, Debug)]
enum From {
    Client,
    Server,
}

const DIRECTIONS: [From; 2] = [From::Client, From::Server];

/// A gateway with one pair that counts as lasting: where its bytes come from, and where they go.
struct LastingPair {
    relay: Relay,
    source: TcpStream,
    sink: TcpStream,
}

impl LastingPair {
    /// `None` where a sandbox does not let us see that the pair has come of age.
    fn new(from: From) -> Option<LastingPair> {
        let relay = Relay::with_buffers(Some(SMALL_BYTES), &[SOON, LONG_DRAIN]);
        let (client, server) = relay.fence();
        // Given back at once: a socket of which we hold a copy does not end with the gateway.
        let sockets = borrow_sockets(&relay.gateway)?;
        until("both sockets of the pair are set to reset", || {
            let is_set = |linger| linger == Some(Duration::ZERO);
            let of = |socket: &&socket2::Socket| is_set(socket.linger().expect("SO_LINGER"));
            sockets.iter().filter(of).count() == 2
        });
        let (source, sink) = match from {
            From::Client => (client, server),
            From::Server => (server, client),
        };
        Some(LastingPair { relay, source, sink })
    }

    /// Bytes that the gateway has taken, and an end behind them, for a sink that does not read.
    fn send_and_end(&mut self, bytes: &[u8]) {
        self.source.write_all(bytes).expect("the gateway takes it");
        until("the gateway's kernel has all bytes", || unsent(&self.source) == 0);
        self.source.shutdown(Shutdown::Write).expect("the connection is open");
        // The gateway has seen what came before the round trips of another pair.
        self.relay.fence();
        self.relay.fence();
    }

    fn kill(&mut self) {
        self.relay.gateway.signal("KILL");
        self.relay.gateway.wait_exit();
    }
}

/// Some of the bytes, and then a reset; the other end has got one, too.
fn expect_cut(source: &TcpStream, sink: &TcpStream, bytes: &[u8]) {
    let (received, end) = read_in_pieces(sink, 3, SMALL_BYTES);
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "after {} bytes", received.len());
    assert!(received.len() < bytes.len(), "the death cut nothing");
    expect_bytes(&received, &bytes[..received.len()]);
    until("the source is reset", || source.take_error().expect("SO_ERROR").is_some());
}

#[test]
fn a_death_in_the_midst_of_a_transfer_is_a_reset_at_both_ends() {
    for from in DIRECTIONS {
        let Some(mut pair) = LastingPair::new(from) else { return };
        let bytes = payload(51, 16 << 20);
        let sent = fill(&pair.source, &bytes, &pair.relay.fence());
        pair.kill();
        expect_cut(&pair.source, &pair.sink, &bytes[..sent]);
    }
}

#[test]
fn a_death_cuts_the_answer_to_a_peer_that_has_half_closed_with_a_reset() {
    for from in DIRECTIONS {
        let Some(mut pair) = LastingPair::new(from) else { return };
        pair.sink.shutdown(Shutdown::Write).expect("the connection is open");
        expect_all(&pair.source, b"");
        let bytes = payload(53, 16 << 20);
        let sent = fill(&pair.source, &bytes, &pair.relay.fence());
        pair.kill();
        expect_cut(&pair.source, &pair.sink, &bytes[..sent]);
    }
}

/// The end is in the gateway's kernel then, behind bytes that the peer has not got.
#[test]
fn a_death_behind_an_end_that_was_not_delivered_is_a_reset() {
    for from in DIRECTIONS {
        let Some(mut pair) = LastingPair::new(from) else { return };
        let bytes = payload(57, QUEUED_BYTES);
        pair.send_and_end(&bytes);
        pair.kill();
        expect_cut(&pair.source, &pair.sink, &bytes);
    }
}

#[test]
fn a_death_behind_an_end_that_was_delivered_changes_nothing() {
    for from in DIRECTIONS {
        let Some(mut pair) = LastingPair::new(from) else { return };
        let bytes = payload(59, 1000);
        pair.send_and_end(&bytes);
        pair.kill();
        expect_all(&pair.sink, &bytes);
        expect_reset(&pair.source);
    }
}

/// A pair that has lasted and is complete, while its sink has read nothing.
fn completed(from: From, bytes: &[u8]) -> Option<LastingPair> {
    let mut pair = LastingPair::new(from)?;
    pair.sink.shutdown(Shutdown::Write).expect("the connection is open");
    expect_all(&pair.source, b"");
    pair.send_and_end(bytes);
    let client = match from {
        From::Client => &pair.source,
        From::Server => &pair.sink,
    };
    let client = client.local_addr().expect("a connected socket");
    let line = pair.relay.gateway.wait_for_log(&format!("pair closed client={client} "));
    assert!(line.contains("cause=completed"), "{line}");
    Some(pair)
}

#[test]
fn the_orderly_end_of_a_pair_that_has_lasted_loses_nothing() {
    let bytes = payload(61, QUEUED_BYTES);
    for from in DIRECTIONS {
        for dies in [false, true] {
            let Some(mut pair) = completed(from, &bytes) else { return };
            if dies {
                pair.kill();
            }
            expect_all(&pair.sink, &bytes);
        }
    }
}

#[test]
fn a_drain_lets_pairs_that_have_lasted_end_in_order() {
    let bytes = payload(67, QUEUED_BYTES);
    for from in DIRECTIONS {
        let Some(mut pair) = LastingPair::new(from) else { return };
        pair.relay.gateway.signal("TERM");
        pair.relay.gateway.wait_for_log("draining");
        pair.sink.shutdown(Shutdown::Write).expect("the connection is open");
        expect_all(&pair.source, b"");
        pair.source.write_all(&bytes).expect("the gateway takes it");
        pair.source.shutdown(Shutdown::Write).expect("the connection is open");
        assert_eq!(pair.relay.gateway.wait_exit().code(), Some(0));
        expect_all(&pair.sink, &bytes);
    }
}

#[test]
fn a_second_signal_resets_pairs_that_have_lasted() {
    let Some(mut pair) = LastingPair::new(From::Server) else { return };
    pair.relay.gateway.signal("TERM");
    pair.relay.gateway.wait_for_log("draining");
    pair.relay.gateway.signal("TERM");
    expect_reset(&pair.source);
    expect_reset(&pair.sink);
    assert_eq!(pair.relay.gateway.wait_exit().code(), Some(0));
}

#[test]
fn a_reset_comes_after_the_bytes_before_it_in_a_pair_that_has_lasted() {
    for from in DIRECTIONS {
        let Some(LastingPair { relay, source, sink }) = LastingPair::new(from) else { return };
        bytes_before_a_reset_arrive(source, &sink, &relay);
    }
}

/// Nothing is set for it, and nothing needs to be: what it asked for has not been read, and over
/// that a kernel does not end in order (RFC 9293, section 3.10.4).
#[test]
fn a_death_before_the_server_is_reached_is_a_reset_for_a_client_that_has_asked() {
    let blackhole = Blackhole::start();
    let mut gateway = Gateway::start(&[blackhole.address()], &["--connect-timeout=5m"]);
    let idle = gateway.descriptors();
    let mut client = gateway.connect();
    client.write_all(b"a question").expect("room");
    gateway.wait_descriptors(idle + 2);
    gateway.signal("KILL");
    gateway.wait_exit();
    expect_reset(&client);
}
