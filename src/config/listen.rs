//! The addresses to listen on: which of them conflict with each other, or with being shared.

use std::net::{IpAddr, Ipv6Addr};

use super::Listen;
use super::address::{Host, ListenAddress};
use super::flags::{LISTEN_ADDR, REUSE_PORT, Typed, UsageError};

impl Listen {
    /// Refuses addresses that conflict.
    ///
    /// # Errors
    /// [`UsageError`] for `--reuse-port` with a port that cannot be shared, and for an address that
    /// another one contains.
    pub(super) fn check(&self, typed: &Typed) -> Result<(), UsageError> {
        let port_zero = self.addresses.iter().find(|address| address.port() == 0);
        if let Some(address) = port_zero.filter(|_| self.reuse_port) {
            // The kernel chooses a port for each process, so that none is shared.
            let reason = format!("--listen-addr {address} is another port in each process");
            let value = typed.last(&REUSE_PORT).unwrap_or_default();
            return Err(UsageError::invalid(&REUSE_PORT, value, reason));
        }
        refuse_overlap(&self.addresses, self.reuse_port)
    }
}

/// Refuses an address that is there twice and, unless addresses are shared, one that another one
/// covers: the kernel lets a process listen once on each. Names are compared as text; their
/// addresses are known later.
fn refuse_overlap(listen: &[ListenAddress], is_shared: bool) -> Result<(), UsageError> {
    for (index, address) in listen.iter().enumerate() {
        // Two addresses with port 0 get a port each.
        let others = listen[..index].iter().filter(|other| other.port() == address.port());
        for other in others.filter(|other| other.port() != 0) {
            let reason = match relation(other, address) {
                Relation::Same => "given twice".to_owned(),
                Relation::Covers if !is_shared => format!("{other} covers it already"),
                Relation::IsCovered if !is_shared => format!("it covers {other}"),
                Relation::Covers | Relation::IsCovered | Relation::Apart => continue,
            };
            return Err(UsageError::invalid(&LISTEN_ADDR, &address.to_string(), reason));
        }
    }
    Ok(())
}

/// The relation of one address to another one with the same port.
pub(super) enum Relation {
    /// They are the same, or the same name.
    Same,
    /// The first one receives the connections of the second one, too.
    Covers,
    /// The reverse.
    IsCovered,
    /// Neither, as far as text shows.
    Apart,
}

/// The relation of `one` to `other`. They have the same port.
pub(super) fn relation(one: &ListenAddress, other: &ListenAddress) -> Relation {
    match (host(one), host(other)) {
        (Host::Name(a), Host::Name(b)) if bare(&a).eq_ignore_ascii_case(bare(&b)) => Relation::Same,
        (Host::Address(a), Host::Address(b)) if a == b => Relation::Same,
        (a, b) if covers(&a, &b) => Relation::Covers,
        (a, b) if covers(&b, &a) => Relation::IsCovered,
        _ => Relation::Apart,
    }
}

/// The host of an address. Without a host it is `[::]`: both are every address of both families. An
/// IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2) is the IPv4 address.
fn host(address: &ListenAddress) -> Host {
    match address {
        ListenAddress::Any { .. } => Host::Address(Ipv6Addr::UNSPECIFIED.into()),
        ListenAddress::Host { host: Host::Address(ip), .. } => Host::Address(ip.to_canonical()),
        ListenAddress::Host { host: Host::Name(name), .. } => Host::Name(name.clone()),
    }
}

fn covers(wide: &Host, narrow: &Host) -> bool {
    match (wide, narrow) {
        (Host::Address(wide), Host::Address(narrow)) => covers_address(*wide, *narrow),
        // Whatever the addresses of the name are.
        (Host::Address(wide), Host::Name(_)) => wide.is_ipv6() && wide.is_unspecified(),
        (Host::Name(_), _) => false,
    }
}

/// Whether a listener on `wide` receives connections to `narrow`, too: `0.0.0.0` is every address
/// of IPv4, and `[::]` is both families here. The caller makes an IPv4 address of one that is
/// written as IPv6.
pub fn covers_address(wide: IpAddr, narrow: IpAddr) -> bool {
    wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
}

/// The name without its trailing dot.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of the error, if there is one.
    fn refused(texts: &[&str], is_shared: bool) -> Option<String> {
        let listen: Vec<ListenAddress> =
            texts.iter().map(|text| text.parse().expect(text)).collect();
        refuse_overlap(&listen, is_shared).err().map(|error| error.to_string())
    }

    #[test]
    fn an_address_may_be_given_once() {
        for texts in [
            ["127.0.0.1:1", "127.0.0.1:1"],
            ["[::1]:1", "[0:0::1]:1"],
            [":1", "[::]:1"],
            ["127.0.0.1:1", "[::ffff:127.0.0.1]:1"],
            ["gw.test:1", "GW.test.:1"],
        ] {
            for is_shared in [false, true] {
                let message = refused(&texts, is_shared).expect("it is there twice");
                assert!(message.ends_with(" for --listen-addr: given twice"), "{message}");
            }
        }
        for texts in [
            ["127.0.0.1:0", "127.0.0.1:0"],
            ["127.0.0.1:1", "127.0.0.1:2"],
            ["127.0.0.1:1", "127.0.0.2:1"],
            ["127.0.0.1:1", "localhost:1"],
            ["0.0.0.0:1", "[::1]:1"],
            ["[::ffff:0:0]:1", "[::1]:1"],
            ["0.0.0.0:1", "gw.test:1"],
        ] {
            assert_eq!(refused(&texts, false), None, "{texts:?}");
        }
    }

    #[test]
    fn an_address_that_another_one_covers_may_be_given_where_they_are_shared() {
        for (texts, want) in [
            ([":1", "127.0.0.1:1"], r#""127.0.0.1:1" for --listen-addr: :1 covers it already"#),
            (["127.0.0.1:1", "0.0.0.0:1"], r#""0.0.0.0:1" for --listen-addr: it covers 127.0.0.1"#),
            (["[::]:1", "0.0.0.0:1"], r#""0.0.0.0:1" for --listen-addr: [::]:1 covers it"#),
            (["[::ffff:0:0]:1", "127.0.0.1:1"], ":1 covers it already"),
            (["gw.test:1", ":1"], r#"":1" for --listen-addr: it covers gw.test:1"#),
        ] {
            let message = refused(&texts, false).expect(want);
            assert!(message.contains(want), "{message}");
            assert_eq!(refused(&texts, true), None, "{texts:?}");
        }
    }
}
