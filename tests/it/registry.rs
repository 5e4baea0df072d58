//! `--registry-prefix`: the services that are registered in a real etcd are the endpoints, whatever
//! happens to their keys, to the members and to the gateway's right to read them.
//!
//! None of the services has to run: what the gateway knows of them is in its log.

use std::net::SocketAddr;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::util::*;

/// How long a change may stay unknown on a machine that is busy, when 3 s are meant: the next range
/// of all keys would tell of it only after 45 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster, and a gateway that follows what is registered in it.
struct Registry {
    cluster: RemoteCluster,
    gateway: Gateway,
}

/// Where a registered service is.
fn service(octet: u8) -> String {
    format!("10.99.0.{octet}:80")
}

impl Registry {
    /// `prepare` is done before the gateway starts.
    fn start(
        version: Version,
        arguments: &[&str],
        prepare: impl FnOnce(&RemoteCluster),
    ) -> Option<Registry> {
        let cluster = RemoteCluster::start(version)?;
        prepare(&cluster);
        let gateway = follow(&cluster, &cluster.endpoints(), arguments);
        Some(Registry { cluster, gateway })
    }

    fn etcdctl(&self, arguments: &[&str]) -> Output {
        etcdctl(&self.cluster, arguments)
    }

    fn put(&self, key: &str, value: &str) {
        self.etcdctl(&["put", &format!("svc/{key}"), value]);
    }

    fn wait_added(&self, octet: u8, weight: u16) {
        let (at, rest) = (service(octet), format!("priority=0 weight={weight}"));
        self.gateway.wait_for_log(&format!("endpoint added endpoint={at} name={at} {rest}"));
    }

    fn wait_removed(&self, octet: u8) {
        self.gateway.wait_for_log(&format!("endpoint removed endpoint={} ", service(octet)));
    }
}

/// A gateway that asks these members.
fn follow(cluster: &RemoteCluster, members: &[SocketAddr], arguments: &[&str]) -> Gateway {
    let members: Vec<String> = members.iter().map(|member| format!("http://{member}")).collect();
    let mut builder = Gateway::builder().arg("--registry-prefix=svc/");
    builder = builder.arg(&format!("--etcd-endpoints={}", members.join(",")));
    for argument in arguments {
        builder = builder.arg(argument);
    }
    cluster.home().enter(|| builder.start())
}

/// Runs etcdctl, which has to succeed.
fn etcdctl(cluster: &RemoteCluster, arguments: &[&str]) -> Output {
    let output = cluster.etcdctl(&cluster.endpoints(), arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn expect_keys_are_followed(version: Version) {
    let value = format!(r#"{{"Addr":"{}","weight":3}}"#, service(1));
    let Some(registry) = Registry::start(version, &[], |cluster| {
        etcdctl(cluster, &["put", "svc/a", &value]);
        etcdctl(cluster, &["put", "svc/b", "not an address"]);
    }) else {
        return;
    };
    registry.wait_added(1, 3);
    registry.gateway.wait_for_log(r#"registered service skipped key="svc/b" reason=unparsable"#);
    // A change of the address in place, and a value that can be read now.
    registry.put("a", &service(2));
    registry.wait_added(2, 1);
    registry.wait_removed(1);
    registry.put("b", &service(3));
    registry.wait_added(3, 1);
    // The same server under another key: it is gone with the last of them.
    registry.put("c", &service(3));
    registry.etcdctl(&["del", "svc/b"]);
    registry.put("d", &service(4));
    registry.wait_added(4, 1);
    registry.etcdctl(&["del", "svc/c"]);
    registry.wait_removed(3);
    let granted = registry.etcdctl(&["lease", "grant", "2"]);
    let granted = String::from_utf8_lossy(&granted.stdout).into_owned();
    let lease = granted.split(' ').nth(1).expect("its number").to_owned();
    registry.etcdctl(&["put", &format!("--lease={lease}"), "svc/e", &service(5)]);
    registry.wait_added(5, 1);
    registry.wait_removed(5);
    // The last ones: a quorum says that there is nothing, so nothing is kept.
    registry.etcdctl(&["del", "--prefix", "svc/"]);
    registry.wait_removed(2);
    registry.wait_removed(4);
    assert_eq!(registry.gateway.log_count("keeping the last known"), 0);
    registry.put("f", &service(6));
    registry.wait_added(6, 1);
    // A name is looked up for as long as a key has it.
    registry.put("g", "localhost:81");
    registry.gateway.wait_for_log("endpoint added endpoint=127.0.0.1:81 name=localhost:81");
    registry.etcdctl(&["del", "svc/g"]);
    registry.gateway.wait_for_log("endpoint removed endpoint=127.0.0.1:81 ");
}

fn expect_members_take_turns(version: Version) {
    let Some(mut registry) = Registry::start(version, &[], |cluster| {
        etcdctl(cluster, &["put", "svc/a", &service(1)]);
    }) else {
        return;
    };
    registry.wait_added(1, 1);
    for (octet, member) in [(2, 0), (3, 1), (4, 2)] {
        registry.cluster.kill(member);
        registry.cluster.wait_leader(&[(member + 1) % 3, (member + 2) % 3]);
        registry.put("b", &service(octet));
        registry.wait_added(octet, 1);
        registry.cluster.restart(member);
        registry.cluster.wait_leader(&[0, 1, 2]);
    }
    // Compacted behind its back, while all are gone; and a change that no watch can tell.
    (0..3).for_each(|member| registry.cluster.kill(member));
    registry.gateway.wait_for_log("registry not followed, keeping the last known services");
    (0..3).for_each(|member| registry.cluster.restart(member));
    let output = registry.cluster.wait_leader(&[0, 1, 2]);
    registry.etcdctl(&["del", "svc/b"]);
    registry.put("a", &service(9));
    let revision = registry.cluster.post(output, "/v3/kv/range", r#"{"key":"AA=="}"#);
    let revision = revision.expect("a member that serves");
    let revision = revision.split(r#""revision":""#).nth(1).and_then(|rest| rest.split('"').next());
    registry.etcdctl(&["compaction", revision.expect("a revision")]);
    registry.wait_added(9, 1);
    registry.wait_removed(4);
    registry.gateway.wait_for_log("registry followed again");
    assert_eq!(registry.gateway.log_count("registry not followed"), 1);
}

/// A fault of one member that leaves its connections open, and what ends it.
type Fault = (&'static str, fn(&mut RemoteCluster, usize), fn(&mut RemoteCluster, usize));

const FAULTS: [Fault; 3] = [
    ("stopped", RemoteCluster::stop, RemoteCluster::resume),
    (
        "cut off from here",
        |cluster, at| cluster.cut_from_home(at),
        |cluster, at| cluster.rejoin_home(at),
    ),
    (
        "cut off from its peers",
        |cluster, at| cluster.cut_from_peers(at),
        |cluster, at| cluster.rejoin_peers(at),
    ),
];

/// The watch of a member that is stopped or cut off is silent, as one is without changes. In three
/// turns each fault meets the member that is asked.
fn expect_silent_members_are_left(version: Version) {
    let Some(mut registry) = Registry::start(version, &[], |cluster| {
        etcdctl(cluster, &["put", "svc/a", &service(1)]);
    }) else {
        return;
    };
    registry.wait_added(1, 1);
    let mut octet = 1;
    for (name, begin, end) in FAULTS {
        for member in 0..3 {
            octet += 1;
            begin(&mut registry.cluster, member);
            let others = [(member + 1) % 3, (member + 2) % 3];
            let endpoints = others.map(|other| registry.cluster.endpoint(other));
            let at = service(octet);
            until("the other members serve", || {
                registry.cluster.etcdctl(&endpoints, &["put", "svc/b", &at]).status.success()
            });
            let changed_at = Instant::now();
            registry.wait_added(octet, 1);
            let took = changed_at.elapsed();
            assert!(took < PATIENCE, "member {member} {name}: left after {took:?}");
            end(&mut registry.cluster, member);
            registry.cluster.wait_leader(&[0, 1, 2]);
        }
    }
}

/// Users and a right to read, and then authentication is on.
fn with_users(cluster: &RemoteCluster) {
    etcdctl(cluster, &["put", "svc/a", &service(1)]);
    for words in USERS.into_iter().chain(["user add other:secret", "auth enable"]) {
        let words: Vec<&str> = words.split(' ').collect();
        etcdctl(cluster, &words);
    }
}

fn expect_users_are_authenticated(version: Version) {
    let directory = TemporaryDirectory::new();
    let (good, bad) = (directory.path().join("good"), directory.path().join("bad"));
    std::fs::write(&good, "secret\n").expect("a directory of our own");
    std::fs::write(&bad, "wrong\n").expect("a directory of our own");
    let (good, bad) = (good.display(), bad.display());
    let file = format!("--password-file={good}");
    let Some(mut registry) = Registry::start(version, &["--user=gw", &file], with_users) else {
        return;
    };
    registry.wait_added(1, 1);
    let root = "--user=root:pw";
    registry.etcdctl(&[root, "put", "svc/b", &service(2)]);
    registry.wait_added(2, 1);
    let members = registry.cluster.endpoints();
    for (arguments, reason) in [
        (vec!["--user=gw".to_owned(), format!("--password-file={bad}")], "password_wrong"),
        (vec!["--user=other".to_owned(), file.clone()], "permission_denied"),
        (vec![], "token_missing"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let gateway = follow(&registry.cluster, &members, &arguments);
        let line = gateway.wait_for_log("registry not followed");
        assert!(line.contains(&format!("reason={reason}")), "{line}");
        assert_eq!(gateway.log().iter().filter(|line| line.contains("secret")).count(), 0);
    }
    // Authentication ends, and a token is refused from now on. A watch that runs does not show it.
    registry.etcdctl(&[root, "auth", "disable"]);
    for member in 0..3 {
        registry.cluster.kill(member);
        registry.cluster.wait_leader(&[(member + 1) % 3, (member + 2) % 3]);
        registry.cluster.restart(member);
        registry.cluster.wait_leader(&[0, 1, 2]);
    }
    registry.put("c", &service(3));
    registry.wait_added(3, 1);
}

#[test]
fn keys_are_followed_in_debians_etcd() {
    expect_keys_are_followed(Version::Debian);
}

#[test]
fn keys_are_followed_in_etcd_3_5() {
    expect_keys_are_followed(Version::V3_5);
}

#[test]
fn members_take_turns_with_debians_etcd() {
    expect_members_take_turns(Version::Debian);
}

#[test]
fn members_take_turns_with_etcd_3_5() {
    expect_members_take_turns(Version::V3_5);
}

#[test]
fn silent_members_are_left_with_debians_etcd() {
    expect_silent_members_are_left(Version::Debian);
}

#[test]
fn silent_members_are_left_with_etcd_3_5() {
    expect_silent_members_are_left(Version::V3_5);
}

#[test]
fn users_are_authenticated_by_debians_etcd() {
    expect_users_are_authenticated(Version::Debian);
}

#[test]
fn users_are_authenticated_by_etcd_3_5() {
    expect_users_are_authenticated(Version::V3_5);
}
