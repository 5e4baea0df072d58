//! Every limit and every number that is tuned, each with its unit and its reason.
//!
//! The compiler checks the relations between them, at the bottom of each file, so that a change of
//! one number cannot silently break another. Ranges and defaults of the flags are in
//! [`super::flags`]; numbers that a protocol prescribes are in the file that speaks it.

mod changes;
mod dns;

use std::time::Duration;

use log::LevelFilter;

pub use changes::*;
pub use dns::*;

/// Bytes of the scratch buffer and of each pooled buffer: the most one flow holds back in memory,
/// and little beside the megabytes that the kernel holds in the sockets of a flow that is stuck.
/// Up to 64 KiB a message costs less copied than spliced, and least in one piece. A little more
/// than that, so that a read that takes it is a short one and needs no second to see that it was.
pub const BUFFER_BYTES: usize = 68 * 1024;
/// Unused buffers that are kept for the next flow that needs one: at most 1 MiB.
pub const SPARE_BUFFERS_MAX: usize = 15;
/// Reads in a row that fill the buffer, after which a flow counts as bulk and is spliced.
pub const SPLICE_AFTER_READS: u8 = 1;
/// Bytes below which one splice is small: copying them would have cost less. Below what one
/// segment brings over loopback or from a card that merges them, which is almost 64 KiB.
pub const SPLICE_BYTES_MIN: usize = 48 * 1024;
/// Small splices in a row after which a flow goes back to copying. Bulk comes in pieces, too.
pub const SPLICES_SMALL_MAX: u8 = 4;
/// Bytes of a pipe: what an unprivileged user may ask for (fs.pipe-max-size, pipe(7)).
pub const PIPE_BYTES: usize = 1 << 20;
/// Bytes of the smallest pipe that is worth having, which is one of 64 slots. Beyond
/// fs.pipe-user-pages-soft an unprivileged user gets no more than a page or two, and the usual 16
/// slots hold 23 KiB of Ethernet's segments: with either, splicing costs more than copying.
pub const PIPE_BYTES_MIN: usize = 256 * 1024;
/// Most pipes at a time, where the descriptors allow: flows beyond that copy. As pipe(7) counts
/// they are 32 MiB, half of what an unprivileged user is allowed; full of segments that are larger
/// than a page they can hold several times that.
pub const PIPES_MAX: usize = 32;
/// One pair in so many gives its descriptors to a pipe.
pub const PAIRS_PER_PIPE: usize = 16;
/// Unused pipes that are kept for the next flow that needs one.
pub const SPARE_PIPES_MAX: usize = 8;
/// How long unused pipes are kept after a flow last wanted one.
pub const SPARE_PIPES_AGE: Duration = Duration::from_secs(1);
/// Pause after no pipe could be had.
pub const PIPE_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of one handshake from the server, after which it is given up. One message has 64 KiB at
/// most, and the longest two are a chain of certificates and a list of authorities.
pub const HANDSHAKE_BYTES_MAX: usize = 256 * 1024;
/// Age of a server connection at which its pair gets the socket options that a short one is spared.
pub const DEFERRED_OPTIONS_AGE: Duration = Duration::from_secs(1);
/// The age is at most this part of the shortest time that one of these options sets.
pub const DEFERRED_OPTIONS_AGE_DIVISOR: u32 = 8;
/// Bytes one flow may read in one turn before the others get theirs.
pub const FLOW_BUDGET_BYTES: usize = 1 << 20;
/// Bytes that all flows together should read in one turn: when many are busy, each gets less than
/// [`FLOW_BUDGET_BYTES`], but never less than [`FLOW_SHARE_BYTES_MIN`].
pub const TURN_BUDGET_BYTES: usize = 4 << 20;
/// Bytes one flow may read in one turn however many others are busy: what one read takes, or
/// messages would come in pieces and cost several times as much just when many are busy. A
/// thousand flows that all send without end then make a turn of about 30 ms.
pub const FLOW_SHARE_BYTES_MIN: usize = BUFFER_BYTES;
/// Connections accepted in one turn, per listener.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections accepted from each backlog when the process is asked to end: as many as Linux
/// lets wait there by default (net.core.somaxconn).
pub const ACCEPTS_AT_DRAIN: usize = 4096;
/// Readiness events taken from the kernel in one turn.
pub const EVENTS_PER_TURN: usize = 1024;
/// Most endpoints in the set at a time.
pub const ENDPOINTS_MAX: usize = 256;
/// Endpoints that discovery is expected to find, when descriptors are put aside for their probes.
pub const ENDPOINTS_PER_DISCOVERY: usize = 16;
/// Ceiling of `--max-connections`, whatever the descriptor limit says.
pub const CONNECTIONS_MAX: usize = 1 << 20;
/// First and shortest delay before an inactive endpoint is dialed again.
pub const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);
/// Shortest time between two dials that clients cause to one inactive endpoint (10 a second).
pub const LAST_RESORT_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after accept failed for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two log lines about one kind of thing that a client can repeat.
pub const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// First wait before looking again whether a send queue is empty; doubles up to the maximum.
pub const FLUSH_CHECK_MIN: Duration = Duration::from_millis(1);
/// Longest wait before looking again whether a send queue is empty.
pub const FLUSH_CHECK_MAX: Duration = Duration::from_millis(100);
/// Keepalive probes without an answer before a peer counts as dead, as Go's net package sets it.
pub const KEEPALIVE_PROBES: u32 = 9;
/// Most listening addresses.
pub const LISTENERS_MAX: usize = 16;
/// Pause before a listening address that is not there yet is tried again.
pub const LISTEN_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Descriptors a pair holds: its client's and its server's socket.
pub const DESCRIPTORS_PER_PAIR: usize = 2;
/// Descriptors a probe of an endpoint holds.
pub const DESCRIPTORS_PER_PROBE: usize = 1;
/// Descriptors the loop holds: epoll(7) and signalfd(2).
pub const DESCRIPTORS_OF_LOOP: usize = 2;
/// Descriptors that are open at one time for no longer than a call takes: a file that is read, a
/// route that is asked for, a word to the service manager.
pub const DESCRIPTORS_FOR_A_MOMENT: usize = 1;
/// Descriptors kept aside for epoll, signals, files that are read and the like.
pub const DESCRIPTORS_RESERVED: usize = 13;

/// Longest duration of any flag: one year, so that adding some to an `Instant` cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest `--tcp-user-timeout`: the kernel takes milliseconds in an `int` (tcp(7)).
pub const TCP_USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
/// Longest `--keepalive`: the kernel takes 1 to 32767 seconds (`MAX_TCP_KEEPIDLE`, net/tcp.h).
pub const KEEPALIVE_MAX: Duration = Duration::from_secs(32767);

/// Priority of an endpoint that states none: the most preferred class.
pub const PRIORITY_DEFAULT: u16 = 0;
/// Weight of an endpoint that states none.
pub const WEIGHT_DEFAULT: u16 = 1;
/// What is logged when neither `--log-level` nor RUST_LOG says otherwise.
pub const LOG_LEVEL_DEFAULT: LevelFilter = LevelFilter::Info;

const _: () = assert!(BUFFER_BYTES > 0);
const _: () = assert!(TURN_BUDGET_BYTES >= FLOW_BUDGET_BYTES, "one flow may use its budget");
const _: () = assert!(FLOW_BUDGET_BYTES >= FLOW_SHARE_BYTES_MIN);
// A read must be able to fill the buffer within one turn, or no flow would ever count as bulk.
const _: () = assert!(FLOW_SHARE_BYTES_MIN >= BUFFER_BYTES);
const _: () = assert!(ACCEPTS_PER_TURN > 0);
// What is kept without need stays small beside the program itself.
const _: () = assert!(SPARE_BUFFERS_MAX * BUFFER_BYTES <= 1 << 20);
const _: () = assert!(SPLICE_AFTER_READS > 0);
const _: () = assert!(SPLICES_SMALL_MAX > 0);
// A flow that copies such pieces does not fill the buffer with one and splice again.
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
const _: () = assert!(TCP_USER_TIMEOUT_MAX.as_nanos() <= DURATION_MAX.as_nanos());
const _: () = assert!(KEEPALIVE_MAX.as_nanos() <= DURATION_MAX.as_nanos());
const _: () = assert!(LISTEN_RETRY_INTERVAL.as_nanos() > 0);
const _: () = assert!(LISTENERS_MAX > 0);
const _: () = assert!(DESCRIPTORS_RESERVED >= DESCRIPTORS_OF_LOOP + DESCRIPTORS_FOR_A_MOMENT);
// What the sockets of all pairs, probes and listeners need can be counted in an i32, as the
// kernel numbers descriptors.
const _: () = assert!(
    (CONNECTIONS_MAX + PIPES_MAX) * DESCRIPTORS_PER_PAIR
        + ENDPOINTS_MAX
        + LISTENERS_MAX
        + DESCRIPTORS_RESERVED
        < i32::MAX as usize
);
