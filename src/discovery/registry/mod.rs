//! A source of endpoints: the services that are registered in etcd under a prefix.
//!
//! Owns what is registered and how that is followed. A key is a service, and its value says where
//! that is (`proto/etcd/registry.rs`); a key that is gone is a service that is gone, at once.
//!
//! ```text
//!   follower   when is what asked, and what follows from an answer
//!     ├─ members   at which member   ├─ pages    a range in pages
//!     ├─ session   with which token  ├─ stream   a watch in messages
//!     ├─ requests  in which words    └─ store    the services
//!     └─ problem   the next attempt
//! ```

mod follower;
mod members;
mod pages;
mod problem;
mod requests;
mod session;
mod store;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::finding::{Excluded, FallbackReason, Finding, SourceLabel};
use super::inquiry::{Ask, Heard, Inputs};
use super::names::{Names, Needed};
use super::source::{Configured, Host, Ranked, Server, Source, State, server_name};
use super::watch::Watch;
use crate::address::Address;
use crate::config::address::Host as TypedHost;
use crate::config::registry::Registry;
use crate::config::{ENDPOINTS_MAX, PRIORITY_DEFAULT, SRV_HANDOVER, WEIGHT_DEFAULT};
use crate::proto::dns::Wanted;
use crate::proto::etcd::registry::Service;
use crate::upstream::Check;

use follower::{Follower, News};
pub use session::Credentials;
use store::Remark;

/// The kind of this source, in one word.
const KIND: &str = "registry";

/// The configuration of a registry, with the credentials of its user.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// The flags.
    pub registry: Registry,
    /// The name of the user, and what is in the file of the password.
    pub credentials: Option<Credentials>,
}

/// The services of a registry.
#[derive(Debug)]
struct RegistrySource {
    prefix: String,
    follower: Follower,
    transition: Transition,
}

/// Whether the names of services that have changed are looked up for the first time.
#[derive(Clone, Copy, Debug)]
enum Transition {
    /// They are not.
    Over,
    /// Services have changed; whether their names are known is not seen yet.
    Due,
    /// They are: the endpoints of before may stay until then.
    UnderWay { until: Instant },
}

impl Configured for RegistrySettings {
    fn into_source(self) -> Ranked {
        let RegistrySettings { registry, credentials } = self;
        let prefix = registry.prefix.clone();
        let follower = Follower::new(registry, credentials);
        Ranked::discovered(RegistrySource { prefix, follower, transition: Transition::Over })
    }
}

impl Source for RegistrySource {
    fn label(&self) -> SourceLabel {
        let subject = printable(self.prefix.as_bytes());
        SourceLabel { source: KIND, key: "prefix", subject }
    }

    /// Those of the members first. Of the services no more are looked up than can be used, in the
    /// order in which their hosts are.
    fn names(&self) -> Vec<Needed> {
        let members = self.follower.members().names();
        let mut seen = BTreeSet::new();
        let services = self.services().filter_map(needed);
        let services = services.filter(|needed| seen.insert(needed.clone())).take(ENDPOINTS_MAX);
        members.chain(services).collect()
    }

    fn update(&mut self, names: &Names, _: bool, now: Instant) -> Vec<Excluded> {
        let is_settled = self.is_settled(names);
        self.transition = match self.transition {
            _ if is_settled => Transition::Over,
            Transition::Due => Transition::UnderWay { until: now + SRV_HANDOVER },
            transition => transition,
        };
        Vec::new()
    }

    fn state(&self, _: &Names) -> State {
        let store = self.follower.store();
        match self.services().next() {
            Some(_) => State::Listing,
            None if !store.is_known() => State::Pending(FallbackReason::NoAnswer),
            None if store.is_empty() => State::Empty(FallbackReason::NoService),
            None => State::Empty(FallbackReason::NoUsableService),
        }
    }

    fn hosts(&self, names: &Names) -> Vec<Host> {
        self.services().map(|service| host(service, names)).collect()
    }

    /// A quorum of etcd says that no key is left. Keys of which none can be read are a mistake.
    fn is_emptied(&self) -> bool {
        self.follower.store().is_empty()
    }

    fn is_in_transition(&self) -> bool {
        matches!(self.transition, Transition::UnderWay { .. })
    }

    fn next_deadline(&self) -> Option<Instant> {
        let until = match self.transition {
            Transition::UnderWay { until } => Some(until),
            Transition::Over | Transition::Due => None,
        };
        self.follower.next_deadline().into_iter().chain(until).min()
    }

    fn expire(&mut self, now: Instant) -> bool {
        self.follower.expire(now);
        let is_over = matches!(self.transition, Transition::UnderWay { until } if until <= now);
        if is_over {
            self.transition = Transition::Over;
        }
        is_over
    }

    fn may_change(&self) -> bool {
        true
    }

    fn is_asking(&self, _: Instant) -> bool {
        self.follower.is_asking()
    }

    fn next_ask(
        &mut self,
        inputs: &Inputs<'_>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<(u8, Ask)> {
        self.follower.next_ask(inputs, now, random)
    }

    fn on_heard(&mut self, line: u8, heard: Heard, now: Instant) -> bool {
        let is_changed = self.follower.on_heard(line, heard, now);
        if let (true, Transition::Over) = (is_changed, self.transition) {
            self.transition = Transition::Due;
        }
        is_changed
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        let remarks = self.follower.store_mut().take_remarks().into_iter().map(finding_of_remark);
        let mut findings: Vec<Finding> = remarks.collect();
        let services = self.services().count();
        for news in self.follower.take_news() {
            findings.push(match news {
                News::Lost { member, problem } => {
                    Finding::RegistryLost { member, reason: problem.to_string(), services }
                }
                News::Restored { member } => Finding::RegistryRestored { member, services },
            });
        }
        findings
    }
}

impl RegistrySource {
    /// In the order of their keys.
    fn services(&self) -> impl Iterator<Item = &Service> {
        self.follower.store().services()
    }

    /// Whether no name of a service is looked up for the first time.
    fn is_settled(&self, names: &Names) -> bool {
        let mut watches = self.services().filter_map(|service| names.get(&needed(service)?));
        watches.all(Watch::is_settled)
    }
}

/// The name of a service that has to be looked up.
fn needed(service: &Service) -> Option<Needed> {
    match &service.host {
        TypedHost::Name(name) => Some(Needed::host(Wanted::Typed(name.clone()))),
        TypedHost::Address(_) => None,
    }
}

fn host(service: &Service, names: &Names) -> Host {
    let Service { host, port, weight } = service;
    let ips: Vec<IpAddr> = match (host, needed(service)) {
        (TypedHost::Address(address), _) => vec![*address],
        (TypedHost::Name(_), needed) => {
            let watch = needed.and_then(|needed| names.get(&needed));
            watch.into_iter().flat_map(Watch::addresses).collect()
        }
    };
    let name: Arc<str> = server_name(host).into();
    Host {
        source: KIND,
        name: format!("{host}:{port}"),
        priority: PRIORITY_DEFAULT,
        weight: weight.stated().unwrap_or(WEIGHT_DEFAULT),
        check: Check::Connect,
        // Anything may be registered, so nothing is asked unless a flag says what.
        server: Server { name, scheme: None, is_etcd: false },
        is_resolved: true,
        member: None,
        addresses: ips.into_iter().map(|ip| Address::from((ip, *port))).collect(),
    }
}

fn finding_of_remark(remark: Remark) -> Finding {
    match remark {
        Remark::Skipped { key, reason } => {
            Finding::ServiceSkipped { key: printable(&key), reason: reason.to_string() }
        }
        Remark::WeightInvalid { key } => Finding::WeightIgnored { key: printable(&key) },
        Remark::TooMany => Finding::TooManyServices,
    }
}

/// The bytes of a key, as far as they are of a text without control characters.
fn printable(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().filter(|c| !c.is_control()).collect()
}
