//! Numbers of health checks, of silent servers, and of the closing of their connections.

use std::time::Duration;

use super::ACCEPT_PAUSE;

/// Most results in a row that `--health-rise` and `--health-fall` can ask for.
pub const HEALTH_RESULTS_MAX: usize = 100;
/// Most connections that `--close-rate` allows in a second.
pub const CLOSE_RATE_MAX: usize = 1_000_000;
/// Longest path of `--health-check`, bytes.
pub const HEALTH_PATH_BYTES_MAX: usize = 1024;
/// Port of etcd's clients, as IANA has it.
pub const ETCD_PORT: u16 = 2379;
/// From a result that is not confirmed yet to the next check, and the shortest time between two
/// checks of an endpoint: ten a second.
pub const CHECK_SPACING: Duration = Duration::from_millis(100);
/// Time without a client, a connection and a request for what is known of endpoints (`/metrics`,
/// `/status`, `/readyz`, `/`) after which those that pass their checks are not checked. The next
/// client's dial tells whether they are there, and it and such a request cause a check at once.
pub const CHECKS_IDLE_AFTER: Duration = Duration::from_secs(60);
/// A server that leaves bytes of a client without an answer for longer than it did on this
/// connection so far is suspected, but not before the first time, and at the latest after the
/// second.
pub const SILENCE_MIN: Duration = Duration::from_millis(200);
pub const SILENCE_MAX: Duration = Duration::from_millis(500);
/// Time without an answer after which a server that is not checked is reported as silent, if it
/// never took as long before.
pub const SILENCE_UNUSUAL_AFTER: Duration = Duration::from_secs(10);
/// Shortest time between two looks at the connections whose client waits for an answer.
pub const SILENCE_LOOK_MIN: Duration = Duration::from_millis(100);
/// Descriptors of the checks of an endpoint: its kept connection.
pub const DESCRIPTORS_PER_CHECK: usize = 1;

const _: () = assert!(CHECK_SPACING.as_nanos() > 0);
const _: () = assert!(SILENCE_MIN.as_nanos() <= SILENCE_MAX.as_nanos());
const _: () = assert!(SILENCE_MAX.as_nanos() < SILENCE_UNUSUAL_AFTER.as_nanos());
const _: () = assert!(SILENCE_LOOK_MIN.as_nanos() <= SILENCE_MIN.as_nanos());
const _: () = assert!(SILENCE_LOOK_MIN.as_nanos() >= ACCEPT_PAUSE.as_nanos());
