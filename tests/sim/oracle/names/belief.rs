//! Which endpoints there may be, and which there must be, by what was received. The first of two
//! answers is "may", the second one "must", here and everywhere.

use etcd_gateway::config::SRV_HANDOVER;

use super::{Book, NameBooks, TICK};
use crate::names::Source;
use crate::oracle::Oracle;
use crate::world::World;
use crate::zone::Record;

impl NameBooks {
    /// Whether a host may count, and whether it surely does. Where records have changed, those that
    /// are gone count for a while, until the hosts of the new ones are known.
    pub(in crate::oracle) fn listing(&self, world: &World, host: usize) -> (bool, bool) {
        let (may, is_sure) = self.listing_now(world, host);
        let Book { gone_at, was_listed, .. } = self.books[host];
        let stopped_until = world.context.jumps.last().copied().unwrap_or_default();
        let retires = gone_at.is_some_and(|at| {
            world.context.turn_at <= (at + SRV_HANDOVER).max(stopped_until) + TICK * 2
        });
        (may || was_listed || retires, is_sure)
    }

    /// By the last answers alone.
    pub(in crate::oracle) fn listing_now(&self, world: &World, host: usize) -> (bool, bool) {
        let Source::Records { is_insecure } = world.context.plan.names().source else {
            return (true, true);
        };
        let sets = &self.services[..if is_insecure { 2 } else { 1 }];
        let may = sets.iter().any(|values| values.iter().any(|records| lists(records, host)));
        let is_sure = sets.iter().any(|values| values.iter().all(|records| lists(records, host)));
        (may, is_sure)
    }

    /// Whether what was received may name the endpoint, and whether it surely does.
    pub(in crate::oracle) fn naming(&self, world: &World, endpoint: usize) -> (bool, bool) {
        let names = world.context.plan.names();
        let host = names.host_of(endpoint);
        let named = &names.hosts[host];
        if named.is_literal {
            return (true, true);
        }
        let (may, mut is_sure) = self.listing(world, host);
        let book = &self.books[host];
        // The file is read in the first turn in which the name is wanted, and in those after it.
        let turns = names.hosts_turns();
        let is_seen = book.wanted_since.is_some_and(|(_, turn)| turn + turns < world.context.turns);
        is_sure &= !named.is_in_file || is_seen;
        let named = book.pages.iter().any(|page| page.may.contains(&endpoint));
        let surely = book.pages.iter().any(|page| page.sure.contains(&endpoint));
        (may && named, is_sure && surely)
    }

    /// The same of each endpoint.
    pub(super) fn namings(&self, world: &World) -> impl Iterator<Item = (bool, bool)> {
        (0..world.hosts.places.len()).map(|endpoint| self.naming(world, endpoint))
    }

    /// Whether endpoints may be there that were kept though no record led to them: until the hosts
    /// of new records are known.
    pub(in crate::oracle) fn is_handed_over(&self, world: &World) -> bool {
        let stopped_until = world.context.jumps.last().copied().unwrap_or_default();
        let is_by_records = world.context.plan.names().source != Source::Typed;
        let is_in_time = world.context.turn_at <= self.kept_until.max(stopped_until) + TICK * 2;
        is_by_records && (self.is_kept || is_in_time)
    }

    pub(in crate::oracle) fn any_named(&self, world: &World) -> bool {
        self.namings(world).any(|(may, _)| may)
    }

    /// Whether there is no doubt about anything.
    pub(in crate::oracle) fn is_exact(&self, world: &World) -> bool {
        let are_known = self.services.iter().all(|values| values.len() == 1);
        let mut namings = self.namings(world);
        are_known && !self.is_handed_over(world) && namings.all(|(may, is_sure)| may == is_sure)
    }

    /// The record that counts for a host.
    pub(in crate::oracle) fn record_of(&self, world: &World, host: usize) -> Option<Record> {
        let names = world.context.plan.names();
        match names.source {
            Source::Typed => {
                let typed = &names.hosts[host];
                Some(Record { host, priority: typed.priority, weight: typed.weight })
            }
            Source::Records { is_insecure } => {
                let sets = &self.services[..if is_insecure { 2 } else { 1 }];
                let mut listed = sets.iter().flatten().flatten();
                listed.find(|record| record.host == host).copied()
            }
        }
    }
}

impl Oracle {
    /// Whether the gateway may believe now that there is such an endpoint, and whether it must:
    /// what it knew at the end of the last turn, and what it received since, count alike. The last
    /// of all stays although nothing names it.
    pub(in crate::oracle) fn presence(&self, world: &World, endpoint: usize) -> (bool, bool) {
        let was_in = self.watches.all[endpoint].is_in;
        let (may, is_sure) = match &self.followed {
            Some(followed) => followed.belief(world, endpoint, was_in),
            None if self.names.is_none() => return (true, true),
            None => self.belief(world, endpoint),
        };
        (may || was_in, is_sure && was_in)
    }

    /// The same once the turn is over.
    pub(super) fn belief(&self, world: &World, endpoint: usize) -> (bool, bool) {
        let was_in = self.watches.all[endpoint].is_in;
        let (may, is_sure) = self.names().naming(world, endpoint);
        if self.names().namings(world).any(|(_, is_sure)| is_sure) {
            return (may || was_in && self.names().is_handed_over(world), is_sure);
        }
        let is_certain = self.names().namings(world).all(|(may, _)| !may);
        (may || was_in, was_in && is_certain)
    }

    /// Whether an endpoint may have come or gone in this turn.
    pub(in crate::oracle) fn is_in_flux(&self, world: &World) -> bool {
        let has_heard = match (&self.names, &self.followed) {
            (Some(names), _) => names.flux_in == world.context.turns,
            (None, Some(followed)) => followed.is_in_flux(world),
            (None, None) => return false,
        };
        let mut presences =
            (0..world.hosts.places.len()).map(|endpoint| self.presence(world, endpoint));
        has_heard || presences.any(|(may, is_sure)| may != is_sure)
    }
}

fn lists(records: &[Record], host: usize) -> bool {
    records.iter().any(|record| record.host == host)
}
