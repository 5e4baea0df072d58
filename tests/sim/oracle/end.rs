//! What must be left when all is over: nothing, and every peer has seen what it should have.

use etcd_gateway::net::Close;
use etcd_gateway::reactor::{Census, Reactor};

use super::Seen;
use crate::connection::{Connection, PeerView};
use crate::net::SimNet;
use crate::world::World;

impl World {
    /// The gateway has come to its end.
    pub fn check_end(&mut self, reactor: &Reactor<SimNet>) {
        let Census { pairs, probes, buffers, pipes, exchanges, .. } = reactor.census();
        let held = (pairs, probes, buffers, pipes, exchanges);
        assert_eq!(held, (0, 0, 0, 0, 0), "left over");
        assert_eq!(self.context.sockets_open, 0, "sockets were never given up");
        self.check_pipes(pipes);
        let open = self.exchanges.iter().filter(|it| it.is_open).count();
        assert_eq!(open, 0, "questions were never given up");
        for listener in &self.listeners {
            assert!(!listener.is_open, "a listener was never given up");
        }
        self.check_metrics(reactor);
        for id in 0..self.connections.len() {
            if let Some((client, server)) = self.pair_of(id) {
                check_views(client, server);
                check_views(server, client);
            }
        }
    }

    fn check_metrics(&self, reactor: &Reactor<SimNet>) {
        let metrics = reactor.metrics();
        let accepted = |it: &&Connection| it.is_client() && it.token.is_some();
        let known = |it: &&Connection| it.is_known;
        let count = |what: &dyn Fn(&&Connection) -> bool| {
            self.connections.iter().filter(|it| what(it)).count() as u64
        };
        assert_eq!(metrics.clients_accepted, count(&accepted), "clients accepted");
        assert_eq!(metrics.pairs_connected, count(&known), "pairs connected");
        let oracle = &self.oracle;
        assert_eq!(metrics.dials, oracle.dials, "dials");
        assert_eq!(metrics.probes, oracle.probes, "probes");
        // Who is lost or cut off in the turn that turns it away may count as that instead.
        let turned_away = oracle.turned_away..=oracle.unserved;
        let is_right = turned_away.contains(&metrics.clients_turned_away);
        assert!(is_right, "clients turned away: {turned_away:?}");
        // Who is lost or quiet for too long in the turn that cuts it off may count as that instead.
        let cut = oracle.cut..=oracle.cut_at_most;
        assert!(cut.contains(&metrics.pairs_cut), "pairs cut: {cut:?}");
        let completed = self.oracle.seen[Seen::Completed as usize];
        assert_eq!(metrics.pairs_completed, completed, "pairs completed");
        let written = |is_client: bool| -> u64 {
            let ends = self.connections.iter().filter(|it| it.is_client() == is_client);
            ends.map(|it| it.written).sum()
        };
        assert_eq!(metrics.client_bytes, written(false), "bytes from clients");
        assert_eq!(metrics.server_bytes, written(true), "bytes from servers");
    }
}

/// What `here` has seen of what `there` did.
fn check_views(here: &Connection, there: &Connection) {
    match here.peer_view {
        PeerView::Ended => {
            assert!(there.inbound.end_sent, "an end that nobody sent\n{here:#?}\n{there:#?}");
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
