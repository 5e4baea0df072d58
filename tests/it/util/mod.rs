//! What the integration tests share: child processes, peers on plain sockets, an etcd cluster.

mod etcd;
mod gateway;
mod process;
mod sockets;

use std::thread;
use std::time::{Duration, Instant};

pub use etcd::{Cluster, TemporaryDirectory, base64, etcdctl, finish, http, output_of};
pub use gateway::Gateway;
pub use process::Process;
pub use sockets::{
    Backend, Blackhole, Reservation, backend, echo, payload, refused_address, reset,
};

/// The longest any single wait of a test may take; far beyond what a loaded machine needs.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// The pause between two looks at something that sends no event.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until the condition holds, and panics with `what` at the deadline.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::park_timeout(POLL_INTERVAL);
    }
}
