//! A child process whose log is read line by line, and which never outlives its test.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{DEADLINE, Version, until};

/// Lines of a child's log that are shown when its test fails.
const LINES_SHOWN: usize = 200;

/// A running child; killed by its own pid and reaped on drop.
pub struct Process {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    log: Arc<Log>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command with its output and its errors read into one log, and no input.
    pub fn spawn(name: &str, command: &mut Command) -> Process {
        Process::spawn_with_input(name, command.stdin(Stdio::null()))
    }

    /// As [`Process::spawn`], with the input that the command has.
    pub fn spawn_with_input(name: &str, command: &mut Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command);
        let log = Arc::new(Log::default());
        let output = child.stdout.take().expect("stdout is a pipe");
        let errors = child.stderr.take().expect("stderr is a pipe");
        let readers = vec![log.follow(output), log.follow(errors)];
        Process { name: name.to_owned(), child, status: None, log, readers }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Blocks until a line has come that contains `needle` and was not returned before for it.
    pub fn wait_for_log(&self, needle: &str) -> String {
        match self.log.wait_for(needle) {
            Ok(line) => line,
            Err(reason) => panic!("{}: {reason}: {needle:?} in\n{}", self.name, self.log.tail()),
        }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().lines.clone()
    }

    /// Sends a signal by its short name, as in `TERM`.
    pub fn signal(&self, signal: &str) {
        // A pid that was waited for may belong to another process by now.
        assert!(self.status.is_none(), "{} has ended already", self.name);
        send_signal(self.pid(), signal);
    }

    /// Waits until the child has ended by itself and all that it logged has been read.
    pub fn wait_exit(&mut self) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        let mut ended = None;
        until(&format!("{} ends", self.name), || {
            ended = self.child.try_wait().expect("wait for our own child");
            ended.is_some()
        });
        self.status = ended;
        self.join_readers();
        ended.expect("until() returned, so it has ended")
    }

    /// Ends the child at once, as a crash would.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            // Fails only if it has ended meanwhile, which is what we want.
            let _ = self.child.kill();
            self.status = Some(self.child.wait().expect("wait for our own child"));
            self.join_readers();
        }
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("a log reader does not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("---- log of {} ----\n{}", self.name, self.log.tail());
        }
    }
}

/// Starts a command; a tool that is missing fails the test with what to install.
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        let package = match program.as_str() {
            "etcd" => "etcd-server",
            "etcdctl" => "etcd-client",
            "dnsmasq" => "dnsmasq-base",
            "chromedriver" => "chromium-driver",
            "promtool" => "prometheus",
            "setpriv" => "util-linux",
            "ip" => "iproute2",
            _ => &program,
        };
        let advice = match error.kind() {
            ErrorKind::NotFound if Version::V3_5.is_program(&program) => {
                "run sh tests/fetch-etcd.sh 3.5.1".to_owned()
            }
            ErrorKind::NotFound => format!("install it (Debian: apt-get install {package})"),
            _ => format!("{command:?}"),
        };
        panic!("cannot start {program}: {error}; {advice}")
    })
}

/// Sends a signal by its short name to a child that has not been waited for yet.
pub fn send_signal(pid: u32, signal: &str) {
    let signal = Signal::from_str(&format!("SIG{signal}")).expect("the name of a signal");
    let pid = i32::try_from(pid).expect("a pid is a positive i32");
    kill(Pid::from_raw(pid), signal).expect("signal our own child");
}

/// What a child has said so far.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    /// Where to look on, for each needle that was found before.
    cursors: HashMap<String, usize>,
    /// Streams that have reached their end; with both ended no further line can come.
    ended: usize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Log>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                log.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                log.changed.notify_all();
            }
            log.lock().ended += 1;
            log.changed.notify_all();
        })
    }

    fn wait_for(&self, needle: &str) -> Result<String, &'static str> {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            let from = state.cursors.get(needle).copied().unwrap_or(0);
            if let Some(found) = state.lines[from..].iter().position(|line| line.contains(needle)) {
                state.cursors.insert(needle.to_owned(), from + found + 1);
                return Ok(state.lines[from + found].clone());
            }
            if state.ended == 2 {
                return Err("ended without the line");
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err("no such line in time");
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn tail(&self) -> String {
        let state = self.lock();
        state.lines[state.lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}
