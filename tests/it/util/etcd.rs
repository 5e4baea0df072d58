//! A real three-member etcd cluster, and the clients that speak to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, id};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use super::process::{send_signal, spawn};
use super::{Authority, Certificate, DEADLINE, Process, Reservation, Version, until};

/// A root, and a user `gw` who may read what is registered: words of `etcdctl`, without `auth
/// enable`.
pub const USERS: [&str; 7] = [
    "user add root:pw",
    "role add root",
    "user grant-role root root",
    "user add gw:secret",
    "role add reader",
    "role grant-permission reader read --prefix=true svc/",
    "user grant-role gw reader",
];

/// The members of a cluster: the fewest that outlive the loss of one.
pub const MEMBERS: usize = 3;
/// What a member logs when its clients are answered.
const SERVING: &str = "serving client traffic";

/// A directory of our own, removed with all that is in it on drop.
pub struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    pub fn new() -> TemporaryDirectory {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("etcd-gateway-test-{}-{number}", id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
        TemporaryDirectory { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What is left over is in the system's directory for that; a failure here must not hide
        // the failure of a test.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Three members on reserved ports; all ended on drop.
pub struct Cluster {
    // In this order they are dropped: no member may live longer than its data.
    members: Vec<Member>,
    directory: TemporaryDirectory,
}

struct Member {
    client: Reservation,
    /// Where clients are served besides, and always without TLS.
    plain: Option<SocketAddr>,
    peer: Reservation,
    advertised_peer: SocketAddr,
    scheme: &'static str,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Cluster {
    /// A cluster that answers.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::reserve();
        cluster.launch();
        cluster
    }

    /// A cluster that answers, shared by the tests that run at this moment and break nothing. It
    /// ends with the last of them: a static would leave its members behind.
    pub fn shared() -> Arc<Cluster> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Cluster::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// A cluster whose addresses, of 127.0.0.1, are known, and nothing else of it exists.
    pub fn reserve() -> Cluster {
        Cluster::reserve_at([(); MEMBERS].map(|()| Reservation::new()))
    }

    /// The same, and its members serve their clients there.
    pub fn reserve_at(clients: [Reservation; MEMBERS]) -> Cluster {
        let member = |client| {
            let (plain, peer) = (None, Reservation::new());
            let (advertised_peer, scheme, arguments) = (peer.address(), "http", Vec::new());
            Member { client, plain, peer, advertised_peer, scheme, arguments, process: None }
        };
        let members = clients.into_iter().map(member).collect();
        Cluster { members, directory: TemporaryDirectory::new() }
    }

    /// Clients of that member have to speak TLS, and if it trusts an authority for its clients,
    /// with a certificate from there.
    pub fn speak_tls(&mut self, index: usize, own: &Certificate, authority: Option<&Authority>) {
        self.members[index].scheme = "https";
        let arguments = &mut self.members[index].arguments;
        arguments.push(format!("--cert-file={}", own.certificate.display()));
        arguments.push(format!("--key-file={}", own.key.display()));
        if let Some(authority) = authority {
            arguments.push("--client-cert-auth".to_owned());
            arguments.push(format!("--trusted-ca-file={}", authority.certificate().display()));
        }
    }

    /// Clients of that member are served there, too, without TLS.
    pub fn serve_plain(&mut self, index: usize, address: SocketAddr) {
        self.members[index].plain = Some(address);
    }

    /// Tells the other members to reach this one at `address`.
    pub fn advertise_peer(&mut self, index: usize, address: SocketAddr) {
        self.members[index].advertised_peer = address;
    }

    /// Starts every member and waits until all of them answer.
    pub fn launch(&mut self) {
        (0..MEMBERS).for_each(|index| self.restart(index));
        (0..MEMBERS).for_each(|index| self.wait_serving(index));
    }

    /// Starts a member that is not running, without waiting for anything.
    pub fn restart(&mut self, index: usize) {
        assert!(self.members[index].process.is_none(), "member {index} is running");
        let mut command = self.member_command(index);
        let process = Process::spawn(&format!("etcd member {index}"), &mut command);
        self.members[index].process = Some(process);
    }

    pub fn wait_serving(&self, index: usize) {
        self.process(index).wait_for_log(SERVING);
    }

    /// Kills a member at once. Its port refuses from here on.
    pub fn kill(&mut self, index: usize) {
        self.members[index].process.take().expect("the member is running").kill();
    }

    pub fn process(&self, index: usize) -> &Process {
        self.members[index].process.as_ref().expect("the member is running")
    }

    /// Where a member serves its clients.
    pub fn endpoint(&self, index: usize) -> SocketAddr {
        self.members[index].client.address()
    }

    pub fn endpoints(&self) -> Vec<SocketAddr> {
        (0..MEMBERS).map(|index| self.endpoint(index)).collect()
    }

    /// Where a member really listens for its peers.
    pub fn peer_address(&self, index: usize) -> SocketAddr {
        self.members[index].peer.address()
    }

    /// Waits until every running member answers and they agree on a leader, and returns it.
    pub fn wait_leader(&self) -> usize {
        let running: Vec<usize> =
            (0..MEMBERS).filter(|index| self.members[*index].process.is_some()).collect();
        let mut leader = None;
        until("the members have a leader", || {
            // A linearizable read is answered only by a member that hears from the leader.
            let answers = |index: &&usize| {
                let body = format!(r#"{{"key":"{}"}}"#, base64(b"leader?"));
                http(self.endpoint(**index), "POST", "/v3/kv/range", &body).is_ok()
            };
            leader = match running.iter().find(|index| !answers(index)) {
                Some(_) => None,
                None => running.iter().copied().find(|index| self.is_leader(*index)),
            };
            leader.is_some()
        });
        leader.expect("until() returned, so there is one")
    }

    /// A member's identity in hexadecimal, as etcdctl wants it.
    pub fn identity(&self, index: usize) -> String {
        self.status(index).swap_remove(1)
    }

    fn is_leader(&self, index: usize) -> bool {
        self.status(index)[4] == "true"
    }

    /// Endpoint, identity, version, size, leader, learner, term and more.
    fn status(&self, index: usize) -> Vec<String> {
        let line = output_of(&mut etcdctl(self.endpoint(index), &["endpoint", "status"]));
        line.split(", ").map(str::to_owned).collect()
    }

    fn member_command(&self, index: usize) -> Command {
        let member = &self.members[index];
        let peers: Vec<String> = (0..MEMBERS)
            .map(|other| format!("m{other}=http://{}", self.members[other].advertised_peer))
            .collect();
        let client = format!("{}://{}", member.scheme, member.client.address());
        let plain = member.plain.map_or(String::new(), |address| format!(",http://{address}"));
        let mut command = Version::Debian.etcd();
        command.args(&member.arguments).args([
            // 3.4 knows no way to leave out fsync, so with shorter timeouts than these, its own,
            // a busy disk would cause elections, and they would cost clients errors.
            "--heartbeat-interval=100",
            "--election-timeout=1000",
            "--enable-v2",
            "--logger=zap",
            "--log-outputs=stderr",
            &format!("--name=m{index}"),
            &format!("--data-dir={}", self.directory.path().join(format!("m{index}")).display()),
            &format!("--listen-client-urls={client}{plain}"),
            &format!("--advertise-client-urls={client}{plain}"),
            &format!("--listen-peer-urls=http://{}", member.peer.address()),
            &format!("--initial-advertise-peer-urls=http://{}", member.advertised_peer),
            &format!("--initial-cluster={}", peers.join(",")),
            "--initial-cluster-state=new",
        ]);
        command
    }
}

/// A command of Debian's etcdctl.
pub fn etcdctl(endpoint: SocketAddr, arguments: &[&str]) -> Command {
    Version::Debian.etcdctl(&[endpoint], arguments)
}

/// Runs a command to its end, which must be a success, and returns what it printed.
pub fn output_of(command: &mut Command) -> String {
    let output = finish(command, "");
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}\n{errors}", output.status);
    text
}

/// Runs a command on the given input to its end, whatever that is, within the deadline.
pub fn finish(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // Fails if the command ends without reading, which is its own business.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(DEADLINE) else {
        // It has not been waited for yet, so the pid is still its own.
        send_signal(pid, "KILL");
        panic!("not within {DEADLINE:?}: {command:?}");
    };
    output.expect("wait for our own child")
}

/// One HTTP request on a connection of its own, without a second try. Returns the body of an
/// answer that is a success and complete.
pub fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<String, String> {
    let text = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(text)?;
    stream.set_read_timeout(Some(DEADLINE)).map_err(text)?;
    stream.set_write_timeout(Some(DEADLINE)).map_err(text)?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    whole_body(&answer).ok_or_else(|| format!("{method} {path}: {answer:?}"))
}

/// The body of an answer, unless it tells of a failure or was cut short.
fn whole_body(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let complete = length.parse() == Ok(body.len());
    (status.starts_with('2') && complete).then(|| body.to_owned())
}

/// Base64, in which the JSON interface of version 3 takes and gives keys and values.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let used = digit <= group.len();
            text.push(if used { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}
