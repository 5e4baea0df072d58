//! What always holds of a look-up, as its type says, checked where debug assertions are on. Pure.

use super::{Lookup, Part, State};
use crate::proto::dns::query::Query;

impl Lookup {
    /// To be called after each event.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert!(self.is_asking() || self.is_over(), "nothing would ever end it");
        assert!(!self.is_found() || self.candidates.is_empty(), "the name is decided");
        assert!(self.deadline().is_some() != self.is_over());
        assert!(!self.candidates.contains(&self.name), "the same name again");
        for (at, part) in self.parts.iter().enumerate() {
            let before = &self.parts[..at];
            assert!(before.iter().all(|other| other.kind != part.kind), "a kind twice");
            self.check_part(part);
        }
    }

    fn check_part(&self, part: &Part) {
        assert!(part.typed.is_none() || !self.is_typed_now, "of a candidate before");
        assert!(part.unanswered.iter().all(|(name, _)| !self.candidates.contains(name)));
        assert!(!part.has_records(), "known and not reported");
        match &part.state {
            State::Reported => assert!(part.unanswered.is_empty(), "reported without these"),
            State::Undecided(_) => assert!(!self.is_found(), "the name is decided"),
            State::Queued | State::Asking(_) => {}
        }
    }
}

impl Part {
    /// Whether its query is over.
    pub(super) fn is_answered(&self) -> bool {
        matches!(&self.state, State::Asking(query) if Query::is_closed(query))
    }
}
