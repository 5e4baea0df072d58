//! Bulk on real sockets: it goes through pipes of the kernel, and every byte does, however the
//! transfer ends; and it is copied where there is no pipe.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::util::*;

/// What both ends exchange where every byte is to be copied.
const LENGTH: usize = 8 << 20;

/// Ends of pipes that the gateway has open. A few may be inherited, from cargo for instance.
fn pipe_ends(gateway: &Gateway) -> usize {
    let directory = format!("/proc/{}/fd", gateway.pid());
    let entries = fs::read_dir(directory).expect("a running gateway has descriptors");
    let is_pipe = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path());
        target.is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
    };
    entries.flatten().map(is_pipe).filter(|is_pipe| *is_pipe).count()
}

/// A transfer that its receiver has brought to a stop while bytes of it are in a pipe.
struct Stalled {
    relay: Relay,
    /// Ends of pipes before there was any bulk.
    pipe_ends_idle: usize,
    source: TcpStream,
    target: TcpStream,
    bytes: Vec<u8>,
    written: usize,
    /// The number of them that were received before.
    read: usize,
}

impl Stalled {
    /// The server sends as much as is taken. Before that the client has received as fast as it
    /// could, so that the gateway's socket takes much at a time: a flow is bulk when that shows.
    fn new() -> Stalled {
        let relay = Relay::start(&[]);
        let pipe_ends_idle = pipe_ends(&relay.gateway);
        let (mut target, source) = relay.pair();
        let bytes = payload(41, 96 << 20);
        let mut piece = vec![0; 16 << 20];
        let (mut written, mut read) = (piece.len(), piece.len());
        thread::scope(|scope| {
            scope.spawn(|| (&source).write_all(&bytes[..written]).expect("it is taken"));
            target.read_exact(&mut piece).expect("it comes");
        });
        let other = relay.fence();
        loop {
            written += fill(&source, &bytes[written..], &other);
            if pipe_ends(&relay.gateway) > pipe_ends_idle {
                return Stalled { relay, pipe_ends_idle, source, target, bytes, written, read };
            }
            piece.truncate((written - read) / 2);
            target.read_exact(&mut piece).expect("twice as much is under way");
            expect_bytes(&piece, &bytes[read..read + piece.len()]);
            read += piece.len();
        }
    }
}

#[test]
fn an_end_behind_bytes_in_a_pipe_comes_after_them() {
    let stalled = Stalled::new();
    stalled.source.shutdown(Shutdown::Write).expect("the connection is established");
    expect_all(&stalled.target, &stalled.bytes[stalled.read..stalled.written]);
    // The direction that was silent all the time is still open.
    (&stalled.target).write_all(b"thanks").expect("the pair takes it");
    let mut thanks = [0; 6];
    (&stalled.source).read_exact(&mut thanks).expect("it comes");
    assert_eq!(&thanks, b"thanks");
}

#[test]
fn a_reset_behind_bytes_in_a_pipe_comes_after_them() {
    let stalled = Stalled::new();
    // What the gateway's kernel has not acknowledged may be lost with the sender's own socket.
    let unsent = usize::try_from(unsent(&stalled.source)).expect("a count");
    let acknowledged = stalled.written - unsent;
    reset(stalled.source);
    let (received, end) = read_in_pieces(&stalled.target, 3, 4096);
    let all = stalled.read + received.len();
    expect_bytes(&received, &stalled.bytes[stalled.read..all]);
    assert!((acknowledged..=stalled.written).contains(&all), "{all} of {acknowledged}");
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "never a clean end of file");
}

#[test]
fn bytes_in_a_pipe_go_with_the_side_they_were_for() {
    let stalled = Stalled::new();
    let gateway = &stalled.relay.gateway;
    reset(stalled.target);
    until("the sender is reset", || (&stalled.source).write(b"x").is_err());
    let line = gateway.wait_for_log("cause=client_reset");
    assert!(line.contains("phase="), "{line}");
    until("the pipe is closed", || pipe_ends(gateway) == stalled.pipe_ends_idle);
    // What comes next finds nothing of it.
    let (client, server) = stalled.relay.pair();
    thread::scope(|scope| {
        scope.spawn(|| exchange(&client, 5, 6, LENGTH));
        scope.spawn(|| exchange(&server, 6, 5, LENGTH));
    });
}

/// Many small segments: a pipe runs out of slots long before it holds as many bytes as it could,
/// and what then blocks is not the socket.
#[test]
fn small_segments_fill_no_pipe_for_good() {
    const SEGMENT: usize = 100;
    let relay = Relay::start(&[]);
    let (client, server) = relay.pair();
    client.set_nodelay(true).expect("a TCP socket has it");
    let bytes = payload(43, 1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            // All of it waits in the gateway's socket when it goes on.
            relay.gateway.signal("STOP");
            for segment in bytes.chunks(SEGMENT) {
                (&client).write_all(segment).expect("the socket's buffer takes it");
            }
            client.shutdown(Shutdown::Write).expect("the connection is established");
            relay.gateway.signal("CONT");
        });
        expect_all(&server, &bytes);
    });
}

/// A gateway of which some system calls fail: the pair is copied, byte for byte. Gives the calls
/// that were made, as strace(1) writes them.
fn exchange_without(injections: &[&str]) -> (Relay, String) {
    let directory = TemporaryDirectory::new();
    let log = directory.path().join("calls");
    let mut words = ["strace", "-D", "-f", "-qq", "-e", "trace=splice,pipe2,fcntl", "-o"]
        .map(Into::into)
        .to_vec();
    words.push(log.clone().into_os_string());
    for injection in injections {
        words.extend(["-e".into(), format!("inject={injection}").into()]);
    }
    let relay = Relay::with(None, |builder| builder.under(words));
    let pipe_ends_idle = pipe_ends(&relay.gateway);
    for seed in [1, 3] {
        let (client, server) = relay.pair();
        thread::scope(|scope| {
            scope.spawn(|| exchange(&client, seed, seed + 1, LENGTH));
            scope.spawn(|| exchange(&server, seed + 1, seed, LENGTH));
        });
        let line = relay.gateway.wait_for_log("pair closed");
        assert!(line.contains("cause=completed"), "{line}");
    }
    assert_eq!(pipe_ends(&relay.gateway), pipe_ends_idle, "a pipe is kept that no flow can use");
    let calls = fs::read_to_string(&log).expect("the log of strace");
    (relay, calls)
}

#[test]
fn a_kernel_that_refuses_to_splice_is_asked_once() {
    for errno in ["EINVAL", "ENOSYS", "EPERM"] {
        let (relay, calls) = exchange_without(&[&format!("splice:error={errno}")]);
        assert_eq!(calls.matches("splice(").count(), 1, "{calls}");
        assert_eq!(relay.gateway.log_count("WARN splice refused"), 1);
    }
}

/// pipe2(2) knows no EPERM of its own, and the size of a pipe may always be asked for.
#[test]
fn a_sandbox_that_refuses_pipes_is_asked_once() {
    for injection in ["pipe2:error=EPERM", "pipe2:error=ENOSYS", "fcntl:error=EPERM"] {
        let (relay, calls) = exchange_without(&[injection]);
        assert_eq!(calls.matches("pipe2(").count(), 1, "{calls}");
        assert_eq!(calls.matches("splice(").count(), 0, "{calls}");
        assert_eq!(relay.gateway.log_count("WARN splice refused"), 1);
    }
}

/// EMFILE: no descriptor left. A page of fcntl(2): an unprivileged user's pipes have reached their
/// limit, and a new one is too small to be of use.
#[test]
fn without_a_pipe_bulk_is_copied() {
    for injection in ["pipe2:error=EMFILE", "fcntl:retval=4096"] {
        let (relay, calls) = exchange_without(&[injection]);
        assert!(calls.contains("pipe2("), "none was asked for: {calls}");
        assert_eq!(calls.matches("splice(").count(), 0, "{calls}");
        assert_eq!(relay.gateway.log_count("WARN"), 0, "bulk that is copied is not an alarm");
        assert_eq!(relay.gateway.log_count("INFO no pipe, copying instead"), 1);
    }
}

/// Pairs that were asked for come before pipes.
#[test]
fn where_pairs_take_all_descriptors_bulk_is_copied() {
    let relay = Relay::with(None, |builder| builder.nofile(64, 64).arg("--max-connections=1000"));
    relay.gateway.wait_for_log("pipes_max=0");
    let idle = pipe_ends(&relay.gateway);
    let (client, server) = relay.pair();
    let most = thread::scope(|scope| {
        let ends = [
            scope.spawn(|| exchange(&client, 1, 2, LENGTH)),
            scope.spawn(|| exchange(&server, 2, 1, LENGTH)),
        ];
        let mut most = 0;
        while !ends.iter().all(|end| end.is_finished()) {
            most = most.max(pipe_ends(&relay.gateway));
        }
        most
    });
    assert_eq!(most, idle);
}
