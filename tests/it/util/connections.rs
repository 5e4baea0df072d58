//! The TCP connections of another process, as its network namespace lists them.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

/// What Linux calls an established connection in /proc/net/tcp (include/net/tcp_states.h).
const ESTABLISHED: &str = "01";

/// The far ends of a process's established connections over IPv4, one for each connection.
pub fn far_ends(pid: u32) -> Vec<SocketAddr> {
    let sockets = sockets(pid);
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a running process");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<&str>>());
    let own = rows.filter(|row| row[3] == ESTABLISHED && sockets.contains(row[9]));
    own.map(|row| address(row[2])).collect()
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> BTreeSet<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process");
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let links = links.map(|link| link.to_string_lossy().into_owned());
    let inodes =
        links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()));
    inodes.collect()
}

/// An address of the table: hexadecimal, in the byte order of the machine.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').expect("an address and a port");
    let ip = u32::from_str_radix(ip, 16).expect("an address in hexadecimal");
    let port = u16::from_str_radix(port, 16).expect("a port in hexadecimal");
    SocketAddr::from((Ipv4Addr::from(ip.to_ne_bytes()), port))
}
