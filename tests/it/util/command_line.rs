//! Runs of the binary by its command line alone, and the one line with which it refuses to start.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, Output};

use super::*;

pub const BINARY: &str = env!("CARGO_BIN_EXE_etcd-gateway");
/// Nothing dials it unless a client connects, and no client does.
pub const ENDPOINT: &str = "--endpoints=127.0.0.1:1";
pub const LISTEN: &str = "--listen-addr=127.0.0.1:0";

pub fn gateway<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(program);
    // Whatever the developer's shell says must not change what is logged or notified.
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").args(arguments);
    command
}

pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    finish(&mut gateway(Path::new(BINARY), arguments), "")
}

/// Checks that a run ended with this status and one line on stderr that contains all `parts`.
#[track_caller]
pub fn check_refusal(about: &impl Debug, output: &Output, status: i32, parts: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{about:?}: {errors}");
    assert!(output.stdout.is_empty(), "{about:?}: stdout is not for errors");
    assert_eq!(errors.lines().count(), 1, "{about:?}: one line, not\n{errors}");
    assert!(errors.ends_with('\n'), "{about:?}: {errors}");
    assert!(errors.starts_with("etcd-gateway: "), "{about:?}: {errors}");
    for part in parts {
        assert!(errors.contains(part), "{about:?}: no {part:?} in {errors}");
    }
}

/// Checks that this command line starts a gateway, and returns the line that says so.
#[track_caller]
pub fn serve(program: &Path, arguments: &[&str]) -> String {
    let name = format!("{} {}", program.display(), arguments.join(" "));
    let process = Process::spawn(&name, &mut gateway(program, arguments));
    process.wait_for_log("ready to proxy client requests")
}
