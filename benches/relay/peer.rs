//! The relays that are compared: how each is started, in a plain and sane configuration.
//!
//! Owns their processes, which end with it. Each has its own backend address, so that the many
//! connections that one leaves in TIME_WAIT cannot slow down another.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest wait for a relay to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// One of the ways from the client to the backend.
pub struct Peer {
    /// As the table calls it.
    pub name: &'static str,
    /// What it is exactly.
    pub version: String,
    /// Where clients connect.
    pub address: SocketAddr,
    process: Option<Child>,
}

/// Which ways there are; all but the first two only where they are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No relay at all.
    Direct,
    /// This project's binary.
    Ours,
    /// The gateway that etcd itself comes with.
    Etcd,
    /// HAProxy in TCP mode with one thread.
    Haproxy,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Kind; 4] = [Kind::Direct, Kind::Ours, Kind::Etcd, Kind::Haproxy];

    fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Ours => "etcd-gateway",
            Kind::Etcd => "etcd gateway",
            Kind::Haproxy => "HAProxy",
        }
    }

    fn program(self) -> Option<&'static str> {
        match self {
            Kind::Direct => None,
            Kind::Ours => Some(env!("CARGO_BIN_EXE_etcd-gateway")),
            Kind::Etcd => Some("etcd"),
            Kind::Haproxy => Some("haproxy"),
        }
    }

    fn arguments(self, listen: SocketAddr, backend: SocketAddr) -> Vec<String> {
        let flags = [format!("--endpoints={backend}"), format!("--listen-addr={listen}")];
        let words = match self {
            Kind::Direct => &[][..],
            Kind::Ours => &["start"],
            Kind::Etcd => &["gateway", "start"],
            // In the foreground, as one process, configured through stdin.
            Kind::Haproxy => return ["-db", "-q", "-f", "/dev/stdin"].map(str::to_owned).to_vec(),
        };
        words.iter().map(|word| (*word).to_owned()).chain(flags).collect()
    }

    fn input(self, listen: SocketAddr, backend: SocketAddr) -> String {
        match self {
            Kind::Haproxy => format!(
                "global\n nbthread 1\n\
                 defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n\
                 listen relay\n bind {listen}\n server backend {backend}\n"
            ),
            _ => String::new(),
        }
    }

    /// The first line it says about itself; `None` where it is not installed.
    fn version(self) -> Option<String> {
        let Some(program) = self.program() else { return Some("no relay".to_owned()) };
        let flag = if self == Kind::Haproxy { "-v" } else { "--version" };
        let output = command(program).arg(flag).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().next().map(|line| line.trim().to_owned())
    }
}

impl Peer {
    /// Starts it on `core` in front of `backend`; `None` where it is not installed.
    pub fn start(kind: Kind, backend: SocketAddr, core: usize) -> Option<Peer> {
        let version = kind.version()?;
        let Some(program) = kind.program() else {
            let name = kind.name();
            return Some(Peer { name, version, address: backend, process: None });
        };
        let address = free_address();
        let mut child = pinned(program, core)
            .args(kind.arguments(address, backend))
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset(1) of util-linux starts every relay");
        let input = kind.input(address, backend);
        let mut stdin = child.stdin.take().expect("asked for just now");
        stdin.write_all(input.as_bytes()).expect("a few lines fit into a pipe");
        drop(stdin);
        let mut peer = Peer { name: kind.name(), version, address, process: Some(child) };
        peer.wait_until_it_listens();
        Some(peer)
    }

    /// The process whose CPU time counts.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        let child = self.process.as_mut().expect("only relays are waited for");
        while let Err(error) = TcpStream::connect(self.address) {
            let name = self.name;
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{name}: {error}");
            assert!(Instant::now() < deadline, "{name} does not listen at {}", self.address);
            let status = child.try_wait().expect("our own child");
            assert!(status.is_none(), "{name} ended at once: {status:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            // It may have ended by itself; then there is nothing left to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// taskset(1) becomes the program, so the child's number is the program's.
fn pinned(program: &str, core: usize) -> Command {
    let mut command = command("taskset");
    command.args(["--cpu-list", &core.to_string(), program]);
    command
}

/// Debian keeps HAProxy where an ordinary user's shell does not look.
fn command(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

/// Pins this process: the load and, with it, the backend.
pub fn pin_load(core: usize) {
    let own = std::process::id().to_string();
    let arguments = ["--pid", "--cpu-list", &core.to_string(), &own];
    let status = Command::new("taskset").args(arguments).stdout(Stdio::null()).status();
    assert!(status.expect("taskset(1) of util-linux").success(), "taskset {arguments:?}");
}

/// An address nobody listens at now. Another program could take it before the relay does; then
/// the relay ends at once, which is noticed.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback is there");
    listener.local_addr().expect("a bound socket has an address")
}
