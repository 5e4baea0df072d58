//! Pairs without progress: which are ended, when, and which are not.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::*;

/// How often a trickling peer sends a byte; far below the timeout that it must keep from firing.
const TRICKLE: Duration = Duration::from_millis(50);
/// The timeout under test of pairs without progress, as it is passed and as it is measured.
const QUIET: Duration = Duration::from_millis(500);

/// Repeats an action until a message comes.
fn repeat(stop: &mpsc::Receiver<()>, mut action: impl FnMut()) {
    while stop.recv_timeout(TRICKLE) == Err(RecvTimeoutError::Timeout) {
        action();
    }
}

/// Waits until the gateway has reset both ends, and checks that it did not so too early.
fn expect_timeout(pair: &(TcpStream, TcpStream), since: Instant) {
    expect_reset(&pair.0);
    expect_reset(&pair.1);
    assert!(since.elapsed() >= QUIET, "closed after {:?} already", since.elapsed());
}

#[test]
fn half_closed_pair_without_progress_is_reset_and_others_are_not() {
    let relay = Relay::start(&["--half-close-timeout=500ms"]);
    let open = relay.fence();
    let (trickling_client, trickling_server) = relay.pair();
    trickling_client.shutdown(Shutdown::Write).expect("the connection is established");
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let trickling = scope.spawn(move || {
            let mut count = 0;
            repeat(&stopped, || {
                (&trickling_server).write_all(b".").expect("a half-closed pair with progress");
                count += 1;
            });
            count
        });
        // Two stuck pairs, one after the other: two timeouts pass for those that must live.
        for side in [0, 1] {
            let since = Instant::now();
            let pair = relay.fence();
            let ended = if side == 0 { &pair.0 } else { &pair.1 };
            ended.shutdown(Shutdown::Write).expect("the connection is established");
            expect_all(if side == 0 { &pair.1 } else { &pair.0 }, b"");
            expect_reset(ended);
            assert!(since.elapsed() >= QUIET, "closed after {:?} already", since.elapsed());
        }
        fence(&open);
        stop.send(()).expect("the trickling peer is alive");
        let count = trickling.join().expect("no byte was refused");
        // Its end of file came in order when the thread dropped it: nothing was cut.
        expect_all(&trickling_client, &vec![b'.'; count]);
    });
    for _ in 0..2 {
        relay.gateway.wait_for_log("cause=half_close_timeout");
    }
    relay.gateway.wait_for_log("cause=completed");
    assert_eq!(relay.gateway.log_count("pair closed"), 3);
}

#[test]
fn idle_timeout_ends_quiet_pairs_and_only_them() {
    let relay = Relay::start(&["--idle-timeout=500ms"]);
    let busy = relay.fence();
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let busy = &busy;
        let talking = scope.spawn(move || {
            // One direction alone is traffic too, and it is enough.
            repeat(&stopped, || pass(&busy.0, &busy.1, b"."));
            fence(busy);
        });
        for _ in 0..2 {
            let since = Instant::now();
            expect_timeout(&relay.fence(), since);
        }
        stop.send(()).expect("the busy pair lives");
        talking.join().expect("the busy pair lives");
    });
    for _ in 0..2 {
        relay.gateway.wait_for_log("cause=idle_timeout");
    }
    assert_eq!(relay.gateway.log_count("pair closed"), 2);
}
