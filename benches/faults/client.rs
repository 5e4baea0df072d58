//! The clients: programs of their own, that print a line for each call they complete, and etcdctl,
//! which is started anew for each put.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::util::Version;

/// Between two puts of etcdctl, each of which takes a process and its processor time.
const PAUSE: Duration = Duration::from_millis(500);
/// Where the programs of clients are, apart from what prepare.sh fetches.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/faults/clients");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A loop of `etcdctl put`, each a process with a connection of its own.
    Etcdctl(Version),
    Python,
    Node,
    Rust,
}

/// What is measured of a client that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Put,
    Watch,
}

/// A call that was completed, or an event of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Completed {
    pub call: Call,
    pub is_ok: bool,
    /// Seconds since the epoch.
    pub begin: f64,
    pub end: f64,
}

impl Client {
    pub const ALL: [Client; 5] = [
        Client::Etcdctl(Version::Debian),
        Client::Etcdctl(Version::V3_5),
        Client::Python,
        Client::Node,
        Client::Rust,
    ];

    /// As the command line calls it.
    pub fn word(self) -> &'static str {
        match self {
            Client::Etcdctl(Version::Debian) => "etcdctl",
            Client::Etcdctl(Version::V3_5) => "etcdctl-3.5",
            Client::Python => "python",
            Client::Node => "node",
            Client::Rust => "rust",
        }
    }

    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Client::Etcdctl(Version::Debian) => "etcdctl (Debian)",
            Client::Etcdctl(Version::V3_5) => "etcdctl 3.5.1",
            Client::Python => "etcd3, Python",
            Client::Node => "etcd3, Node",
            Client::Rust => "etcd-client, Rust",
        }
    }

    /// Whether it keeps one connection, which has to be that to the member that is hit.
    pub fn lasts(self) -> bool {
        !matches!(self, Client::Etcdctl(_))
    }

    /// Whether, given several endpoints, it stays with the first that lets it in. The others
    /// spread their calls.
    pub fn stays_with_the_first(self) -> bool {
        self == Client::Python
    }

    /// What prepare.sh has to have made for it.
    pub fn prepared(self, folder: &Path) -> Option<PathBuf> {
        match self {
            Client::Etcdctl(_) => None,
            Client::Python => Some(folder.join("python")),
            Client::Node => Some(folder.join("node/node_modules")),
            Client::Rust => Some(folder.join("rust/release/etcd-gateway-faults-client")),
        }
    }

    /// The program of one that lasts.
    pub fn command(self, folder: &Path, addresses: &[SocketAddr]) -> Command {
        let prepared = self.prepared(folder).expect("etcdctl is not one that lasts");
        let mut command = match self {
            Client::Etcdctl(_) | Client::Rust => Command::new(&prepared),
            Client::Python => program("python3", "client.py"),
            Client::Node => program("node", "client.js"),
        };
        command.env("PYTHONPATH", &prepared).env("NODE_PATH", &prepared);
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        command.arg(addresses.join(","));
        command
    }
}

fn program(interpreter: &str, file: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(SOURCES).join(file));
    command
}

/// Puts with etcdctl and its defaults, one after the other, until it is time to stop.
pub fn put_by_etcdctl(
    version: Version,
    addresses: &[SocketAddr],
    is_over: &AtomicBool,
) -> Vec<Completed> {
    let mut completed = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let mut command = version.etcdctl(addresses, &["put", "faults/etcdctl", "value"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = seconds_now();
        let is_ok = command.status().expect("etcdctl is there").success();
        completed.push(Completed { call: Call::Put, is_ok, begin, end: seconds_now() });
        thread::sleep(PAUSE);
    }
    completed
}

/// What a line of a client says; nothing, if it is a message of another kind.
pub fn completed(line: &str) -> Option<Completed> {
    let mut words = line.split(' ');
    let call = match words.next()? {
        "put" => Call::Put,
        "watch" => Call::Watch,
        _ => return None,
    };
    let is_ok = words.next()? == "ok";
    let end = words.next()?.parse().ok()?;
    Some(Completed { call, is_ok, begin: end, end })
}

/// Seconds since the epoch.
pub fn seconds_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is not 1970");
    now.as_secs_f64()
}
