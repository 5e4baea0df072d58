//! Sources that are one typed name: an endpoint, and a name that is looked up for its addresses
//! alone.

use super::finding::{FallbackReason, SourceLabel};
use super::names::{Names, Needed};
use super::source::{Configured, Host, Ranked, Source, State};
use super::watch::Watch;
use crate::config::address::EndpointAddress;
use crate::proto::dns::Wanted;

/// An endpoint whose host was typed as a name.
#[derive(Debug)]
pub(super) struct Named {
    endpoint: EndpointAddress,
    host: Needed,
}

impl Named {
    /// The endpoint, with the name of its host.
    pub(super) fn new(endpoint: EndpointAddress, name: String) -> Named {
        Named { endpoint, host: Needed::host(Wanted::Typed(name)) }
    }

    fn watch<'a>(&self, names: &'a Names) -> Option<&'a Watch> {
        names.get(&self.host)
    }
}

impl Source for Named {
    fn label(&self) -> SourceLabel {
        SourceLabel::of_endpoint(&self.endpoint)
    }

    fn names(&self) -> Vec<Needed> {
        vec![self.host.clone()]
    }

    fn state(&self, names: &Names) -> State {
        let Some(watch) = self.watch(names) else {
            return State::Pending(FallbackReason::NoAnswer);
        };
        match watch.error() {
            _ if watch.addresses().next().is_some() => State::Listing,
            Some(error) if watch.is_absent() => State::Empty(FallbackReason::Unresolved(error)),
            Some(error) => State::Pending(FallbackReason::Unresolved(error)),
            None => State::Pending(FallbackReason::NoAnswer),
        }
    }

    fn hosts(&self, names: &Names) -> Vec<Host> {
        let addresses = self.watch(names).into_iter().flat_map(Watch::addresses);
        vec![Host::typed(&self.endpoint, addresses, true)]
    }
}

/// A name to look up for its addresses alone, such as one to listen on; as typed.
#[derive(Clone, Debug)]
pub struct AddressName(pub String);

impl Configured for AddressName {
    fn into_source(self) -> Ranked {
        Ranked::typed(AddressesOnly(Needed::host(Wanted::Typed(self.0))))
    }
}

/// A name that no endpoint comes from.
#[derive(Debug)]
struct AddressesOnly(Needed);

impl Source for AddressesOnly {
    fn label(&self) -> SourceLabel {
        SourceLabel { source: "name", key: "name", subject: self.0.wanted.to_string() }
    }

    fn names(&self) -> Vec<Needed> {
        vec![self.0.clone()]
    }

    fn state(&self, _: &Names) -> State {
        State::Empty(FallbackReason::NoUsableRecord)
    }

    fn hosts(&self, _: &Names) -> Vec<Host> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::dns::message::Kind;
    use crate::proto::dns::resolv_conf::Environment;
    use crate::proto::dns::{Answer, Answered, Failure, LookupId};

    /// The state once both families are answered so.
    fn state_after(answer: &Answer) -> State {
        let now = Instant::now();
        let endpoint: EndpointAddress = "m.test:1".parse().expect("an endpoint");
        let named = Named::new(endpoint, "m.test".to_owned());
        let mut names = Names::new(Environment::default());
        names.sync(&named.names(), now);
        assert_eq!(named.state(&names), State::Pending(FallbackReason::NoAnswer));
        let watch = names.watches_mut().next().expect("the name");
        watch.begin(now);
        for kind in [Kind::A, Kind::Aaaa] {
            watch.on_answer(Answered::new(LookupId(0), kind, answer.clone()), true, now);
        }
        named.state(&names)
    }

    #[test]
    fn a_name_without_addresses_is_empty_only_if_the_servers_say_so() {
        let nothing = Answer::Nothing { exists: false, ttl: None };
        assert!(matches!(state_after(&nothing), State::Empty(FallbackReason::Unresolved(_))));
        let failed = Answer::Failed(Failure::TimedOut);
        assert!(matches!(state_after(&failed), State::Pending(FallbackReason::Unresolved(_))));
    }
}
