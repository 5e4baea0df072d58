//! Every limit and every number that is tuned, each with its unit and its reason.
//!
//! The compiler checks the relations between them, at the bottom of each file, so that a change of
//! one number cannot silently break another. Ranges and defaults of the flags are in
//! [`super::flags`]; numbers that a protocol prescribes are in the file that speaks it.

mod admin;
mod changes;
mod dns;
mod etcd;
mod health;
mod http;
mod members;
mod registry;

use std::time::Duration;

use log::LevelFilter;

pub use admin::*;
pub use changes::*;
pub use dns::*;
pub use etcd::*;
pub use health::*;
pub use http::*;
pub use members::*;
pub use registry::*;

/// Bytes of the scratch buffer and of each pooled buffer: the most that one flow keeps in memory,
/// and little compared with the megabytes that the kernel keeps in the sockets of a flow that is
/// stuck. Copying a message of up to 64 KiB costs less than splicing it, and least in one piece.
/// The buffer is a little larger than that, so that a read of such a message is short, which tells
/// without a second read that nothing is left.
pub const BUFFER_BYTES: usize = 68 * 1024;
/// Most unused buffers that are kept for the next flow that needs one: 1 MiB.
pub const SPARE_BUFFERS_MAX: usize = 15;
/// Consecutive reads that fill the buffer, after which a flow counts as bulk and is spliced.
pub const SPLICE_AFTER_READS: u8 = 1;
/// Bytes below which a splice counts as small: copying them would have cost less. Less than one
/// segment brings over loopback or from a network card that merges segments: almost 64 KiB.
pub const SPLICE_BYTES_MIN: usize = 48 * 1024;
/// Consecutive small splices after which a flow is copied again. More than one, since bulk has
/// small pieces, too.
pub const SPLICES_SMALL_MAX: u8 = 4;
/// Bytes of a pipe: the most that an unprivileged user may ask for (fs.pipe-max-size, pipe(7)).
pub const PIPE_BYTES: usize = 1 << 20;
/// Bytes of the smallest pipe that makes splicing cheaper than copying: 64 slots. Two kinds of pipe
/// are too small. Beyond fs.pipe-user-pages-soft an unprivileged user gets a page or two, and the
/// usual 16 slots hold 23 KiB of Ethernet segments.
pub const PIPE_BYTES_MIN: usize = 256 * 1024;
/// Most pipes at a time, where the descriptors allow it; further flows are copied. pipe(7) counts
/// them as 32 MiB, half of what an unprivileged user may have. Filled with segments that are larger
/// than a page, they can contain several times as much.
pub const PIPES_MAX: usize = 32;
/// Pairs of which one gives its descriptors to a pipe.
pub const PAIRS_PER_PIPE: usize = 16;
/// Most unused pipes that are kept for the next flow that needs one.
pub const SPARE_PIPES_MAX: usize = 8;
/// Time after a flow last needed a pipe for which unused pipes are kept.
pub const SPARE_PIPES_AGE: Duration = Duration::from_secs(1);
/// Pause after a pipe could not be made, before the next attempt.
pub const PIPE_PAUSE: Duration = Duration::from_secs(1);
/// Most bytes of a TLS handshake from the server. One message has 64 KiB at most, and the two
/// longest are a chain of certificates and a list of authorities.
pub const HANDSHAKE_BYTES_MAX: usize = 256 * 1024;
/// Age of a server connection at which its pair gets the socket options that a short one is spared.
pub const DEFERRED_OPTIONS_AGE: Duration = Duration::from_secs(1);
/// The age is at most this part of the shortest time that one of these options sets.
pub const DEFERRED_OPTIONS_AGE_DIVISOR: u32 = 8;
/// Most bytes that one flow may read in one turn, so that others are read, too.
pub const FLOW_BUDGET_BYTES: usize = 1 << 20;
/// Bytes that all flows together should read in one turn: where many are busy, each may read less
/// than [`FLOW_BUDGET_BYTES`], but never less than [`FLOW_SHARE_BYTES_MIN`].
pub const TURN_BUDGET_BYTES: usize = 4 << 20;
/// Bytes that one flow may always read in one turn, however many others are busy: the bytes of one
/// read. With less, messages would come in pieces and cost several times as much just when many
/// flows are busy. A thousand flows that send without end make a turn of about 30 ms.
pub const FLOW_SHARE_BYTES_MIN: usize = BUFFER_BYTES;
/// Most bytes that one exchange may read in one turn, such as a stream that has no end.
pub const EXCHANGE_BUDGET_BYTES: usize = FLOW_BUDGET_BYTES;
/// Pause of an exchange that has read that much.
pub const EXCHANGE_PAUSE: Duration = Duration::from_millis(1);
/// Most connections accepted in one turn, per listener.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Most connections accepted from each backlog when the process is asked to end: the backlog that
/// Linux allows by default (net.core.somaxconn).
pub const ACCEPTS_AT_DRAIN: usize = 4096;
/// Most readiness events taken from the kernel in one turn.
pub const EVENTS_PER_TURN: usize = 1024;
/// Most endpoints in the set at a time.
pub const ENDPOINTS_MAX: usize = 256;
/// Endpoints that discovery is expected to find, for whose probes descriptors are reserved.
pub const ENDPOINTS_PER_DISCOVERY: usize = 16;
/// Ceiling of `--max-connections`, whatever the descriptor limit says.
pub const CONNECTIONS_MAX: usize = 1 << 20;
/// First and shortest delay before an inactive endpoint is dialed again.
pub const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);
/// Shortest time between two dials that clients cause to one inactive endpoint (10 a second).
pub const LAST_RESORT_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after accept failed for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two log lines about the same kind of thing that clients can repeat.
pub const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// First wait before it is checked again whether a send queue is empty; doubles up to the maximum.
pub const FLUSH_CHECK_MIN: Duration = Duration::from_millis(1);
/// Longest wait before it is checked again whether a send queue is empty.
pub const FLUSH_CHECK_MAX: Duration = Duration::from_millis(100);
/// Keepalive probes without an answer before a peer counts as dead, as Go's net package sets it.
pub const KEEPALIVE_PROBES: u32 = 9;
/// Most listening addresses.
pub const LISTENERS_MAX: usize = 16;
/// Pause before another attempt to listen on an address that is missing or taken.
pub const LISTEN_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Descriptors of a pair: its client's and its server's socket.
pub const DESCRIPTORS_PER_PAIR: usize = 2;
/// Descriptors of a probe of an endpoint.
pub const DESCRIPTORS_PER_PROBE: usize = 1;
/// Descriptors of the loop: epoll(7) and signalfd(2).
pub const DESCRIPTORS_OF_LOOP: usize = 2;
/// Most descriptors at a time that are open for the duration of a call: a file that is read, the
/// look-up of a route, a message to the service manager.
pub const DESCRIPTORS_FOR_A_MOMENT: usize = 1;
/// Descriptors reserved for epoll, signals, files that are read and the like.
pub const DESCRIPTORS_RESERVED: usize = 13;

/// Longest duration of any flag: one year, so that adding a few to an `Instant` cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest `--tcp-user-timeout`: the kernel takes milliseconds in an `int` (tcp(7)).
pub const TCP_USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
/// Longest `--keepalive`: the kernel takes 1 to 32767 seconds (`MAX_TCP_KEEPIDLE`, net/tcp.h).
pub const KEEPALIVE_MAX: Duration = Duration::from_secs(32767);

/// Priority of an endpoint that states none: the most preferred class.
pub const PRIORITY_DEFAULT: u16 = 0;
/// Weight of an endpoint that states none.
pub const WEIGHT_DEFAULT: u16 = 1;
/// Level of the log where neither `--log-level` nor RUST_LOG sets one.
pub const LOG_LEVEL_DEFAULT: LevelFilter = LevelFilter::Info;

const _: () = assert!(BUFFER_BYTES > 0);
const _: () = assert!(TURN_BUDGET_BYTES >= FLOW_BUDGET_BYTES, "one flow may use its budget");
const _: () = assert!(FLOW_BUDGET_BYTES >= FLOW_SHARE_BYTES_MIN);
// A read must be able to fill the buffer within one turn, or no flow would ever count as bulk.
const _: () = assert!(FLOW_SHARE_BYTES_MIN >= BUFFER_BYTES);
// A handshake has its end within one turn.
const _: () = assert!(EXCHANGE_BUDGET_BYTES >= HANDSHAKE_BYTES_MAX);
const _: () = assert!(EXCHANGE_PAUSE.as_nanos() > 0);
const _: () = assert!(ACCEPTS_PER_TURN > 0);
// Unused buffers take little memory compared with the program itself.
const _: () = assert!(SPARE_BUFFERS_MAX * BUFFER_BYTES <= 1 << 20);
const _: () = assert!(SPLICE_AFTER_READS > 0);
const _: () = assert!(SPLICES_SMALL_MAX > 0);
// Otherwise a flow that went back to copying for its small pieces would fill the buffer with one of
// them and be spliced again.
const _: () = assert!(SPLICE_BYTES_MIN <= BUFFER_BYTES);
const _: () = assert!(PIPE_BYTES_MIN <= PIPE_BYTES);
const _: () = assert!(SPARE_PIPES_MAX <= PIPES_MAX);
const _: () = assert!(PAIRS_PER_PIPE > 1, "some descriptors are left for pairs");
const _: () = assert!(PIPE_PAUSE.as_nanos() > 0);
const _: () = assert!(SPARE_PIPES_AGE.as_nanos() > 0);
// All listeners and some pairs get their events in one turn.
const _: () = assert!(EVENTS_PER_TURN > LISTENERS_MAX);
const _: () = assert!(ENDPOINTS_MAX > 0);
// Clients may cause dials more often than the monitor does, or the last resort would be none.
const _: () = assert!(LAST_RESORT_INTERVAL.as_nanos() < RETRY_DELAY_MIN.as_nanos());
const _: () = assert!(ACCEPT_PAUSE.as_nanos() > 0);
// A pause of accepting that repeats is at most one log line per summary.
const _: () = assert!(ACCEPT_PAUSE.as_nanos() < SUMMARY_INTERVAL.as_nanos());
const _: () = assert!(FLUSH_CHECK_MIN.as_nanos() > 0);
const _: () = assert!(FLUSH_CHECK_MIN.as_nanos() < FLUSH_CHECK_MAX.as_nanos());
const _: () = assert!(LISTEN_RETRY_INTERVAL.as_nanos() > 0);
const _: () = assert!(LISTENERS_MAX > 0);
const _: () = assert!(DESCRIPTORS_RESERVED >= DESCRIPTORS_OF_LOOP + DESCRIPTORS_FOR_A_MOMENT);
// The kernel numbers descriptors by an i32, which can count those of all pairs, pipes, probes and
// listeners.
const _: () = assert!(
    (CONNECTIONS_MAX + PIPES_MAX) * DESCRIPTORS_PER_PAIR
        + ENDPOINTS_MAX
        + LISTENERS_MAX
        + DESCRIPTORS_RESERVED
        < i32::MAX as usize
);
