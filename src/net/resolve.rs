//! Looks names up with the system's resolver. Blocks: for use before the reactor runs, never in it.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

/// The addresses of `host`, each once, in the resolver's order (RFC 6724); at least one.
///
/// # Errors
/// When the name has no address or the resolver cannot be asked.
pub fn lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for found in (host, 0).to_socket_addrs()? {
        if !addresses.contains(&found.ip()) {
            addresses.push(found.ip());
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
    }
    Ok(addresses)
}
