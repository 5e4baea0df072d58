//! The contract of a source of endpoints, and the hosts that it lists.
//!
//! A source owns what it was configured with and what it remembers of its own answers. It looks
//! nothing up: it says which names it needs, and reads in [`Names`] what is known of them. Nor does
//! it open a connection: what it asks servers over HTTP is carried out for it (`inquiry.rs`). What
//! a further one touches is listed in [`super`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::finding::{Excluded, FallbackReason, Finding, SourceLabel};
use super::inquiry::{Ask, Heard, Inputs};
use super::members::Record;
use super::names::{Names, Needed};
use super::watch::Watch;
use crate::address::Address;
use crate::config::address::{EndpointAddress, Host as TypedHost};
use crate::scheme::Scheme;
use crate::upstream::Check;

/// A place where endpoints come from.
pub(super) trait Source: fmt::Debug {
    /// The source in terms of the log.
    fn label(&self) -> SourceLabel;

    /// The domain for which its endpoints have to show a certificate; `None`: they have not.
    fn certified_domain(&self) -> Option<&str> {
        None
    }

    /// The names to look up for it, in the order in which they are looked up first.
    fn names(&self) -> Vec<Needed>;

    /// Takes over what is known of its names now, and tells what of that is excluded. `is_interim`:
    /// endpoints are in use that no source lists, so what is new takes their place.
    fn update(&mut self, names: &Names, is_interim: bool, now: Instant) -> Vec<Excluded> {
        let _ = (names, is_interim, now);
        Vec::new()
    }

    /// Whether it lists hosts.
    fn state(&self, names: &Names) -> State;

    /// The hosts that it lists, with the addresses that are known, in the order of its answer.
    fn hosts(&self, names: &Names) -> Vec<Host>;

    /// Whether nothing is missing while that name has no records, so that an answer without any may
    /// be believed for as long as it says.
    fn is_spare(&self, watch: &Watch) -> bool {
        let _ = watch;
        false
    }

    /// Names that may have no records at present without that being an error.
    fn optional(&self, names: &Names) -> &[Needed] {
        let _ = names;
        &[]
    }

    /// Whether hosts that are no longer listed are still in use, until those in their place are
    /// known.
    fn is_in_transition(&self) -> bool {
        false
    }

    /// Whether it lists nothing any longer because there is nothing, beyond doubt.
    fn is_emptied(&self) -> bool {
        false
    }

    /// When to call [`Source::expire`], if ever.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due; whether that changes its hosts.
    fn expire(&mut self, now: Instant) -> bool {
        let _ = now;
        false
    }

    /// Whether its hosts may ever be others than they are, names aside.
    fn may_change(&self) -> bool {
        self.next_deadline().is_some()
    }

    /// Whether it asks the endpoints in use, so that [`Inputs::members`] has them.
    fn asks_members(&self) -> bool {
        false
    }

    /// Whether an answer is under way or due that may bring a first host, so that a client should
    /// wait for it.
    fn is_asking(&self, now: Instant) -> bool {
        let _ = now;
        false
    }

    /// What is to be done next over one of its lines, and the number of that; `None` for nothing
    /// more. Called until then, after whatever may have changed: a deadline, something heard, a
    /// name, the endpoints in use. What cannot be carried out is heard of as [`Heard::Failed`]
    /// before the next call, so a source pauses before it asks again.
    fn next_ask(
        &mut self,
        inputs: &Inputs<'_>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<(u8, Ask)> {
        let _ = (inputs, now, random);
        None
    }

    /// Takes the result of an ask; whether that may change its hosts.
    fn on_heard(&mut self, line: u8, heard: Heard, now: Instant) -> bool {
        let _ = (line, heard, now);
        false
    }

    /// An endpoint fails, or the roles of members have changed: what is listed may be out of date.
    fn on_doubt(&mut self, now: Instant) {
        let _ = now;
    }

    /// A file to be written, which keeps what it lists.
    fn take_record(&mut self) -> Option<Record> {
        None
    }

    /// The file of [`Source::take_record`] was written, or not. Returns whether that is news.
    fn on_recorded(&mut self, is_written: bool) -> bool {
        let _ = is_written;
        false
    }

    /// What the log should show, the first one first.
    fn take_findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}

/// The configuration of a source.
pub trait Configured {
    /// The source, with its precedence.
    fn into_source(self) -> Ranked;
}

/// A source and its precedence.
#[derive(Debug)]
pub struct Ranked {
    /// 0 counts first. Sources of one rank count together.
    pub(super) rank: u8,
    pub(super) source: Box<dyn Source>,
}

impl Ranked {
    /// A source that follows what endpoints of the others say, and counts before them.
    pub(super) fn followed(source: impl Source + 'static) -> Ranked {
        Ranked { rank: 0, source: Box::new(source) }
    }

    /// A source that discovers endpoints, and counts before typed ones.
    pub(super) fn discovered(source: impl Source + 'static) -> Ranked {
        Ranked { rank: 1, source: Box::new(source) }
    }

    /// A source that was typed, and counts while those that discover list nothing.
    pub(super) fn typed(source: impl Source + 'static) -> Ranked {
        Ranked { rank: 2, source: Box::new(source) }
    }

    /// The source in terms of the log.
    pub(super) fn label(&self) -> SourceLabel {
        self.source.label()
    }

    /// The domain for which its endpoints have to show a certificate.
    pub(super) fn certified_domain(&self) -> Option<&str> {
        self.source.certified_domain()
    }

    /// What the source contributes at present.
    pub(super) fn state(&self, names: &Names) -> State {
        self.source.state(names)
    }

    /// Whether the source lists hosts, or has yet to answer and may still take its time.
    pub(super) fn counts(&self, names: &Names, is_patient: bool) -> bool {
        match self.state(names) {
            State::Listing => true,
            State::Pending(_) => is_patient,
            State::Empty(_) | State::Learning => false,
        }
    }
}

/// What a source contributes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Hosts.
    Listing,
    /// No host so far; an answer may still come. With what to say if it does not in time.
    Pending(FallbackReason),
    /// No host, as the name servers say.
    Empty(FallbackReason),
    /// No host so far: it learns of them from those that sources of later ranks list, which is not
    /// worth a line.
    Learning,
}

/// What is known of a server before it was asked anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The name that its certificate has to be for: a DNS name or the literal of an IP address.
    pub(super) name: Arc<str>,
    /// The scheme of its URL; `None` where there was no URL.
    pub(super) scheme: Option<Scheme>,
    /// Whether it may be a member of etcd.
    pub(super) is_etcd: bool,
}

#[cfg(test)]
impl Server {
    /// A server that cannot be etcd.
    pub(super) fn unknown() -> Server {
        Server { name: "a".into(), scheme: None, is_etcd: false }
    }
}

/// The host as it is in a certificate.
pub(super) fn server_name(host: &TypedHost) -> String {
    match host {
        TypedHost::Address(address) => address.to_string(),
        TypedHost::Name(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
    }
}

/// The kind of source of what was typed.
pub(super) const TYPED: &str = "typed";

/// A host that a source lists: one typed endpoint or one record, and the addresses of its host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// `host:port`, as typed or as in the record.
    pub(super) name: String,
    /// The kind of the source that lists it, as in its label.
    pub(super) source: &'static str,
    pub(super) priority: u16,
    /// Shared by the addresses.
    pub(super) weight: u16,
    pub(super) check: Check,
    /// What is known of the server, for health checks.
    pub(super) server: Server,
    /// The addresses come from a name or a record, and were not typed.
    pub(super) is_resolved: bool,
    /// The member of a cluster that it leads to: hosts of one member share its weight.
    pub(super) member: Option<u64>,
    pub(super) addresses: Vec<Address>,
}

impl Host {
    /// A typed endpoint with these addresses.
    pub(super) fn typed(
        endpoint: &EndpointAddress,
        addresses: impl Iterator<Item = IpAddr>,
        is_resolved: bool,
    ) -> Host {
        Host {
            name: endpoint.to_string(),
            source: TYPED,
            priority: endpoint.priority,
            weight: endpoint.weight,
            check: Check::Connect,
            server: Server {
                name: server_name(&endpoint.host).into(),
                scheme: endpoint.scheme,
                is_etcd: endpoint.may_be_etcd(),
            },
            is_resolved,
            member: None,
            addresses: addresses.map(|ip| Address::from((ip, endpoint.port))).collect(),
        }
    }
}
