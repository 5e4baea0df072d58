//! Limits of a registry in etcd: of what is kept of it, and how often it is asked.

use std::time::Duration;

use super::{ENDPOINTS_MAX, ETCD_PAGE_KEYS, SOURCE_LINES_MAX};

/// Most members that `--etcd-endpoints` lists.
pub const ETCD_ENDPOINTS_MAX: usize = 16;
/// Longest `--registry-prefix`, bytes.
pub const REGISTRY_PREFIX_BYTES_MAX: usize = 512;
/// Longest key that is read, bytes.
pub const REGISTRY_KEY_BYTES_MAX: usize = 1024;
/// Most keys that are kept, the first ones in the order of their bytes: several for each endpoint
/// that can be used, since some name the same server and some cannot be read.
pub const REGISTRY_KEYS_MAX: usize = 4 * ENDPOINTS_MAX;
/// Most values that are remembered as logged; the oldest is forgotten first.
pub const REGISTRY_REPORTED_MAX: usize = ENDPOINTS_MAX;
/// Descriptors of a registry: the connections of its ranges, its watch and its heartbeats.
pub const DESCRIPTORS_PER_REGISTRY: usize = 3;
/// Most bytes of the password in the file of `--password-file`.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Time that a member may take for an answer: one without a leader takes 7 s otherwise. In the head
/// of each request, in whole seconds.
pub const REGISTRY_REQUEST_TIME: Duration = Duration::from_secs(2);
/// Time limit for connecting, and again for an answer: a member that is stopped does not know how
/// long it may take.
pub const REGISTRY_ANSWER_TIME: Duration = Duration::from_millis(2500);
/// From one range of all keys to the next while a watch runs, give or take a quarter.
pub const REGISTRY_RANGE_INTERVAL: Duration = Duration::from_secs(60);
/// From one heartbeat of the member whose watch runs to the next, or up to a quarter less. With
/// [`REGISTRY_HEARTBEAT_TIME`] a member that is stopped is left after 3 s. 1,000 gateways before
/// three members ask each 190 times a second.
pub const REGISTRY_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Time limit for the answer to a heartbeat, and before it for connecting.
pub const REGISTRY_HEARTBEAT_TIME: Duration = Duration::from_secs(1);
/// Pauses after every member has failed: the first one, doubled each time, and the longest. Each is
/// between a half and the whole of that.
pub const REGISTRY_PAUSE_MIN: Duration = Duration::from_millis(250);
pub const REGISTRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Pause after a password was refused: etcd spends 0.1 s of a processor on each.
pub const REGISTRY_PASSWORD_PAUSE: Duration = Duration::from_secs(10);
/// Age of a watch at which it counts as working, so that failures before it are forgotten.
pub const REGISTRY_STEADY_AGE: Duration = Duration::from_secs(2);
/// Time that a watch has to say what a range has shown before it.
pub const REGISTRY_WATCH_LAG_MAX: Duration = Duration::from_secs(2);
/// Shortest time between two ranges that a loss of keys causes.
pub const REGISTRY_RANGE_SPACING: Duration = Duration::from_secs(1);

const _: () = assert!(DESCRIPTORS_PER_REGISTRY <= SOURCE_LINES_MAX);
const _: () = assert!(REGISTRY_REQUEST_TIME.as_nanos() <= REGISTRY_ANSWER_TIME.as_nanos());
const _: () =
    assert!(REGISTRY_REQUEST_TIME.subsec_nanos() == 0 && !REGISTRY_REQUEST_TIME.is_zero());
const _: () = assert!(REGISTRY_HEARTBEAT_TIME.as_nanos() > 0);
const _: () = assert!(REGISTRY_HEARTBEAT_TIME.as_nanos() <= REGISTRY_HEARTBEAT_INTERVAL.as_nanos());
const _: () = assert!(REGISTRY_HEARTBEAT_INTERVAL.as_nanos() < REGISTRY_RANGE_INTERVAL.as_nanos());
const _: () = assert!(REGISTRY_PAUSE_MIN.as_nanos() > 0);
const _: () = assert!(REGISTRY_PAUSE_MIN.as_nanos() <= REGISTRY_PAUSE_MAX.as_nanos());
const _: () = assert!(REGISTRY_RANGE_SPACING.as_nanos() <= REGISTRY_RANGE_INTERVAL.as_nanos());
const _: () = assert!(REGISTRY_KEYS_MAX >= ETCD_PAGE_KEYS as usize, "a page is kept");
const _: () = assert!(REGISTRY_KEYS_MAX * REGISTRY_KEY_BYTES_MAX <= 1 << 20, "keys take a MiB");
