//! From endpoints to addresses, whatever is typed and whatever /etc/hosts says: every address once,
//! as first given, and the weight of a host divided over its addresses. No socket, no real name.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::str;
use std::time::Instant;

use etcd_gateway::address::Address;
use etcd_gateway::config::ENDPOINTS_MAX;
use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::discovery::{Discovery, Found, Sources};
use etcd_gateway::proto::dns::hosts;

use super::hosts::addresses as addresses_in;

/// Ratios of sums are compared where they are sure to fit.
const WEIGHT_EXACT_MAX: u16 = 100;
const ADDRESSES_EXACT_MAX: usize = 4;

/// An endpoint as typed, and the addresses that are its own.
struct Expected {
    typed: EndpointAddress,
    own: Vec<Address>,
}

/// Reads the bytes as lines: an endpoint each, and all of them together as a hosts file.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let endpoints: Vec<EndpointAddress> =
        text.lines().filter_map(|line| line.parse().ok()).take(ENDPOINTS_MAX).collect();
    let now = Instant::now();
    let sources = Sources::default().with(endpoints.clone());
    let mut discovery = Discovery::new(sources, now);
    let names: Vec<String> = discovery.names().host_names(Some(now)).collect();
    if !names.is_empty() {
        let table = hosts::addresses(data, names.iter().map(String::as_str));
        discovery.refresh(Some(&table), now);
    }
    let found =
        discovery.take_found(&mut |_, _| Ok(()), now).expect("known for the first time").to_vec();

    let expected = expected(&endpoints, data);
    let all: Vec<Address> = expected.iter().flat_map(|host| host.own.iter().cloned()).collect();
    let addresses: Vec<Address> = found.iter().map(|found| found.spec.address.clone()).collect();
    assert_eq!(addresses, all, "{text:?}");
    check_shares(&expected, &found);
}

fn expected(endpoints: &[EndpointAddress], hosts_text: &[u8]) -> Vec<Expected> {
    let mut seen = HashSet::new();
    let mut expected = Vec::new();
    for typed in endpoints {
        let mut own = addresses(&typed.host, hosts_text);
        own.sort_by_key(IpAddr::is_ipv6);
        let own = own.into_iter().map(|ip| SocketAddr::new(ip, typed.port));
        // One of IPv4 that is written as IPv6 is the same server.
        let own = own.filter(|address| {
            let server = (address.ip().to_canonical(), address.port());
            seen.len() < ENDPOINTS_MAX && seen.insert(server)
        });
        let own = own.map(Address::Inet).collect();
        expected.push(Expected { typed: typed.clone(), own });
    }
    expected
}

fn addresses(host: &Host, hosts_text: &[u8]) -> Vec<IpAddr> {
    let name = match host {
        Host::Address(address) if address.to_canonical().is_unspecified() => {
            // This host, in the family that was typed; IPv6 is both.
            let own: &[&str] = match address.to_canonical() {
                IpAddr::V4(_) => &["127.0.0.1"],
                IpAddr::V6(_) => &["127.0.0.1", "::1"],
            };
            return own.iter().map(|text| text.parse().expect("valid")).collect();
        }
        Host::Address(address) => return vec![*address],
        Host::Name(name) => name.trim_end_matches('.').to_ascii_lowercase(),
    };
    let listed = addresses_in(hosts_text, &name);
    if listed.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        return vec!["127.0.0.1".parse().expect("valid"), "::1".parse().expect("valid")];
    }
    listed.into_iter().filter(|address| may_be_a_server(*address)).collect()
}

/// A name may lead to an address that no server can have.
fn may_be_a_server(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_above_all = matches!(address, IpAddr::V4(v4) if v4.octets()[0] >= 240);
    !(address.is_unspecified() || address.is_multicast() || is_above_all)
}

impl Expected {
    /// The weights of its addresses together.
    fn sum(&self, found: &[Found]) -> u64 {
        let own = found.iter().filter(|found| self.own.contains(&found.spec.address));
        own.inspect(|found| assert_eq!(found.spec.weight == 0, self.typed.weight == 0))
            .inspect(|found| assert_eq!(found.spec.priority, self.typed.priority))
            .map(|found| u64::from(found.spec.weight))
            .sum()
    }

    /// Whether the ratio of its weight to others is sure to fit.
    fn is_exact(&self) -> bool {
        self.typed.weight <= WEIGHT_EXACT_MAX && self.own.len() <= ADDRESSES_EXACT_MAX
    }
}

/// Within a class the ratio of what the addresses of two hosts have together is that of the weights
/// of the hosts, and a host that has a weight gets one.
fn check_shares(expected: &[Expected], found: &[Found]) {
    let used: Vec<&Expected> = expected.iter().filter(|host| !host.own.is_empty()).collect();
    let sums: Vec<u64> = used.iter().map(|host| host.sum(found)).collect();
    if !used.iter().all(|host| host.is_exact()) {
        return;
    }
    for (one, one_sum) in used.iter().zip(&sums) {
        for (other, other_sum) in used.iter().zip(&sums) {
            if one.typed.priority == other.typed.priority {
                let [one, other] = [one, other].map(|host| u64::from(host.typed.weight));
                assert_eq!(one_sum * other, other_sum * one, "{one} to {other}");
            }
        }
    }
}
