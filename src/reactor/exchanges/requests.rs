//! Requests over a connection that is kept: what a report means for its exchange, and the next
//! request. Does not know what is asked, or when.

use std::time::Duration;

use super::{Owner, Report, Socket, write_out};
use crate::arena::Key;
use crate::net::{Host, Net};
use crate::proto::dialogue::Dialogue;
use crate::proto::http1::{Received, Request};
use crate::reactor::context::Context;

impl<N: Net + Host> Context<N> {
    /// Sends a request over the idle connection of this owner, with a time limit as of
    /// [`Context::open_stream`]. Returns whether it was sent; if not, there is no such connection,
    /// no longer or at all, and a new one may be opened.
    ///
    /// The server may close a connection that is idle just before a request arrives. Then the
    /// request fails with `closed_unanswered` or with a reset, and is to be repeated over a new
    /// connection before that means anything (RFC 9112, 9.3.1).
    #[must_use]
    pub(in crate::reactor) fn send_request(
        &mut self,
        owner: Owner,
        request: Request,
        time_limit: Duration,
    ) -> bool {
        let Some(key) = self.exchanges.find(owner) else { return false };
        let Context { net, exchanges, .. } = self;
        let Socket::Stream { stream, dialogue, lost, .. } = &mut exchanges.table[key].socket else {
            return false;
        };
        debug_assert!(dialogue.is_idle(), "one request at a time");
        if dialogue.is_idle() {
            dialogue.send(request);
            write_out(net, stream, dialogue, lost);
            if lost.is_none() {
                self.exchanges.table[key].time_limit = Some(time_limit);
                self.restart_timer(key);
                return true;
            }
        }
        self.close_exchange(key);
        false
    }

    /// Whether this owner has an idle connection.
    pub(in crate::reactor) fn has_idle_connection(&self, owner: Owner) -> bool {
        let key = self.exchanges.find(owner);
        key.is_some_and(|key| match &self.exchanges.table[key].socket {
            Socket::Stream { dialogue, .. } => dialogue.is_idle(),
            Socket::Datagram(_) | Socket::Served(_) => false,
        })
    }

    /// Closes the idle connections of health checks, whose descriptors clients are waiting for.
    pub(in crate::reactor) fn release_idle_checks(&mut self) {
        let owners: Vec<Owner> = self.exchanges.owners().collect();
        for owner in owners {
            if matches!(owner, Owner::Check(_)) && self.has_idle_connection(owner) {
                self.close_exchange_of(owner);
            }
        }
    }

    /// Closes the exchange where nothing follows this report, and stops its timer where no answer
    /// is awaited.
    pub(super) fn follow_report(&mut self, key: Key, report: &Report) {
        match report {
            Report::Message(_) => {}
            Report::Http(received) => self.follow_answer(key, received),
            Report::Done | Report::Failed(_) => {
                self.close_exchange(key);
            }
        }
    }

    fn follow_answer(&mut self, key: Key, received: &Received) {
        let exchange = &mut self.exchanges.table[key];
        let Socket::Stream { dialogue, lost, .. } = &mut exchange.socket else { return };
        // A request whose last bytes are still in the TLS session was not sent whole.
        let is_kept = is_kept(dialogue) && lost.is_none();
        if received.is_final(is_kept) {
            self.close_exchange(key);
        } else if !dialogue.awaits_answer() {
            exchange.time_limit = None;
            self.restart_timer(key);
        }
    }
}

fn is_kept(dialogue: &mut Dialogue) -> bool {
    dialogue.is_idle() && dialogue.outgoing().is_empty()
}
