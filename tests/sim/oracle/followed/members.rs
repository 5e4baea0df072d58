//! Which list of members counts: the newest that a member has given that knew a leader just before.
//! It is never followed by an older one, and one that names no server is not followed at all.

use std::collections::BTreeSet;

use crate::cluster::Status;
use crate::inquiry::{Asked, Said};
use crate::line::Heard;
use crate::oracle::record::{Record, Seen};
use crate::world::World;

/// A list that is followed, or might be.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its place among all versions.
    version: usize,
    /// What its member had applied when it was asked for its status.
    applied: u64,
    term: u64,
}

#[derive(Debug, Default)]
pub(super) struct MemberBook {
    /// The last status, until a list came, and the member that gave it.
    status: Option<(usize, Status)>,
    /// A connection was lost since, so that it may no longer count.
    is_vague: bool,
    /// What is followed; `None`: what was typed.
    known: Option<Known>,
    /// The list that was read in this turn, and may be followed.
    candidate: Option<Known>,
    /// The connection over which a status was asked for, until a list was after it.
    status_over: Option<usize>,
}

impl MemberBook {
    /// The gateway asks. A list that is asked for over another connection than the status before it
    /// may be that of another round, without a status.
    pub(super) fn is_asked(&mut self, line: usize, asked: Asked) {
        self.is_vague |= asked == Asked::List && self.status_over != Some(line);
        self.status_over = (asked == Asked::Status).then_some(line);
    }

    pub(super) fn has_heard(
        &mut self,
        world: &World,
        record: &mut Record,
        member: usize,
        heard: &Heard,
    ) {
        match &heard.said {
            _ if !heard.is_whole => {}
            Said::Status(status) => {
                (self.status, self.is_vague) = (Some((member, *status)), false);
            }
            Said::List { version, term } => {
                // Without a status it can confirm what is known, and no more.
                let Some((by, status)) = self.status.take() else { return };
                if by != member || !status.has_leader || status.is_learner {
                    return;
                }
                if world.cluster.lists[*version].endpoints().is_empty() {
                    return record.saw(Seen::EmptyListHeard);
                }
                assert!(self.candidate.is_none(), "two lists in one turn");
                let applied = status.applied;
                self.candidate = Some(Known { version: *version, applied, term: *term });
            }
            _ => self.status = None,
        }
        if let Said::Status(Status { has_leader: false, .. }) = heard.said {
            record.saw(Seen::LeaderlessHeard);
        }
    }

    /// Whether the list that was read may take the place of the known one, and whether it must.
    fn chances(&self, candidate: Known) -> (bool, bool) {
        let Some(known) = self.known else { return (true, !self.is_vague) };
        let may = candidate.version >= known.version;
        let is_newer = candidate.applied > known.applied && candidate.term >= known.term;
        (may, may && is_newer && !self.is_vague)
    }

    /// A connection is given up before its question was answered.
    pub(super) fn line_is_lost(&mut self) {
        self.is_vague = true;
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
        let by_candidate = world.cluster.lists[candidate.version].endpoints().contains(&endpoint);
        match self.chances(candidate) {
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
        let before = MemberBook::endpoints(self.known, world);
        let Some(candidate) = self.candidate.take() else {
            return assert_eq!(*present, before, "by no list that was believed: {self:?}");
        };
        let (may, must) = self.chances(candidate);
        let after = MemberBook::endpoints(Some(candidate), world);
        let is_followed = may && *present == after && (must || before != after);
        if is_followed {
            record.saw(Seen::ListFollowed);
            self.known = Some(candidate);
            return;
        }
        assert!(!must, "{candidate:?} is not followed: {present:?}, {self:?}");
        assert_eq!(*present, before, "{candidate:?} is older, and followed: {self:?}");
        record.saw(Seen::OldListHeard);
    }

    /// Whether no list was followed so far.
    pub(super) fn is_typed(&self) -> bool {
        self.known.is_none()
    }
}
