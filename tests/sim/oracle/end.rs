//! What must be left when all is over: nothing, and every peer has seen what it should have.

use etcd_gateway::net::Close;
use etcd_gateway::reactor::{Census, Reactor};

use super::{Oracle, Seen};
use crate::connection::{Connection, PeerView, Role};
use crate::net::SimNet;
use crate::world::World;

impl Oracle {
    /// The gateway has come to its end.
    pub fn check_end(&mut self, world: &World, reactor: &Reactor<SimNet>) {
        let Census { pairs, probes, checks, buffers, pipes, exchanges, served, .. } =
            reactor.census();
        let held = (pairs, probes, checks, buffers, pipes, exchanges, served);
        assert_eq!(held, (0, 0, 0, 0, 0, 0, 0), "left over");
        assert_eq!(world.guests.open_ones().count(), 0, "guests were never given up");
        assert_eq!(world.context.sockets_open, 0, "sockets were never given up");
        self.pipes.check_all(&mut self.books, world, pipes);
        let open = world.exchanges.open_ones().count();
        assert_eq!(open, 0, "questions were never given up");
        for listener in world.listeners.all.iter().chain(&world.guests.doors.all) {
            assert!(!listener.is_open, "a listener was never given up");
        }
        self.check_metrics(world, reactor);
        for id in 0..world.network.connections.len() {
            if let Some((client, server)) = self.books.accounts.pair_of(world, id) {
                check_views(client, server);
                check_views(server, client);
            }
        }
    }

    fn check_metrics(&self, world: &World, reactor: &Reactor<SimNet>) {
        let metrics = reactor.metrics();
        let connections = &world.network.connections;
        let accepted = connections.iter().filter(|end| end.is_client() && end.token.is_some());
        let known = (0..connections.len()).filter(|id| self.books.account(*id).is_known);
        assert_eq!(metrics.clients_accepted, accepted.count() as u64, "clients accepted");
        assert_eq!(metrics.pairs_connected, known.count() as u64, "pairs connected");
        let record = &self.books.record;
        assert_eq!(metrics.dials.begun + metrics.dials_postponed, record.dials, "dials");
        assert_eq!(metrics.dials_postponed, record.dials_short, "dials postponed");
        let failed = record.dials_failed - record.dials_left_at_most..=record.dials_failed;
        assert!(failed.contains(&metrics.dials.failed()), "dials that failed: {failed:?}");
        assert_eq!(metrics.probes.begun, record.probes, "probes");
        let failed = record.probes_failed - record.probes_left_at_most..=record.probes_failed;
        assert!(failed.contains(&metrics.probes.failed()), "probes that failed: {failed:?}");
        let in_flight = (metrics.dials.in_flight(), metrics.probes.in_flight());
        assert_eq!(in_flight, (0, 0), "each dial and probe has one result");
        let checks = &metrics.checks;
        let counted = (checks.begun, checks.passed, checks.failed, checks.in_flight());
        let ours = (record.checks, record.checks_passed, record.checks_failed, 0);
        assert_eq!(counted, ours, "checks, passed and failed ones");
        let accepted = metrics.listeners.iter().map(|listener| listener.accepted);
        let ours = self.listeners.iter().map(|book| book.accepted);
        let ours: Vec<u64> = ours.take(metrics.listeners.len()).collect();
        assert_eq!(accepted.collect::<Vec<u64>>(), ours, "clients of each listener");
        // One that is lost or cut off in the turn that rejects it may count as that instead.
        let rejected = record.rejected..=record.unserved;
        let is_right = rejected.contains(&metrics.rejections.total());
        assert!(is_right, "clients rejected: {rejected:?}");
        // One that is lost or inactive for too long in the turn that cuts it off may count as that
        // instead.
        let cut = record.cut..=record.cut_at_most;
        assert!(cut.contains(&metrics.pairs_cut()), "pairs cut: {cut:?}");
        let completed = record.count(Seen::Completed);
        assert_eq!(metrics.pairs_completed(), completed, "pairs completed");
        assert_eq!(metrics.client_bytes, written(connections, false), "bytes from clients");
        assert_eq!(metrics.server_bytes, written(connections, true), "bytes from servers");
    }
}

/// Bytes that the gateway wrote to clients, or to servers.
fn written(connections: &[Connection], is_client: bool) -> u64 {
    let of_pairs = connections.iter().filter(|end| !matches!(end.role, Role::Probe { .. }));
    let ends = of_pairs.filter(|end| end.is_client() == is_client);
    ends.map(|end| end.written).sum()
}

/// What `here` has seen of what `there` did.
fn check_views(here: &Connection, there: &Connection) {
    match here.peer_view {
        PeerView::Ended => {
            assert!(there.inbound.end_sent, "an end that was never sent\n{here:#?}\n{there:#?}");
            let missing = there.inbound.sent - here.outbound.taken;
            assert_eq!(missing, 0, "an end before the last byte\n{here:#?}\n{there:#?}");
        }
        PeerView::Reset => {
            let how = here.closed;
            assert_eq!(how, Some(Close::Reset), "bytes met a closed socket\n{here:#?}\n{there:#?}");
        }
        // Everything has arrived, and at the end everybody reads.
        PeerView::Open => panic!("it never saw how it ended\n{here:#?}\n{there:#?}"),
        PeerView::Broke => {}
    }
}
