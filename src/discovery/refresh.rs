//! What the host's own files say of names, and the look-ups that begin by it.
//!
//! Owns nothing: the part of [`Discovery`] that meets resolv.conf(5) and hosts(5). Must not read
//! them.

use std::time::Instant;

use super::Discovery;
use super::watch::Watch;
use crate::proto::dns::resolv_conf::Problem;
use crate::proto::dns::{LookupId, Subject, hosts};

impl Discovery {
    /// The hosts that are looked up, or those that are to be now; as [`hosts::key`] has them.
    pub fn host_names(&self, due_at: Option<Instant>) -> impl Iterator<Item = String> {
        let is_meant = move |watch: &&Watch| {
            watch.subject() == Subject::Host && due_at.is_none_or(|now| watch.is_due(now))
        };
        let watches = self.watches.iter().map(|(_, watch)| watch).filter(is_meant);
        watches.map(|watch| hosts::key(&watch.wanted().to_string()))
    }

    /// Whether [`Discovery::configure`] should be called.
    pub fn is_configurable(&self) -> bool {
        self.configuration.is_reloadable()
    }

    /// This is what resolv.conf(5) says now, or why it cannot be read, and the name of the host
    /// (gethostname(2)). `zone` gives the number of a network interface.
    pub fn configure(
        &mut self,
        text: Result<Vec<u8>, Problem>,
        host_name: &str,
        zone: impl Fn(&str) -> Option<u32>,
        now: Instant,
    ) {
        let had_aaaa = !self.configuration.current().no_aaaa;
        if self.configuration.update(text, host_name, zone) {
            let current = self.configuration.current();
            self.resolver.configure(current.clone());
            if had_aaaa && current.no_aaaa {
                // What is known of the other family counts no more.
                self.watches.iter_mut().for_each(|(_, watch)| watch.hurry(now));
            }
        }
    }

    /// Begins the look-ups that are due; those of hosts only if there is a table of them.
    pub fn refresh(&mut self, table: Option<&hosts::Table>, now: Instant) {
        for (key, watch) in &mut self.watches {
            let is_ready = watch.subject() == Subject::Service || table.is_some();
            if !watch.is_due(now) || !is_ready {
                continue;
            }
            match table.and_then(|table| watch.addresses_at_hand(table)) {
                Some(addresses) => {
                    watch.settle_locally(&addresses, now);
                    self.is_changed = true;
                }
                None => {
                    watch.begin(now);
                    self.has_asked = true;
                    let urgency = watch.urgency();
                    self.resolver.look_up(LookupId(key), watch.subject(), watch.wanted(), urgency);
                }
            }
        }
    }
}
