//! Limits and defaults of the resolver and of the names that it looks up. No flag sets them.
//!
//! A *look-up* finds the records of one name: it sends a *question* for each kind of record. A
//! question may go to several name servers in turn; each attempt is a *try* with its own socket.

use std::time::Duration;

/// Port of DNS servers (RFC 1035, 4.2).
pub const DNS_PORT: u16 = 53;
/// Most bytes of a DNS reply in one datagram, where 512 (RFC 1035) are too few: every path carries
/// a datagram of this size in one piece (RFC 9715, as the DNS flag day of 2020 proposed).
pub const DNS_UDP_BYTES: u16 = 1232;
/// Most consecutive aliases that are followed in one DNS reply.
pub const DNS_ALIASES_MAX: usize = 16;
/// Most records that are kept of one name: one more than the set of endpoints takes, so that the
/// excess is noticed. They are the first in an order of ours, since servers shuffle theirs.
pub const DNS_RECORDS_MAX: usize = super::ENDPOINTS_MAX + 1;
/// Most name servers: `MAXNS` of resolv.conf(5).
pub const DNS_SERVERS_MAX: usize = 3;
/// Most suffixes of the search list. A name that does not exist costs a question for each. glibc
/// has no limit since 2.26, Kubernetes one of 32. A longer list is logged.
pub const DNS_SEARCH_MAX: usize = 256;
/// `ndots` of resolv.conf(5) where it is not set.
pub const DNS_DOTS_DEFAULT: u8 = 1;
/// Largest `ndots` of resolv.conf(5).
pub const DNS_DOTS_MAX: u8 = 15;
/// Shortest wait for one name server. glibc makes a `timeout` of 0 this long, too.
pub const DNS_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// `timeout` of resolv.conf(5) where it is not set.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Largest `timeout` of resolv.conf(5).
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// `attempts` of resolv.conf(5) where it is not set.
pub const DNS_ATTEMPTS_DEFAULT: u8 = 2;
/// Largest `attempts` of resolv.conf(5).
pub const DNS_ATTEMPTS_MAX: u8 = 5;
/// Most bytes of `/etc/resolv.conf` that are read, in one piece. A longer file is logged.
pub const RESOLV_CONF_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of `/etc/hosts` that are read in one turn of the reactor, during which clients wait a
/// fraction of a millisecond. The size of the file is not limited: it often contains long lists of
/// blocked hosts.
pub const HOSTS_BYTES_PER_TURN: usize = 64 * 1024;
/// Age at which a version of `/etc/hosts` counts as completely written. Timestamps of files have
/// the resolution of the kernel's tick, or of a second with some file systems, so that a younger
/// file may change again without a new timestamp.
pub const HOSTS_SETTLE: Duration = Duration::from_secs(1);
/// Most consecutive readings of `/etc/hosts` where it changes while it is read; the last one
/// counts.
pub const HOSTS_READS_MAX: u32 = 4;
/// Most questions in flight; further look-ups wait.
pub const DNS_QUESTIONS_MAX: usize = 48;
/// Most questions in flight about names that were not answered within their first turn. The others
/// are for names that are answered in milliseconds, or were not looked up yet.
pub const DNS_QUESTIONS_SLOW_MAX: usize = 40;
/// Most questions in flight about *dead* names: those for which no name server answers.
pub const DNS_QUESTIONS_DEAD_MAX: usize = 32;
/// Questions that are reserved for dead names while some of those wait.
pub const DNS_QUESTIONS_DEAD_MIN: usize = 8;
/// Consecutive look-ups without any message from a name server, after which the next look-up treats
/// the name as dead from its beginning.
pub const DNS_SILENCES_MIN: u32 = 2;
/// First turn of a look-up while others wait for its place; doubles with each turn that brings no
/// answer. Of 250 silent names the last has had its first turn after a third of a second.
pub const DNS_TURN_MIN: Duration = Duration::from_millis(25);
/// Turns without any message from a name server, after which a name counts as dead.
pub const DNS_TURNS_MAX: u32 = 6;
/// Turns after which a name counts as dead although messages came. The last turn is longer than any
/// look-up takes.
pub const DNS_TURNS_HEARD_MAX: u32 = 12;
/// Most open sockets of one question: one for each server, so that a late answer is received, too.
/// A server whose answer did not fit into a datagram has two; the oldest are closed for them.
pub const DNS_TRIES_OPEN_MAX: usize = DNS_SERVERS_MAX;
/// Most descriptors of one look-up, which has two questions: for both families of addresses, or for
/// two sets of SRV records.
pub const DNS_DESCRIPTORS_PER_LOOK_UP: usize = 2 * DNS_TRIES_OPEN_MAX;
/// Most descriptors of the resolver's sockets.
pub const DNS_DESCRIPTORS_MAX: usize = DNS_QUESTIONS_MAX * DNS_TRIES_OPEN_MAX;
/// Most descriptors of files that the resolver reads.
pub const DNS_FILES_MAX: usize = 1;
/// Longest silence before the next name server is asked, whatever `timeout` is in resolv.conf(5): a
/// server that comes back is found within this time.
pub const DNS_RESEND_MAX: Duration = Duration::from_secs(2);
/// Time for the second family of a host's addresses once the first is known, or known to be absent.
pub const DNS_FAMILY_GRACE: Duration = Duration::from_secs(1);
/// Longest time for one question with all its tries. Until then late answers count, too.
pub const DNS_QUERY_MAX: Duration = Duration::from_secs(10);
/// Time for one name with all suffixes of the search list, each of which gets an equal share of the
/// time that is left, and no less than [`DNS_TIMEOUT_MIN`]: with many suffixes the whole is longer.
pub const DNS_LOOKUP_MAX: Duration = Duration::from_secs(30);
/// Messages that do not answer the question, after which a try is given up.
pub const DNS_FOREIGN_MAX: usize = 32;
/// First pause after a look-up that failed; doubles up to the maximum.
pub const DNS_RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a look-up that failed. Together with [`DNS_RESEND_MAX`] less than the five
/// seconds within which a name server that comes back has to be noticed.
pub const DNS_RETRY_MAX: Duration = Duration::from_secs(2);
/// Pause after a look-up that failed for one family of addresses, or for one of the two sets of SRV
/// records, and found the other.
pub const DNS_RETRY_PARTIAL: Duration = Duration::from_secs(30);
/// Shortest time between two look-ups of one name that failed dials cause.
pub const DNS_REFRESH_MIN: Duration = Duration::from_secs(1);
/// Shortest life of an answer. A TTL of 0 means that the answer may be used once, and a gateway
/// needs it all the time.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(1);
/// Longest life of an answer: the delay of a move before which the TTL was not lowered. A failed
/// dial causes a look-up at once.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(300);
/// Life of the answer that there are no records, where the server does not give one.
pub const DNS_NEGATIVE_TTL: Duration = Duration::from_secs(30);
/// Longest life of the answer that there are no records, for a name that endpoints depend on.
pub const DNS_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);
/// Time for the look-up of a name to listen on, after which the start fails: as long as one
/// question may take, so that several name servers are asked.
pub const LISTEN_LOOKUP_MAX: Duration = Duration::from_secs(10);
/// How long SRV records that are gone count while the hosts of new ones are looked up.
pub const SRV_HANDOVER: Duration = Duration::from_secs(1);
/// Interval at which `/etc/hosts` is read again for a name that is in it.
pub const HOSTS_TTL: Duration = Duration::from_secs(5);

// RFC 6891, 6.2.3: smaller sizes count as 512.
const _: () = assert!(DNS_UDP_BYTES >= 512);
const _: () = assert!(DNS_SERVERS_MAX > 0);
const _: () = assert!(DNS_DOTS_DEFAULT <= DNS_DOTS_MAX);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() > 0);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() <= DNS_TIMEOUT_DEFAULT.as_nanos());
const _: () = assert!(DNS_TIMEOUT_DEFAULT.as_nanos() <= DNS_TIMEOUT_MAX.as_nanos());
const _: () = assert!(DNS_ATTEMPTS_DEFAULT > 0 && DNS_ATTEMPTS_DEFAULT <= DNS_ATTEMPTS_MAX);
// A server that comes back is asked within five seconds: after the longest silence and pause.
const _: () = assert!(DNS_RESEND_MAX.as_nanos() + DNS_RETRY_MAX.as_nanos() < 5_000_000_000);
const _: () = assert!(DNS_RETRY_MIN.as_nanos() > 0 && DNS_REFRESH_MIN.as_nanos() > 0);
const _: () = assert!(DNS_RETRY_MIN.as_nanos() <= DNS_RETRY_MAX.as_nanos());
const _: () =
    assert!(DNS_TTL_MIN.as_nanos() > 0 && DNS_TTL_MIN.as_nanos() < DNS_TTL_MAX.as_nanos());
const _: () = assert!(DNS_NEGATIVE_TTL_MAX.as_nanos() >= DNS_TTL_MIN.as_nanos());
const _: () = assert!(DNS_RESEND_MAX.as_nanos() <= DNS_QUERY_MAX.as_nanos());
const _: () = assert!(DNS_TRIES_OPEN_MAX > 0);
// A suffix whose servers are silent leaves time for the name without a suffix.
const _: () = assert!(DNS_QUERY_MAX.as_nanos() * 2 <= DNS_LOOKUP_MAX.as_nanos());
// A name server that comes back while a start waits for it is noticed.
const _: () =
    assert!(LISTEN_LOOKUP_MAX.as_nanos() > DNS_RESEND_MAX.as_nanos() + DNS_RETRY_MAX.as_nanos());
// A look-up of both families finds room, whether its name is usual, slow or dead.
const _: () = assert!(DNS_QUESTIONS_DEAD_MIN >= 2);
const _: () = assert!(DNS_QUESTIONS_DEAD_MIN <= DNS_QUESTIONS_DEAD_MAX);
const _: () = assert!(DNS_QUESTIONS_DEAD_MAX + 2 <= DNS_QUESTIONS_SLOW_MAX);
const _: () = assert!(DNS_QUESTIONS_SLOW_MAX + 2 <= DNS_QUESTIONS_MAX);
// All turns together are shorter than the silence after which the next name server is asked.
const _: () = assert!(DNS_TURN_MIN.as_nanos() > 0);
const _: () = assert!(DNS_TURN_MIN.as_nanos() << DNS_TURNS_MAX <= DNS_RESEND_MAX.as_nanos());
const _: () = assert!(DNS_TURNS_MAX <= DNS_TURNS_HEARD_MAX);
const _: () = assert!(
    DNS_TURN_MIN.as_nanos() << (DNS_TURNS_HEARD_MAX - 1) > DNS_LOOKUP_MAX.as_nanos(),
    "a look-up that receives messages has a turn that is long enough"
);
// A change of records has its effect within their TTL and two seconds.
const _: () = assert!(DNS_FAMILY_GRACE.as_nanos() < 2_000_000_000);
const _: () = assert!(SRV_HANDOVER.as_nanos() < 2_000_000_000);
