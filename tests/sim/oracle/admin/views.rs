//! What is true of the gateway at the end of a turn, by the oracle's own books: what the answers of
//! the admin side have to say.

use std::time::Duration;

use etcd_gateway::reactor::Reactor;
use etcd_gateway::upstream::Standing;

use crate::connection::{Connection, Role};
use crate::net::SimNet;
use crate::oracle::{Books, TICK};
use crate::world::World;

/// Payload of running pairs is counted once a second.
const COUNTED_AFTER: Duration = Duration::from_secs(1);

/// Payload of one endpoint, from clients and from the endpoint: what must be counted at least, and
/// what may be at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Payload {
    pub(super) least: [u64; 2],
    pub(super) most: [u64; 2],
}

/// The truth at the end of one turn.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) turn: u64,
    /// By listener.
    pub(super) accepted: Vec<u64>,
    pub(super) open: Vec<u64>,
    /// Clients that have ended, rejected ones included.
    pub(super) closed: u64,
    /// Those of them that were rejected, at least and at most.
    pub(super) rejected: (u64, u64),
    /// Clients that got a server.
    pub(super) connected: u64,
    /// By endpoint.
    pub(super) payload: Vec<Payload>,
    /// Whether endpoints stay what they are.
    pub(super) is_fixed: bool,
    /// Why the gateway is not ready; empty: it is.
    pub(super) not_ready: Vec<&'static str>,
}

impl View {
    /// The truth now. `came_at`: the listeners of all clients so far, with whether the client is
    /// still there.
    pub(super) fn new(
        books: &Books,
        world: &World,
        reactor: &Reactor<SimNet>,
        came_at: impl Iterator<Item = (usize, bool)>,
    ) -> View {
        let mut accepted = vec![0; world.context.plan.listeners];
        let mut open = accepted.clone();
        let (mut all, mut left) = (0, 0);
        for (listener, is_there) in came_at {
            accepted[listener] += 1;
            open[listener] += u64::from(is_there);
            (all, left) = (all + 1, left + u64::from(is_there));
        }
        let mut payload = vec![Payload::default(); world.context.plan.endpoints.len()];
        let mut connected = 0;
        for (id, server) in world.network.connections.iter().enumerate() {
            let Role::Server { endpoint, client } = server.role else { continue };
            if !books.account(id).is_known {
                continue;
            }
            connected += 1;
            let client = &world.network.connections[client];
            let delivered = [server.written, client.written];
            let is_counted = is_counted(world, client, server);
            let Payload { least, most } = &mut payload[endpoint];
            for side in 0..2 {
                most[side] += delivered[side];
                least[side] += if is_counted { delivered[side] } else { 0 };
            }
        }
        View {
            turn: world.context.turns,
            accepted,
            open,
            closed: all - left,
            rejected: (books.record.rejected, books.record.unserved),
            connected,
            payload,
            is_fixed: !world.context.plan.finds_endpoints(),
            not_ready: not_ready(world, reactor),
        }
    }
}

/// Whether all that the pair has delivered must be counted by now.
fn is_counted(world: &World, client: &Connection, server: &Connection) -> bool {
    let moved_at = client.progress_at.max(server.progress_at);
    client.closed.is_some() || moved_at + COUNTED_AFTER + 2 * TICK <= world.context.turn_at
}

fn not_ready(world: &World, reactor: &Reactor<SimNet>) -> Vec<&'static str> {
    let (mut count, mut is_active, mut is_up) = (0, false, false);
    for (_, endpoint) in reactor.endpoints().iter() {
        count += usize::from(!endpoint.health().is_removed());
        is_active |= endpoint.health().is_active();
        is_up |= endpoint.health().is_active() && endpoint.standing() != Standing::Failing;
    }
    let mut reasons = Vec::new();
    if world.signals.terminations > 0 {
        reasons.push("draining");
    }
    match (count, is_active, is_up) {
        (0, ..) => reasons.push("no_endpoint_known"),
        (_, false, _) => reasons.push("no_endpoint_active"),
        (_, true, false) => reasons.push("no_endpoint_passes_its_check"),
        (_, true, true) => {}
    }
    reasons
}
