//! All members of a cluster are replaced, one after the other, under clients that write and watch:
//! none of them loses anything, and the gateway ends on the new members without a restart, and
//! knows them after one. All settings are the defaults.
//!
//! The clients speak JSON, in this process. So fifty of them, with a watch each, cost a CI nothing
//! to install, and each knows which of its writes were acknowledged before its connection ended. A
//! client of etcd's own, `etcdctl watch`, watches all keys in addition.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::util::*;

const CLIENTS: usize = 50;
/// From an acknowledged write of a client to its next one, so that members keep up.
const PACE: Duration = Duration::from_millis(50);
/// Before a client tries again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one write may take with all its tries, and a watch between two changes. Where the
/// leader was replaced, etcd lets puts of the time before the election wait for 7 s.
const PATIENCE: Duration = Duration::from_secs(40);
/// The value by which a client ends.
const LAST: &str = "last";

/// What a client does at the gateway, and has done.
struct Client {
    address: SocketAddr,
    key: String,
    is_ending: AtomicBool,
    /// Acknowledged writes, and changes that its watch has told of.
    written: AtomicU64,
    seen: AtomicU64,
}

/// What a client has written.
#[derive(Default)]
struct Written {
    /// Values that were acknowledged, by the revision of that.
    acknowledged: BTreeMap<u64, String>,
    /// Requests that were not answered, or refused.
    failures: usize,
    longest: Duration,
}

/// What its watch has told of.
#[derive(Default)]
struct Watched {
    changes: Vec<Change>,
    /// Times that the watch was asked for.
    begun: usize,
    /// The longest time between two changes.
    longest: Duration,
}

impl Client {
    /// Writes one value after the other, until it is to end.
    fn write(&self) -> Written {
        let mut written = Written::default();
        let mut connection = JsonClient::new(self.address);
        for number in 1_u64.. {
            let is_last = self.is_ending.load(Ordering::SeqCst);
            let value = if is_last { LAST.to_owned() } else { number.to_string() };
            let body = json!({"key": base64(self.key.as_bytes()),
                "value": base64(value.as_bytes())});
            let begun = Instant::now();
            let revision = loop {
                match connection.call("/v3/kv/put", &body) {
                    Ok(answer) => break json_number(&answer["header"]["revision"]),
                    Err(problem) => {
                        let key = &self.key;
                        assert!(begun.elapsed() < PATIENCE, "{key} is stuck: {problem}");
                    }
                }
                written.failures += 1;
                thread::park_timeout(PAUSE);
            };
            written.longest = written.longest.max(begun.elapsed());
            written.acknowledged.insert(revision, value);
            self.written.fetch_add(1, Ordering::SeqCst);
            if is_last {
                break;
            }
            thread::park_timeout(PACE);
        }
        written
    }

    /// Watches the key from its first change to its last one. A watch that ends is followed by one
    /// from the revision after the last change.
    fn watch(&self) -> Watched {
        let mut watched = Watched::default();
        let mut revision = 1;
        let mut since = Instant::now();
        loop {
            watched.begun += 1;
            let problem = match JsonWatch::open(self.address, &self.key, revision) {
                Err(problem) => problem,
                Ok(mut watch) => loop {
                    let changes = match watch.next_changes() {
                        Ok(changes) => changes,
                        Err(problem) => break problem,
                    };
                    for change in changes {
                        watched.longest = watched.longest.max(since.elapsed());
                        since = Instant::now();
                        revision = change.revision + 1;
                        self.seen.fetch_add(1, Ordering::SeqCst);
                        let is_last = change.value == LAST;
                        watched.changes.push(change);
                        if is_last {
                            return watched;
                        }
                    }
                },
            };
            assert!(since.elapsed() < PATIENCE, "watch of {} is stuck: {problem}", self.key);
            thread::park_timeout(PAUSE);
        }
    }
}

/// All clients, and the threads that they are.
struct Clients {
    clients: Vec<(Arc<Client>, JoinHandle<Written>, JoinHandle<Watched>)>,
    /// `etcdctl watch` of all their keys.
    etcdctl: Process,
}

impl Clients {
    /// Starts them on the gateway's host, in front of that address.
    fn start(cluster: &RemoteCluster, address: SocketAddr) -> Clients {
        let mut command = cluster.version().etcdctl(&[address], &["watch", "--prefix", "load/"]);
        command.arg("--rev=1");
        let etcdctl = cluster.home().enter(|| Process::spawn("etcdctl watch", &mut command));
        let clients = (0..CLIENTS).map(|number| {
            let client = Arc::new(Client {
                address,
                key: format!("load/{number:02}"),
                is_ending: AtomicBool::new(false),
                written: AtomicU64::new(0),
                seen: AtomicU64::new(0),
            });
            let writer = spawn_at(cluster.home(), &client, Client::write);
            let watcher = spawn_at(cluster.home(), &client, Client::watch);
            (client, writer, watcher)
        });
        Clients { clients: clients.collect(), etcdctl }
    }

    /// Waits until each one has written and seen its writes from here on.
    fn wait_progress(&self) {
        let before = self.counts();
        until_within("every client goes on", PATIENCE, || {
            self.counts().iter().zip(&before).all(|(now, before)| *now >= before + 2)
        });
    }

    /// How much each one has written, and each watch has told of.
    fn counts(&self) -> Vec<u64> {
        self.clients.iter().flat_map(|(client, ..)| client.counts()).collect()
    }

    /// Ends all, and compares what they have seen and written with each other and with what a
    /// member holds.
    fn finish(self, cluster: &RemoteCluster, member: usize) -> Summary {
        self.clients.iter().for_each(|(client, ..)| client.is_ending.store(true, Ordering::SeqCst));
        let mut summary = Summary::default();
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (client, writer, watcher) in self.clients {
            let written = writer.join().expect("a client that is not stuck");
            let watched = watcher.join().expect("a watch that is not stuck");
            summary.add(&written, &watched);
            check_watch(&client.key, &written, &watched);
            check_member(cluster, member, &client.key, &watched);
            self.etcdctl.wait_for_log(LAST);
            let changes = watched.changes.into_iter().map(|change| change.value);
            values.insert(client.key.clone(), changes.collect());
        }
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.etcdctl.log().chunks_exact(3) {
            let [kind, key, value] = event else { unreachable!("chunks of three") };
            assert_eq!(kind, "PUT", "{event:?}");
            seen.entry(key.clone()).or_default().push(value.clone());
        }
        for (key, values) in values {
            let seen = &seen[&key];
            // The last write may have been tried again after our own watch had ended.
            assert_eq!(seen[..values.len()], values[..], "{key}: etcdctl watch");
        }
        summary
    }
}

impl Client {
    fn counts(&self) -> [u64; 2] {
        [&self.written, &self.seen].map(|count| count.load(Ordering::SeqCst))
    }
}

fn spawn_at<T: Send + 'static>(
    host: &Arc<Host>,
    client: &Arc<Client>,
    action: impl FnOnce(&Client) -> T + Send + 'static,
) -> JoinHandle<T> {
    let (host, client) = (Arc::clone(host), Arc::clone(client));
    thread::spawn(move || host.enter(|| action(&client)))
}

/// The watch has told of every change of its key, each once and in order, and of every write that
/// was acknowledged.
fn check_watch(key: &str, written: &Written, watched: &Watched) {
    let mut versions = watched.changes.iter().map(|change| change.version).zip(1_u64..);
    let gap = versions.find(|(version, expected)| version != expected);
    assert_eq!(gap, None, "{key}: a watch is not complete or not in order");
    assert!(watched.changes.is_sorted_by(|a, b| a.revision < b.revision), "{key}: revisions");
    let by_revision: BTreeMap<u64, &String> =
        watched.changes.iter().map(|change| (change.revision, &change.value)).collect();
    for (revision, value) in &written.acknowledged {
        let found = by_revision.get(revision);
        // The last one may have been carried out by a try before, which ended the watch.
        let is_last = value == LAST && found.is_none();
        assert!(is_last || found == Some(&value), "{key}: {value} at {revision} is lost");
    }
    let numbers = written.acknowledged.values().filter(|value| *value != LAST);
    let gap = numbers.zip(1_u64..).find(|(value, expected)| **value != expected.to_string());
    assert_eq!(gap, None, "{key}: a write was acknowledged out of order");
}

/// A member holds the key as the watch has told of it.
fn check_member(cluster: &RemoteCluster, member: usize, key: &str, watched: &Watched) {
    let body = format!(r#"{{"key":"{}"}}"#, base64(key.as_bytes()));
    let answer = cluster.post(member, "/v3/kv/range", &body).expect("a member that serves");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON of etcd");
    let kv = &answer["kvs"][0];
    assert_eq!(json_text(&kv["value"]), LAST, "{key}");
    assert!(json_number(&kv["version"]) >= watched.changes.len() as u64, "{key}: changes lost");
}

/// Figures of a run.
#[derive(Debug, Default)]
struct Summary {
    acknowledged: usize,
    failures: usize,
    changes: usize,
    watches: usize,
    longest_write: Duration,
    longest_silence: Duration,
}

impl Summary {
    fn add(&mut self, written: &Written, watched: &Watched) {
        self.acknowledged += written.acknowledged.len();
        self.failures += written.failures;
        self.changes += watched.changes.len();
        self.watches += watched.begun;
        self.longest_write = self.longest_write.max(written.longest);
        self.longest_silence = self.longest_silence.max(watched.longest);
    }
}

/// A gateway that always has the same address.
fn gateway(
    cluster: &RemoteCluster,
    address: SocketAddr,
    typed: &[SocketAddr],
    state: &str,
) -> Gateway {
    let listen = format!("--listen-addr={address}");
    let arguments = ["--follow-members", state, &listen];
    cluster.home().enter(|| Gateway::start(typed, &arguments))
}

/// Waits until a line with this message names the address.
fn wait_line(gateway: &Gateway, message: &str, address: SocketAddr) {
    let address = address.to_string();
    until(&format!("{message} {address}"), || {
        gateway.log().iter().any(|line| line.contains(message) && line.contains(&address))
    });
}

/// Waits until the gateway has connections with these members, and with no others.
fn wait_connected(gateway: &Gateway, members: &BTreeSet<SocketAddr>) {
    until_within("connections with the new members alone", PATIENCE, || {
        let ends = far_ends(gateway.pid());
        let ends: BTreeSet<SocketAddr> =
            ends.into_iter().filter(|end| end.port() == members_port(members)).collect();
        ends == *members
    });
}

fn members_port(members: &BTreeSet<SocketAddr>) -> u16 {
    members.first().expect("there are members").port()
}

fn expect_all_members_can_be_replaced(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("members");
    let state = format!("--state-file={}", path.display());
    let typed = cluster.endpoints();
    let reserved = cluster.home().enter(Reservation::new);
    let first = gateway(&cluster, reserved.address(), &typed, &state);
    first.wait_for_log("state file has no list yet");
    first.wait_for_log("list of members followed");
    let clients = Clients::start(&cluster, reserved.address());
    clients.wait_progress();
    let mut delays = Vec::new();
    for old in 0..3 {
        let new = cluster.add(Role::Learner);
        cluster.wait_serving(new);
        cluster.promote(new);
        // The gateway may not know of the new one when the old one goes.
        cluster.remove(old);
        let removed_at = Instant::now();
        wait_line(&first, "endpoint added", cluster.endpoint(new));
        wait_line(&first, "endpoint removed", cluster.endpoint(old));
        delays.push(removed_at.elapsed());
        clients.wait_progress();
    }
    let new: BTreeSet<SocketAddr> = (3..6).map(|index| cluster.endpoint(index)).collect();
    wait_connected(&first, &new);
    drop(first);
    let kept = fs::read_to_string(&path).expect("the file was written");
    assert_eq!(kept.lines().filter(|line| line.starts_with("member ")).count(), 3, "{kept}");

    let again = gateway(&cluster, reserved.address(), &typed, &state);
    again.wait_for_log("state file read");
    let log = again.log();
    let ready = log.iter().find(|line| line.contains("ready to proxy")).expect("it is ready");
    for old in typed {
        assert!(!ready.contains(&old.to_string()), "{ready}");
    }
    clients.wait_progress();
    wait_connected(&again, &new);
    let summary = clients.finish(&cluster, 3);
    eprintln!("{version:?}: {summary:?}, replaced after {delays:?}");
}

#[test]
fn all_members_can_be_replaced_with_debians_etcd() {
    expect_all_members_can_be_replaced(Version::Debian);
}

#[test]
fn all_members_can_be_replaced_with_etcd_3_5() {
    expect_all_members_can_be_replaced(Version::V3_5);
}
