//! From hosts with their addresses to endpoints: every address once, and weights divided. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::Found;
use super::share::{self, Holder};
use crate::config::ENDPOINTS_MAX;
use crate::endpoint::{EndpointSpec, Proof};

/// One typed endpoint or one record, and the addresses of its host.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) proof: Proof,
    pub(super) is_resolved: bool,
    pub(super) addresses: Vec<IpAddr>,
}

/// The endpoints: an address and port that came up already is left out, as are those beyond
/// [`ENDPOINTS_MAX`].
pub(super) fn found(groups: &[Group]) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let own: Vec<Vec<SocketAddr>> = groups
        .iter()
        .map(|group| {
            let addresses = group.addresses.iter().map(|ip| SocketAddr::new(*ip, group.port));
            let room = |seen: &BTreeSet<SocketAddr>| seen.len() < ENDPOINTS_MAX;
            addresses.filter(|address| room(&seen) && seen.insert(*address)).collect()
        })
        .collect();
    let holder = |(group, own): (&Group, &Vec<SocketAddr>)| Holder {
        priority: group.priority,
        weight: group.weight,
        endpoints: own.len(),
    };
    let holders: Vec<Holder> = groups.iter().zip(&own).map(holder).collect();
    let weights = share::weights(&holders);
    let mut found = Vec::new();
    for ((group, own), weight) in groups.iter().zip(own).zip(weights) {
        let Group { priority, proof, is_resolved, .. } = *group;
        found.extend(own.into_iter().map(|address| Found {
            spec: EndpointSpec { address, priority, weight, proof },
            name: group.name.clone(),
            is_resolved,
        }));
    }
    found
}
