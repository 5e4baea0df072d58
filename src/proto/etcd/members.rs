//! The list of members: who belongs to the cluster, and where clients find them.
//!
//! Owns which client URLs can be used. Whether a list is newer than another one, and whether to
//! follow it, is decided elsewhere: a member that was removed or cut off answers at once, too, with
//! the list that it had.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::json::{self, Header, Malformed};
use super::server::{self, Server, SkipReason};
use crate::config::address::Host;
use crate::config::{
    ETCD_ANSWER_BYTES_MAX, ETCD_MEMBERS_MAX, ETCD_URL_BYTES_MAX, ETCD_URLS_PER_MEMBER_MAX,
};
use crate::scheme::Scheme;

/// The path of the list, by POST.
pub const PATH: &str = "/v3/cluster/member/list";
/// The path of the list before etcd 3.4, where [`PATH`] answers 404.
pub const PATH_BETA: &str = "/v3beta/cluster/member/list";
/// The body of the request. The answer is local to the member: it comes without a quorum, too.
pub const BODY: &str = "{}";

/// The members of a cluster, as one of them knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    /// The cluster; never 0.
    pub cluster_id: u64,
    /// The member that answered; never 0.
    pub member_id: u64,
    /// Its term of Raft: of two lists the one with the higher term is newer.
    pub raft_term: u64,
    /// Each member once, at most [`ETCD_MEMBERS_MAX`], in the order of the answer.
    pub members: Vec<Member>,
}

/// A member as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity; never 0.
    pub id: u64,
    /// Its name, for the log: printable, empty until it is started.
    pub name: String,
    /// Where clients find it, at most [`ETCD_URLS_PER_MEMBER_MAX`] URLs of at most
    /// [`ETCD_URL_BYTES_MAX`] bytes; none until it is started.
    pub client_urls: Vec<String>,
    /// Whether it has no vote. It refuses nearly every request.
    pub is_learner: bool,
}

/// A place where clients find a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientUrl {
    /// The member, which may have several.
    pub member_id: u64,
    /// Whether it speaks TLS.
    pub scheme: Scheme,
    /// An address or a name, of another host than this.
    pub host: Host,
    /// The port, 1-65535.
    pub port: u16,
}

/// Reads the body of an answer with status 200.
///
/// # Errors
/// [`Malformed`]: of a list nothing is believed unless all of it can be read.
pub fn parse(body: &[u8]) -> Result<MemberList, Malformed> {
    let answer = json::object(body, ETCD_ANSWER_BYTES_MAX)?;
    let Header { cluster_id, member_id, raft_term, revision: _ } = json::header(&answer)?;
    let listed = json::array(&answer, "members")?;
    if listed.len() > ETCD_MEMBERS_MAX {
        return Err(Malformed::TooLarge);
    }
    let members: Vec<Member> = listed.iter().map(parse_member).collect::<Result<_, _>>()?;
    let ids: HashSet<u64> = members.iter().map(|member| member.id).collect();
    if ids.len() != members.len() || members.is_empty() {
        return Err(Malformed::NotEtcd);
    }
    Ok(MemberList { cluster_id, member_id, raft_term, members })
}

fn parse_member(value: &Value) -> Result<Member, Malformed> {
    let member: &Map<String, Value> = value.as_object().ok_or(Malformed::NotEtcd)?;
    let id = json::number(member, "ID")?;
    if id == 0 {
        return Err(Malformed::NotEtcd);
    }
    let urls = json::array(member, "clientURLs")?;
    if urls.len() > ETCD_URLS_PER_MEMBER_MAX {
        return Err(Malformed::TooLarge);
    }
    Ok(Member {
        id,
        name: json::printable(json::text(member, "name")?),
        client_urls: urls.iter().map(parse_url).collect::<Result<_, _>>()?,
        is_learner: json::boolean(member, "isLearner")?,
    })
}

fn parse_url(value: &Value) -> Result<String, Malformed> {
    match value {
        Value::String(url) if url.len() <= ETCD_URL_BYTES_MAX => Ok(url.clone()),
        Value::String(_) => Err(Malformed::TooLarge),
        _ => Err(Malformed::NotEtcd),
    }
}

/// The places where clients find started voters, each once for a member, in the order of the list;
/// and the URLs of those that cannot be used from here, printable, with the reason.
pub fn client_endpoints(list: &MemberList) -> (Vec<ClientUrl>, Vec<(String, SkipReason)>) {
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for member in list.members.iter().filter(|member| !member.is_learner) {
        for url in &member.client_urls {
            match client_url(member.id, url) {
                Ok(url) if seen.insert(url.clone()) => found.push(url),
                Ok(_) => {}
                Err(reason) => skipped.push((json::printable(url), reason)),
            }
        }
    }
    debug_assert!(found.len() + skipped.len() <= ETCD_MEMBERS_MAX * ETCD_URLS_PER_MEMBER_MAX);
    (found, skipped)
}

/// The place that a client URL of a member leads to.
///
/// # Errors
/// [`SkipReason`] for one that cannot be used from here.
pub fn client_url(member_id: u64, url: &str) -> Result<ClientUrl, SkipReason> {
    let Server { scheme, host, port } = server::parse(url)?;
    // etcd itself refuses to advertise a URL without one.
    let scheme = scheme.and_then(Scheme::of).ok_or(SkipReason::Scheme)?;
    match server::is_loopback(&host) {
        true => Err(SkipReason::Loopback),
        false => Ok(ClientUrl { member_id, scheme, host, port }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::joined;
    use super::*;

    /// The list of etcd 3.4.23 with a learner.
    const WITH_LEARNER: &str = r#"{"header":{"cluster_id":"9808987074649990531",
        "member_id":"18289044363499135440","raft_term":"2"},"members":[
        {"ID":"990411800575991618","name":"m3","peerURLs":["http://127.0.0.1:23723"],
        "clientURLs":["http://10.9.8.7:2379","http://127.0.0.1:23713"]},
        {"ID":"3688823321738562135","name":"m2","peerURLs":["http://127.0.0.1:23722"],
        "clientURLs":["http://10.9.8.7:2379","http://127.0.0.1:23712"]},
        {"ID":"15772214968441949554","name":"m4","peerURLs":["http://127.0.0.1:23724"],
        "clientURLs":["http://10.9.8.7:2379","http://127.0.0.1:23714"],"isLearner":true},
        {"ID":"18289044363499135440","name":"m1","peerURLs":["http://127.0.0.1:23721"],
        "clientURLs":["http://10.9.8.7:2379","http://127.0.0.1:23711"]}]}"#;

    #[track_caller]
    fn list(text: &str) -> MemberList {
        parse(joined(text).as_bytes()).expect(text)
    }

    fn with_urls(urls: &str) -> String {
        format!(
            r#"{{"header":{{"cluster_id":"1","member_id":"2","raft_term":"3"}},
            "members":[{{"ID":"2","name":"a","clientURLs":[{urls}]}}]}}"#
        )
    }

    #[test]
    fn lists_of_real_members() {
        let found = list(WITH_LEARNER);
        assert_eq!(
            (found.cluster_id, found.member_id, found.raft_term),
            (9808987074649990531, 18289044363499135440, 2)
        );
        let want = Member {
            id: 15772214968441949554,
            name: "m4".to_owned(),
            client_urls: ["http://10.9.8.7:2379", "http://127.0.0.1:23714"]
                .map(String::from)
                .into(),
            is_learner: true,
        };
        assert_eq!(found.members[2], want);
        assert_eq!(found.members.iter().filter(|member| member.is_learner).count(), 1);

        let unstarted = WITH_LEARNER.replace(r#""name":"m4","#, "").replace(
            r#"
        "clientURLs":["http://10.9.8.7:2379","http://127.0.0.1:23714"],"#,
            "",
        );
        let want = Member { name: String::new(), client_urls: Vec::new(), ..want };
        assert_eq!(list(&unstarted).members[2], want);
    }

    #[test]
    fn endpoints_are_the_urls_of_started_voters() {
        let (found, skipped) = client_endpoints(&list(WITH_LEARNER));
        let ids: Vec<u64> = found.iter().map(|url| url.member_id).collect();
        assert_eq!(ids, [990411800575991618, 3688823321738562135, 18289044363499135440]);
        let first = &found[0];
        assert_eq!((first.scheme, first.port), (Scheme::Http, 2379));
        assert_eq!(first.host.to_string(), "10.9.8.7");
        let loopback = ["23713", "23712", "23711"];
        let want = loopback.map(|port| (format!("http://127.0.0.1:{port}"), SkipReason::Loopback));
        assert_eq!(skipped, want);
    }

    #[test]
    fn urls_that_cannot_be_used_have_a_reason() {
        for (url, want) in [
            ("http://localhost:2379", SkipReason::Loopback),
            ("https://[::1]:2379", SkipReason::Loopback),
            ("http://0.0.0.0:2379", SkipReason::Wildcard),
            ("unix://a:2379", SkipReason::UnixSocket),
            ("unixs://a:2379", SkipReason::UnixSocket),
            ("10.0.0.1:2379", SkipReason::Scheme),
            ("grpc://10.0.0.1:2379", SkipReason::Scheme),
            ("http://10.0.0.1", SkipReason::PortMissing),
            ("http://10.0.0:2379", SkipReason::Unparsable),
            ("", SkipReason::PortMissing),
        ] {
            let (found, skipped) = client_endpoints(&list(&with_urls(&format!("{url:?}"))));
            assert_eq!((found, skipped), (Vec::new(), vec![(url.to_owned(), want)]));
        }
        let both = r#""https://a.example:1/x","https://a.example:1","http://a.example:1","\n""#;
        let (found, skipped) = client_endpoints(&list(&with_urls(both)));
        let schemes: Vec<Scheme> = found.iter().map(|url| url.scheme).collect();
        assert_eq!(schemes, [Scheme::Https, Scheme::Http], "each once");
        assert_eq!(skipped, [(String::new(), SkipReason::Unparsable)]);
    }

    #[test]
    fn a_list_is_believed_as_a_whole() {
        let good = with_urls("");
        list(&good);
        let urls = vec!["\"http://a:1\""; ETCD_URLS_PER_MEMBER_MAX + 1].join(",");
        let long = format!("\"http://{}:1\"", "a".repeat(ETCD_URL_BYTES_MAX));
        let many: Vec<String> =
            (1..=ETCD_MEMBERS_MAX + 1).map(|id| format!("{{\"ID\":{id}}}")).collect();
        let member = r#"{"ID":"2","name":"a","clientURLs":[]}"#;
        for (text, want) in [
            ("{}".to_owned(), Malformed::NotEtcd),
            (good.replace(member, ""), Malformed::NotEtcd),
            (good.replace(member, "7"), Malformed::NotEtcd),
            (good.replace(member, r#"{"name":"a"}"#), Malformed::NotEtcd),
            (good.replace(member, r#"{"ID":"2"},{"ID":2}"#), Malformed::NotEtcd),
            (good.replace(member, r#"{"ID":"2","name":1}"#), Malformed::NotEtcd),
            (good.replace(member, r#"{"ID":"2","isLearner":"no"}"#), Malformed::NotEtcd),
            (with_urls("1"), Malformed::NotEtcd),
            (good.replace(member, &many.join(",")), Malformed::TooLarge),
            (with_urls(&urls), Malformed::TooLarge),
            (with_urls(&long), Malformed::TooLarge),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(want), "{text}");
        }
        assert_eq!(list(&good.replace(member, &many[1..].join(","))).members.len(), 256);
    }
}
