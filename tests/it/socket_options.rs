//! Options of the gateway's sockets, as the kernel has them.
//!
//! They are read by system calls instead of tools, so that a machine without iproute2 can run these
//! tests too.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use nix::libc;
use socket2::Socket;

use crate::util::*;

/// Of a listener the longest its queue of finished handshakes may get (`tcpi_sacked` of tcp(7)).
fn backlog(listener: &Socket) -> u32 {
    // SAFETY: tcp_info is plain numbers, for which all bits are valid.
    let (info, _) =
        unsafe { socket_option::<libc::tcp_info>(listener, libc::IPPROTO_TCP, libc::TCP_INFO) };
    info.tcpi_sacked
}

#[test]
fn listener_has_the_longest_backlog_and_may_reuse_its_address() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let Some(sockets) = borrow_sockets(&gateway) else { return };
    assert_eq!(sockets.len(), 1, "nothing but the listener");
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux has it");
    let longest: u32 = text.trim().parse().expect("a number");
    assert_eq!(backlog(&sockets[0]), longest);
    assert!(sockets[0].reuse_address().expect("SO_REUSEADDR"));
    assert!(!sockets[0].reuse_port().expect("SO_REUSEPORT"), "not shared unless asked for");
}

/// The socket options that matter, of both sides of a pair: no delay, idle time and interval
/// and count of keepalive, time without acknowledgement.
type Options = (bool, Option<(Duration, Duration, u32)>, Option<Duration>);

/// The dialed socket gets no delay with its second write, and the rest when it has lasted.
fn wait_for_options(arguments: &[&str], want: [Options; 2]) {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], arguments);
    let client = gateway.connect();
    round_trip(&client, b"the pair is established");
    round_trip(&client, b"and goes on");
    let Some(sockets) = borrow_sockets(&gateway) else { return };
    let client_address = client.local_addr().expect("a connected socket");
    let got = || [client_address, server.address()].map(|peer| options_of(&sockets, peer));
    until(&format!("{want:?} with {arguments:?}"), || got() == want);
}

fn options_of(sockets: &[Socket], peer: SocketAddr) -> Options {
    let is_to_peer = |socket: &&Socket| {
        socket.peer_addr().is_ok_and(|address| address.as_socket() == Some(peer))
    };
    let socket = sockets.iter().find(is_to_peer).expect("a socket of the pair");
    let keepalive = socket.keepalive().expect("SO_KEEPALIVE").then(|| {
        let idle = socket.tcp_keepalive_time().expect("TCP_KEEPIDLE");
        let interval = socket.tcp_keepalive_interval().expect("TCP_KEEPINTVL");
        (idle, interval, socket.tcp_keepalive_retries().expect("TCP_KEEPCNT"))
    });
    let user_timeout = socket.tcp_user_timeout().expect("TCP_USER_TIMEOUT");
    (socket.tcp_nodelay().expect("TCP_NODELAY"), keepalive, user_timeout)
}

#[test]
fn both_sides_have_the_options_that_were_asked_for() {
    let seconds = Duration::from_secs;
    let keepalive = |time| Some((seconds(time), seconds(time), 9));
    let table: [(&[&str], Options); 3] = [
        (&[], (true, keepalive(15), Some(seconds(30)))),
        (&["--keepalive=7s", "--tcp-user-timeout=3s"], (true, keepalive(7), Some(seconds(3)))),
        (&["--keepalive=0", "--tcp-user-timeout=0"], (true, None, None)),
    ];
    for (arguments, want) in table {
        wait_for_options(arguments, [want, want]);
    }
}
