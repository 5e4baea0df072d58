//! Whether a list of members is believed. Pure.
//!
//! A member that was removed or cut off answers at once, with the list that it had. So a list
//! counts as of the entry of Raft that its member has applied: every change of members is an entry,
//! and whatever is known as of a later one is newer. Terms alone tell the same of two leaders; one
//! leader may change the members many times.
//!
//! No answer has both, so a list is between two statuses of its member:
//!
//! ```text
//!   entries ──── status ─── list ─── status ───►
//!                  ▲                   ▲
//!      a new list is not older      the known list is not newer
//! ```

use std::fmt;
use std::time::Instant;

use crate::config::{ENDPOINTS_MAX, FOLLOW_REWIND_AFTER};
use crate::proto::etcd::SkipReason;
use crate::proto::etcd::failure::{self, FailureKind};
use crate::proto::etcd::members::{ClientUrl, MemberList, client_endpoints};
use crate::proto::etcd::status::{NotServing, Status};
use crate::proto::http1::Response;

/// A list that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMembers {
    /// The cluster; never 0.
    pub cluster_id: u64,
    /// The term of Raft that the list is of.
    pub raft_term: u64,
    /// The entry of Raft that the list is as of, at the latest; 0 where etcd does not say.
    pub applied: u64,
    /// Where clients find started voters: 1 to [`ENDPOINTS_MAX`] URLs, each once for a member.
    pub urls: Vec<ClientUrl>,
}

/// Why a list is not believed, or none was given. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The member that gave it does not serve.
    NotServing(NotServing),
    /// It is that of another cluster than the known one.
    OtherCluster,
    /// It is of a lower term than the known one.
    OlderTerm,
    /// It may be as of an entry before that of the known one.
    OlderEntry,
    /// No member in it has a client URL that can be used from here.
    NoUsableUrl,
    /// Status and list came from different members.
    OtherMember,
    /// There is no answer, or none that can be read; in one word.
    Unanswered(&'static str),
    /// Etcd refuses the request.
    Refused(FailureKind),
    /// The answer has another status than 200, and is not one of etcd.
    Status(u16),
}

impl Refusal {
    /// What an answer with another status than 200 says.
    pub(super) fn of_response(response: &Response) -> Refusal {
        match failure::parse(&response.body).map(|failure| failure.kind) {
            Ok(kind @ FailureKind::ClientCertificateHasName) => Refusal::Refused(kind),
            Ok(_) | Err(_) => Refusal::Status(response.status),
        }
    }

    /// Whether an operator has to do something about it.
    pub fn is_grave(self) -> bool {
        let certificate = Refusal::Refused(FailureKind::ClientCertificateHasName);
        matches!(self, Refusal::OtherCluster | Refusal::NoUsableUrl) || self == certificate
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotServing(reason) => reason.fmt(f),
            Refusal::OtherCluster => f.write_str("other_cluster"),
            Refusal::OlderTerm => f.write_str("older_term"),
            Refusal::OlderEntry => f.write_str("older_entry"),
            Refusal::NoUsableUrl => f.write_str("no_usable_url"),
            Refusal::OtherMember => f.write_str("other_member"),
            Refusal::Unanswered(word) => f.write_str(word),
            Refusal::Refused(kind) => kind.fmt(f),
            Refusal::Status(status) => write!(f, "status_{status}"),
        }
    }
}

/// What a member has said in this round: first that it serves, then its list.
#[derive(Debug, Default)]
pub(super) enum Said {
    #[default]
    Nothing,
    Status(Status),
    List(Status, MemberList),
}

impl Said {
    /// Adds the list to the status before it.
    pub(super) fn add(&mut self, list: MemberList) {
        *self = match std::mem::take(self) {
            Said::Status(status) | Said::List(status, _) => Said::List(status, list),
            Said::Nothing => Said::Nothing,
        };
    }
}

/// What is believed of the members of a cluster.
#[derive(Debug, Default)]
pub(super) struct Belief {
    known: Option<KnownMembers>,
    /// Since when members with a leader say older things, and no member newer ones.
    rewound_since: Option<Instant>,
}

/// What a list has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// Whether the URLs are others than before.
    pub(super) is_changed: bool,
    /// The URLs that are skipped, printable, with the reason.
    pub(super) skipped: Vec<(String, SkipReason)>,
}

impl Belief {
    /// As it was remembered.
    pub(super) fn remembered(known: Option<KnownMembers>) -> Belief {
        Belief { known, rewound_since: None }
    }

    pub(super) fn known(&self) -> Option<&KnownMembers> {
        self.known.as_ref()
    }

    /// Whether a list says what is known already, so that nothing has to be believed.
    ///
    /// # Errors
    /// [`Refusal::OtherCluster`].
    pub(super) fn confirms(&mut self, list: &MemberList) -> Result<bool, Refusal> {
        let Some(known) = &self.known else { return Ok(false) };
        if list.cluster_id != known.cluster_id {
            return Err(Refusal::OtherCluster);
        }
        let is_same = usable(list).0 == known.urls;
        if is_same {
            self.rewound_since = None;
        }
        Ok(is_same)
    }

    /// Takes a list over, if it is believed. `statuses` are what the same member said just before
    /// and just after: that it serves.
    ///
    /// # Errors
    /// [`Refusal`]; then what is known stays.
    pub(super) fn follow(
        &mut self,
        statuses: [&Status; 2],
        list: &MemberList,
        now: Instant,
    ) -> Result<Followed, Refusal> {
        let [before, after] = statuses;
        for status in statuses {
            debug_assert!(status.serving().is_ok(), "what it says is out of date");
            if (status.cluster_id, status.member_id) != (list.cluster_id, list.member_id) {
                return Err(Refusal::OtherMember);
            }
        }
        if let Some(known) = &self.known
            && let Err(refusal) = check_age(known, before, list)
        {
            self.check_rewind(refusal, now)?;
        }
        let (urls, skipped) = usable(list);
        if urls.is_empty() {
            return Err(Refusal::NoUsableUrl);
        }
        let is_changed = self.known.as_ref().is_none_or(|known| known.urls != urls);
        // A member counts up its term while it has no leader, and no other one may follow it there.
        let (cluster_id, raft_term) = (list.cluster_id, list.raft_term.min(after.raft_term));
        let applied = before.applied.max(after.applied);
        self.known = Some(KnownMembers { cluster_id, raft_term, applied, urls });
        self.rewound_since = None;
        Ok(Followed { is_changed, skipped })
    }

    /// Whether a list that is older is believed all the same, as nothing newer was said for long.
    fn check_rewind(&mut self, refusal: Refusal, now: Instant) -> Result<(), Refusal> {
        if !matches!(refusal, Refusal::OlderTerm | Refusal::OlderEntry) {
            return Err(refusal);
        }
        let since = *self.rewound_since.get_or_insert(now);
        match since + FOLLOW_REWIND_AFTER <= now {
            true => Ok(()),
            false => Err(refusal),
        }
    }
}

/// Whether a list is not older than the known one. `status` is the one before it.
fn check_age(known: &KnownMembers, status: &Status, list: &MemberList) -> Result<(), Refusal> {
    if list.cluster_id != known.cluster_id {
        return Err(Refusal::OtherCluster);
    }
    if list.raft_term < known.raft_term {
        return Err(Refusal::OlderTerm);
    }
    // An older etcd does not say what it has applied. As of the entry that the known list is as of
    // at the latest, this one is as of at the earliest.
    match status.applied {
        0 => Ok(()),
        applied if applied < known.applied => Err(Refusal::OlderEntry),
        _ => Ok(()),
    }
}

/// The URLs that can be used, as many as there can be endpoints.
fn usable(list: &MemberList) -> (Vec<ClientUrl>, Vec<(String, SkipReason)>) {
    let (mut urls, skipped) = client_endpoints(list);
    urls.truncate(ENDPOINTS_MAX);
    (urls, skipped)
}
