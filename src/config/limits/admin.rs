//! Limits of the admin side: its connections, their requests, and what is kept to be shown. No flag
//! sets them.

use std::time::Duration;

/// Most addresses of `--admin-addr`.
pub const ADMIN_LISTENERS_MAX: usize = 8;
/// Most connections at a time. Where one more arrives, one that is idle or stalled is closed; if
/// none is, the new one waits in the backlog.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;
/// Places among them that each listener has for clients of its own: a flood at an address of TCP
/// leaves room at a socket of the file system.
pub const ADMIN_CONNECTIONS_RESERVED: usize = 4;
/// A connection that for so long has neither had a whole request nor taken a byte of an answer has
/// stalled: its place may be given to a new one. That is looked at in each turn that is not of
/// pairs alone, and so once in [`SAMPLE_INTERVAL`] at least.
pub const ADMIN_STALL_TIME: Duration = Duration::from_secs(2);
/// Most bytes of the head of a request.
pub const ADMIN_HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of the target of a request. Its longest path is far shorter.
pub const ADMIN_TARGET_BYTES_MAX: usize = 2 * 1024;
/// Most fields in the head of a request.
pub const ADMIN_FIELDS_MAX: usize = 64;
/// Most empty lines before a request (RFC 9112, 2.2): some clients send one behind a body.
pub const ADMIN_EMPTY_LINES_MAX: u8 = 4;
/// From the first byte of a request to the end of its head.
pub const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a connection without a request.
pub const ADMIN_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether the system of a client that is answered has acknowledged a byte
/// (TCP) or freed a buffer (a unix socket) since: one that has not is cut off. Pauses of the admin
/// side are in it; of the answers to 32 clients a piece each goes out in less than a second, unless
/// turns take more than 30 ms.
pub const ADMIN_ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection is still read after its last answer, so that the answer is not destroyed
/// by a reset (RFC 9112, 9.6).
pub const ADMIN_LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Reads of one connection, of [`ADMIN_PIECE_BYTES`] at most each, before others have their turn.
pub const ADMIN_READS_PER_STEP: usize = 4;
/// Bytes of an answer that are rendered before they are written.
pub const ADMIN_PIECE_BYTES: usize = 8 * 1024;
/// Most things that are done in one turn for the admin side: a request read, a piece written. A
/// bound that needs no clock; as a rule [`ADMIN_TURN_TIME`] is over far sooner.
pub const ADMIN_STEPS_PER_TURN: usize = 64;
/// After this time no further thing is begun in a turn, so a turn writes one piece as a rule, in
/// less than half a millisecond. In turns that are long for other reasons this time is longer, see
/// [`ADMIN_SHARE`].
pub const ADMIN_TURN_TIME: Duration = Duration::from_micros(60);
/// The longest that this time becomes. What was begun before ends within a millisecond.
pub const ADMIN_TURN_TIME_MAX: Duration = Duration::from_micros(300);
/// While there are connections of clients of etcd, the admin side has at most one part in this
/// number of the time: it has its next turn no sooner than 16 times as long as it took after the
/// beginning of the last one.
pub const ADMIN_SHARE: u32 = 16;
/// How long no client is accepted after one could not be, for want of a descriptor or memory.
/// Those that have been accepted have their answers meanwhile.
pub const ADMIN_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pairs that are looked at in one turn for what they have delivered, which is done once a second.
pub const SAMPLED_PAIRS_PER_TURN: usize = 512;
/// Of turns that only relay, one in this number is measured.
pub const TURNS_PER_MEASUREMENT: u32 = 64;
/// From one sample of the history to the next.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of lines of the access log after which these are written before the end of the turn.
pub const ACCESS_LOG_BYTES: usize = 16 * 1024;
/// Samples of an endpoint's history, one a second: five minutes.
pub const HISTORY_SAMPLES: usize = 300;
/// Changes of state that are kept to be shown.
pub const STATE_CHANGES_KEPT: usize = 64;
/// Those of them that the page has when it is loaded; its script gets the others from /status.
pub const PAGE_CHANGES_MAX: usize = 12;
/// Most bytes of an answer that the command `status` reads: 256 endpoints have a tenth of that.
pub const STATUS_BYTES_MAX: usize = 4 << 20;
/// From one answer to the next question of `status --watch`.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(1);

const _: () = assert!(ADMIN_TARGET_BYTES_MAX < ADMIN_HEAD_BYTES_MAX);
const _: () = assert!(ADMIN_LISTENERS_MAX * ADMIN_CONNECTIONS_RESERVED <= ADMIN_CONNECTIONS_MAX);
const _: () = assert!(SAMPLE_INTERVAL.as_secs() <= ADMIN_STALL_TIME.as_secs());
const _: () = assert!(HISTORY_SAMPLES > 0);
const _: () = assert!(PAGE_CHANGES_MAX <= STATE_CHANGES_KEPT);
