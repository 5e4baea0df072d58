//! The client URLs of members as hosts, and the names in them. Pure.

use std::net::IpAddr;

use super::KIND;
use crate::address::Address;
use crate::config::address::Host as UrlHost;
use crate::discovery::names::{Names, Needed};
use crate::discovery::source::{Host, Server, server_name};
use crate::discovery::watch::Watch;
use crate::proto::dns::Wanted;
use crate::proto::etcd::members::ClientUrl;
use crate::upstream::Check;

/// The name to look up; `None` for a literal address.
pub(super) fn needed(url: &ClientUrl) -> Option<Needed> {
    match &url.host {
        UrlHost::Name(name) => Some(Needed::host(Wanted::Typed(name.clone()))),
        UrlHost::Address(_) => None,
    }
}

/// Whether the first look-up of its host is over, or not needed.
pub(super) fn is_resolved(url: &ClientUrl, names: &Names) -> bool {
    needed(url).is_none_or(|needed| names.get(&needed).is_some_and(Watch::is_settled))
}

/// What clients are led to.
pub(super) fn host(url: &ClientUrl, names: &Names) -> Host {
    let addresses: Vec<IpAddr> = match (&url.host, needed(url)) {
        (UrlHost::Address(address), _) => vec![*address],
        (UrlHost::Name(_), Some(needed)) => {
            names.get(&needed).into_iter().flat_map(Watch::addresses).collect()
        }
        (UrlHost::Name(_), None) => Vec::new(),
    };
    Host {
        source: KIND,
        name: format!("{}:{}", url.host, url.port),
        priority: 0,
        weight: 1,
        check: Check::Connect,
        server: Server {
            name: server_name(&url.host).into(),
            scheme: Some(url.scheme),
            is_etcd: true,
        },
        is_resolved: true,
        member: Some(url.member_id),
        addresses: addresses.into_iter().map(|ip| Address::from((ip, url.port))).collect(),
    }
}
