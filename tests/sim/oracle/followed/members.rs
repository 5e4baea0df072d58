//! Which list of members counts: the newest that a member has given that knew a leader just before.
//! It is never followed by an older one, and one that names no server is not followed at all. How
//! new it is at most, a status behind it says.

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_gateway::config::FOLLOW_REWIND_AFTER;

use crate::cluster::Status;
use crate::inquiry::Said;
use crate::line::Heard;
use crate::oracle::record::{Record, Seen};
use crate::world::World;

/// A list that is followed.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its place among all versions.
    version: usize,
    /// What its member had applied when it was asked for its status behind the list.
    applied: u64,
    term: u64,
}

/// A list that may be followed.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// As it would be known.
    list: Known,
    /// What its member had applied when it was asked for its status before the list.
    least: u64,
    /// Its term when it was asked for the list.
    term: u64,
    /// What it is judged by may be of another round, or a question may have been another one.
    is_vague: bool,
}

/// What a member has said over one connection.
#[derive(Clone, Copy, Debug)]
struct Statement<T> {
    member: usize,
    line: usize,
    what: T,
}

/// A list behind a status that counts.
#[derive(Clone, Copy, Debug)]
struct Listed {
    version: usize,
    term: u64,
    least: u64,
    is_vague: bool,
}

impl Candidate {
    /// Whether it is newer than what is known, beyond doubt.
    fn must_replace(self, known: Known) -> bool {
        let is_newer = self.least >= known.applied && self.term >= known.term;
        self.list.version >= known.version && is_newer && !self.is_vague
    }
}

#[derive(Debug, Default)]
pub(super) struct MemberBook {
    /// The last status, which may be that before a list.
    status: Option<Statement<Status>>,
    /// The last list behind a status, which may be judged by the next status.
    listed: Option<Statement<Listed>>,
    /// What is followed; `None`: what was typed.
    known: Option<Known>,
    /// What may be followed all the same, since it leads to what was typed.
    perhaps_known: Option<Known>,
    /// The list that was complete in this turn, and may be followed.
    candidate: Option<Candidate>,
    /// Since when a list was not followed, and none was since.
    refused_since: Option<Duration>,
}

impl MemberBook {
    pub(super) fn has_heard(
        &mut self,
        world: &World,
        record: &mut Record,
        (member, line): (usize, usize),
        heard: &Heard,
    ) {
        match &heard.said {
            _ if !heard.is_whole => {}
            Said::Status(status) => self.hear_status(Statement { member, line, what: *status }),
            Said::List { version, term } => {
                let (version, term) = (*version, *term);
                // Without a status it can confirm what is known, and no more.
                let Some(Statement { what: status, .. }) =
                    self.status.filter(|one| one.member == member)
                else {
                    (self.status, self.listed) = (None, None);
                    return;
                };
                let is_vague = self.status.take().is_some_and(|one| one.line != line);
                self.listed = None;
                if !status.has_leader || status.is_learner {
                    return;
                }
                if world.cluster.lists[version].endpoints().is_empty() {
                    return record.saw(Seen::EmptyListHeard);
                }
                let what = Listed { version, term, least: status.applied, is_vague };
                self.listed = Some(Statement { member, line, what });
            }
            _ => (self.status, self.listed) = (None, None),
        }
        if let Said::Status(Status { has_leader: false, .. }) = heard.said {
            record.saw(Seen::LeaderlessHeard);
        }
    }

    /// A status is that behind a list, if all came over one connection. Otherwise it may be that,
    /// or the first one of another round.
    fn hear_status(&mut self, status: Statement<Status>) {
        let listed = self.listed.take().filter(|listed| listed.member == status.member);
        let Some(Statement { line, what: listed, .. }) = listed else {
            self.status = Some(status);
            return;
        };
        let Listed { version, term, least, is_vague } = listed;
        let is_vague = is_vague || line != status.line;
        self.status = is_vague.then_some(status);
        let Status { has_leader, is_learner, applied, .. } = status.what;
        if has_leader && !is_learner {
            assert!(self.candidate.is_none(), "two lists in one turn");
            let list = Known { version, applied, term: term.min(status.what.term) };
            self.candidate = Some(Candidate { list, least, term, is_vague });
        }
    }

    /// Whether the list that is complete may take the place of the known one, and whether it must.
    fn chances(&self, candidate: Candidate, now: Duration) -> (bool, bool) {
        let Candidate { list, is_vague, .. } = candidate;
        let is_rewound = self.refused_since.is_some_and(|at| at + FOLLOW_REWIND_AFTER <= now);
        match (self.known, self.perhaps_known) {
            (None, None) => (true, !is_vague),
            (None, Some(known)) => (true, candidate.must_replace(known)),
            (Some(known), _) => {
                (list.version >= known.version || is_rewound, candidate.must_replace(known))
            }
        }
    }

    /// The endpoints of a list, or those that were typed.
    fn endpoints(known: Option<Known>, world: &World) -> BTreeSet<usize> {
        match known {
            Some(known) => world.cluster.lists[known.version].endpoints(),
            None => {
                let followed = world.context.plan.followed.as_ref();
                followed.map_or(BTreeSet::new(), |one| one.typed.iter().copied().collect())
            }
        }
    }

    pub(super) fn belief(&self, world: &World, endpoint: usize) -> (bool, bool) {
        let is_named = MemberBook::endpoints(self.known, world).contains(&endpoint);
        let Some(candidate) = self.candidate else { return (is_named, is_named) };
        let by_candidate = MemberBook::endpoints(Some(candidate.list), world).contains(&endpoint);
        match self.chances(candidate, world.context.turn_at) {
            (false, _) => (is_named, is_named),
            (true, true) => (by_candidate, by_candidate),
            (true, false) => (is_named || by_candidate, is_named && by_candidate),
        }
    }

    /// The turn is over: what was read has been followed, or not.
    pub(super) fn end_turn(
        &mut self,
        world: &World,
        record: &mut Record,
        present: &BTreeSet<usize>,
    ) {
        let (before, now) = (MemberBook::endpoints(self.known, world), world.context.turn_at);
        let Some(candidate) = self.candidate.take() else {
            return assert_eq!(*present, before, "by no list that was believed: {self:?}");
        };
        let (may, must) = self.chances(candidate, now);
        let after = MemberBook::endpoints(Some(candidate.list), world);
        let is_followed = may && *present == after && (must || before != after);
        if is_followed {
            record.saw(Seen::ListFollowed);
            (self.known, self.refused_since) = (Some(candidate.list), None);
            return;
        }
        assert!(!must, "{candidate:?} is not followed: {present:?}, {self:?}");
        assert_eq!(*present, before, "{candidate:?} is older, and followed: {self:?}");
        record.saw(Seen::OldListHeard);
        self.refused_since.get_or_insert(now);
        if may && before == after {
            // It may have been followed, or not.
            let known = match &mut self.known {
                Some(known) => known,
                None => self.perhaps_known.get_or_insert(candidate.list),
            };
            known.applied = known.applied.max(candidate.list.applied);
            known.term = known.term.max(candidate.list.term);
        }
    }

    /// Whether no list was followed so far.
    pub(super) fn is_typed(&self) -> bool {
        self.known.is_none()
    }
}
