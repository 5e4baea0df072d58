//! Several gateways on one address (`--reuse-port`), and one of them that ends.
//!
//! Which of them gets a client is the kernel's choice, by a hash of addresses and ports. With the
//! many clients of a test each gets some: one of two gets none of 40 in one run of 2^39.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::util::*;

/// A drain that no test waits for: longer than the deadline of a wait.
const LONG_DRAIN: &str = "--drain-timeout=5m";

/// One more gateway on these addresses.
fn gateway_at(addresses: &[SocketAddr], server: &Backend) -> Gateway {
    let listen = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    let listen = format!("--listen-addr={listen}");
    Gateway::start(&[server.address()], &["--reuse-port", &listen, LONG_DRAIN])
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("a gateway listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    stream
}

/// Waits for the orderly end of a gateway, and tells how many clients it has let in.
fn clients_at_the_end(mut gateway: Gateway) -> usize {
    let status = gateway.wait_exit();
    assert_eq!(status.code(), Some(0), "{status}");
    gateway.logged_number("INFO stopped", "clients")
}

#[test]
fn gateways_share_all_their_addresses_and_each_serves_a_part() {
    let (places, server) = ([Reservation::new(), Reservation::new()], backend(echo));
    let addresses = places.each_ref().map(Reservation::address);
    let gateways = [(); 2].map(|()| gateway_at(&addresses, &server));
    for address in addresses {
        for _ in 0..100 {
            round_trip(&connect(address), b"served by whomever");
        }
    }
    let served = gateways.map(|gateway| {
        gateway.signal("TERM");
        clients_at_the_end(gateway)
    });
    assert!(served.iter().all(|clients| *clients > 0), "{served:?}");
    assert_eq!(served.iter().sum::<usize>(), 200, "{served:?}");
    assert_eq!(server.accepted(), 200);
}

/// What is promised without `net.ipv4.tcp_migrate_req`: a client that was accepted stays, one that
/// waits is accepted, and one that comes afterwards is served by the other. One that comes between
/// the last accept(2) and close(2) may be reset, so none does.
#[test]
fn one_that_drains_keeps_its_clients_and_the_other_serves_the_new_ones() {
    let (place, server) = (Reservation::new(), backend(echo));
    let address = place.address();
    let [leaver, stayer] = [(); 2].map(|()| gateway_at(&[address], &server));
    let served: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    for client in &served {
        round_trip(client, b"before the signal");
    }
    // While it is stopped, a client that the kernel gives to it waits in its backlog.
    leaver.signal("STOP");
    let waiting: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    leaver.signal("TERM");
    leaver.signal("CONT");
    let kept = leaver.logged_number("draining", "pairs");
    assert!(0 < kept && kept < 80, "{kept} of 80");

    for _ in 0..40 {
        round_trip(&connect(address), b"new");
    }
    for client in served.iter().chain(&waiting) {
        round_trip(client, b"after the signal");
    }
    // Its place may be taken at once, as when a new version is rolled out.
    let successor = gateway_at(&[address], &server);
    drop((served, waiting));
    assert_eq!(clients_at_the_end(leaver), kept, "no new client after the signal");
    stayer.signal("TERM");
    assert_eq!(clients_at_the_end(stayer), 80 - kept + 40);
    for _ in 0..40 {
        round_trip(&connect(address), b"newer");
    }
    successor.signal("TERM");
    assert_eq!(clients_at_the_end(successor), 40);
    assert_eq!(server.accepted(), 160);
}

/// Even those are served that wait in the backlog of a process that ends without a word.
#[test]
fn clients_of_one_that_dies_move_on_where_the_kernel_lets_them() {
    let Some(network) = Network::new() else { return };
    let home = network.host();
    match home.enter(|| fs::write("/proc/sys/net/ipv4/tcp_migrate_req", "1")) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return not_tested("net.ipv4.tcp_migrate_req came with Linux 5.14");
        }
        outcome => outcome.expect("the sysctls of a namespace of our own"),
    }
    let (server, address) = home.enter(|| (backend(echo), refused_address()));
    let [leaver, stayer] = [(); 2].map(|()| home.enter(|| gateway_at(&[address], &server)));
    leaver.signal("STOP");
    let clients: Vec<TcpStream> = (0..40).map(|_| home.connect(address)).collect();
    for mut client in &clients {
        client.write_all(b"sent before it died").expect("the kernel takes it");
    }
    drop(leaver);
    for mut client in &clients {
        let mut answer = [0; 19];
        client.read_exact(&mut answer).expect("a client that waited is served");
        assert_eq!(&answer, b"sent before it died");
    }
    drop(clients);
    stayer.signal("TERM");
    assert_eq!(clients_at_the_end(stayer), 40);
}

/// Otherwise the kernel would choose which of them says how it is.
#[test]
fn the_address_of_the_admin_side_is_not_shared() {
    let (place, server) = (Reservation::new(), backend(echo));
    let first = Gateway::start(
        &[server.address()],
        &[
            "--reuse-port",
            "--admin-addr=127.0.0.1:0",
            &format!("--listen-addr={}", place.address()),
        ],
    );
    let admin = admin_address(&first);
    let second = Gateway::builder()
        .endpoint(&server.address().to_string())
        .arg("--reuse-port")
        .arg(&format!("--listen-addr={}", place.address()))
        .arg(&format!("--admin-addr={admin}"));
    let second = finish(&mut second.command(), "");
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(message.contains(&format!("cannot listen on {admin}: address in use")), "{message}");
}
