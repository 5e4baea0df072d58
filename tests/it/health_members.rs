//! Health checks of real members of etcd, each on a host of its own, in the states that they are in
//! when they do not serve.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::util::*;

/// How long a client may be without an answer after a fault, on a machine that is busy. A fault
/// that is never healed would keep it without end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with one connection, which it makes anew when it is lost.
struct Client<'a> {
    home: &'a Host,
    gateway: &'a Gateway,
    stream: TcpStream,
}

impl<'a> Client<'a> {
    fn connect(home: &'a Host, gateway: &'a Gateway) -> Client<'a> {
        Client { home, gateway, stream: home.connect(gateway.address()) }
    }

    /// Puts a key, over a new connection where the old one is lost, until that has worked.
    fn put(&mut self) {
        let started = Instant::now();
        while !self.try_put() {
            assert!(started.elapsed() < PATIENCE, "the client was left with a dead member");
            self.stream = self.home.connect(self.gateway.address());
        }
    }

    fn try_put(&mut self) -> bool {
        let body = format!(r#"{{"key":"{}","value":"{}"}}"#, base64(b"key"), base64(b"value"));
        let request = format!(
            "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        let mut answer = [0; 1024];
        let is_sent = self.stream.write_all(request.as_bytes()).is_ok();
        let read = if is_sent { self.stream.read(&mut answer).unwrap_or(0) } else { 0 };
        answer[..read].starts_with(b"HTTP/1.1 200 ")
    }
}

/// One client for each member, and each fault of one of them in turn.
fn expect_clients_leave(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let home = cluster.home().clone();
    let gateway = cluster.gateway(&["--health-check=etcd"]);
    until("all pass", || passing(&gateway) == 3);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&home, &gateway)).collect();
    clients.iter_mut().for_each(Client::put);

    let leader = cluster.wait_leader(&[0, 1, 2]);
    let follower = (leader + 1) % 3;
    cluster.stop(follower);
    clients.iter_mut().for_each(Client::put);
    expect_failing(&gateway, &cluster, follower, "timed_out");
    cluster.resume(follower);
    expect_passing(&gateway, &cluster, follower);

    cluster.cut_from_peers(follower);
    clients.iter_mut().for_each(Client::put);
    expect_failing(&gateway, &cluster, follower, "no_leader");
    cluster.rejoin_peers(follower);
    expect_passing(&gateway, &cluster, follower);

    cluster.cut_from_home(follower);
    clients.iter_mut().for_each(Client::put);
    expect_failing(&gateway, &cluster, follower, "timed_out");
    cluster.rejoin_home(follower);
    expect_passing(&gateway, &cluster, follower);

    let leader = cluster.wait_leader(&[0, 1, 2]);
    cluster.stop(leader);
    clients.iter_mut().for_each(Client::put);
    cluster.resume(leader);
    cluster.wait_leader(&[0, 1, 2]);
}

/// How often a member has passed its check for the first time, or again.
fn passing(gateway: &Gateway) -> usize {
    gateway.log_count("endpoint passes its check")
}

/// Waits until the member fails its checks, by the last line about it for this reason. Others may
/// do so, too, where one that comes back causes an election.
fn expect_failing(gateway: &Gateway, cluster: &RemoteCluster, index: usize, reason: &str) {
    until("it fails for that reason", || {
        let line = last_check(gateway, cluster, index);
        line.contains("endpoint fails its check") && line.contains(&format!("reason={reason}"))
    });
}

/// Waits until the member passes its checks again.
fn expect_passing(gateway: &Gateway, cluster: &RemoteCluster, index: usize) {
    until("it is back", || {
        last_check(gateway, cluster, index).contains("endpoint passes its check")
    });
}

/// The last line about checks of a member.
fn last_check(gateway: &Gateway, cluster: &RemoteCluster, index: usize) -> String {
    let address = cluster.endpoint(index).to_string();
    let mut lines = gateway.log().into_iter();
    let line = lines.rfind(|line| line.contains(" its check") && line.contains(&address));
    line.unwrap_or_default()
}

/// A learner accepts, and refuses whatever clients ask.
fn expect_learner_gets_no_clients(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let home = cluster.home().clone();
    let learner = cluster.add(Role::Learner);
    cluster.wait_serving(learner);
    let gateway = cluster.gateway(&["--health-check=etcd"]);
    until("all voters pass", || passing(&gateway) == 3);
    expect_failing(&gateway, &cluster, learner, "learner");
    for _ in 0..6 {
        assert!(Client::connect(&home, &gateway).try_put(), "led to the learner");
    }
    cluster.promote(learner);
    until("it is a voter", || passing(&gateway) == 4);
}

#[test]
fn clients_leave_a_member_that_does_not_serve_with_debians_etcd() {
    expect_clients_leave(Version::Debian);
}

#[test]
fn clients_leave_a_member_that_does_not_serve_with_etcd_3_5() {
    expect_clients_leave(Version::V3_5);
}

#[test]
fn a_learner_gets_no_clients_with_debians_etcd() {
    expect_learner_gets_no_clients(Version::Debian);
}

#[test]
fn a_learner_gets_no_clients_with_etcd_3_5() {
    expect_learner_gets_no_clients(Version::V3_5);
}
