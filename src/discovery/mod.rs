//! Where endpoints come from: turns what was configured into the specs of endpoints that should
//! exist. Never touches a pair or a socket; the look-up of names is an argument.

use std::net::{IpAddr, SocketAddr};

use crate::config::address::{EndpointAddress, Host};
use crate::endpoint::EndpointSpec;

/// What became of the configured endpoints.
#[derive(Debug)]
pub struct Resolved {
    /// Every address once, in the order given.
    pub specs: Vec<EndpointSpec>,
    /// Names without an address, each with the reason.
    pub failed: Vec<(String, String)>,
}

/// Looks up every configured endpoint. A name with several addresses gives one endpoint each, all
/// with the name's priority and weight; an address that came up already is left out.
pub fn resolve(
    endpoints: &[EndpointAddress],
    mut lookup: impl FnMut(&str) -> Result<Vec<IpAddr>, String>,
) -> Resolved {
    let mut resolved = Resolved { specs: Vec::new(), failed: Vec::new() };
    for endpoint in endpoints {
        let addresses = match &endpoint.host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) => lookup(name),
        };
        match addresses {
            Ok(addresses) => resolved.add(endpoint, &addresses),
            Err(reason) => resolved.failed.push((endpoint.to_string(), reason)),
        }
    }
    resolved
}

impl Resolved {
    fn add(&mut self, endpoint: &EndpointAddress, addresses: &[IpAddr]) {
        for address in addresses {
            let address = SocketAddr::new(*address, endpoint.port);
            if self.specs.iter().all(|spec| spec.address != address) {
                let EndpointAddress { priority, weight, .. } = *endpoint;
                self.specs.push(EndpointSpec { address, priority, weight });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
        match name {
            "two.test" => Ok(["10.0.0.1", "::1"].map(|ip| ip.parse().expect("valid")).to_vec()),
            _ => Err("no such name".to_string()),
        }
    }

    fn check(endpoints: &[&str], specs: &[(&str, u16, u16)], failed: &[&str]) {
        let typed: Vec<EndpointAddress> =
            endpoints.iter().map(|text| text.parse().expect("an endpoint")).collect();
        let found = resolve(&typed, lookup);
        let specs: Vec<_> = specs
            .iter()
            .map(|(address, priority, weight)| EndpointSpec {
                address: address.parse().expect("an address"),
                priority: *priority,
                weight: *weight,
            })
            .collect();
        assert_eq!(found.specs, specs, "{endpoints:?}");
        let names: Vec<_> = found.failed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, failed, "{endpoints:?}");
    }

    #[test]
    fn literal_addresses_are_not_looked_up() {
        check(&["10.0.0.1:1", "[::1]:2"], &[("10.0.0.1:1", 0, 1), ("[::1]:2", 0, 1)], &[]);
    }

    #[test]
    fn a_name_gives_an_endpoint_for_each_address() {
        let want = [("10.0.0.1:1", 2, 3), ("[::1]:1", 2, 3)];
        check(&["two.test:1?priority=2&weight=3"], &want, &[]);
    }

    #[test]
    fn an_address_counts_once_and_as_first_given() {
        let want = [("10.0.0.1:1", 0, 5), ("[::1]:1", 0, 1)];
        check(&["10.0.0.1:1?weight=5", "two.test:1", "10.0.0.1:1?weight=7"], &want, &[]);
    }

    #[test]
    fn a_name_without_address_costs_only_itself() {
        check(&["gone.test:1", "10.0.0.1:1"], &[("10.0.0.1:1", 0, 1)], &["gone.test:1"]);
    }
}
