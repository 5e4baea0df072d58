//! What a member says of itself: its status, and as a last resort its `/health`.
//!
//! Owns whether a member that says this can serve clients. How often that has to be seen, and what
//! is done about it, is decided elsewhere.
//!
//! A status costs the member no entry of Raft and needs no token. `/health` costs etcd 3.4 a write
//! on every disk of the cluster, waits up to 7 s while a lost leader is not noticed, and is true of
//! a learner, which serves no request.

use std::fmt;

use serde_json::{Map, Value};

use super::json::{self, Header, Malformed};
use crate::config::{ETCD_ALARMS_MAX, ETCD_STATUS_BYTES_MAX};

/// The path of a status, by POST.
pub const PATH: &str = "/v3/maintenance/status";
/// The path of a status before etcd 3.4, where [`PATH`] answers 404.
pub const PATH_BETA: &str = "/v3beta/maintenance/status";
/// The body of the request.
pub const BODY: &str = "{}";
/// The path and query of `/health`, by GET: other methods are refused and logged by the member. The
/// query is known since etcd 3.4, and forgives one alarm of [`AlarmKind::NoSpace`].
pub const HEALTH_TARGET: &str = "/health?exclude=NOSPACE";

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The cluster that the member belongs to; never 0.
    pub cluster_id: u64,
    /// The member; never 0.
    pub member_id: u64,
    /// Its term of Raft: the member with the higher one has the newer facts.
    pub raft_term: u64,
    /// The last entry of Raft that the member has applied; 0 where etcd does not say, before 3.4.
    /// What it says of the cluster is as of that.
    pub applied: u64,
    /// The member that leads, as far as this one knows. For a second or two after the loss of its
    /// quorum it is the former one.
    pub leader: Option<u64>,
    /// Whether the member has no vote. It refuses nearly every request.
    pub is_learner: bool,
    /// The alarms of the whole cluster: every member has all of them.
    pub alarms: Vec<Alarm>,
    /// The version of etcd, for the log: printable, empty where it is not given.
    pub version: String,
}

/// An alarm that a member has raised (rpc.proto, `AlarmMember`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The member it was raised for; 0 where etcd could not say which one it is.
    pub member_id: u64,
    /// What is wrong.
    pub kind: AlarmKind,
}

/// What is wrong with a member that has an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmKind {
    /// Its database has reached its quota. No member accepts puts, all serve reads and deletes.
    NoSpace,
    /// Its data differs from that of the others. No member accepts puts, all serve reads.
    Corrupt,
}

/// What is worth a line of the log of a member that serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// An alarm says that a database is full: puts fail at every member alike.
    pub has_no_space: bool,
    /// An alarm says that the data of another member, or of one that is not known, differs: puts
    /// fail at every member alike.
    pub has_corrupt_other: bool,
}

/// Why a member does not serve clients. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServing {
    /// It knows no leader: requests wait, and fail after 7 s.
    NoLeader,
    /// It has no vote, and refuses nearly every request.
    Learner,
    /// Its own data differs from that of the others: it answers reads with what may be wrong.
    Corrupt,
    /// Its `/health` says no more than that it is not healthy.
    Unhealthy,
}

impl NotServing {
    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            NotServing::NoLeader => "no_leader",
            NotServing::Learner => "learner",
            NotServing::Corrupt => "corrupt",
            NotServing::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Status {
    /// Whether the member serves clients, and what is remarkable if it does.
    ///
    /// # Errors
    /// [`NotServing`], the first that applies. An alarm of corruption counts for the member that it
    /// names alone: the others refuse the same puts, but read right, and clients that are led away
    /// from all of them would be led to none.
    pub fn serving(&self) -> Result<Remarks, NotServing> {
        if self.leader.is_none() {
            return Err(NotServing::NoLeader);
        }
        if self.is_learner {
            return Err(NotServing::Learner);
        }
        if self.alarms_of(AlarmKind::Corrupt).any(|alarm| alarm.member_id == self.member_id) {
            return Err(NotServing::Corrupt);
        }
        Ok(Remarks {
            has_no_space: self.alarms_of(AlarmKind::NoSpace).next().is_some(),
            has_corrupt_other: self.alarms_of(AlarmKind::Corrupt).next().is_some(),
        })
    }

    fn alarms_of(&self, kind: AlarmKind) -> impl Iterator<Item = &Alarm> {
        self.alarms.iter().filter(move |alarm| alarm.kind == kind)
    }

    /// Whether the member leads, as far as it knows.
    pub fn is_leader(&self) -> bool {
        self.leader == Some(self.member_id)
    }
}

/// Reads the body of an answer with status 200 to a request at [`PATH`].
///
/// # Errors
/// [`Malformed`], for instance if it names no member.
pub fn parse(body: &[u8]) -> Result<Status, Malformed> {
    let answer = json::object(body, ETCD_STATUS_BYTES_MAX)?;
    let Header { cluster_id, member_id, raft_term, revision: _ } = json::header(&answer)?;
    let leader = json::number(&answer, "leader")?;
    let errors = json::array(&answer, "errors")?.iter().filter_map(Value::as_str);
    let status = Status {
        cluster_id,
        member_id,
        raft_term,
        applied: json::number(&answer, "raftAppliedIndex")?,
        leader: (leader != 0).then_some(leader),
        is_learner: json::boolean(&answer, "isLearner")?,
        alarms: errors.filter_map(parse_alarm).take(ETCD_ALARMS_MAX).collect(),
        version: json::printable(json::text(&answer, "version")?),
    };
    debug_assert!(status.member_id != 0 && status.leader != Some(0));
    Ok(status)
}

/// An alarm as etcd writes it among the errors of a status: `memberID:1 alarm:NOSPACE `, in the
/// text form of protocol buffers, which has more blanks in some versions. Without `memberID` it is
/// 0. `None` for another error.
fn parse_alarm(error: &str) -> Option<Alarm> {
    let (mut member_id, mut kind) = (0, None);
    for field in error.split_ascii_whitespace() {
        match field.split_once(':') {
            Some(("memberID", id)) => member_id = id.parse().ok()?,
            Some(("alarm", "NOSPACE")) => kind = Some(AlarmKind::NoSpace),
            Some(("alarm", "CORRUPT")) => kind = Some(AlarmKind::Corrupt),
            _ => return None,
        }
    }
    kind.map(|kind| Alarm { member_id, kind })
}

/// Reads an answer to [`HEALTH_TARGET`]: its status and its body. The inner result is that of
/// [`Status::serving`], less certain: a learner counts as healthy, and which member an alarm is
/// about is not said, so that one of corruption is taken for the member's own.
///
/// # Errors
/// [`Malformed::NotEtcd`] where the status is neither 200 nor 503, as etcd's is, or contradicts the
/// body; [`Malformed`] for a body that cannot be read.
pub fn parse_health(code: u16, body: &[u8]) -> Result<Result<Remarks, NotServing>, Malformed> {
    let answer = json::object(body, ETCD_STATUS_BYTES_MAX)?;
    let is_healthy = match answer.get("health") {
        Some(Value::Bool(health)) => *health,
        Some(Value::String(health)) if health == "true" => true,
        Some(Value::String(health)) if health == "false" => false,
        _ => return Err(Malformed::NotEtcd),
    };
    match (code, is_healthy) {
        (200, true) => Ok(Ok(Remarks::default())),
        (503, false) => unhealthy(&answer),
        _ => Err(Malformed::NotEtcd),
    }
}

/// The reason that etcd 3.5 gives; 3.4 gives none.
fn unhealthy(answer: &Map<String, Value>) -> Result<Result<Remarks, NotServing>, Malformed> {
    Ok(match json::text(answer, "reason")? {
        // With the alarms of two members, although they are excluded.
        "ALARM NOSPACE" => Ok(Remarks { has_no_space: true, ..Remarks::default() }),
        "ALARM CORRUPT" => Err(NotServing::Corrupt),
        "RAFT NO LEADER" => Err(NotServing::NoLeader),
        _ => Err(NotServing::Unhealthy),
    })
}

#[cfg(test)]
mod tests {
    use super::super::joined;
    use super::*;

    const OWN: u64 = 18289044363499135440;
    const OTHER: u64 = 3688823321738562135;

    /// A status of etcd 3.4.23 with these errors.
    fn with_errors(errors: &str) -> String {
        let text = format!(
            r#"{{"header":{{"cluster_id":"9808987074649990531","member_id":"18289044363499135440",
            "revision":"10","raft_term":"2"}},"version":"3.4.23","dbSize":"3637248","leader":
            "18289044363499135440","raftIndex":"24","raftTerm":"2","raftAppliedIndex":"24","errors":
            [{errors}],"dbSizeInUse":"2740224"}}"#
        );
        joined(&text)
    }

    #[track_caller]
    fn status(text: &str) -> Status {
        parse(joined(text).as_bytes()).expect(text)
    }

    #[test]
    fn statuses_of_real_members() {
        let leader = r#"{"header":{"cluster_id":"9808987074649990531","member_id":
        "18289044363499135440","revision":"1","raft_term":"2"},"version":"3.4.23","dbSize":"20480",
        "leader":"18289044363499135440","raftIndex":"8","raftTerm":"2","raftAppliedIndex":"8",
        "dbSizeInUse":"16384"}"#;
        let want = Status {
            cluster_id: 9808987074649990531,
            member_id: OWN,
            raft_term: 2,
            applied: 8,
            leader: Some(OWN),
            is_learner: false,
            alarms: Vec::new(),
            version: "3.4.23".to_owned(),
        };
        assert_eq!(status(leader), want);
        assert!(want.is_leader());
        assert_eq!(want.serving(), Ok(Remarks::default()));

        let follower = r#"{"header":{"cluster_id":"9808987074649990531","member_id":
        "3688823321738562135","revision":"1","raft_term":"2"},"version":"3.4.23","dbSize":"20480",
        "leader":"18289044363499135440","raftIndex":"8","raftTerm":"2","raftAppliedIndex":"8",
        "dbSizeInUse":"16384"}"#;
        assert!(!status(follower).is_leader());
        assert_eq!(status(follower), Status { member_id: OTHER, ..want.clone() });

        let learner = r#"{"header":{"cluster_id":"9808987074649990531","member_id":
        "15772214968441949554","revision":"1","raft_term":"2"},"version":"3.4.23","dbSize":"20480",
        "leader":"18289044363499135440","raftIndex":"11","raftTerm":"2","raftAppliedIndex":"11",
        "dbSizeInUse":"16384","isLearner":true}"#;
        assert_eq!(status(learner).serving(), Err(NotServing::Learner));
    }

    #[test]
    fn alarms_count_for_the_member_that_they_name() {
        let no_space = Remarks { has_no_space: true, has_corrupt_other: false };
        let corrupt_other = Remarks { has_no_space: false, has_corrupt_other: true };
        let both = Remarks { has_no_space: true, has_corrupt_other: true };
        for (errors, want) in [
            ("", Ok(Remarks::default())),
            (r#""memberID:3688823321738562135 alarm:NOSPACE ""#, Ok(no_space)),
            (r#""memberID:18289044363499135440 alarm:NOSPACE ""#, Ok(no_space)),
            (r#""memberID:3688823321738562135 alarm:CORRUPT ""#, Ok(corrupt_other)),
            (r#""memberID:18289044363499135440 alarm:CORRUPT ""#, Err(NotServing::Corrupt)),
            (r#""memberID:18289044363499135440  alarm:CORRUPT""#, Err(NotServing::Corrupt)),
            (r#""alarm:CORRUPT ""#, Ok(corrupt_other)),
            (
                r#""memberID:3688823321738562135 alarm:NOSPACE ",
                "memberID:3688823321738562135 alarm:CORRUPT ","alarm:CORRUPT ""#,
                Ok(both),
            ),
            (
                r#""memberID:1 alarm:CORRUPT ","memberID:18289044363499135440 alarm:CORRUPT ""#,
                Err(NotServing::Corrupt),
            ),
            (r#""memberID:1x alarm:CORRUPT ""#, Ok(Remarks::default())),
            (r#""memberID:1 alarm:NONE ","alarm:","memberID:1",7,null,"""#, Ok(Remarks::default())),
        ] {
            assert_eq!(status(&with_errors(errors)).serving(), want, "{errors}");
        }
        let many = vec![r#""memberID:1 alarm:NOSPACE ""#; ETCD_ALARMS_MAX + 1].join(",");
        assert_eq!(status(&with_errors(&many)).alarms.len(), ETCD_ALARMS_MAX);
    }

    #[test]
    fn a_member_without_a_leader_does_not_serve() {
        let lost = r#"{"header":{"cluster_id":"8028128547383705438",
            "member_id":"15721043597236213190","revision":"1","raft_term":"2"},"version":"3.4.23",
            "dbSize":"20480","raftIndex":"6","raftTerm":"2","raftAppliedIndex":"6",
            "errors":["etcdserver: no leader"],"dbSizeInUse":"20480"}"#;
        assert_eq!(status(lost).leader, None);
        assert_eq!(status(lost).serving(), Err(NotServing::NoLeader));
        assert!(!status(lost).is_leader());
        let zero = with_errors("").replace(r#""leader":"18289044363499135440""#, r#""leader":"0""#);
        assert_eq!(status(&zero).serving(), Err(NotServing::NoLeader));
    }

    #[test]
    fn what_is_not_of_etcd_is_refused() {
        let least = r#"{"header":{"cluster_id":"1","member_id":"2"}}"#;
        assert_eq!(status(least).serving(), Err(NotServing::NoLeader));
        for (text, want) in [
            ("", Malformed::NotJson),
            ("404 page not found\n", Malformed::NotJson),
            ("{}", Malformed::NotEtcd),
            (r#"{"status":"ok"}"#, Malformed::NotEtcd),
            (r#"{"header":{"cluster_id":"1"},"leader":"2"}"#, Malformed::NotEtcd),
            (&least.replace('2', "-2"), Malformed::NotEtcd),
            (&least.replace("}}", r#"},"leader":"x"}"#), Malformed::NotEtcd),
            (&least.replace("}}", r#"},"isLearner":"true"}"#), Malformed::NotEtcd),
            (&least.replace("}}", r#"},"errors":"no"}"#), Malformed::NotEtcd),
            (&least.replace("}}", r#"},"version":3}"#), Malformed::NotEtcd),
            (&format!("{least}{}", " ".repeat(ETCD_STATUS_BYTES_MAX)), Malformed::TooLarge),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(want), "{text}");
        }
        let version = least.replace("}}", r#"},"version":"3.5\n\u001b[2J"}"#);
        assert_eq!(status(&version).version, "3.5[2J");
    }

    #[test]
    fn health_of_real_members() {
        let no_space = Remarks { has_no_space: true, ..Remarks::default() };
        for (code, body, want) in [
            (200, r#"{"health":"true"}"#, Ok(Remarks::default())),
            (200, r#"{"health":"true","reason":""}"#, Ok(Remarks::default())),
            (200, r#"{"health":true}"#, Ok(Remarks::default())),
            (503, "{\"health\":\"false\"}\n", Err(NotServing::Unhealthy)),
            (503, r#"{"health":false}"#, Err(NotServing::Unhealthy)),
            (503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#, Err(NotServing::NoLeader)),
            (503, r#"{"health":"false","reason":"ALARM NOSPACE"}"#, Ok(no_space)),
            (503, r#"{"health":"false","reason":"ALARM CORRUPT"}"#, Err(NotServing::Corrupt)),
            (
                503,
                r#"{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}"#,
                Err(NotServing::Unhealthy),
            ),
        ] {
            assert_eq!(parse_health(code, body.as_bytes()), Ok(want), "{code} {body}");
        }
    }

    #[test]
    fn health_that_contradicts_itself_is_refused() {
        for (code, body, want) in [
            (200, r#"{"health":"false"}"#, Malformed::NotEtcd),
            (503, r#"{"health":"true"}"#, Malformed::NotEtcd),
            (204, r#"{"health":"true"}"#, Malformed::NotEtcd),
            (200, r#"{"health":"TRUE"}"#, Malformed::NotEtcd),
            (200, r#"{"health":1}"#, Malformed::NotEtcd),
            (200, r#"{}"#, Malformed::NotEtcd),
            (503, r#"{"health":"false","reason":1}"#, Malformed::NotEtcd),
            (200, "ok", Malformed::NotJson),
            (405, "Method Not Allowed\n", Malformed::NotJson),
        ] {
            assert_eq!(parse_health(code, body.as_bytes()), Err(want), "{code} {body}");
        }
    }

    #[test]
    fn reasons_are_words() {
        for (reason, want) in [
            (NotServing::NoLeader, "no_leader"),
            (NotServing::Learner, "learner"),
            (NotServing::Corrupt, "corrupt"),
            (NotServing::Unhealthy, "unhealthy"),
        ] {
            assert_eq!(reason.to_string(), want);
        }
    }
}
