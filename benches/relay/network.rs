//! A network namespace for the run, with nothing in it but a loopback that has ports to spare.
//!
//! Every connection that is closed leaves its port in TIME_WAIT, for a second at least
//! (tcp_tw_reuse, ip(7)), and connect(2) takes ports of one parity first: of Linux's usual range
//! that are 14,116, so no relay could dial a server more often than that in a second, and each
//! would pay for the search.

use std::fs::File;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

/// The lowest and the highest port of clients, by which 26,768 are dialed from first.
const PORTS: &str = "12000 65535";

/// Enters one, for this process and all that it starts. To be called before there is a socket.
///
/// # Errors
/// What is missing, in words; then everything is as it was.
pub fn enter() -> Result<(), String> {
    let what = |error| format!("No network namespace of our own, so ports run short: {error}.");
    let before = File::open("/proc/self/ns/net").map_err(|error| what(error.to_string()))?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| what(error.to_string()))?;
    let set_up =
        format!("ip link set lo up && echo {PORTS} > /proc/sys/net/ipv4/ip_local_port_range");
    let status = Command::new("sh").args(["-c", &set_up]).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    setns(before, CloneFlags::CLONE_NEWNET).expect("it was ours a moment ago");
    Err(what("ip(8) or its sysctls are not to be had".to_owned()))
}
