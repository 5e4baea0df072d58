//! The member that a client is on: that to which its relay, or it itself, sends most.

use std::net::SocketAddr;
use std::process::Command;

use super::util::{Host, output_of};

/// The member that a process has sent most bytes to, of its open connections. Those of checks have
/// hardly any.
pub fn busiest(home: &Host, pid: u32, endpoints: &[SocketAddr]) -> Option<SocketAddr> {
    let words = ["--tcp", "--numeric", "--processes", "--info", "--no-header", "--oneline"];
    let text = home.enter(|| output_of(Command::new("ss").args(words)));
    let owner = format!("pid={pid},");
    let own = text.lines().filter(|line| line.contains(&owner));
    let sent = own.filter_map(sent_to).filter(|(_, peer)| endpoints.contains(peer));
    sent.max().map(|(_, peer)| peer)
}

/// The bytes that a connection has sent, and its peer.
fn sent_to(line: &str) -> Option<(u64, SocketAddr)> {
    let peer: SocketAddr = line.split_whitespace().nth(4)?.parse().ok()?;
    // Some dial from sockets of IPv6, where an address of IPv4 is a mapped one.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let bytes = line.split_whitespace().find_map(|word| word.strip_prefix("bytes_sent:"))?;
    Some((bytes.parse().ok()?, peer))
}
