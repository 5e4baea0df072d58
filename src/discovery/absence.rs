//! What the log knows of names that no record leads to at present: name servers may give a part of
//! a large set of records with each answer, and what was told of a name is no news when it is back.
//!
//! Owns what is remembered, bounded in number and time. Pure.

use std::collections::VecDeque;
use std::time::Instant;

use super::names::Needed;
use super::watch::{ResolveError, Watch};
use crate::config::{ABSENCE_MAX, LEFT_OUT_TOLD_MAX};

/// Names that are gone and of which the log was told something, the latest last.
#[derive(Debug, Default)]
pub(super) struct AbsentNames {
    all: VecDeque<AbsentName>,
}

#[derive(Debug)]
struct AbsentName {
    needed: Needed,
    told: Vec<ResolveError>,
    left_at: Instant,
}

impl AbsentNames {
    /// The name is watched no more.
    pub(super) fn remember(&mut self, watch: Watch, now: Instant) {
        let (needed, told) = watch.into_reported();
        self.all.retain(|it| it.left_at + ABSENCE_MAX > now);
        if !told.is_empty() {
            self.all.push_back(AbsentName { needed, told, left_at: now });
        }
        let excess = self.all.len().saturating_sub(LEFT_OUT_TOLD_MAX);
        self.all.drain(..excess);
    }

    /// The troubles of the name that the log was told of before it was gone, if not long ago.
    pub(super) fn recall(&mut self, needed: &Needed, now: Instant) -> Vec<ResolveError> {
        let position = self.all.iter().position(|it| it.needed == *needed);
        let absent = position.and_then(|position| self.all.remove(position));
        let in_time = absent.filter(|it| it.left_at + ABSENCE_MAX > now);
        in_time.map_or_else(Vec::new, |it| it.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::message::Kind;
    use crate::proto::dns::{Answer, Answered, LookupId, Wanted};

    fn needed(number: usize) -> Needed {
        Needed::host(Wanted::Typed(format!("m{number}.test")))
    }

    /// A name that does not exist, as the log knows.
    fn missing(number: usize, now: Instant) -> Watch {
        let mut watch = Watch::new(needed(number), Vec::new(), now);
        watch.begin(now);
        for kind in [Kind::A, Kind::Aaaa] {
            let answered = Answered {
                id: LookupId(0),
                kind,
                name: None,
                answer: Answer::Nothing { exists: false, ttl: None },
                undecided: Vec::new(),
                is_heard: true,
            };
            watch.on_answer(answered, true, now);
        }
        assert_eq!(watch.report_error(), Some(Some(ResolveError::NoSuchName)));
        watch
    }

    #[test]
    fn what_was_told_is_known_for_a_while_and_of_so_many() {
        let now = Instant::now();
        let mut names = AbsentNames::default();
        names.remember(Watch::new(needed(0), Vec::new(), now), now);
        assert_eq!(names.all.len(), 0, "nothing was told of it");
        (0..=LEFT_OUT_TOLD_MAX).for_each(|number| names.remember(missing(number, now), now));
        assert_eq!(names.all.len(), LEFT_OUT_TOLD_MAX);
        assert_eq!(names.recall(&needed(0), now), [], "the first gives way");
        assert_eq!(names.recall(&needed(1), now), [ResolveError::NoSuchName]);
        assert_eq!(names.recall(&needed(1), now), [], "it is back");
        assert_eq!(names.recall(&needed(2), now + ABSENCE_MAX), [], "that was long ago");
        names.remember(missing(1, now), now + ABSENCE_MAX);
        assert_eq!(names.all.len(), 1);
    }

    #[test]
    fn a_name_that_is_back_is_no_news_until_it_is_resolved() {
        let now = Instant::now();
        let mut names = AbsentNames::default();
        names.remember(missing(1, now), now);
        let mut watch = Watch::new(needed(1), names.recall(&needed(1), now), now);
        assert_eq!(watch.report_error(), None, "nobody was asked yet");
        watch.resolve_locally(&[], now);
        assert_eq!(watch.report_error(), Some(None));
    }
}
