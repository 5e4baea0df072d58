//! Names that are looked up for their addresses alone, as those to listen on: no endpoint comes of
//! them.

use std::net::IpAddr;
use std::time::Instant;

use super::{Discovery, Environment, ResolveError, Sources};
use crate::proto::dns::{Subject, Wanted};

impl Discovery {
    /// Looks up typed names, and nothing else.
    pub fn of_names<'a>(
        names: impl Iterator<Item = &'a str>,
        environment: Environment,
        now: Instant,
    ) -> Discovery {
        let mut discovery = Discovery::new(Sources { environment, ..Sources::default() }, now);
        names.for_each(|name| discovery.watch(Wanted::Typed(name.to_owned()), Subject::Host, now));
        discovery
    }

    /// What is known of a typed name: its addresses, IPv4 first, or why it has none. `None` until
    /// its first look-up is over, and of a name that is not looked up.
    pub fn addresses_of(&self, name: &str) -> Option<Result<Vec<IpAddr>, ResolveError>> {
        let watch = self.watch_of(&Wanted::Typed(name.to_owned()), Subject::Host)?;
        if !watch.is_settled() {
            return None;
        }
        let addresses: Vec<IpAddr> = watch.addresses().collect();
        match watch.error() {
            Some(trouble) if addresses.is_empty() => Some(Err(trouble)),
            _ => Some(Ok(addresses)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::hosts;

    #[test]
    fn a_name_is_known_once_its_first_look_up_is_over() {
        let now = Instant::now();
        let names = ["a.test", "b.test"].into_iter();
        let mut discovery = Discovery::of_names(names, Environment::default(), now);
        assert_eq!(discovery.addresses_of("a.test"), None);
        let names = ["a.test", "b.test"].into_iter();
        let table = hosts::addresses(b"::1 a.test\n10.0.0.1 A.test", names);
        discovery.refresh(Some(&table), now);
        let want = ["10.0.0.1", "::1"].map(|text| text.parse().expect("an address")).to_vec();
        assert_eq!(discovery.addresses_of("a.test"), Some(Ok(want)));
        assert_eq!(discovery.addresses_of("b.test"), None, "it is being asked for");
        assert_eq!(discovery.addresses_of("c.test"), None);
    }
}
