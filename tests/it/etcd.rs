//! A real etcd cluster of three members behind the gateway.
//!
//! The clients of etcd dial again and repeat what they can without a word, so a test of a
//! connection that has to stay looks at the gateway's log as well, or speaks for itself on a
//! plain socket.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{
    Authority, Cluster, Gateway, Process, TemporaryDirectory, Validity, base64, etcdctl, finish,
    http, number_in, output_of, until,
};

/// How long a watch hears nothing. Longer than every timeout its gateway is started with.
const SILENCE: Duration = Duration::from_secs(30);
/// A restarted member has traffic again so long after it listens, with a retry delay of 1 s.
const RETURN: Duration = Duration::from_secs(2);

#[test]
fn keys_are_put_read_deleted_and_compared() {
    let cluster = Cluster::shared();
    let gateway = Gateway::start(&cluster.endpoints(), &[]);
    let run = |arguments: &[&str]| output_of(&mut etcdctl(gateway.address(), arguments));
    let transaction = |input: &str| {
        let output = finish(&mut etcdctl(gateway.address(), &["txn"]), input);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("etcdctl prints text")
    };

    assert_eq!(run(&["put", "keys/a", "one"]), "OK");
    assert_eq!(run(&["get", "keys/a"]), "keys/a\none");
    let swap = "value(\"keys/a\") = \"one\"\n\nput keys/a two\n\nget keys/a\n\n";
    assert_eq!(transaction(swap), "SUCCESS\n\nOK\n");
    assert_eq!(transaction(swap), "FAILURE\n\nkeys/a\ntwo\n");
    // Directly from a member: the write has reached the cluster, and no cache answers for it.
    let direct = &mut etcdctl(cluster.endpoint(0), &["get", "keys/a"]);
    assert_eq!(output_of(direct), "keys/a\ntwo");
    assert_eq!(run(&["del", "keys/a"]), "1");
    assert_eq!(run(&["get", "keys/a"]), "");

    // As many connections as commands, and each member has had its share of them.
    until("six pairs have closed", || gateway.log_count("pair closed") == 6);
    for endpoint in cluster.endpoints() {
        assert_eq!(pairs_closed(&gateway, endpoint), 2);
    }
}

#[test]
fn a_watch_delivers_after_thirty_seconds_of_silence() {
    let cluster = Cluster::shared();
    let gateway = Gateway::start(
        &cluster.endpoints(),
        &[
            "--connect-timeout=1s",
            "--half-close-timeout=2s",
            "--tcp-user-timeout=3s",
            "--keepalive=1s",
        ],
    );
    // Its own pings every two seconds would be payload to the gateway.
    let watch = ["--keepalive-time=0s", "watch", "--prefix", "quiet/"];
    let watcher = Process::spawn("etcdctl watch", &mut etcdctl(gateway.address(), &watch));
    let mut stream = gateway.connect();
    let range = format!(r#""key":"{}","range_end":"{}""#, base64(b"quiet/"), base64(b"quiet0"));
    let body = format!(r#"{{"create_request":{{{range}}}}}"#);
    let length = body.len();
    write!(stream, "POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        .expect("the gateway reads");
    read_until(&mut stream, r#""created":true"#);

    stream.set_read_timeout(Some(SILENCE)).expect("a timeout that is not zero");
    let error = stream.read(&mut [0]).expect_err("nothing was put, so nothing may come");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert_eq!(watcher.log(), [""; 0]);

    // Past the gateway, so that every pair it has is a watch.
    output_of(&mut etcdctl(cluster.endpoint(1), &["put", "quiet/a", "loud"]));
    read_until(&mut stream, &base64(b"loud"));
    watcher.wait_for_log("loud");
    assert_eq!(watcher.log(), ["PUT", "quiet/a", "loud"]);
    // Otherwise etcdctl has dialed again.
    assert_eq!(gateway.log_count("pair closed"), 0);
}

#[test]
fn a_lease_is_kept_alive_over_several_intervals() {
    const SECONDS_TO_LIVE: u64 = 2;
    let cluster = Cluster::shared();
    let direct = |arguments: &[&str]| output_of(&mut etcdctl(cluster.endpoint(0), arguments));
    let granted = direct(&["lease", "grant", &SECONDS_TO_LIVE.to_string()]);
    let lease = granted.split_whitespace().nth(1).expect("an identity").to_owned();
    assert_eq!(direct(&["put", "leased", "yes", &format!("--lease={lease}")]), "OK");

    let gateway = Gateway::start(&cluster.endpoints(), &[]);
    let mut keeper = Process::spawn(
        "etcdctl lease keep-alive",
        &mut etcdctl(gateway.address(), &["lease", "keep-alive", &lease]),
    );
    let started = Instant::now();
    while started.elapsed() < 4 * Duration::from_secs(SECONDS_TO_LIVE) {
        keeper.wait_for_log(&format!("keepalived with TTL({SECONDS_TO_LIVE})"));
    }
    assert_eq!(direct(&["get", "leased"]), "leased\nyes");
    assert_eq!(gateway.log_count("pair closed"), 0);

    // It was the stream through the gateway that kept it: without it the lease ends.
    keeper.kill();
    until("the lease expires", || direct(&["get", "leased"]).is_empty());
}

#[test]
fn the_json_interfaces_of_both_versions_pass() {
    let cluster = Cluster::shared();
    let gateway = Gateway::start(&cluster.endpoints(), &[]);
    let curl = |arguments: &[&str], path: &str| {
        let url = format!("http://{}{path}", gateway.address());
        let mut command = Command::new("curl");
        // Neither the developer's settings nor a proxy between curl and the gateway.
        command.args(["-q", "--noproxy", "*", "--silent", "--show-error", "--fail"]);
        output_of(command.args(arguments).arg(url))
    };
    let contains = |answer: String, want: &str| assert!(answer.contains(want), "{answer}");

    let keys = "/v2/keys/json/a";
    contains(curl(&["-X", "PUT", "-d", "value=one"], keys), r#""action":"set""#);
    contains(curl(&[], keys), r#""value":"one""#);
    contains(curl(&["-X", "DELETE"], keys), r#""action":"delete""#);

    let (key, value) = (base64(b"json/b"), base64(b"two"));
    let pair = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
    let only_key = format!(r#"{{"key":"{key}"}}"#);
    contains(curl(&["-d", &pair], "/v3/kv/put"), r#""revision""#);
    contains(curl(&["-d", &only_key], "/v3/kv/range"), &format!(r#""value":"{value}""#));
    let direct = &mut etcdctl(cluster.endpoint(2), &["get", "json/b"]);
    assert_eq!(output_of(direct), "json/b\ntwo");
    contains(curl(&["-d", &only_key], "/v3/kv/deleterange"), r#""deleted":"1""#);
    until("six pairs have closed", || gateway.log_count("pair closed") == 6);
}

#[test]
fn tls_passes_untouched() {
    let directory = TemporaryDirectory::new();
    let authority = Authority::new(directory.path(), "authority");
    let host = authority.issue("host", "IP:127.0.0.1", Validity::Valid);
    let mut cluster = Cluster::reserve();
    // The members want a certificate of their clients: they would not accept the gateway's word.
    (0..3).for_each(|index| cluster.speak_tls(index, &host, Some(&authority)));
    cluster.launch();
    let gateway = Gateway::start(&cluster.endpoints(), &[]);

    let trust = format!("--cacert={}", authority.certificate().display());
    let own =
        [format!("--cert={}", host.certificate.display()), format!("--key={}", host.key.display())];
    let put = ["put", "secret", "kept"];
    let run = |arguments: &[&str]| finish(&mut etcdctl(gateway.address(), arguments), "");

    let full = [&[trust.as_str(), &own[0], &own[1]], &put[..]].concat();
    for _ in cluster.endpoints() {
        let output = run(&full);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"OK\n");
    }
    let strangers = [
        put.to_vec(),
        [&[trust.as_str()], &put[..]].concat(),
        [&[own[0].as_str(), &own[1]], &put[..]].concat(),
    ];
    for arguments in strangers {
        let output =
            run(&[&["--dial-timeout=1s", "--command-timeout=1s"], &arguments[..]].concat());
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_link_named_etcd_serves_the_command_line_of_etcd() {
    let cluster = Cluster::shared();
    let directory = TemporaryDirectory::new();
    let link = directory.path().join("etcd");
    symlink(env!("CARGO_BIN_EXE_etcd-gateway"), &link).expect("a link to the binary");
    let endpoints: Vec<String> = cluster.endpoints().iter().map(SocketAddr::to_string).collect();
    let gateway = Gateway::builder()
        .program(&link)
        // The level that people run it at; the ready line has to show.
        .log_level("info")
        .arg("gateway")
        .arg(&format!("--endpoints={}", endpoints.join(",")))
        .arg("start")
        .start();
    assert_eq!(output_of(&mut etcdctl(gateway.address(), &["put", "foo", "bar"])), "OK");
    assert_eq!(output_of(&mut etcdctl(cluster.endpoint(0), &["get", "foo"])), "foo\nbar");
}

#[test]
fn a_dead_member_costs_no_error_and_has_traffic_again_when_it_returns() {
    let mut cluster = Cluster::start();
    let gateway = Gateway::start(&cluster.endpoints(), &["--retry-delay=1s"]);
    let mut next = 0;
    let mut put = |count: usize| {
        for _ in 0..count {
            put_key(gateway.address(), &format!("anew/{next}"), "value").expect("no put may fail");
            next += 1;
        }
    };
    put(30);
    let follower = (cluster.wait_leader() + 1) % 3;
    let address = cluster.endpoint(follower);
    until("a third went to the follower", || pairs_closed(&gateway, address) == 10);

    // Between two requests, since one that the member has read already dies with it.
    cluster.kill(follower);
    put(60);
    gateway.wait_for_log(&format!("endpoint inactive endpoint={address} "));
    until("all puts are logged", || gateway.log_count("pair closed") == 90);
    assert_eq!(pairs_closed(&gateway, address), 10);

    cluster.restart(follower);
    until("the member listens again", || TcpStream::connect(address).is_ok());
    let listening = Instant::now();
    gateway.wait_for_log(&format!("endpoint active endpoint={address} "));
    assert!(listening.elapsed() < RETURN, "active only after {:?}", listening.elapsed());
    // It listens some time before it answers; only the latter is in nobody's hands but its own.
    cluster.wait_serving(follower);
    let serving = Instant::now();
    while pairs_closed(&gateway, address) == 10 {
        assert!(serving.elapsed() < RETURN, "no traffic after {:?}", serving.elapsed());
        put(1);
    }

    let leader = cluster.wait_leader();
    cluster.kill(leader);
    // Until the others have elected one of them, etcd itself refuses every write.
    assert_ne!(cluster.wait_leader(), leader);
    put(60);
}

#[test]
fn no_acknowledged_write_is_lost_while_a_member_dies_and_returns() {
    const WRITERS: usize = 3;
    let mut cluster = Cluster::start();
    let gateway = Gateway::start(&cluster.endpoints(), &["--retry-delay=1s"]);
    let acknowledged = Mutex::new(HashMap::new());
    let failed = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let write = |writer: usize| {
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let key = format!("kept/{writer}/{number}");
            let value = format!("{key};").repeat(1 + number % 300);
            match put_key(gateway.address(), &key, &value) {
                Ok(()) => drop(acknowledged.lock().expect("no panic").insert(key, value)),
                Err(_) => drop(failed.fetch_add(1, Ordering::SeqCst)),
            }
        }
    };
    let more = |what: &str| {
        let written = || acknowledged.lock().expect("no panic").len();
        let goal = written() + 100;
        until(what, || written() >= goal);
    };
    thread::scope(|scope| {
        // Also when an assertion below fails: the scope waits for the writers.
        let _stop = OnDrop(|| stop.store(true, Ordering::SeqCst));
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer))));
        more("writes before the death");
        let leader = cluster.wait_leader();
        let address = cluster.endpoint(leader);
        cluster.kill(leader);
        gateway.wait_for_log(&format!("endpoint inactive endpoint={address} "));
        more("writes with one member dead");
        cluster.restart(leader);
        gateway.wait_for_log(&format!("endpoint active endpoint={address} "));
        cluster.wait_serving(leader);
        more("writes with the member back");
    });

    let acknowledged = acknowledged.into_inner().expect("no panic");
    let failed = failed.into_inner();
    for index in 0..3 {
        let stored = stored_under(&cluster, index, "kept/");
        let lost = acknowledged.iter().filter(|(key, value)| stored.get(*key) != Some(value));
        let lost: Vec<&String> = lost.map(|(key, _)| key).collect();
        assert!(lost.is_empty(), "member {index} lost {lost:?}, {failed} writes had failed");
        // A write that failed may have been made all the same, but no other may turn up.
        assert!(stored.len() <= acknowledged.len() + failed);
    }
}

#[test]
fn peers_reach_a_member_through_the_gateway() {
    const BEHIND: usize = 2;
    const WRITES: usize = 64;
    const OBSERVED: Duration = Duration::from_secs(5);
    const QUESTIONS: usize = 8;
    let mut cluster = Cluster::reserve();
    let peer = cluster.peer_address(BEHIND);
    let gateway = Gateway::start(&[peer], &["--retry-delay=1s"]);
    let idle = gateway.descriptors();
    cluster.advertise_peer(BEHIND, gateway.address());
    cluster.launch();
    // As the leader it sends its log to the others on the streams that they have opened to it.
    let leader = cluster.wait_leader();
    if leader != BEHIND {
        let identity = cluster.identity(BEHIND);
        output_of(&mut etcdctl(cluster.endpoint(leader), &["move-leader", &identity]));
    }
    until("the member behind the gateway leads", || cluster.wait_leader() == BEHIND);
    // Two streams from each of the two others, and a pair has two descriptors.
    let streams_open = idle + 2 * 2 * 2;
    until("the streams are open", || gateway.descriptors() >= streams_open);

    let closed = gateway.log_count("pair closed");
    let lost = streams_lost(&cluster);
    let started = Instant::now();
    let value = "x".repeat(16 * 1024);
    let mut round = 0;
    while round < WRITES || started.elapsed() < OBSERVED {
        let key = format!("peers/{round}");
        put_key(cluster.endpoint(BEHIND), &key, &value).expect("the leader has its followers");
        for follower in [0, 1] {
            let local = ["get", "--consistency=s", "--keys-only", &key];
            until("the write is replicated", || {
                output_of(&mut etcdctl(cluster.endpoint(follower), &local)) == key
            });
        }
        round += 1;
    }
    assert_eq!(cluster.wait_leader(), BEHIND, "it has led all the time");
    assert_eq!(streams_lost(&cluster), lost);
    // Apart from the streams, peers ask each other for their version now and then.
    let closed = gateway.log_count("pair closed") - closed;
    assert!(closed <= QUESTIONS, "{closed} pairs have closed");
    assert!(gateway.descriptors() >= streams_open);

    // The streams end with the member, and then the log tells what they have carried.
    cluster.kill(BEHIND);
    let enough = |line: &&String| number_in(line, "server_bytes") >= WRITES * value.len();
    until("a stream to each of the others carried all writes", || {
        gateway.log().iter().filter(|line| line.contains("pair closed")).filter(enough).count() == 2
    });
}

/// Runs a closure when it goes out of scope.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Pairs with that endpoint that have ended.
fn pairs_closed(gateway: &Gateway, endpoint: SocketAddr) -> usize {
    let needle = format!("endpoint={endpoint} ");
    gateway.log().iter().filter(|l| l.contains("pair closed") && l.contains(&needle)).count()
}

/// One write on a connection of its own, tried once.
fn put_key(address: SocketAddr, key: &str, value: &str) -> Result<(), String> {
    let (key, value) = (base64(key.as_bytes()), base64(value.as_bytes()));
    let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
    let answer = http(address, "POST", "/v3/kv/put", &body)?;
    if answer.contains(r#""revision""#) { Ok(()) } else { Err(answer) }
}

/// All keys with that prefix and their values, as one member has them.
fn stored_under(cluster: &Cluster, index: usize, prefix: &str) -> HashMap<String, String> {
    let text = output_of(&mut etcdctl(cluster.endpoint(index), &["get", "--prefix", prefix]));
    let lines: Vec<&str> = text.split('\n').collect();
    lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

/// How often members have complained that a raft stream broke.
fn streams_lost(cluster: &Cluster) -> usize {
    let lost = |line: &&String| line.contains("lost TCP streaming connection");
    (0..3).map(|index| cluster.process(index).log().iter().filter(lost).count()).sum()
}

/// Reads until the text has come.
fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let count = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_ne!(count, 0, "the end before {text} in {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
}
