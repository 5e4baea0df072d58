//! How many exchanges there are, by owner, and what must hold of all of them.

use super::{Exchange, Exchanges, Owner, Socket};
use crate::config::limits::{ADMIN_CONNECTIONS_MAX, DNS_DESCRIPTORS_MAX, ENDPOINTS_MAX};
use crate::net::Net;

impl<N: Net> Exchanges<N> {
    /// The number of probes.
    pub(in crate::reactor) fn probes(&self) -> usize {
        self.owners().filter(|owner| matches!(owner, Owner::Monitor(_))).count()
    }

    /// The number of questions to name servers.
    pub(in crate::reactor) fn questions(&self) -> usize {
        self.owners().filter(|owner| matches!(owner, Owner::Discovery(_))).count()
    }

    /// The number of connections for checks of endpoints, those that are idle among them.
    pub(in crate::reactor) fn checks(&self) -> usize {
        self.owners().filter(|owner| matches!(owner, Owner::Check(_))).count()
    }

    /// The number of connections of sources of endpoints, those that are idle among them.
    pub(in crate::reactor) fn lines(&self) -> usize {
        self.owners().filter(|owner| matches!(owner, Owner::Source(_))).count()
    }

    /// The number of connections to the admin side.
    pub(in crate::reactor) fn served(&self) -> usize {
        self.owners().filter(|owner| matches!(owner, Owner::Admin(_))).count()
    }

    /// Checks what must hold between two turns, in a debug build.
    pub(in crate::reactor) fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        for (key, exchange) in self.table.iter() {
            let Exchange { owner, time_limit, timer, socket, .. } = exchange;
            debug_assert_eq!(self.find(*owner), Some(key), "two exchanges for one purpose");
            debug_assert_eq!(time_limit.is_some(), timer.is_some(), "a limit without a timer");
            if let Socket::Stream { dialogue, .. } = socket
                && dialogue.is_http()
            {
                debug_assert_eq!(dialogue.awaits_answer(), timer.is_some(), "a limit of an answer");
            }
        }
        debug_assert!(self.served() <= ADMIN_CONNECTIONS_MAX, "more clients than allowed");
        debug_assert!(self.checks() <= ENDPOINTS_MAX, "more checks than endpoints");
        debug_assert!(self.probes() <= ENDPOINTS_MAX, "more probes than endpoints");
        debug_assert!(self.questions() <= DNS_DESCRIPTORS_MAX, "more than was reserved");
    }
}
