//! What always holds of the names, as their type says, checked where debug assertions are on. Pure.

use std::collections::BTreeSet;

use super::Names;
use crate::config::EXCLUSIONS_REPORTED_MAX;
use crate::proto::dns::LookupId;

impl Names {
    /// To be called after each change, once all answers were taken.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let mut seen = BTreeSet::new();
        for (key, watch) in &self.watches {
            assert!(seen.insert(watch.needed()), "watched twice");
            let is_asked = self.resolver.is_asked(LookupId(key));
            assert!(is_asked != watch.is_idle(), "asked for without a watch, or the reverse");
        }
        let under_way = self.watches.iter().filter(|(_, watch)| !watch.is_idle()).count();
        assert_eq!(self.lookups.under_way(), under_way as u64, "look-ups under way");
        assert_eq!(self.resolver.lookup_count(), under_way, "a look-up of no watch");
        assert_eq!(self.has_asked, self.lookups.begun > 0, "asked without a look-up");
        assert!(self.absent.count() <= EXCLUSIONS_REPORTED_MAX);
        let configuration = self.configuration.current();
        assert_eq!(self.resolver.configuration(), configuration, "two configurations");
    }
}
