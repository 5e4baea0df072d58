//! What is known of a socket without asking it: the words of an event, and of a pair's memory.
//!
//! A leaf that every layer may import, so that `net` reports and `relay` gathers the same thing.

/// What an event says about a socket, or all that events have said and nothing has refuted since.
/// `readable` and `writable` are hints, the others are facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may give data, an end of file or an error.
    pub readable: bool,
    /// A write may take bytes; on a dialing socket: the dial is decided.
    pub writable: bool,
    /// Urgent data waits: a read stops before it although bytes follow (tcp(7), urgent mark), so
    /// a short read does not mean that the socket is empty.
    pub urgent: bool,
    /// The peer sends no more: what is unread is followed by an end of file or an error. Reported
    /// no sooner than what else is true of the socket then: `urgent` and `error` are not behind.
    /// Never refuted.
    pub closed: bool,
    /// The connection is broken: an error waits in the socket.
    pub error: bool,
}

impl Readiness {
    /// Adds what `news` says. Nothing is taken away: only an operation on the socket can show that
    /// a hint is used up.
    pub fn add(&mut self, news: Readiness) {
        // Whatever happens to a socket can be read from it, and an error ends a wait for room, too.
        self.readable |= news.readable || news.urgent || news.closed || news.error;
        self.writable |= news.writable || news.error;
        self.urgent |= news.urgent;
        self.closed |= news.closed;
        self.error |= news.error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Readiness =
        Readiness { readable: false, writable: false, urgent: false, closed: false, error: false };

    #[test]
    fn news_add_up_and_facts_are_hints_too() {
        let readable = Readiness { readable: true, ..NOTHING };
        let writable = Readiness { writable: true, ..NOTHING };
        for (news, want) in [
            (NOTHING, NOTHING),
            (readable, readable),
            (writable, writable),
            (Readiness { urgent: true, ..NOTHING }, Readiness { urgent: true, ..readable }),
            (Readiness { closed: true, ..NOTHING }, Readiness { closed: true, ..readable }),
            (
                Readiness { error: true, ..NOTHING },
                Readiness { error: true, readable: true, writable: true, ..NOTHING },
            ),
        ] {
            let mut known = NOTHING;
            known.add(news);
            assert_eq!(known, want, "{news:?}");
            known.add(NOTHING);
            assert_eq!(known, want, "nothing is taken away");
            known.add(writable);
            assert_eq!(known, Readiness { writable: true, ..want });
        }
    }
}
