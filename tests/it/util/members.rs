//! Members of a cluster that say who they are, and names that lead to them.
//!
//! Members are at 127.0.0.11 and up, and say their letter: `a` at 11, `b` at 12. A tally of letters
//! is a tally of connections.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::*;

/// Where the name servers of the tests are.
pub const DNS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
/// What a change may need in addition to its time to live.
pub const LATENESS_MAX: Duration = Duration::from_secs(2);
/// Within this time after its return the name server is asked again.
pub const RECOVERY: Duration = Duration::from_secs(5);
pub const NAME: &str = "etcd.test";
pub const ENDPOINT: &str = "etcd.test:2379";

/// Where a member serves.
pub fn member_address(last_octet: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last_octet], 2379))
}

/// A member, with its letter.
pub fn member(last_octet: u8) -> Backend {
    Backend::at(member_address(last_octet), named(char::from(b'a' + last_octet - 11)))
}

/// A behaviour: says its letter and then echoes.
pub fn named(letter: char) -> impl Fn(TcpStream) + Send + Sync + 'static {
    move |mut stream| {
        let letter = u8::try_from(letter).expect("an ASCII letter");
        // Fails if the client is gone already, and then there is nothing to echo to.
        if stream.write_all(&[letter]).is_ok() {
            echo(stream);
        }
    }
}

/// A new client: the letter of its server, or `None` if it was reset instead.
pub fn answer(gateway: &Gateway) -> Option<char> {
    let mut client = match TcpStream::connect(gateway.address()) {
        Ok(client) => client,
        // The gateway was so quick that the reset came before connect(2) returned.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        Err(error) => panic!("the gateway does not accept: {error}"),
    };
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let mut letter = [0];
    match client.read(&mut letter) {
        Ok(1) => Some(char::from(letter[0])),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        other => panic!("neither served nor reset: {other:?}"),
    }
}

/// How many of that number of clients each server got; all of them must be served.
pub fn tally(gateway: &Gateway, clients: usize) -> BTreeMap<char, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..clients {
        let letter = answer(gateway).expect("every client is served");
        *tally.entry(letter).or_default() += 1;
    }
    tally
}

/// The letters that a number of new clients got.
pub fn letters(gateway: &Gateway, clients: usize) -> String {
    tally(gateway, clients).into_keys().collect()
}

/// Waits until the gateway knows of these members.
pub fn wait_added(gateway: &Gateway, last_octets: &[u8]) {
    for octet in last_octets {
        gateway.wait_for_log(&format!("endpoint added endpoint={} ", member_address(*octet)));
    }
}

/// Waits until a member gets no new connection, and returns the line that says so.
pub fn wait_removed(gateway: &Gateway, last_octet: u8) -> String {
    gateway.wait_for_log(&format!("endpoint removed endpoint={} ", member_address(last_octet)))
}

/// A name server that knows [`NAME`] by these addresses.
pub fn name_server_of_members(ttl: u32, last_octets: &[u8]) -> NameServer {
    let dns = NameServer::start(DNS);
    dns.set_addresses(NAME, ttl, last_octets);
    dns
}

/// A gateway with [`ENDPOINT`] that has added these members.
pub fn gateway_of_members(machine: &Machine, last_octets: &[u8]) -> Gateway {
    // Without health checks, which would find out before clients do.
    let gateway = machine.gateway().endpoint(ENDPOINT).arg("--health-check=off").start();
    wait_added(&gateway, last_octets);
    gateway
}

/// A name server that knows the name, and a gateway that knows the name's addresses.
pub fn resolved(machine: &Machine, ttl: u32, last_octets: &[u8]) -> (NameServer, Gateway) {
    let dns = name_server_of_members(ttl, last_octets);
    let gateway = machine.gateway().endpoint(ENDPOINT).arg("--retry-delay=1s").start();
    wait_added(&gateway, last_octets);
    (dns, gateway)
}
