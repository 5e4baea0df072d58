//! The relays that are compared: where each is found, how it is started and ended.
//!
//! Owns their processes, which end with it. Each has its own backend address, so that the many
//! connections that one leaves in TIME_WAIT cannot slow down another.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::configuration;
use super::cost;
use super::floor::Floor;
use super::machine;

/// The longest wait for a relay to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to connect to a relay that starts.
const START_STEP: Duration = Duration::from_micros(50);
/// The longest wait for a relay to end that was asked to.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Which ways there are from the client to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No relay at all.
    Direct,
    /// The least a relay can do.
    Floor(Floor),
    /// This project's binary.
    Ours,
    /// The gateway that etcd itself comes with.
    Etcd,
    /// HAProxy in TCP mode with one thread, which splices when it finds a fast stream.
    Haproxy,
    /// The same, but that it always splices: far cheaper for bulk, and dearer for messages.
    HaproxySplicing,
    /// nginx with its stream module and one worker.
    Nginx,
    /// rinetd.
    Rinetd,
}

/// One of them, ready to be started.
pub struct Peer {
    pub kind: Kind,
    /// What it says about itself.
    pub version: String,
    /// The program as it is on disk; none if there is no relay.
    pub program: Option<PathBuf>,
    pub arguments: Vec<String>,
    /// Name and text of the file that it reads, if it reads one.
    pub configuration: Option<(PathBuf, String)>,
    /// Where clients connect.
    pub address: SocketAddr,
    log: PathBuf,
}

/// One that runs.
pub struct Running {
    /// All its processes.
    pub processes: Vec<u32>,
    /// From its start until a client was let in.
    pub start_time: Duration,
    child: Option<Child>,
}

impl Kind {
    /// As the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Floor(Floor::Copy(_)) => "floor, copying",
            Kind::Floor(Floor::Splice(_)) => "floor, splicing",
            Kind::Ours => "etcd-gateway",
            Kind::Etcd => "etcd gateway",
            Kind::Haproxy => "HAProxy",
            Kind::HaproxySplicing => "HAProxy, splicing",
            Kind::Nginx => "nginx",
            Kind::Rinetd => "rinetd",
        }
    }

    /// As the command line and the names of files call it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Floor(Floor::Copy(_)) => "floor-copy",
            Kind::Floor(Floor::Splice(_)) => "floor-splice",
            Kind::Ours => "ours",
            Kind::Etcd => "etcd",
            Kind::Haproxy => "haproxy",
            Kind::HaproxySplicing => "haproxy-splice",
            Kind::Nginx => "nginx",
            Kind::Rinetd => "rinetd",
        }
    }

    /// Whether it is what people would use instead.
    pub fn is_rival(self) -> bool {
        matches!(
            self,
            Kind::Etcd | Kind::Haproxy | Kind::HaproxySplicing | Kind::Nginx | Kind::Rinetd
        )
    }

    /// Whether many connections show what it costs. Those that always splice are there for bulk,
    /// and what they keep in the kernel is in no process's memory.
    pub fn is_judged_by_connections(self) -> bool {
        !matches!(self, Kind::Direct | Kind::Floor(Floor::Splice(_)) | Kind::HaproxySplicing)
    }

    /// Descriptors that each connection takes in it.
    pub fn descriptors(self) -> usize {
        match self {
            Kind::Direct => 0,
            // A pipe for each direction; Go's runtime does the same.
            Kind::Floor(Floor::Splice(_)) | Kind::Etcd => 6,
            _ => 2,
        }
    }

    fn processes(self) -> usize {
        match self {
            Kind::Nginx => 2,
            _ => 1,
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Kind::Direct => None,
            Kind::Floor(_) => Some(std::env::current_exe().expect("Linux knows it")),
            Kind::Ours => {
                let built = env!("CARGO_BIN_EXE_etcd-gateway");
                let binary = std::env::var_os("GATEWAY_BINARY").filter(|name| !name.is_empty());
                Some(binary.map_or_else(|| PathBuf::from(built), PathBuf::from))
            }
            Kind::HaproxySplicing => Kind::Haproxy.program(),
            Kind::Etcd | Kind::Haproxy | Kind::Nginx | Kind::Rinetd => found(self.word()),
        }
    }

    fn version(self, program: &Path) -> String {
        match self {
            Kind::Direct => String::new(),
            Kind::Floor(Floor::Copy(bytes)) => {
                format!("no features, one read and one write through {} KiB", bytes / 1024)
            }
            Kind::Floor(Floor::Splice(bytes)) => {
                format!("no features, splice(2) through pipes of {} KiB", bytes / 1024)
            }
            Kind::Ours | Kind::Etcd => machine::said_by(program, &["--version"]),
            Kind::Haproxy | Kind::HaproxySplicing | Kind::Nginx | Kind::Rinetd => {
                machine::said_by(program, &["-v"])
            }
        }
    }
}

impl Peer {
    /// One in front of `backend`, its files in `folder`; `None` if it is not
    /// installed.
    pub fn find(
        kind: Kind,
        listen: SocketAddr,
        backend: SocketAddr,
        folder: &Path,
    ) -> Option<Peer> {
        let file = folder.join(kind.word());
        let log = file.with_extension("log");
        if kind == Kind::Direct {
            let (version, arguments) = (String::new(), Vec::new());
            let (program, configuration) = (None, None);
            let address = backend;
            return Some(Peer { kind, version, program, arguments, configuration, address, log });
        }
        let program = kind.program()?;
        let version = kind.version(&program);
        let text = configuration::text(kind, listen, backend, folder);
        let configuration = text.map(|text| (file.with_extension("conf"), text));
        if let Some((file, text)) = &configuration {
            fs::write(file, text).expect("the target directory can be written");
        }
        let conf = configuration.as_ref().map_or(Path::new(""), |(file, _)| file);
        let arguments = configuration::arguments(kind, listen, backend, conf);
        let (program, address) = (Some(program), listen);
        Some(Peer { kind, version, program, arguments, configuration, address, log })
    }

    /// Starts it on `core` and waits until it lets clients in.
    pub fn start(&self, core: usize, load_core: usize) -> Result<Running, String> {
        let Some(program) = &self.program else {
            let (processes, start_time) = (Vec::new(), Duration::ZERO);
            return Ok(Running { processes, start_time, child: None });
        };
        let log = File::create(&self.log).expect("the target directory can be written");
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        machine::pin(core);
        let start = Instant::now();
        let child = command.spawn();
        machine::pin(load_core);
        let child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        // From here on it is ended, whatever comes.
        let processes = vec![child.id()];
        let mut running = Running { processes, start_time: Duration::ZERO, child: Some(child) };
        self.wait_until_it_listens(&mut running, start)?;
        running.start_time = start.elapsed();
        let first = running.processes[0];
        while running.processes.len() < self.kind.processes() {
            // Workers come when the first process listens already.
            if start.elapsed() > START_TIMEOUT {
                return Err("its workers do not come".to_owned());
            }
            running.processes = cost::family(first);
        }
        Ok(running)
    }

    fn wait_until_it_listens(&self, running: &mut Running, start: Instant) -> Result<(), String> {
        let child = running.child.as_mut().expect("started just now");
        loop {
            match TcpStream::connect(self.address) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.to_string()),
            }
            if start.elapsed() > START_TIMEOUT {
                return Err(format!("it does not listen at {}", self.address));
            }
            if child.try_wait().expect("our own child").is_some() {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("it ended at once: {}", said.lines().last().unwrap_or("")));
            }
            std::thread::sleep(START_STEP);
        }
    }

    /// Bytes of the program on disk.
    pub fn size(&self) -> Option<u64> {
        fs::metadata(self.program.as_ref()?).ok().map(|file| file.len())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // One with workers is asked, so that it can end them; etcd's would not hear it. Each may
        // have ended by itself.
        if self.processes.len() > 1 {
            let id = i32::try_from(child.id()).expect("a pid of the kernel fits");
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            let end = Instant::now() + END_TIMEOUT;
            while child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Debian keeps some where an ordinary user's shell does not look.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin"]);
    folders.map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}
