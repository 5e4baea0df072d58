//! A gateway under strace: every system call it makes is a line of a file, in their order.
//!
//! strace writes a call's name and flushes it before the call begins, and the rest of the line
//! when it is over. So a log that ends with `epoll_wait(3, ` belongs to a gateway that waits, and
//! whatever the test has seen of the gateway's doings is before that.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Gateway, GatewayBuilder, TemporaryDirectory, finish, until};

/// How much of the log's end is looked at to tell whether the gateway waits.
const TAIL_BYTES: u64 = 64;
/// One call has several names where the architecture or the C library decides which is made.
const SYNONYMS: &[(&str, &str)] =
    &[("epoll_pwait", "epoll_wait"), ("epoll_pwait2", "epoll_wait"), ("ppoll", "poll")];
/// A call only where the machine's clock cannot be read without one (vdso(7)): no property of the
/// gateway, so not counted.
const MACHINE_CALLS: &[&str] = &["clock_gettime"];

/// A gateway that is traced from its first call on.
pub struct Traced {
    // Dropped, and with it the tracer ended, before the directory of the log is removed.
    gateway: Gateway,
    log: PathBuf,
    _directory: TemporaryDirectory,
}

/// A moment at which the gateway waited, as a place in the log.
#[derive(Clone, Copy)]
pub struct Mark(usize);

impl Traced {
    /// Starts what was built under strace.
    pub fn start(builder: GatewayBuilder) -> Traced {
        look_for_ptrace().unwrap_or_else(|reason| panic!("{reason}"));
        let directory = TemporaryDirectory::new();
        let log = directory.path().join("calls");
        // -D: the tracer is a grandchild, so the pid is that of the gateway. -f: a thread that
        // is added is counted as well.
        let words = ["strace", "-D", "-f", "-qq", "-s", "16", "-o"].map(Into::into);
        let words = words.into_iter().chain([log.clone().into_os_string()]);
        let gateway = builder.under(words).start();
        Traced { gateway, log, _directory: directory }
    }

    /// Waits until the gateway waits for events.
    pub fn quiet(&self) -> Mark {
        let mut mark = None;
        until("the gateway waits for events", || {
            mark = waiting_at(&self.log);
            mark.is_some()
        });
        mark.expect("until() returned, so it waits")
    }

    /// Waits until the gateway waits for events without an end: no timer is armed.
    pub fn quiet_without_timers(&self) -> Mark {
        let file = format!("/proc/{}/syscall", self.gateway.pid());
        let mut mark = None;
        until("the gateway waits without an end", || {
            mark = waiting_at(&self.log);
            let call = fs::read_to_string(&file).expect("what can be traced can be read");
            // Behind the number of the call, the fourth argument is the timeout (epoll_wait(2),
            // proc_pid_syscall(5)); -1 means that there is none.
            let is_endless = call.split(' ').nth(4).is_some_and(|word| word.ends_with("ffffffff"));
            is_endless && mark.is_some_and(|mark| self.is_still_at(mark))
        });
        mark.expect("until() returned, so it waits")
    }

    /// Whether the gateway is still in the wait of that moment.
    pub fn is_still_at(&self, mark: Mark) -> bool {
        waiting_at(&self.log).is_some_and(|now| now.0 == mark.0)
    }

    /// How many calls so far name this constant.
    pub fn count_of(&self, constant: &str) -> usize {
        let log = fs::read(&self.log).expect("the log of strace");
        String::from_utf8_lossy(&log).matches(constant).count()
    }

    /// Every call since the start, until now that the gateway waits.
    pub fn calls(&self) -> Calls {
        self.read(0)
    }

    /// The calls that began after `mark`, until now that the gateway waits; the last of them is
    /// this wait.
    pub fn calls_since(&self, mark: Mark) -> Calls {
        self.read(mark.0)
    }

    /// How the wait of `mark`, which must be over, was called and what it gave.
    pub fn wait_at(&self, mark: Mark) -> String {
        let log = fs::read(&self.log).expect("the log of strace");
        let line = log[..mark.0].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = String::from_utf8_lossy(&log[line..]);
        rest.lines().next().unwrap_or_default().to_owned()
    }

    fn read(&self, from: usize) -> Calls {
        let end = self.quiet().0;
        let log = fs::read(&self.log).expect("the log of strace");
        Calls::parse(&String::from_utf8_lossy(&log[from..end]))
    }

    /// Holds the gateway at its next call, until the returned value is dropped.
    ///
    /// It is the tracer that is stopped, so the gateway's own calls do not see it: what happens
    /// now is there all at once when it goes on. At least one event has woken it before.
    pub fn pause(&self) -> Pause {
        self.quiet();
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running gateway has it");
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        let tracer = tracer.and_then(|pid| pid.trim().parse().ok()).expect("it has a tracer");
        let pause = Pause { tracer: Pid::from_raw(tracer) };
        kill(pause.tracer, Signal::SIGSTOP).expect("signal our own tracer");
        until("the tracer stops", || {
            let stat = fs::read_to_string(format!("/proc/{tracer}/stat"));
            // The state follows the name in parentheses (proc(5)).
            stat.expect("a stopped tracer has it").contains(") T ")
        });
        pause
    }
}

impl Deref for Traced {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

/// The time during which a traced gateway is held.
pub struct Pause {
    tracer: Pid,
}

impl Drop for Pause {
    fn drop(&mut self) {
        // Fails if the gateway was killed meanwhile, with which its tracer ends.
        let _ = kill(self.tracer, Signal::SIGCONT);
    }
}

/// Where the log ends, if that is within a wait for events.
fn waiting_at(path: &Path) -> Option<Mark> {
    let mut log = File::open(path).expect("strace makes its log before it starts the gateway");
    let length = log.metadata().expect("an open file").len();
    log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).expect("a place in the file");
    let mut tail = Vec::new();
    let read = log.read_to_end(&mut tail).expect("a file of ours");
    let tail = String::from_utf8_lossy(&tail);
    let line = tail.rsplit('\n').next().unwrap_or_default();
    let (name, arguments) = name_of(line)?;
    // The descriptor of the poll is all that is known of the call as long as it lasts.
    let descriptor = arguments.strip_suffix(", ")?;
    let is_open = name == "epoll_wait" && descriptor.bytes().all(|byte| byte.is_ascii_digit());
    let start = length.saturating_sub(TAIL_BYTES);
    let end = usize::try_from(start).expect("a file that we can read") + read;
    is_open.then_some(Mark(end))
}

/// The name of the call that a line begins with, and what follows its parenthesis.
fn name_of(line: &str) -> Option<(&str, &str)> {
    let (pid, call) = line.split_once(' ')?;
    let (name, arguments) = call.trim_start().split_once('(')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    // Others tell of signals, of the end, and of calls that were interleaved with one of another
    // thread, whose first half was a line of its own.
    if !pid.bytes().all(|byte| byte.is_ascii_digit()) || !name.chars().all(is_name) {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == name);
    Some((synonym.map_or(name, |(_, usual)| *usual), arguments))
}

/// Name and arguments of the call of a line, and its result. `None` for a call that has none yet.
fn call_of(line: &str) -> Option<((&str, &str), i64)> {
    let (name, rest) = name_of(line)?;
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
        // Short lines are filled up with spaces before the equals sign.
        let (call, result) = rest.rsplit_once(" = ")?;
        Some((call.trim_end().strip_suffix(')')?, result))
    })?;
    let number = result.split(' ').next()?;
    Some(((name, arguments), number.parse().ok()?))
}

/// System calls in the order in which they began.
pub struct Calls {
    lines: Vec<String>,
}

impl Calls {
    fn parse(log: &str) -> Calls {
        let is_counted =
            |line: &&str| name_of(line).is_some_and(|(name, _)| !MACHINE_CALLS.contains(&name));
        Calls { lines: log.lines().filter(is_counted).map(str::to_owned).collect() }
    }

    /// Those whose line passes the test.
    pub fn only(mut self, is_wanted: impl Fn(&str) -> bool) -> Calls {
        self.lines.retain(|line| is_wanted(line));
        self
    }

    /// Those after the last one whose line contains this.
    pub fn after_last(mut self, text: &str) -> Calls {
        let last = self.lines.iter().rposition(|line| line.contains(text));
        let last = last.unwrap_or_else(|| panic!("no {text} in\n{self}"));
        self.lines.drain(..=last);
        self
    }

    /// How many there are up to the first one of that name, which is one of them.
    pub fn count_to(&self, name: &str) -> usize {
        let is_it = |line: &String| name_of(line).is_some_and(|(found, _)| found == name);
        let found = self.lines.iter().position(is_it);
        1 + found.unwrap_or_else(|| panic!("no {name} in\n{self}"))
    }

    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// How many waits for events might have lasted, and ended with an event.
    pub fn wake_ups(&self) -> usize {
        let is_wake_up = |line: &&String| {
            let Some((("epoll_wait", arguments), 1..)) = call_of(line) else { return false };
            // What comes behind the list of events: how many fit into it, the timeout.
            let numbers = arguments.rsplit("], ").next().unwrap_or_default();
            numbers.split(", ").nth(1).is_some_and(|timeout| timeout != "0")
        };
        self.lines.iter().filter(is_wake_up).count()
    }

    /// How many reads, writes and splices moved something, but less than they were to.
    pub fn short_transfers(&self) -> usize {
        let is_short = |line: &&String| {
            let Some(((name, arguments), moved @ 1..)) = call_of(line) else { return false };
            // Counted from the last argument: the first ones may be bytes with commas.
            let place = match name {
                "splice" => 1,
                "recvfrom" | "sendto" => 3,
                _ => return false,
            };
            let wanted = arguments.rsplit(", ").nth(place).and_then(|bytes| bytes.parse().ok());
            wanted.is_some_and(|wanted: i64| moved < wanted)
        };
        self.lines.iter().filter(is_short).count()
    }

    /// How many of each name.
    pub fn histogram(&self) -> BTreeMap<&str, usize> {
        let mut histogram = BTreeMap::new();
        for (name, _) in self.lines.iter().filter_map(|line| name_of(line)) {
            *histogram.entry(name).or_default() += 1;
        }
        histogram
    }

    /// The histogram divided by the number of things done, the most frequent first.
    pub fn each(&self, things: usize) -> String {
        let each = |count: usize| count as f64 / things as f64;
        let mut names: Vec<_> = self.histogram().into_iter().collect();
        names.sort_by_key(|(name, count)| (usize::MAX - count, *name));
        let names = names.iter().map(|(name, count)| format!("{:.2} {name}", each(*count)));
        let names: Vec<_> = names.collect();
        format!("{:.2}: {}", each(self.count()), names.join(", "))
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Tracing is forbidden in some sandboxes. Nothing can be counted there, which is a failure.
pub fn look_for_ptrace() -> Result<(), String> {
    let output = finish(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]), "");
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "system calls cannot be counted: strace(1) needs ptrace(2), in a container \
         --cap-add=SYS_PTRACE: {}",
        errors.trim_end()
    ))
}
