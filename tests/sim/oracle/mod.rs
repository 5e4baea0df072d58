//! What must hold, whatever happens: checked at every operation, before every wait, after every
//! turn and at the end. Knows the rules from the project's promises, not from the reactor's code,
//! and keeps books of its own from what passes through the seam. May look at all of the world, and
//! changes nothing of it.
//!
//! - `pair.rs`: bytes, ends, resets, and when a pair may be given up
//! - `dial.rs`: which endpoint may be dialed when, for a client and for the monitor, in rotation
//! - `unserved.rs`: when a client that was never served may be given up
//! - `endpoint.rs`: what is known of each endpoint; `rotation.rs`: how even their shares are
//! - `names/`: which name servers may be asked what, and which endpoints there are by the answers
//! - `followed/`: which endpoints there are where etcd names them; `set.rs`: how the set changes
//! - `pipe.rs`: which flows are spliced, and through which pipes
//! - `listener.rs`: when clients are let in
//! - `wait.rs`: what must be done before the gateway may wait
//! - `checks.rs`: who is asked whether it serves, when and how; `check.rs`: what the answers show
//! - `failing.rs`: which clients leave an endpoint that fails its checks, and how fast
//! - `admin/`: what guests of the admin side get
//! - `end.rs`: what must be left when all is over
//! - `purpose.rs`: whether an endpoint is dialed for a client, and for which
//!
//! Books that all rules may use are in `books.rs`: `record.rs` (counts), `accounts.rs` (by
//! connection), `pauses.rs` (shortages).

mod accounts;
mod admin;
mod books;
mod check;
mod checks;
mod dial;
mod end;
mod endpoint;
mod failing;
mod followed;
mod listener;
mod names;
mod pair;
mod pauses;
pub mod pipe;
pub mod purpose;
mod record;
mod rotation;
mod set;
mod unserved;
mod wait;

use std::time::Duration;

use etcd_gateway::config::ADMIN_CONNECTIONS_MAX;
use etcd_gateway::reactor::{Census, Reactor};

use self::admin::AdminBooks;
pub use self::admin::Hosting;
pub use self::books::Books;
use self::checks::CheckBooks;
use self::followed::FollowBooks;
use self::listener::ListenerBook;
use self::names::NameBooks;
use self::pipe::{PipeBooks, Way};
pub use self::record::Seen;
use self::rotation::Watches;
use crate::connection::Id;
use crate::net::SimNet;
use crate::plan::Plan;
use crate::world::World;

/// Timers are rounded up to a tick of the wheel.
const TICK: Duration = Duration::from_millis(1);

/// The books, each of which the rules of one subject keep. Those that all rules may use are passed
/// to the others as an argument.
#[derive(Debug)]
pub struct Oracle {
    pub books: Books,
    pub pipes: PipeBooks,
    watches: Watches,
    listeners: Vec<ListenerBook>,
    /// What is known of names, where endpoints have some.
    names: Option<NameBooks>,
    /// What is known from health checks.
    checks: CheckBooks,
    /// What is known from etcd, where that names the endpoints.
    followed: Option<FollowBooks>,
    /// What is known of guests of the admin side.
    admin: AdminBooks,
}

impl Oracle {
    pub fn new(plan: &Plan) -> Oracle {
        Oracle {
            books: Books::new(),
            pipes: PipeBooks::default(),
            watches: Watches::new(plan),
            listeners: vec![ListenerBook::default(); plan.listeners],
            names: plan.names.as_ref().map(NameBooks::new),
            checks: CheckBooks::new(plan),
            followed: plan.followed.as_ref().map(FollowBooks::new),
            admin: AdminBooks::default(),
        }
    }

    /// Clients that the gateway holds, in the order of their coming.
    pub fn clients(&self) -> &[Id] {
        &self.books.accounts.clients
    }

    /// The way by which the next bytes from the connection go.
    pub fn way_of(&self, id: Id) -> Way {
        self.books.account(id).way
    }

    /// When the gateway learned that the dialed connection is established.
    pub fn known_at(&self, id: Id) -> Duration {
        self.books.account(id).known_at
    }

    /// The gateway has read the clock.
    pub fn clock_is_read(&mut self, world: &World) {
        let (now, turn) = (world.context.turn_at, world.context.turns);
        if world.signals.terminations > 0 {
            self.books.drain.get_or_insert((now, turn));
        }
        self.watches.all.iter_mut().for_each(|watch| watch.forget(now));
        let is_waived = self.books.is_last_round(world);
        self.books.pauses.clock_is_read(now, turn, is_waived);
        self.note_choices_of_the_short(world);
        if turn == 0 {
            self.checking().checks_begin(now);
        }
    }

    /// The gateway's books against ours, between two turns. Gives the endpoints that have come and
    /// gone, and says which.
    pub fn check_after_turn(
        &mut self,
        world: &World,
        reactor: &Reactor<SimNet>,
    ) -> Vec<(&'static str, usize)> {
        let census = reactor.census();
        let Census { pairs, probes, checks, lines, timers, buffers, pipes, exchanges, .. } = census;
        assert_eq!(pairs, self.books.accounts.clients.len(), "pairs and clients");
        let metrics = reactor.metrics();
        let (open, ended) = (pairs as u64, metrics.endings.total());
        assert_eq!(metrics.clients_accepted, open + ended, "accepted = open + ended");
        assert_eq!(probes, self.books.accounts.probes.len(), "probes and their sockets");
        assert_eq!(checks, world.visits.open_ones().count(), "checks and their sockets");
        let flows_parked: usize = self
            .books
            .accounts
            .clients
            .iter()
            .map(|id| self.books.accounts.flows_parked(world, *id))
            .sum();
        assert_eq!(buffers, flows_parked, "buffers and flows that hold bytes back");
        self.pipes.check_all(&mut self.books, world, pipes);
        // Apart from those of pairs, probes and checks: two for each endpoint, of the monitor and
        // of its checks, and one each for accepting, unused pipes, a summary, silent servers,
        // closings and the drain; of the admin side one for each guest, two for its pauses, and one
        // for samples.
        let guests = if world.context.plan.visited.is_some() { census.served + 3 } else { 0 };
        let timers_max =
            pairs + probes + checks + 2 * lines + 2 * world.hosts.places.len() + 7 + guests;
        assert!(
            timers <= timers_max,
            "{timers} timers, at most {timers_max} are of use: {census:?}"
        );
        assert_eq!(lines, world.lines.open_ones().count(), "lines and their sockets");
        let guests = world.guests.open_ones().count();
        assert_eq!(census.served, guests, "guests and their sockets");
        assert!(guests <= ADMIN_CONNECTIONS_MAX, "{guests} guests");
        Hosting::of(self).check_after_turn(world, reactor);
        let changes = match self.names {
            Some(_) => self.check_set(world, reactor),
            None if self.followed.is_some() => self.following().check_set(world, reactor),
            None => {
                assert_eq!(exchanges, 0, "questions although no name was typed");
                Vec::new()
            }
        };
        for (_, endpoint) in reactor.endpoints().iter() {
            if endpoint.health().is_removed() {
                continue;
            }
            let is_active = endpoint.health().is_active();
            self.checking().end_doubt(world.endpoint_of(endpoint.address()), is_active);
            let watch = &self.watches.all[world.endpoint_of(endpoint.address())];
            assert_eq!(is_active, watch.is_active(), "{:?} and {watch:?}", endpoint.health());
        }
        self.check_pairs_of_endpoints(world, reactor);
        changes
    }

    /// How many pairs count on each endpoint.
    fn check_pairs_of_endpoints(&self, world: &World, reactor: &Reactor<SimNet>) {
        let mut pairs = vec![0; world.hosts.places.len()];
        for id in &self.books.accounts.clients {
            let server = self
                .books
                .accounts
                .pair_of(world, *id)
                .and_then(|(_, server)| server.role.endpoint());
            server.into_iter().for_each(|endpoint| pairs[endpoint] += 1);
        }
        let mut counted = vec![0; world.hosts.places.len()];
        for (_, endpoint) in reactor.endpoints().iter() {
            counted[world.endpoint_of(endpoint.address())] += endpoint.pairs();
        }
        assert_eq!(counted, pairs, "pairs of each endpoint");
    }
}
