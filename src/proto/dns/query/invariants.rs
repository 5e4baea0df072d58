//! What always holds of a query, as its type says, checked where debug assertions are on. Pure.

use super::{Query, QueryContext, Try, Way};
use crate::config::{
    DNS_ALIASES_MAX, DNS_FOREIGN_MAX, DNS_QUERY_MAX, DNS_RESEND_MAX, DNS_TRIES_OPEN_MAX,
};
use crate::proto::dns::{Failure, Transport};

impl Query {
    /// To be called after each event.
    pub(super) fn invariants(&self, context: &QueryContext<'_>) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert!(self.tries.len() <= DNS_TRIES_OPEN_MAX, "more sockets than were reserved");
        assert!(self.tries.is_sorted_by_key(|open| open.question.0), "the latest last");
        for (position, open) in self.tries.iter().enumerate() {
            assert_eq!(self.position(open.question), Some(position), "a question twice");
            check_try(open, context);
        }
        assert!(self.server_next < context.server_count());
        assert!(self.aliases <= DNS_ALIASES_MAX);
        assert_eq!(self.aliases > 0, self.alias_ttl.is_some());
        assert_ne!(self.failure, Failure::NoName, "a name that is asked for is a name");
        assert!(self.give_up_at <= context.now + DNS_QUERY_MAX, "later than it may be");
        assert!(self.try_again_at <= context.now + DNS_RESEND_MAX, "silent for too long");
    }

    /// Whether no try is open.
    pub(in crate::proto::dns) fn is_closed(&self) -> bool {
        self.tries.is_empty()
    }
}

fn check_try(open: &Try, context: &QueryContext<'_>) {
    assert!(open.server < context.server_count(), "not a server");
    assert!(open.question.0 <= *context.questions, "not opened so far");
    assert!(open.foreign < DNS_FOREIGN_MAX, "kept in spite of all that was wrong");
    let is_usual = !open.way.is_for_more();
    let is_stream = open.way.transport() == Transport::Stream;
    assert!(!is_stream || open.foreign == 0, "a stream has one reply");
    let is_as_configured = (open.way == Way::Stream) == context.configuration.tcp_only;
    assert!(!is_usual || is_as_configured, "by the other transport than configured");
    assert!(is_usual || !context.configuration.tcp_only, "a stream has room for any reply");
}
