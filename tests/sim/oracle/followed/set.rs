//! The gateway's set of endpoints between two turns, against what members of etcd have said.

use std::collections::BTreeSet;

use etcd_gateway::reactor::Reactor;
use etcd_gateway::upstream::Endpoint;

use super::{Following, Kind};
use crate::net::SimNet;
use crate::oracle::Seen;
use crate::world::World;

impl Following<'_> {
    /// Between two turns: the set of endpoints is what was read. Gives those that have come and
    /// gone, and says which.
    pub(in crate::oracle) fn check_set(
        &mut self,
        world: &World,
        reactor: &Reactor<SimNet>,
    ) -> Vec<(&'static str, usize)> {
        let present = present(world, reactor);
        let set: BTreeSet<usize> =
            (0..present.len()).filter(|endpoint| present[*endpoint].is_some()).collect();
        // Asked to end, the gateway no longer follows changes.
        let is_over = world.signals.terminations > 0;
        if !is_over {
            self.check_is_named(world, &set);
        }
        self.books.check_abandoned(&present, is_over);
        let changes = self.watches.change_set(self.books, world.context.turn_at, &present);
        self.note_weights(world, &present, is_over);
        changes
    }

    fn check_is_named(&mut self, world: &World, set: &BTreeSet<usize>) {
        let Following { followed, books, watches } = self;
        match &mut followed.kind {
            Kind::Members(book) => book.end_turn(world, &mut books.record, set),
            Kind::Registry(book) => {
                book.end_turn(world);
                for (endpoint, watch) in watches.all.iter().enumerate() {
                    let is_in = set.contains(&endpoint);
                    let (may, must) = book.belief(world, endpoint, watch.is_in);
                    let is_right = if is_in { may } else { !must };
                    assert!(
                        is_right,
                        "{endpoint}: it is {is_in}, it may be {may} and must be {must}: {book:?}"
                    );
                }
                if book.has_bad(world) {
                    books.record.saw(Seen::BadValueHeard);
                }
            }
        }
    }

    /// Takes over class and share of each endpoint, and sees that they are what was read.
    fn note_weights(&mut self, world: &World, present: &[Option<Endpoint>], is_over: bool) {
        let Following { followed, watches, .. } = self;
        let mut is_changed = false;
        for (endpoint, found) in present.iter().enumerate() {
            let Some(found) = found else { continue };
            let want = match &followed.kind {
                Kind::Members(book) if book.is_typed() => None,
                Kind::Members(_) => Some(1),
                Kind::Registry(book) => book.weight_of(world, endpoint),
            };
            if let Some(want) = want.filter(|_| !is_over) {
                assert_eq!(found.weight(), want, "{endpoint}: its weight");
                assert_eq!(found.priority(), 0, "{endpoint}: in another class");
            }
            let watch = &mut watches.all[endpoint];
            let share = f64::from(found.weight());
            is_changed |= (watch.priority, watch.weight) != (found.priority(), share);
            (watch.priority, watch.weight) = (found.priority(), share);
        }
        if is_changed {
            self.watches.rotation_changed();
        }
    }
}

/// The endpoints that the gateway has, by their numbers.
fn present(world: &World, reactor: &Reactor<SimNet>) -> Vec<Option<Endpoint>> {
    let mut present: Vec<Option<Endpoint>> = vec![None; world.hosts.places.len()];
    for (_, endpoint) in reactor.endpoints().iter() {
        if !endpoint.health().is_removed() {
            present[world.endpoint_of(endpoint.address())] = Some(endpoint.clone());
        }
    }
    present
}
