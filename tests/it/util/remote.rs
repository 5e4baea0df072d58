//! etcd clusters whose members are machines of their own, and the faults that these can have.
//!
//! ```text
//!              ┌──────────── router ───────────┐     its rules drop what passes between two hosts
//!   home: the gateway, clients    m0    m1    m2    m3, where one was added
//! ```
//!
//! A member serves its clients and its peers at one address, on ports 2379 and 2380. Each fault
//! begins and ends by a method of its own, and the cluster ends with its value. What a member
//! answers while it is faulty is in `remote_members.rs`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use super::{Gateway, Host, Network, Process, TemporaryDirectory, Version, finish, http, until};

/// The members at the start: the fewest that outlive the loss of one.
const MEMBERS: usize = 3;
const PEER_PORT: u16 = 2380;
/// What a member logs when its clients are answered.
const SERVING: &str = "serving client traffic";

/// A cluster, and the host of its gateway and its clients.
pub struct RemoteCluster {
    // In this order they are dropped: no member may live longer than its data.
    members: Vec<RemoteMember>,
    directory: TemporaryDirectory,
    home: Arc<Host>,
    network: Network,
    version: Version,
}

struct RemoteMember {
    host: Host,
    /// Whether the cluster's list has it.
    belongs: bool,
    run: Run,
}

impl RemoteMember {
    fn can_answer(&self) -> bool {
        self.belongs && matches!(self.run, Run::Running(_))
    }
}

/// What a member's process does.
enum Run {
    Ended,
    Running(Process),
    /// After SIGSTOP.
    Stopped(Process),
}

/// What a member is when it is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Voter,
    Learner,
}

/// What a member says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub member: u64,
    /// The leader that it knows.
    pub leader: Option<u64>,
    pub is_learner: bool,
}

/// Whether a member founds the cluster or joins it, in the words of etcd.
const NEW: &str = "new";
const EXISTING: &str = "existing";

impl RemoteCluster {
    /// Three members that have a leader. `None`, said aloud, where networks cannot be made.
    pub fn start(version: Version) -> Option<RemoteCluster> {
        let network = Network::new()?;
        let home = Arc::new(network.host());
        let members = Vec::new();
        let directory = TemporaryDirectory::new();
        let mut cluster = RemoteCluster { members, directory, home, network, version };
        for _ in 0..MEMBERS {
            cluster.add_host(true);
        }
        (0..MEMBERS).for_each(|index| cluster.launch(index, NEW));
        (0..MEMBERS).for_each(|index| cluster.wait_serving(index));
        cluster.wait_leader(&[0, 1, 2]);
        Some(cluster)
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// The host of the gateway and of its clients.
    pub fn home(&self) -> &Arc<Host> {
        &self.home
    }

    /// Where a member serves its clients.
    pub fn endpoint(&self, index: usize) -> SocketAddr {
        self.members[index].host.address()
    }

    /// Those of the members that were ever there, by their indices.
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        (0..self.members.len()).map(|index| self.endpoint(index)).collect()
    }

    /// A gateway on its host, in front of all members that are there now.
    pub fn gateway(&self, arguments: &[&str]) -> Gateway {
        self.home.enter(|| Gateway::start(&self.endpoints(), arguments))
    }

    /// Runs etcdctl of the members' version on the gateway's host, to its end.
    pub fn etcdctl(&self, endpoints: &[SocketAddr], arguments: &[&str]) -> Output {
        let mut command = self.version.etcdctl(endpoints, arguments);
        self.home.enter(|| finish(&mut command, ""))
    }

    /// The answer of a member to a request in JSON, asked from the gateway's host.
    ///
    /// # Errors
    /// What the member answered instead.
    pub fn post(&self, index: usize, path: &str, body: &str) -> Result<String, String> {
        self.home.enter(|| http(self.endpoint(index), "POST", path, body))
    }

    /// What a member that answers says of itself. It may have no leader.
    pub fn status(&self, index: usize) -> Result<Status, String> {
        let body = self.post(index, "/v3/maintenance/status", "{}")?;
        let member = number_in(&body, "member_id").ok_or_else(|| body.clone())?;
        let is_learner = body.contains(r#""isLearner":true"#);
        Ok(Status { member, leader: number_in(&body, "leader"), is_learner })
    }

    /// Waits until all of these members follow one of them, and returns that one.
    pub fn wait_leader(&self, of: &[usize]) -> usize {
        let mut leader = None;
        until("the members have a leader", || {
            let asked: Result<Vec<Status>, String> =
                of.iter().map(|&index| self.status(index)).collect();
            let Ok(known) = asked else { return false };
            let first = known.first().and_then(|status| status.leader);
            let are_agreed = known.iter().all(|status| status.leader == first);
            let place = known.iter().position(|status| Some(status.member) == first);
            leader = place.filter(|_| are_agreed).map(|place| of[place]);
            leader.is_some()
        });
        leader.expect("until() returned, so there is one")
    }

    /// Waits until a member, which answers, has no leader.
    pub fn wait_leaderless(&self, index: usize) {
        until("the member has noticed that it has no leader", || {
            self.status(index).is_ok_and(|status| status.leader.is_none())
        });
    }

    pub fn wait_serving(&self, index: usize) {
        match &self.members[index].run {
            Run::Running(process) => drop(process.wait_for_log(SERVING)),
            Run::Stopped(_) | Run::Ended => panic!("member {index} is not running"),
        }
    }

    /// Kills a member at once. Its port refuses from here on.
    pub fn kill(&mut self, index: usize) {
        match &mut self.members[index].run {
            Run::Running(process) | Run::Stopped(process) => process.kill(),
            Run::Ended => panic!("member {index} has ended already"),
        }
        self.members[index].run = Run::Ended;
    }

    /// Starts a member that has ended, with the data that it has.
    pub fn restart(&mut self, index: usize) {
        self.launch(index, EXISTING);
    }

    /// Stops a member by SIGSTOP: its kernel goes on to accept connections and bytes.
    pub fn stop(&mut self, index: usize) {
        let run = &mut self.members[index].run;
        *run = match std::mem::replace(run, Run::Ended) {
            Run::Running(process) => {
                process.signal("STOP");
                Run::Stopped(process)
            }
            Run::Stopped(_) | Run::Ended => panic!("member {index} is not running"),
        };
    }

    /// Ends [`RemoteCluster::stop`].
    pub fn resume(&mut self, index: usize) {
        let run = &mut self.members[index].run;
        *run = match std::mem::replace(run, Run::Ended) {
            Run::Stopped(process) => {
                process.signal("CONT");
                Run::Running(process)
            }
            Run::Running(_) | Run::Ended => panic!("member {index} is not stopped"),
        };
    }

    /// Drops what passes between a member and its peers, and nothing else.
    pub fn cut_from_peers(&self, index: usize) {
        self.peers(index).for_each(|peer| self.members[index].host.part_from(peer));
    }

    /// Ends [`RemoteCluster::cut_from_peers`].
    pub fn rejoin_peers(&self, index: usize) {
        self.peers(index).for_each(|peer| self.members[index].host.rejoin(peer));
    }

    /// Drops what passes between a member and the gateway's host, and nothing else.
    pub fn cut_from_home(&self, index: usize) {
        self.members[index].host.part_from(&self.home);
    }

    /// Ends [`RemoteCluster::cut_from_home`].
    pub fn rejoin_home(&self, index: usize) {
        self.members[index].host.rejoin(&self.home);
    }

    /// Takes a member out of the cluster, upon which it ends by itself where it is running.
    pub fn remove(&mut self, index: usize) {
        let identity = self.identity(index);
        self.change_members(index, &["member", "remove", &identity]);
        let member = &mut self.members[index];
        member.belongs = false;
        if let Run::Running(process) = &mut member.run {
            process.wait_exit();
            member.run = Run::Ended;
        }
    }

    /// Throws away the data of a member that has ended.
    pub fn wipe(&mut self, index: usize) {
        assert!(matches!(self.members[index].run, Run::Ended), "member {index} is running");
        fs::remove_dir_all(self.data(index)).expect("a directory of our own");
    }

    /// Adds a member on another host and starts it. A learner serves no puts.
    pub fn add(&mut self, role: Role) -> usize {
        self.add_host(false);
        let index = self.members.len() - 1;
        self.join(index, role);
        index
    }

    /// Adds a member that was removed and has no data, at its old addresses, and starts it.
    pub fn join(&mut self, index: usize, role: Role) {
        let peer = format!("--peer-urls=http://{}", self.peer_address(index));
        let name = name_of(index);
        let mut words = vec!["member", "add", &name, &peer];
        words.extend((role == Role::Learner).then_some("--learner"));
        self.change_members(index, &words);
        self.members[index].belongs = true;
        self.launch(index, EXISTING);
    }

    /// Makes a voter of a learner, as soon as it has caught up.
    pub fn promote(&self, index: usize) {
        let identity = self.identity(index);
        self.change_members(index, &["member", "promote", &identity]);
    }

    /// Has the others change the list of members with regard to one of them.
    ///
    /// etcd refuses that until they have been connected with each other for five seconds, or until
    /// a learner has caught up.
    fn change_members(&self, index: usize, words: &[&str]) {
        let others = self.others_that_answer(index);
        until(&words.join(" "), || self.etcdctl(&others, words).status.success());
    }

    /// A member's identity in the cluster's list, in hexadecimal, as etcdctl wants it.
    fn identity(&self, index: usize) -> String {
        let others = self.others_that_answer(index);
        let list = self.etcdctl(&others, &["member", "list"]).stdout;
        let list = String::from_utf8_lossy(&list);
        let peer = format!("http://{}", self.peer_address(index));
        let line = list.lines().find(|line| line.split(", ").any(|word| word == peer));
        let line = line.unwrap_or_else(|| panic!("no {peer} in {list}"));
        line.split(", ").next().expect("split() has a first one").to_owned()
    }

    /// Where all members that can answer serve their clients, except one of them.
    fn others_that_answer(&self, except: usize) -> Vec<SocketAddr> {
        (0..self.members.len())
            .filter(|&index| index != except && self.members[index].can_answer())
            .map(|index| self.endpoint(index))
            .collect()
    }

    fn peers(&self, index: usize) -> impl Iterator<Item = &Host> {
        let others = self.members.iter().enumerate().filter(move |(other, _)| *other != index);
        others.map(|(_, member)| &member.host)
    }

    fn add_host(&mut self, belongs: bool) {
        self.members.push(RemoteMember { host: self.network.host(), belongs, run: Run::Ended });
    }

    fn peer_address(&self, index: usize) -> SocketAddr {
        SocketAddr::from((self.endpoint(index).ip(), PEER_PORT))
    }

    fn data(&self, index: usize) -> PathBuf {
        self.directory.path().join(name_of(index))
    }

    fn launch(&mut self, index: usize, state: &str) {
        let member = &self.members[index];
        assert!(matches!(member.run, Run::Ended), "member {index} is running");
        let mut command = self.command(index, state);
        let name = format!("etcd member {index}");
        let process = member.host.enter(|| Process::spawn(&name, &mut command));
        self.members[index].run = Run::Running(process);
    }

    fn command(&self, index: usize, state: &str) -> Command {
        let cluster: Vec<String> = (0..self.members.len())
            .filter(|&index| self.members[index].belongs)
            .map(|index| format!("{}=http://{}", name_of(index), self.peer_address(index)))
            .collect();
        let (client, peer) = (self.endpoint(index), self.peer_address(index));
        let mut command = self.version.etcd();
        command.args([
            // Those of etcd itself, of which what a fault takes is made.
            "--heartbeat-interval=100",
            "--election-timeout=1000",
            "--logger=zap",
            "--log-outputs=stderr",
            &format!("--name={}", name_of(index)),
            &format!("--data-dir={}", self.data(index).display()),
            &format!("--listen-client-urls=http://{client}"),
            &format!("--advertise-client-urls=http://{client}"),
            &format!("--listen-peer-urls=http://{peer}"),
            &format!("--initial-advertise-peer-urls=http://{peer}"),
            &format!("--initial-cluster={}", cluster.join(",")),
            &format!("--initial-cluster-state={state}"),
        ]);
        command
    }
}

fn name_of(index: usize) -> String {
    format!("m{index}")
}

/// A number of etcd's JSON, which has them as strings.
fn number_in(body: &str, key: &str) -> Option<u64> {
    let (_, rest) = body.split_once(&format!(r#""{key}":""#))?;
    rest.split('"').next()?.parse().ok()
}
