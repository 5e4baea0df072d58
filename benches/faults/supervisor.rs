//! A run in namespaces of processes and mounts of its own, so that nothing outlives it: when the
//! driver there ends, for any reason, the kernel ends all that it has started.
//!
//! ```text
//! cargo ── supervisor ── unshare(1) ── driver, the first process there ── etcd, relays, clients
//! ```

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

/// Tells the driver that it is the driver.
pub const INSIDE: &str = "--inside";

enum Event {
    Signal,
    Ended(Option<i32>),
}

/// Starts the driver and waits until it has ended, which a signal to this process makes it do.
pub fn run(arguments: &[String], temporary: &Path) -> ExitCode {
    // Left by a run whose supervisor was killed, too.
    let _ = fs::remove_dir_all(temporary);
    fs::create_dir_all(temporary).expect("the target directory can be written");
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        signals.add(signal);
    }
    signals.thread_block().expect("these may be blocked");

    let own = std::env::current_exe().expect("Linux knows it");
    let words = "--pdeathsig KILL unshare --pid --fork --kill-child --mount-proc";
    let mut command = Command::new("setpriv");
    command.args(words.split(' ')).arg(own).arg(INSIDE).args(arguments).env("TMPDIR", temporary);
    let mut child = command.spawn().expect("setpriv(1) is part of util-linux");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid of the kernel fits"));

    let (sender, events) = mpsc::channel();
    let ended = sender.clone();
    thread::spawn(move || {
        ended.send(Event::Ended(child.wait().ok().and_then(|status| status.code())))
    });
    thread::spawn(move || signals.wait().map(|_| sender.send(Event::Signal)));
    let mut code = None;
    for event in events {
        match event {
            // Its child, the driver, is killed with it.
            Event::Signal => drop(kill(pid, Signal::SIGKILL)),
            Event::Ended(status) => {
                code = status;
                break;
            }
        }
    }
    let _ = fs::remove_dir_all(temporary);
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Undoes in the driver what it has inherited from the supervisor.
pub fn enter() {
    SigSet::all().thread_unblock().expect("these were blocked");
}
