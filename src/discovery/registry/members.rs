//! The members of the etcd that has a registry, and which of them is asked: one at a time, and the
//! next one after it has failed. Pure.

use std::net::IpAddr;

use super::super::inquiry::Target;
use super::super::names::{Names, Needed};
use super::super::source::server_name;
use super::super::watch::Watch;
use crate::address::Address;
use crate::config::address::{EndpointAddress, Host};
use crate::config::special_address::dialed;
use crate::proto::dns::Wanted;
use crate::scheme::Scheme;

/// An address of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) target: Target,
    /// `host:port`, as typed.
    pub(super) authority: String,
}

/// All members, and the one that is asked.
#[derive(Debug)]
pub(super) struct Members {
    typed: Vec<EndpointAddress>,
    /// The number of the next one, counted on without end; `None`: none was chosen so far.
    next: Option<u64>,
    current: Option<Member>,
    /// Addresses that were known at the last choice.
    count: u32,
    /// Whether none was.
    is_unresolved: bool,
}

impl Members {
    /// None of them was asked.
    pub(super) fn new(typed: Vec<EndpointAddress>) -> Members {
        Members { typed, next: None, current: None, count: 0, is_unresolved: false }
    }

    /// The names to look up.
    pub(super) fn names(&self) -> impl Iterator<Item = Needed> {
        self.typed.iter().filter_map(needed)
    }

    /// The number of addresses that can be asked, as of the last choice.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether no address was known at the last choice.
    pub(super) fn is_unresolved(&self) -> bool {
        self.is_unresolved
    }

    /// The member to ask; `None` while no address is known. The first one is chosen by chance, so
    /// that many gateways spread over all.
    pub(super) fn choose(
        &mut self,
        names: &Names,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Member> {
        let all: Vec<Member> =
            self.typed.iter().flat_map(|member| addresses(member, names)).collect();
        (self.count, self.is_unresolved) = (all.len() as u32, all.is_empty());
        if all.is_empty() {
            return None;
        }
        if !self.current.as_ref().is_some_and(|current| all.contains(current)) {
            let next = *self.next.get_or_insert_with(random);
            self.current = Some(all[(next % all.len() as u64) as usize].clone());
        }
        self.current.clone()
    }

    /// Whether another one is asked from now on, since this one has failed.
    pub(super) fn has_left(&self, member: &Member) -> bool {
        self.current.as_ref() != Some(member)
    }

    /// Has another member be asked from now on than this one, which has failed. It may have been
    /// left before.
    pub(super) fn leave(&mut self, member: &Member) {
        if self.current.as_ref() == Some(member) {
            self.current = None;
            self.next = self.next.map(|next| next.wrapping_add(1));
        }
    }
}

/// The name of a member that has to be looked up.
fn needed(member: &EndpointAddress) -> Option<Needed> {
    match &member.host {
        Host::Name(name) => Some(Needed::host(Wanted::Typed(name.clone()))),
        Host::Address(_) => None,
    }
}

fn addresses(member: &EndpointAddress, names: &Names) -> Vec<Member> {
    let ips: Vec<IpAddr> = match (&member.host, needed(member)) {
        (Host::Address(address), _) => dialed(*address),
        (Host::Name(_), needed) => {
            let watch = needed.and_then(|needed| names.get(&needed));
            watch.into_iter().flat_map(Watch::addresses).collect()
        }
    };
    let scheme = member.scheme.unwrap_or(Scheme::Http);
    let host: std::sync::Arc<str> = server_name(&member.host).into();
    let authority = member.to_string();
    let addresses = ips.into_iter().map(|ip| Address::from((ip, member.port)));
    addresses
        .map(|address| Member {
            target: Target { address, scheme, host: host.clone() },
            authority: authority.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::resolv_conf::Environment;

    fn chosen(members: &mut Members, names: &Names) -> String {
        let member = members.choose(names, &mut || 1);
        member.map_or_else(|| "-".to_owned(), |member| member.target.address.to_string())
    }

    #[test]
    fn members_take_turns_after_failures() {
        let names = Names::new(Environment::default());
        let typed = ["10.0.0.1:1", "a.test:1", "https://[::1]:2", "0.0.0.0:3"];
        let typed = typed.map(|text| text.parse().expect(text)).to_vec();
        let mut members = Members::new(typed);
        assert_eq!((members.count(), members.names().count()), (0, 1));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(chosen(&mut members, &names));
            assert_eq!(
                chosen(&mut members, &names),
                seen[seen.len() - 1],
                "the same until it fails"
            );
            let member = members.choose(&names, &mut || 7).expect("a member");
            members.leave(&member);
            members.leave(&member);
        }
        assert_eq!(seen, ["[::1]:2", "127.0.0.1:3", "10.0.0.1:1", "[::1]:2"]);
        assert_eq!(members.count(), 3);
        let member = members.choose(&names, &mut || 7).expect("a member");
        assert_eq!(member.authority, "0.0.0.0:3");
    }

    #[test]
    fn names_are_asked_once_they_are_known() {
        let now = std::time::Instant::now();
        let mut names = Names::new(Environment::default());
        let mut members = Members::new(vec!["https://a.test.:1".parse().expect("a member")]);
        names.sync(&members.names().collect::<Vec<_>>(), now);
        assert_eq!(chosen(&mut members, &names), "-");
        assert!(members.is_unresolved());
        let table = crate::proto::dns::hosts::addresses(b"10.0.0.1 a.test", ["a.test"].into_iter());
        names.refresh(Some(&table), now);
        let member = members.choose(&names, &mut || 7).expect("a member");
        assert_eq!(member.target.address.to_string(), "10.0.0.1:1");
        assert_eq!((&*member.target.host, member.authority.as_str()), ("a.test", "a.test.:1"));
    }
}
