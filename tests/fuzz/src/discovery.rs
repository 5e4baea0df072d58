//! From endpoints to addresses, whatever a resolver answers: every address once, as first given,
//! and a name without one reported. The look-up is made up here; no socket, no real name.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::str;

use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::discovery::resolve;
use etcd_gateway::endpoint::EndpointSpec;

use super::assert_one_line;

/// Reads the bytes as lines: an endpoint each, or `name -> address address ...` for the resolver.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let zone: Vec<(&str, Vec<IpAddr>)> = text.lines().filter_map(answer).collect();
    let endpoints: Vec<EndpointAddress> =
        text.lines().filter_map(|line| line.parse().ok()).collect();
    let lookup = |name: &str| {
        // As `net::resolve::lookup` promises, no answer is an error, never an empty list.
        let found = zone.iter().find(|(known, addresses)| *known == name && !addresses.is_empty());
        found.map(|(_, addresses)| addresses.clone()).ok_or_else(|| format!("no {name:?}"))
    };

    let resolved = resolve(&endpoints, lookup);
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for endpoint in &endpoints {
        let addresses = match &endpoint.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => lookup(name).unwrap_or_default(),
        };
        if addresses.is_empty() {
            failed.push(endpoint.to_string());
        }
        let EndpointAddress { port, priority, weight, .. } = *endpoint;
        let spec =
            |address| EndpointSpec { address: SocketAddr::new(address, port), priority, weight };
        all.extend(addresses.into_iter().map(spec));
    }
    let mut seen = HashSet::new();
    all.retain(|spec| seen.insert(spec.address));
    assert_eq!(resolved.specs, all, "{text:?}");
    let names: Vec<String> = resolved.failed.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, failed, "{text:?}");
    for (name, reason) in &resolved.failed {
        assert_one_line(name);
        assert_one_line(reason);
    }
    // What `main` relies on when it says why it cannot start.
    assert!(endpoints.is_empty() || !resolved.specs.is_empty() || !resolved.failed.is_empty());
}

fn answer(line: &str) -> Option<(&str, Vec<IpAddr>)> {
    let (name, addresses) = line.split_once(" -> ")?;
    let addresses = addresses.split_whitespace().filter_map(|text| text.parse().ok());
    Some((name, addresses.collect()))
}
