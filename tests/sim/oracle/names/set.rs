//! The gateway's set of endpoints between two turns, against what the answers say.

use etcd_gateway::config::SRV_HANDOVER;
use etcd_gateway::reactor::Reactor;
use etcd_gateway::upstream::Endpoint;

use super::{NameBooks, Page};
use crate::net::SimNet;
use crate::oracle::{Oracle, Seen};
use crate::world::World;

impl Oracle {
    /// Between two turns: the set of endpoints is what the answers say. Gives those that have come
    /// and gone, and says which.
    pub(in crate::oracle) fn check_set(
        &mut self,
        world: &World,
        reactor: &Reactor<SimNet>,
    ) -> Vec<(&'static str, usize)> {
        let is_over = world.signals.terminations > 0;
        let names = self.names_mut();
        let (over, cut) = (std::mem::take(&mut names.over), std::mem::take(&mut names.cut));
        assert!(cut == 0 || is_over, "{cut} answers did not fit, and are not asked for by stream");
        for exchange in over {
            assert!(!world.exchanges.all[exchange].is_open, "{exchange}: answered, and kept open");
        }
        let census = reactor.census();
        let open = world.exchanges.open_ones().count();
        assert_eq!(census.exchanges, open, "exchanges and their sockets");
        let mut present: Vec<Option<Endpoint>> = vec![None; world.hosts.places.len()];
        for (_, endpoint) in reactor.endpoints().iter() {
            if !endpoint.health().is_removed() {
                present[world.endpoint_of(endpoint.address())] = Some(endpoint.clone());
            }
        }
        let beliefs: Vec<_> =
            (0..present.len()).map(|endpoint| self.belief(world, endpoint)).collect();
        for (endpoint, (may, is_sure)) in beliefs.iter().enumerate() {
            let is_in = present[endpoint].is_some();
            let was_in = self.watches.all[endpoint].is_in;
            // Asked to end, the gateway no longer follows changes.
            let is_right = if is_in { *may } else { !is_sure };
            assert!(
                is_right || is_over && is_in == was_in,
                "{endpoint}: it is {is_in}, it may be {may} and must be {is_sure}: {:?}",
                self.names
            );
        }
        // An empty list is more likely to be a mistake than to be meant.
        let was_any = self.watches.all.iter().any(|watch| watch.is_in);
        let is_any = present.iter().any(Option::is_some);
        assert!(is_any || !was_any, "the last known endpoints are not kept");
        self.books.check_abandoned(&present, is_over);
        let changes = self.take_set(world, &present);
        self.names_mut().forget_hosts(world);
        self.note_shares(world, &present);
        changes
    }

    /// An endpoint that came begins anew; one that went is remembered for a while if it was ill.
    fn take_set(
        &mut self,
        world: &World,
        present: &[Option<Endpoint>],
    ) -> Vec<(&'static str, usize)> {
        let (now, names_any) = (world.context.turn_at, self.names().any_named(world));
        let is_kept = self.names().namings(world).all(|(_, is_sure)| !is_sure);
        let names = self.names_mut();
        if std::mem::replace(&mut names.is_kept, is_kept) && !is_kept {
            names.kept_until = now + SRV_HANDOVER;
        }
        for (endpoint, found) in present.iter().enumerate() {
            let (is_in, was_in) = (found.is_some(), self.watches.all[endpoint].is_in);
            if is_in && was_in && !names_any {
                self.books.record.saw(Seen::LastKnownKept);
            }
        }
        self.watches.change_set(&mut self.books, now, present)
    }

    /// Takes over class and share of each endpoint, and sees that they are what the records say.
    fn note_shares(&mut self, world: &World, present: &[Option<Endpoint>]) {
        if !self.names().any_named(world) || world.signals.terminations > 0 {
            return;
        }
        let is_exact = self.names().is_exact(world);
        let mut is_changed = false;
        for (endpoint, found) in present.iter().enumerate() {
            let Some(found) = found else { continue };
            let host = world.context.plan.names().host_of(endpoint);
            let mut share = f64::from(found.weight());
            if let Some(record) = self.names().record_of(world, host).filter(|_| is_exact) {
                assert_eq!(found.priority(), record.priority, "{endpoint}: in another class");
                let mates = &world.context.plan.names().hosts[host].endpoints;
                let mates = mates.iter().filter(|mate| present[**mate].is_some()).count();
                share = f64::from(record.weight) / mates as f64;
            }
            let watch = &mut self.watches.all[endpoint];
            assert_eq!(
                found.check(),
                watch.check,
                "{endpoint}: has to prove itself in another way"
            );
            is_changed |= (watch.priority, watch.weight) != (found.priority(), share);
            (watch.priority, watch.weight) = (found.priority(), share);
        }
        if is_changed {
            self.watches.rotation_changed();
        }
    }
}

impl NameBooks {
    /// What is known of a host that is no longer listed is not kept.
    fn forget_hosts(&mut self, world: &World) {
        let (now, turn) = (world.context.turn_at, world.context.turns);
        for host in 0..world.context.plan.names().hosts.len() {
            let (may, is_sure) = self.listing(world, host);
            let is_listed = self.listing_now(world, host).0;
            let named = &world.context.plan.names().hosts[host];
            let is_fixed = named.is_in_file || named.is_literal;
            let book = &mut self.books[host];
            match (book.was_listed, is_listed) {
                (_, true) => book.gone_at = None,
                (true, false) => book.gone_at = Some(now),
                (false, false) => {}
            }
            book.was_listed = is_listed;
            // What has gone just now may count for a while.
            let may = may || book.gone_at == Some(now);
            if is_sure {
                book.wanted_since.get_or_insert((now, turn));
                continue;
            }
            book.wanted_since = None;
            if is_fixed {
                continue;
            }
            for page in &mut book.pages {
                page.sure.clear();
                if !may {
                    *page = Page::default();
                }
            }
        }
    }
}
