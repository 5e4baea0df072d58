//! The binary under test as a child process.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::libc;

use super::mounts::{Bind, bind_for};
use super::{DEADLINE, Process, number_in, until};

/// Sets both descriptor limits and becomes the command, so that the pid stays.
const LIMIT_AND_EXECUTE: &str = r#"ulimit -S -n "$1" && ulimit -H -n "$2" && shift 2 && exec "$@""#;

/// A gateway that listens; killed by its own pid on drop.
pub struct Gateway {
    process: Process,
    address: SocketAddr,
}

impl Gateway {
    /// A gateway in front of `endpoints` that has said it is ready.
    pub fn start(endpoints: &[SocketAddr], extra_args: &[&str]) -> Gateway {
        let mut builder = Gateway::builder();
        for endpoint in endpoints {
            builder = builder.endpoint(&endpoint.to_string());
        }
        for argument in extra_args {
            builder = builder.arg(argument);
        }
        builder.start()
    }

    pub fn builder() -> GatewayBuilder {
        GatewayBuilder {
            program: PathBuf::from(env!("CARGO_BIN_EXE_etcd-gateway")),
            tool: Vec::new(),
            binds: Vec::new(),
            endpoints: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptor_limits: None,
            has_own_group: false,
            log_level: "debug".to_owned(),
        }
    }

    /// The first listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of the gateway whose reads and writes end at the deadline.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, DEADLINE).expect("the gateway");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        stream
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Blocks until a line has come that contains `needle` and was not returned before for it.
    pub fn wait_for_log(&self, needle: &str) -> String {
        self.process.wait_for_log(needle)
    }

    /// Waits for the line of the log, and reads the number behind `key=` in it.
    pub fn logged_number(&self, needle: &str, key: &str) -> usize {
        number_in(&self.wait_for_log(needle), key)
    }

    /// How many lines up to now contain `needle`.
    pub fn log_count(&self, needle: &str) -> usize {
        self.log().iter().filter(|line| line.contains(needle)).count()
    }

    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Sends a signal by its short name, as in `TERM`.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Waits until the gateway has ended by itself; its log is complete then.
    pub fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait_exit()
    }

    /// Open descriptors of the gateway.
    pub fn descriptors(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.pid());
        fs::read_dir(directory).expect("a running gateway has descriptors").count()
    }

    /// Waits until exactly `want` descriptors are open.
    pub fn wait_descriptors(&self, want: usize) {
        until(&format!("{want} descriptors"), || self.descriptors() == want);
    }

    /// The most memory that it had in use so far, in KiB.
    pub fn memory_max(&self) -> usize {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .expect("a running gateway has a status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a number of KiB").parse().expect("a number of KiB")
    }

    /// Processor time used so far, in ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid()))
            .expect("a running gateway has statistics");
        // The name in parentheses may contain anything; what follows it is numbers (proc(5)).
        let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
        let number = |index| -> u64 {
            let field: &str = fields.split_whitespace().nth(index).expect("a field of stat");
            field.parse().expect("ticks are a number")
        };
        number(11) + number(12)
    }
}

/// How a gateway is to be started. Listens on 127.0.0.1 with a free port and logs at debug,
/// unless told otherwise.
pub struct GatewayBuilder {
    program: PathBuf,
    tool: Vec<OsString>,
    binds: Vec<Bind>,
    endpoints: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, OsString)>,
    descriptor_limits: Option<(u64, u64)>,
    has_own_group: bool,
    log_level: String,
}

impl GatewayBuilder {
    /// One more endpoint, as typed.
    pub fn endpoint(mut self, text: &str) -> GatewayBuilder {
        self.endpoints.push(text.to_owned());
        self
    }

    /// One more argument, after all those before.
    pub fn arg(mut self, argument: &str) -> GatewayBuilder {
        self.arguments.push(argument.to_owned());
        self
    }

    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> GatewayBuilder {
        self.environment.push((key.to_owned(), value.into()));
        self
    }

    /// The descriptor limits that the gateway finds at its start.
    pub fn nofile(mut self, soft: u64, hard: u64) -> GatewayBuilder {
        self.descriptor_limits = Some((soft, hard));
        self
    }

    /// Makes it a job as a shell does: in a process group of its own, which has a parent outside.
    pub fn job(mut self) -> GatewayBuilder {
        self.has_own_group = true;
        self
    }

    pub fn log_level(mut self, level: &str) -> GatewayBuilder {
        level.clone_into(&mut self.log_level);
        self
    }

    /// Calls the binary by another name, a link to it.
    pub fn program(mut self, path: &Path) -> GatewayBuilder {
        path.clone_into(&mut self.program);
        self
    }

    /// Runs it under a tool that watches it: `words` are the tool and its own arguments. The tool
    /// has to keep the pid.
    pub fn under<T: Into<OsString>>(
        mut self,
        words: impl IntoIterator<Item = T>,
    ) -> GatewayBuilder {
        self.tool = words.into_iter().map(Into::into).collect();
        self
    }

    /// Lets it see directories in the place of others.
    pub fn binds(mut self, binds: Vec<Bind>) -> GatewayBuilder {
        self.binds = binds;
        self
    }

    /// Starts it, and waits for the line that says it is ready.
    pub fn start(self) -> Gateway {
        let process = Process::spawn("the gateway", &mut self.command());
        let ready = process.wait_for_log("ready to proxy client requests");
        let address = listening_address(&ready)
            .unwrap_or_else(|| panic!("no listening address in the ready line: {ready}"));
        Gateway { process, address }
    }

    /// The command line as it will be run.
    pub fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some((soft, hard)) = self.descriptor_limits {
            let [soft, hard] = [soft, hard].map(|limit| limit.to_string());
            let shell = ["sh", "-c", LIMIT_AND_EXECUTE, "sh", &soft, &hard];
            words.extend(shell.map(OsString::from));
        }
        words.extend(self.tool.iter().cloned());
        words.push(self.program.clone().into_os_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if !self.binds.is_empty() {
            bind_for(&mut command, &self.binds);
        }
        as_from_a_terminal(&mut command);
        if self.descriptor_limits.is_some() {
            // SAFETY: one system call, which is async-signal-safe and takes no pointers.
            unsafe { command.pre_exec(inherit_no_more_than_stdio) };
        }
        if self.has_own_group {
            command.process_group(0);
        }
        // Whatever the developer's shell says must not change what the gateway logs, notifies or
        // asks for.
        for variable in ["RUST_LOG", "NOTIFY_SOCKET", "LOCALDOMAIN", "RES_OPTIONS"] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().cloned());
        command.args(&self.arguments);
        if !self.endpoints.is_empty() {
            command.arg(format!("--endpoints={}", self.endpoints.join(",")));
        }
        if !self.has("--listen-addr") {
            command.arg("--listen-addr=127.0.0.1:0");
        }
        if !self.has("--log-level") {
            command.arg(format!("--log-level={}", self.log_level));
        }
        command
    }

    fn has(&self, flag: &str) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with(flag))
    }
}

/// What else this process has inherited, such as the job server of make, would count.
fn inherit_no_more_than_stdio() -> io::Result<()> {
    let flags = libc::c_int::try_from(libc::CLOSE_RANGE_CLOEXEC).expect("a small number");
    // SAFETY: takes no pointers, and closes nothing before the program is replaced.
    match unsafe { libc::close_range(3, libc::c_uint::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The tests may be a background job or run under nohup(1), where some signals are ignored, and
/// what a parent ignores the command ignores, too.
pub fn as_from_a_terminal(command: &mut Command) {
    // SAFETY: system calls that are async-signal-safe and take no pointers.
    unsafe { command.pre_exec(take_signals_as_from_a_terminal) };
}

fn take_signals_as_from_a_terminal() -> io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: the default is not a handler, so no code of ours can be run by it.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The first address of `listen=[…]`.
fn listening_address(ready: &str) -> Option<SocketAddr> {
    let (_, rest) = ready.split_once("listen=[")?;
    let list = rest.split_whitespace().next()?.strip_suffix(']')?;
    list.split(',').next()?.parse().ok()
}
