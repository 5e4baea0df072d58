//! An etcd that names the endpoints: which members belong to it, what each of them knows, and what
//! it answers. A member that is cut off or was removed goes on with what it knew.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::agenda::Happening;
use crate::context::Context;
use crate::faults::Fault;
use crate::followed::{Followed, Source};
use crate::hosts::Place;
use crate::keys::Keys;
use crate::plan::ENDPOINT_PORT;
use crate::random::Random;

/// A member without its leader goes on to name it for no longer.
const LEADER_LOSS_MAX: Duration = Duration::from_millis(1990);
/// A change reaches a member by then.
const REPLICATION_MAX: Duration = Duration::from_millis(30);

const CLUSTER_ID: u64 = 17_237_436_991_929_493_444;
const FIRST_MEMBER_ID: u64 = 9_372_538_179_322_589_801;

/// What a member is by the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Unstarted,
    Learner,
    Voter,
    /// A voter whose only client URL leads to its own host.
    LocalVoter,
    /// A voter that has such a URL, and one that is of use.
    MixedVoter,
}

/// A version of the list of members.
#[derive(Clone, Debug)]
pub struct List {
    pub members: Vec<(usize, Role)>,
}

impl List {
    fn role(&self, member: usize) -> Option<Role> {
        self.members.iter().find(|(listed, _)| *listed == member).map(|(_, role)| *role)
    }

    fn voters(&self) -> impl Iterator<Item = usize> {
        let voters = self.members.iter().filter(|(_, role)| role.votes());
        voters.map(|(member, _)| *member)
    }

    /// The endpoints that it names: started voters, where they can be reached.
    pub fn endpoints(&self) -> BTreeSet<usize> {
        let mut named = self.members.clone();
        named.retain(|(_, role)| matches!(role, Role::Voter | Role::MixedVoter));
        named.into_iter().map(|(member, _)| member).collect()
    }
}

impl Role {
    fn votes(self) -> bool {
        matches!(self, Role::Voter | Role::LocalVoter | Role::MixedVoter)
    }
}

/// A member, and what it knows.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// How dials to it end, where it is none of the endpoints.
    pub place: Place,
    pub is_frozen: bool,
    /// It reaches the other members.
    is_connected: bool,
    /// Until when it names the leader that it has lost.
    leader_until: Duration,
    /// Its process is not there.
    pub is_gone: bool,
    /// The last entry that it has applied, its term, and the version of its list.
    applied: u64,
    term: u64,
    list: usize,
}

/// What a member says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub has_leader: bool,
    pub is_learner: bool,
    pub applied: u64,
    pub term: u64,
}

#[derive(Debug)]
pub struct Cluster {
    pub members: Vec<Member>,
    /// All versions of the list, the newest last.
    pub lists: Vec<List>,
    pub keys: Keys,
    applied: u64,
    pub term: u64,
    /// Since when too few members reach each other for a leader.
    quorum_lost_at: Option<Duration>,
}

impl Cluster {
    pub fn new(followed: Option<&Followed>, random: &mut Random) -> Cluster {
        let count = followed.map_or(0, |followed| followed.members);
        let is_registry = followed.is_some_and(|followed| followed.source == Source::Registry);
        let mut listed = Vec::new();
        for member in 0..count {
            let first = followed.is_some_and(|followed| followed.typed[0] == member);
            if is_registry || first || random.chance(600) {
                listed.push((member, Role::Voter));
            }
        }
        let member = Member {
            place: Place::Up,
            is_frozen: false,
            is_connected: true,
            leader_until: Duration::ZERO,
            is_gone: false,
            applied: 8,
            term: 2,
            list: 0,
        };
        let mut cluster = Cluster {
            members: vec![member; count],
            lists: vec![List { members: listed }],
            keys: Keys::new(),
            applied: 8,
            term: 2,
            quorum_lost_at: None,
        };
        for member in 0..count {
            let is_there = cluster.newest().role(member).is_some();
            let own = &mut cluster.members[member];
            (own.is_connected, own.is_gone) = (is_there, !is_there);
        }
        cluster
    }

    /// The list as the quorum has it.
    pub fn newest(&self) -> &List {
        self.lists.last().expect("there is a first one")
    }

    fn reaches_others(&self, member: usize) -> bool {
        let Member { is_connected, is_frozen, is_gone, .. } = self.members[member];
        is_connected && !is_frozen && !is_gone
    }

    fn has_quorum(&self) -> bool {
        let there = self.newest().voters().filter(|voter| self.reaches_others(*voter)).count();
        2 * there > self.newest().voters().count()
    }

    /// Whether the member names a leader.
    pub fn has_leader(&self, member: usize, now: Duration) -> bool {
        let own = &self.members[member];
        let until = match (own.is_connected, self.quorum_lost_at) {
            (false, _) => own.leader_until,
            (true, None) => return true,
            (true, Some(lost_at)) => lost_at + LEADER_LOSS_MAX / 2,
        };
        now < until
    }

    /// Whether the member can tell what the quorum knows.
    pub fn has_quorum_at(&self, member: usize) -> bool {
        self.members[member].is_connected && self.has_quorum()
    }

    /// What the member says of itself.
    pub fn status(&self, member: usize, now: Duration) -> Status {
        let own = &self.members[member];
        let has_leader = self.has_leader(member, now);
        // It asks for votes, and gets none.
        let term = if has_leader { own.term } else { own.term + 2 };
        Status { has_leader, is_learner: self.is_learner(member), applied: own.applied, term }
    }

    pub fn is_learner(&self, member: usize) -> bool {
        self.lists[self.members[member].list].role(member) == Some(Role::Learner)
    }

    /// The version of the list that the member has.
    pub fn list_of(&self, member: usize) -> usize {
        self.members[member].list
    }

    pub fn plan_change(&self, context: &mut Context) {
        let Some(followed) = &context.plan.followed else { return };
        let most = followed.period;
        let at = context.random.up_to(most);
        if context.now + at < context.plan.span {
            context.plan_in(at, Happening::ClusterChange);
        }
    }

    /// Something may change: the members, or the keys.
    pub fn change(&mut self, context: &mut Context) {
        self.plan_change(context);
        let Some(followed) = &context.plan.followed else { return };
        let (source, members) = (followed.source, followed.members as u64);
        if context.strike(Fault::ClusterChanges) {
            let member = context.random.below(members) as usize;
            match source {
                Source::Members => self.change_member(context, member),
                Source::Registry => self.change_health(context, member),
            }
            self.note_quorum(context);
        }
        if source == Source::Registry && self.has_quorum() && context.strike(Fault::KeysChange) {
            self.keys.change(context);
            if context.random.chance(150) {
                self.keys.compact(context);
            }
        }
    }

    fn change_member(&mut self, context: &mut Context, member: usize) {
        if context.random.chance(400) {
            return self.change_health(context, member);
        }
        if !self.has_quorum() {
            return;
        }
        let started = context.random.one_of(&[
            Role::Voter,
            Role::Voter,
            Role::Voter,
            Role::MixedVoter,
            Role::LocalVoter,
        ]);
        let is_learner = context.random.chance(400);
        let mut list = self.newest().clone();
        let is_last = list.voters().count() == 1;
        match list.role(member) {
            None if is_learner => list.members.push((member, Role::Learner)),
            None => list.members.push((member, Role::Unstarted)),
            Some(Role::Unstarted | Role::Learner) => {
                list.members.retain(|(listed, _)| *listed != member);
                list.members.push((member, started));
            }
            Some(_) if is_learner => {
                list.members.iter_mut().filter(|(listed, _)| *listed == member).for_each(|one| {
                    one.1 = started;
                });
            }
            Some(_) if is_last => return,
            Some(_) => list.members.retain(|(listed, _)| *listed != member),
        }
        list.members.sort_by_key(|(listed, _)| *listed);
        let is_started = list.role(member).is_some_and(|role| role != Role::Unstarted);
        if self.newest().role(member).is_none_or(|role| role == Role::Unstarted) {
            let own = &mut self.members[member];
            (own.is_gone, own.is_connected) = (!is_started, true);
        }
        context.note("list", member, list.members.len() as u64);
        self.lists.push(list);
        self.commit(context);
    }

    /// A member comes into another state, or another one leads.
    fn change_health(&mut self, context: &mut Context, member: usize) {
        let next = context.random.below(10);
        context.note("etcd", member, next);
        let now = context.now;
        let is_listed = self.newest().role(member).is_some();
        let has_quorum = self.has_quorum();
        let own = &mut self.members[member];
        match next {
            0 | 1 if own.is_connected => {
                own.is_connected = false;
                own.leader_until = now + context.random.up_to(LEADER_LOSS_MAX);
            }
            0..=3 if is_listed => {
                own.is_connected = true;
                context.plan_in(Duration::ZERO, Happening::Replicate(member));
            }
            4 => own.is_frozen = true,
            5 | 6 => own.is_frozen = false,
            7 => {
                own.place = match own.place {
                    Place::Up => context.random.one_of(&[Place::Refuses, Place::Silent]),
                    _ => Place::Up,
                }
            }
            8 if has_quorum => {
                self.term += 1;
                self.commit(context);
            }
            9 if has_quorum => self.commit(context),
            _ => {}
        }
    }

    fn note_quorum(&mut self, context: &mut Context) {
        self.quorum_lost_at = match self.has_quorum() {
            true => None,
            false => Some(self.quorum_lost_at.unwrap_or(context.now)),
        };
    }

    /// A further entry, which reaches all that are connected.
    fn commit(&mut self, context: &mut Context) {
        self.applied += context.random.one_to(3);
        for member in 0..self.members.len() {
            let at = context.random.up_to(REPLICATION_MAX);
            context.plan_in(at, Happening::Replicate(member));
        }
    }

    /// A member learns what the quorum knows.
    pub fn replicate(&mut self, context: &mut Context, member: usize) {
        let (list, role) = (self.lists.len() - 1, self.newest().role(member));
        let own = &mut self.members[member];
        if !own.is_connected || own.is_frozen {
            return;
        }
        if role.is_none() {
            // It is removed. It has what it had, and ends after a while, or as soon as it hears.
            own.is_connected = false;
            own.leader_until = context.now + context.random.up_to(LEADER_LOSS_MAX);
            own.is_gone = context.random.chance(500);
            return;
        }
        (own.applied, own.term, own.list) = (self.applied, self.term, list);
        context.note("replicated", member, own.applied);
    }

    /// All members reach each other, and at least one server is named.
    pub fn heal(&mut self, context: &mut Context) {
        let Some(followed) = &context.plan.followed else { return };
        let (source, first) = (followed.source, followed.typed[0]);
        let mut list = self.newest().clone();
        if source == Source::Members {
            list.members.retain(|(listed, _)| *listed != first);
            list.members.push((first, Role::Voter));
            list.members.sort_by_key(|(listed, _)| *listed);
        }
        self.lists.push(list);
        (self.applied, self.term, self.quorum_lost_at) = (self.applied + 1, self.term + 1, None);
        let newest = self.lists.len() - 1;
        for member in 0..self.members.len() {
            let role = self.newest().role(member);
            let is_there = role.is_some_and(|role| role != Role::Unstarted);
            let own = &mut self.members[member];
            (own.place, own.is_frozen) = (Place::Up, false);
            (own.is_connected, own.is_gone) = (is_there, !is_there);
            if is_there {
                (own.applied, own.term, own.list) = (self.applied, self.term, newest);
            }
        }
        if source == Source::Registry {
            self.keys.ensure_one(context);
        }
    }

    /// The answer to a question for a status.
    pub fn status_text(&self, member: usize, status: Status) -> String {
        let Status { has_leader, is_learner, applied, term } = status;
        let header = header(member, term, Some(self.keys.revision));
        let leader = match has_leader {
            true => r#","leader":"10501334649042878790""#,
            false => r#","errors":["etcdserver: no leader"]"#,
        };
        let role = if is_learner { r#","isLearner":true"# } else { "" };
        let raft = format!(r#""raftIndex":"{applied}","raftTerm":"{term}""#);
        let raft = format!(r#"{raft},"raftAppliedIndex":"{applied}""#);
        format!(r#"{{"header":{header},"version":"3.5.1"{leader},{raft}{role}}}"#)
    }

    /// The answer to a question for the list.
    pub fn list_text(&self, member: usize, term: u64) -> String {
        let header = header(member, term, None);
        let listed = self.lists[self.members[member].list].members.iter();
        let listed: Vec<String> =
            listed.map(|(member, role)| listed_member(*member, *role)).collect();
        format!(r#"{{"header":{header},"members":[{}]}}"#, listed.join(","))
    }
}

fn listed_member(member: usize, role: Role) -> String {
    let id = FIRST_MEMBER_ID + member as u64;
    let real = format!(r#""http://192.0.2.2:{}""#, ENDPOINT_PORT + member as u16);
    let local = r#""http://127.0.0.1:2379""#;
    let urls = match role {
        Role::Unstarted => {
            return format!(r#"{{"ID":"{id}","peerURLs":["http://192.0.2.9:2380"]}}"#);
        }
        Role::Learner | Role::Voter => real,
        Role::LocalVoter => local.to_owned(),
        Role::MixedVoter => format!("{local},{real}"),
    };
    let learner = if role == Role::Learner { r#","isLearner":true"# } else { "" };
    format!(r#"{{"ID":"{id}","name":"m{member}","clientURLs":[{urls}]{learner}}}"#)
}

/// The header of an answer.
pub fn header(member: usize, term: u64, revision: Option<u64>) -> String {
    let id = FIRST_MEMBER_ID + member as u64;
    let revision = revision.map_or(String::new(), |at| format!(r#","revision":"{at}""#));
    format!(r#"{{"cluster_id":"{CLUSTER_ID}","member_id":"{id}"{revision},"raft_term":"{term}"}}"#)
}
