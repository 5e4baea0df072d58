//! Members of etcd that answer nothing of use, to each of those who ask: one line says so and why,
//! clients are served meanwhile, memory and descriptors stay bounded, and all is well once the
//! member is.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::util::*;

/// Within this time each client is answered, whatever a member sends to the gateway.
const STALL_MAX: Duration = Duration::from_secs(5);
/// Answers that a member gives before it answers as it should.
const ANSWERS: usize = 3;
/// Gateways at a time: most of them wait.
const GATEWAYS: usize = 15;

/// Who asks, and what; that alone is answered in a hostile way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Check,
    Status,
    List,
    Token,
    Range,
    Watch,
}

impl Asker {
    fn path(self) -> &'static str {
        match self {
            Asker::Check | Asker::Status => "/maintenance/status",
            Asker::List => "/member/list",
            Asker::Token => "/authenticate",
            Asker::Range => "/range",
            Asker::Watch => "/watch",
        }
    }

    /// A gateway that asks the first one, in front of the second one.
    fn start(self, [member, other]: [&FakeMember; 2], directory: &TemporaryDirectory) -> Gateway {
        let mut builder = Gateway::builder().log_level("info").endpoint(&other.url());
        for argument in self.arguments(member, directory) {
            builder = builder.arg(&argument);
        }
        match self {
            Asker::Token | Asker::Range | Asker::Watch => builder.start(),
            Asker::Check | Asker::Status | Asker::List => builder.endpoint(&member.url()).start(),
        }
    }

    fn arguments(self, member: &FakeMember, directory: &TemporaryDirectory) -> Vec<String> {
        let arguments = match self {
            Asker::Check => "--health-check=etcd --health-interval=20ms".to_owned(),
            Asker::Status | Asker::List => {
                "--health-check=off --follow-members --follow-interval=100ms".to_owned()
            }
            Asker::Token | Asker::Range | Asker::Watch => {
                let file = directory.path().join("password");
                fs::write(&file, "secret\n").expect("a directory of our own");
                let (url, file) = (member.url(), file.display());
                format!(
                    "--health-check=off --registry-prefix=svc/ --etcd-endpoints={url} --user=u \
                     --password-file={file}"
                )
            }
        };
        arguments.split(' ').map(str::to_owned).collect()
    }

    /// What all is then about.
    fn reason(self, hostile: Hostile) -> &'static str {
        match (self, hostile) {
            (
                Asker::Watch,
                Hostile::EndlessBody | Hostile::HugeJson | Hostile::HugeJsonInChunks,
            ) => "too_large",
            (Asker::Watch, Hostile::SlowBody | Hostile::SlowChunks) => "no_answer",
            (Asker::Watch, Hostile::HugeNesting) => "not_json",
            (Asker::Watch, Hostile::HugeLength | Hostile::ChunkLargest) => "not_etcd",
            (Asker::Watch, Hostile::Empty) => "watch_ended",
            (_, Hostile::Garbage | Hostile::Noise | Hostile::ChunkOverflow) => "answer_malformed",
            (
                _,
                Hostile::EndlessField
                | Hostile::EndlessHead
                | Hostile::EndlessExtension
                | Hostile::EndlessTrailers,
            ) => "head_too_long",
            (
                _,
                Hostile::EndlessBody
                | Hostile::EndlessChunks
                | Hostile::HugeJson
                | Hostile::HugeJsonInChunks
                | Hostile::HugeNesting
                | Hostile::HugeLength
                | Hostile::ChunkLargest,
            ) => "answer_too_long",
            (_, Hostile::SlowHead | Hostile::SlowBody | Hostile::SlowChunks | Hostile::Nothing) => {
                "timed_out"
            }
            (_, Hostile::Nesting | Hostile::Page | Hostile::Empty) => "not_json",
            (_, Hostile::ManyValues) => "not_etcd",
            (_, Hostile::EndlessInterim) => "too_many_interim_answers",
            (_, Hostile::Redirect) => "status_307",
            (_, Hostile::TwoLengths) => "conflicting_lengths",
            (_, Hostile::Half) => "closed_early",
            (_, Hostile::HalfReset | Hostile::Reset) => "reset",
            (_, Hostile::Close) => "closed_unanswered",
        }
    }

    /// All lines behind the first one, without their order. The last one tells of the end.
    fn lines(self, reason: &str) -> Vec<String> {
        let not_followed = "WARN registry not followed, keeping the last known services";
        let source = "source=registry prefix=svc/";
        match self {
            Asker::Check => vec![
                "INFO endpoint passes its check endpoint=OTHER check=etcd".to_owned(),
                format!("WARN endpoint fails its check endpoint=MEMBER reason={reason} pairs=0"),
                "INFO endpoint passes its check again endpoint=MEMBER failed_for=".to_owned(),
            ],
            Asker::Status | Asker::List => vec![
                format!("INFO list of members not believed endpoint=MEMBER reason={reason}"),
                format!("INFO list of members not believed endpoint=OTHER reason={reason}"),
                format!("WARN no list of members, keeping the endpoints reason={reason}"),
                "INFO list of members followed urls=1 cluster=1 term=4 endpoint=".to_owned(),
                "INFO endpoint removed endpoint=MEMBER pairs=".to_owned(),
                "INFO endpoint removed endpoint=OTHER pairs=".to_owned(),
                "INFO endpoint added endpoint=NAMED name=NAMED priority=0 weight=1".to_owned(),
                "INFO list of members known again".to_owned(),
            ],
            Asker::Token | Asker::Range => vec![
                format!("{not_followed} server=MEMBER reason={reason} services=0"),
                format!(
                    "WARN no endpoint from discovery, using those of --endpoints unverified \
                     {source} reason=no_answer count=1"
                ),
                "INFO endpoint added endpoint=OTHER name=OTHER priority=0 weight=1".to_owned(),
                format!("INFO endpoints from discovery in use {source}"),
                "INFO registry followed again server=MEMBER services=1".to_owned(),
            ],
            Asker::Watch => vec![
                "INFO endpoint added endpoint=OTHER name=OTHER priority=0 weight=1".to_owned(),
                format!("{not_followed} server=MEMBER reason={reason} services=1"),
                "INFO registry followed again server=MEMBER services=1".to_owned(),
            ],
        }
    }

    /// What the list or the registry names once all is well. No client is led to the member of the
    /// list, which is none.
    fn named(self, other: SocketAddr) -> SocketAddr {
        match self {
            Asker::Check | Asker::Token | Asker::Range | Asker::Watch => other,
            Asker::Status | Asker::List => SocketAddr::from(([192, 0, 2, 1], 2379)),
        }
    }

    /// Waits until clients can be served, for as long as a registry may take.
    fn wait_endpoint(self, gateway: &Gateway) {
        if matches!(self, Asker::Token | Asker::Range | Asker::Watch) {
            gateway.wait_for_log("endpoint added endpoint=");
        }
    }

    /// The most connections of ours that stay open: to both, to the member of the list that cannot
    /// be reached, and for a watch and its heartbeats.
    fn kept_max(self) -> usize {
        match self {
            Asker::Check | Asker::Token | Asker::Range | Asker::Watch => 2,
            Asker::Status | Asker::List => 1,
        }
    }

    /// KiB that the gateway may take for answers at one time.
    fn memory_max(self) -> usize {
        match self {
            // 64 KiB of text, which can be 6 MiB of values.
            Asker::Check => 8 * 1024,
            // 4 MiB of text, twice while its buffer grows.
            _ => 14 * 1024,
        }
    }
}

/// A gateway that nothing is asked, in KiB at the most, and in descriptors.
fn resting() -> (usize, usize) {
    let other = FakeMember::start(b'b');
    let gateway = Gateway::start(&[other.address()], &["--health-check=off"]);
    drop(greeted_client(&gateway));
    gateway.wait_for_log("pair closed");
    (gateway.memory_max(), gateway.descriptors())
}

fn expect_bounded(asker: Asker, hostile: Hostile, (memory, descriptors): (usize, usize)) {
    let what = format!("{asker:?}, {hostile:?}");
    let directory = TemporaryDirectory::new();
    let [member, other] = [b'a', b'b'].map(FakeMember::start);
    for one in [&member, &other] {
        one.name(asker.named(other.address()));
    }
    member.tell(Health::Hostile(asker.path(), hostile));
    if matches!(asker, Asker::Status | Asker::List) {
        other.tell(Health::Hostile(asker.path(), hostile));
    }
    let gateway = asker.start([&member, &other], &directory);
    asker.wait_endpoint(&gateway);
    let client = expect_client(&gateway);
    let lines = asker.lines(asker.reason(hostile));
    for answers in 1..=ANSWERS {
        until(&what, || times_asked(asker, &member) >= answers);
        round_trip(&client, b"x");
        drop(expect_client(&gateway));
    }
    let grown = gateway.memory_max().saturating_sub(memory);
    assert!(grown <= asker.memory_max(), "{what}: {grown} KiB");
    member.tell(Health::Serving);
    other.tell(Health::Serving);
    let last = lines.last().expect("lines");
    until(&what, || shown(&gateway, &member, &other).iter().any(|line| line == last));
    round_trip(&client, b"x");
    drop(client);
    let most = descriptors + asker.kept_max();
    until(&format!("{what}: {most} descriptors"), || gateway.descriptors() <= most);
    let (mut shown, mut lines) = (shown(&gateway, &member, &other), lines);
    shown.sort();
    lines.sort();
    assert_eq!(shown, lines, "{what}");
}

fn times_asked(asker: Asker, member: &FakeMember) -> usize {
    let end = format!("{} HTTP/1.1", asker.path());
    member.requests().iter().filter(|line| line.ends_with(&end)).count()
}

/// A new client, which is served in time.
fn expect_client(gateway: &Gateway) -> TcpStream {
    let client = gateway.connect();
    client.set_read_timeout(Some(STALL_MAX)).expect("a timeout that is not zero");
    letter_of(&client);
    client
}

/// The lines of the log behind the first one, with words for addresses and no durations. That the
/// member of the list is none is not the point.
fn shown(gateway: &Gateway, member: &FakeMember, other: &FakeMember) -> Vec<String> {
    let (member, other) = (member.address().to_string(), other.address().to_string());
    let lines = gateway.log();
    let lines =
        lines.iter().skip(1).filter(|line| !line.contains("endpoint=192.0.2.1:2379 reason="));
    let lines = lines.map(|line| {
        let line = line.replace(&member, "MEMBER").replace(&other, "OTHER");
        let line = line.replace("192.0.2.1:2379", "NAMED");
        let cut = ["failed_for=", "term=4 endpoint=", "pairs="].iter().find_map(|key| {
            let at = line.find(key)?;
            (!line.contains("reason=")).then(|| line[..at + key.len()].to_owned())
        });
        cut.unwrap_or(line)
    });
    lines.collect()
}

fn expect_all_bounded(asker: Asker) {
    let resting = resting();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..GATEWAYS {
            scope.spawn(|| {
                while let Some(hostile) = Hostile::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    expect_bounded(asker, *hostile, resting);
                }
            });
        }
    });
}

#[test]
fn a_check_outlives_every_answer() {
    expect_all_bounded(Asker::Check);
}

#[test]
fn a_list_outlives_every_answer() {
    expect_all_bounded(Asker::List);
}

#[test]
fn a_list_outlives_every_answer_to_the_question_before() {
    expect_all_bounded(Asker::Status);
}

#[test]
fn a_registry_outlives_every_answer_to_its_user() {
    expect_all_bounded(Asker::Token);
}

#[test]
fn a_registry_outlives_every_answer_of_keys() {
    expect_all_bounded(Asker::Range);
}

#[test]
fn a_registry_outlives_every_answer_to_its_watch() {
    expect_all_bounded(Asker::Watch);
}
