//! The list of members that is followed: whether it is believed, and the file that keeps it; and
//! the leader that is preferred. Clusters whose members are replaced are in `replaced_members.rs`.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use crate::util::command_line::{ENDPOINT, LISTEN, check_refusal, run};
use crate::util::*;

const FOLLOW: &[&str] = &["--follow-members", "--follow-interval=500ms"];

fn follow<'a>(more: &[&'a str]) -> Vec<&'a str> {
    FOLLOW.iter().chain(more).copied().collect()
}

/// Waits until a line with this message names the address.
#[track_caller]
fn wait_line(gateway: &Gateway, message: &str, address: SocketAddr) {
    until(&format!("{message} {address}"), || has_line(gateway, message, address));
}

fn has_line(gateway: &Gateway, message: &str, address: SocketAddr) -> bool {
    let address = address.to_string();
    gateway.log().iter().any(|line| line.contains(message) && line.contains(&address))
}

fn state_flag(path: &Path) -> String {
    format!("--state-file={}", path.display())
}

/// A learner is none of the endpoints until it is promoted; a member that was cut off and removed
/// is not believed.
fn expect_lists_are_judged(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let gateway = cluster.gateway(FOLLOW);
    gateway.wait_for_log("list of members followed");
    let learner = cluster.add(Role::Learner);
    cluster.wait_serving(learner);
    // Its first list has the learner.
    let later = cluster.gateway(FOLLOW);
    let line = later.wait_for_log("list of members followed");
    assert!(line.contains(" urls=3 "), "{line}");
    cluster.promote(learner);
    wait_line(&gateway, "added", cluster.endpoint(learner));
    // This line comes after those about endpoints. The learner was none of them.
    let line = gateway.wait_for_log("list of members followed");
    assert!(line.contains(" urls=4 "), "{line}");
    assert_eq!(gateway.log_count("list of members followed"), 2, "{:#?}", gateway.log());

    let leader = cluster.wait_leader(&[0, 1, 2]);
    let cut = (leader + 1) % 3;
    cluster.cut_from_peers(cut);
    cluster.wait_leaderless(cut);
    let alone = [cluster.endpoint(cut)];
    let deceived = cluster.home().enter(|| Gateway::start(&alone, FOLLOW));
    let line = deceived.wait_for_log("list of members not believed");
    assert!(line.contains("reason=no_leader"), "{line}");
    deceived.wait_for_log("no list of members, keeping the endpoints");
    assert_eq!(deceived.log_count("list of members followed"), 0);
    cluster.rejoin_peers(cut);
    deceived.wait_for_log("list of members known again");
    wait_line(&deceived, "added", cluster.endpoint(learner));
}

#[test]
fn lists_are_judged_with_debians_etcd() {
    expect_lists_are_judged(Version::Debian);
}

#[test]
fn lists_are_judged_with_etcd_3_5() {
    expect_lists_are_judged(Version::V3_5);
}

#[test]
fn a_state_file_that_cannot_be_used_is_one_line() {
    let directory = TemporaryDirectory::new();
    for (name, text, want) in [
        ("missing", None, "INFO state file has no list yet reason=missing"),
        ("empty", Some(""), "INFO state file has no list yet reason=empty"),
        (
            "other",
            Some("etcd-gateway members 9\n"),
            "WARN state file not read reason=other_version",
        ),
        (
            "cut",
            Some("etcd-gateway members 1\ncluster 1\nterm 1\n"),
            "WARN state file not read reason=incomplete",
        ),
        // Of the cluster that was typed before, and may still run.
        (
            "moved",
            Some(
                "etcd-gateway members 1\nstart 192.0.2.9:2379\ncluster 171\nterm 9\n\
                applied 999\nmember 7 http://192.0.2.1:2379\nend\n",
            ),
            "WARN state file not read reason=other_endpoints",
        ),
    ] {
        let path = directory.path().join(name);
        if let Some(text) = text {
            fs::write(&path, text).expect("a directory of our own");
        }
        let member = FakeMember::start(b'a');
        let gateway = Gateway::start(&[member.address()], &follow(&[state_flag(&path).as_str()]));
        let line = gateway.wait_for_log("state file");
        let (message, reason) = want.split_once(" reason=").expect("a reason");
        assert!(
            line.starts_with(message) && line.ends_with(&format!(" reason={reason}")),
            "{line}"
        );
        assert_eq!(greeted_client(&gateway).1, b'a', "{name}");
    }
}

#[test]
fn a_state_file_of_another_kind_is_refused_and_stays() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("hosts");
    let text = "127.0.0.1 localhost\n";
    fs::write(&path, text).expect("a directory of our own");
    let (shown, folder) = (path.display().to_string(), directory.path().display().to_string());
    for (value, reason) in [
        (shown.as_str(), "a file of another kind, which would be overwritten"),
        (&folder, "not a regular file"),
        ("/dev/null", "not a regular file"),
    ] {
        let flag = format!("--state-file={value}");
        let want = format!("invalid value {value:?} for --state-file: {reason}");
        let output = run(&[LISTEN, ENDPOINT, "--follow-members", &flag]);
        check_refusal(&value, &output, 2, &[&want]);
    }
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
}

#[test]
fn a_file_that_takes_the_place_of_the_state_file_stays() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("members");
    let member = FakeMember::start(b'a');
    member.name("192.0.2.1:2379".parse().expect("an address"));
    member.tell(Health::NoLeader);
    let state = state_flag(&path);
    let arguments = follow(&["--health-check=off", state.as_str()]);
    let gateway = Gateway::start(&[member.address()], &arguments);
    gateway.wait_for_log("list of members not believed");
    fs::write(&path, "# mine\n").expect("a directory of our own");
    member.tell(Health::Serving);
    let line = gateway.wait_for_log("state file not written");
    assert!(line.starts_with("WARN ") && line.contains("reason=foreign_file"), "{line}");
    assert_eq!(gateway.log_count("state file not written"), 1, "{:#?}", gateway.log());
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "# mine\n");
}

/// Whether several clients in a row have this server.
fn are_led_to(gateway: &Gateway, letter: u8) -> bool {
    (0..6).all(|_| greeted_client(gateway).1 == letter)
}

#[test]
fn new_clients_get_the_leader_and_running_ones_stay() {
    let [a, b] = [b'a', b'b'].map(FakeMember::start);
    b.tell(Health::Follower);
    let builder = Gateway::builder().endpoint(&a.url()).endpoint(&b.url());
    let gateway = builder.arg("--prefer=leader").arg("--health-interval=20ms").start();
    until("all clients get the leader", || are_led_to(&gateway, b'a'));
    let (mut stays, _) = greeted_client(&gateway);
    b.tell(Health::Serving);
    a.tell(Health::Follower);
    until("all clients get the new leader", || are_led_to(&gateway, b'b'));
    b.tell(Health::NoLeader);
    until("all clients get one that serves", || are_led_to(&gateway, b'a'));
    stays.write_all(b"x").expect("it is still connected");
    let mut echo = [0];
    stays.read_exact(&mut echo).expect("it is still served");
    assert_eq!(&echo, b"x");
}

/// What etcd answers to each request of a client whose certificate has a common name, while
/// authentication is on. Once a check has met that answer, the member is not asked for its list.
#[test]
fn a_member_that_refuses_the_name_in_our_certificate_stays_in_use() {
    let text = "CommonName of client sending a request against gateway will be ignored and not \
                used as expected\n";
    for (arguments, message) in [
        ("--health-check=auto --health-interval=20ms", "endpoint is not checked"),
        ("--health-check=etcd --health-interval=20ms", "endpoint is not checked"),
        ("--health-check=off --follow-members", "list of members not believed"),
    ] {
        let [named, other] = [b'a', b'b'].map(FakeMember::start);
        named.tell(Health::Answer(400, text.to_owned()));
        let builder = Gateway::builder().endpoint(&named.url());
        let builder = builder.endpoint(&format!("{}?priority=1", other.url()));
        let gateway = arguments.split(' ').fold(builder, GatewayBuilder::arg).start();
        let reason = "reason=client_certificate_has_name";
        let line = format!("WARN {message} endpoint={} {reason}", named.address());
        gateway.wait_for_log(&line);
        assert!(are_led_to(&gateway, b'a'), "{arguments}");
        assert_eq!(gateway.log_count(&line), 1, "{arguments}: {:#?}", gateway.log());
    }
}
