//! A source of endpoints: one typed address. Looks nothing up.

use std::net::IpAddr;

use super::finding::SourceLabel;
use super::name::Named;
use super::names::{Names, Needed};
use super::source::{Configured, Host, Ranked, Source, State};
use crate::config::address::{EndpointAddress, Host as TypedHost};
use crate::config::special_address::dialed;

/// An endpoint whose address was typed.
#[derive(Debug)]
pub(super) struct Fixed {
    endpoint: EndpointAddress,
    /// The addresses that it stands for, at least one: `::` is this host in both families.
    addresses: Vec<IpAddr>,
}

impl Fixed {
    /// The endpoint, with its address.
    pub(super) fn new(endpoint: EndpointAddress, address: IpAddr) -> Fixed {
        let addresses = dialed(address);
        assert!(!addresses.is_empty(), "an address is dialed as itself or as this host");
        debug_assert!(addresses.len() <= 2, "this host has one address of each family");
        let is_typed = addresses == [address];
        debug_assert!(is_typed || addresses.iter().all(IpAddr::is_loopback), "dialed elsewhere");
        Fixed { endpoint, addresses }
    }
}

/// By its host: with a name, it is that of `name.rs`.
impl Configured for EndpointAddress {
    fn into_source(self) -> Ranked {
        match self.host.clone() {
            TypedHost::Address(address) => Ranked::typed(Fixed::new(self, address)),
            TypedHost::Name(name) => Ranked::typed(Named::new(self, name)),
        }
    }
}

impl Source for Fixed {
    fn label(&self) -> SourceLabel {
        SourceLabel::of_endpoint(&self.endpoint)
    }

    fn names(&self) -> Vec<Needed> {
        Vec::new()
    }

    fn state(&self, _: &Names) -> State {
        State::Listing
    }

    fn hosts(&self, _: &Names) -> Vec<Host> {
        // Of several one may lack a route, as an address of a name may.
        let is_resolved = self.addresses.len() > 1;
        vec![Host::typed(&self.endpoint, self.addresses.iter().copied(), is_resolved)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::proto::dns::resolv_conf::Environment;

    #[test]
    fn only_an_address_that_stands_for_several_may_lack_a_route() {
        let names = Names::new(Environment::default());
        for (text, addresses, is_resolved) in [
            ("10.0.0.1:1", &["10.0.0.1:1"][..], false),
            ("0.0.0.0:1", &["127.0.0.1:1"], false),
            ("[::]:1", &["127.0.0.1:1", "[::1]:1"], true),
        ] {
            let endpoint: EndpointAddress = text.parse().expect(text);
            let crate::config::address::Host::Address(address) = endpoint.host else {
                panic!("{text} is an address")
            };
            let fixed = Fixed::new(endpoint, address);
            assert_eq!((fixed.state(&names), fixed.names()), (State::Listing, vec![]));
            let hosts = fixed.hosts(&names);
            let found: Vec<String> = hosts[0].addresses.iter().map(Address::to_string).collect();
            assert_eq!(found, addresses);
            assert_eq!((hosts.len(), hosts[0].is_resolved), (1, is_resolved), "{text}");
        }
    }
}
