//! Faults that members of an etcd cluster can have, as `util/remote.rs` makes them: each is seen to
//! begin and to end, with both versions of etcd.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::util::{RemoteCluster, Role, Version, base64, until};

/// A put that a quorum has to agree to.
fn put(cluster: &RemoteCluster, index: usize) -> Result<String, String> {
    let body = format!(r#"{{"key":"{}","value":"{}"}}"#, base64(b"key"), base64(b"value"));
    cluster.post(index, "/v3/kv/put", &body)
}

fn expect_faults_begin_and_end(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let leader = cluster.wait_leader(&[0, 1, 2]);
    let [one, other] = [(leader + 1) % 3, (leader + 2) % 3];

    cluster.cut_from_peers(one);
    cluster.wait_leaderless(one);
    put(&cluster, leader).expect("a quorum is left");
    cluster.rejoin_peers(one);
    cluster.wait_leader(&[0, 1, 2]);

    cluster.cut_from_home(one);
    let address = cluster.endpoint(one);
    assert!(!cluster.home().enter(|| is_open(address)), "packets pass");
    cluster.rejoin_home(one);
    assert!(cluster.home().enter(|| is_open(address)), "packets do not pass");
    put(&cluster, one).expect("its peers never lost it");

    let leader = cluster.wait_leader(&[0, 1, 2]);
    cluster.stop(leader);
    let rest: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    until("another one leads", || {
        let followed = cluster.status(rest[0]).ok().and_then(|status| status.leader);
        let known = rest.iter().filter_map(|&index| cluster.status(index).ok());
        known.into_iter().any(|status| Some(status.member) == followed)
    });
    cluster.resume(leader);
    cluster.wait_leader(&[0, 1, 2]);

    [one, other].into_iter().for_each(|index| cluster.kill(index));
    cluster.wait_leaderless(3 - one - other);
    [one, other].into_iter().for_each(|index| cluster.restart(index));
    cluster.wait_leader(&[0, 1, 2]);

    let gateway = cluster.gateway(&[]);
    let output = cluster.etcdctl(&[gateway.address()], &["put", "key", "value"]);
    assert!(output.status.success(), "{output:?}");
}

fn expect_members_come_and_go(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    cluster.remove(1);
    cluster.wipe(1);
    cluster.join(1, Role::Learner);
    cluster.wait_serving(1);
    assert!(cluster.status(1).expect("a learner answers").is_learner);
    put(&cluster, 1).expect_err("a learner serves no put");
    cluster.promote(1);
    until("the learner has become a voter", || put(&cluster, 1).is_ok());

    let added = cluster.add(Role::Voter);
    cluster.wait_serving(added);
    put(&cluster, added).expect("a voter");
    cluster.kill(0);
    cluster.remove(0);
    cluster.wait_leader(&[1, 2, added]);
    assert_eq!(cluster.endpoints().len(), added + 1);
}

/// Whether a connection comes about in a time that is far more than it takes here.
fn is_open(address: SocketAddr) -> bool {
    let patience = Duration::from_millis(500);
    TcpStream::connect_timeout(&address, patience).is_ok()
}

#[test]
fn faults_of_members_begin_and_end_with_debians_etcd() {
    expect_faults_begin_and_end(Version::Debian);
}

#[test]
fn faults_of_members_begin_and_end_with_etcd_3_5() {
    expect_faults_begin_and_end(Version::V3_5);
}

#[test]
fn members_come_and_go_with_debians_etcd() {
    expect_members_come_and_go(Version::Debian);
}

#[test]
fn members_come_and_go_with_etcd_3_5() {
    expect_members_come_and_go(Version::V3_5);
}
