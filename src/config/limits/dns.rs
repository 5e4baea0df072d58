//! Limits and defaults of the resolver, each with its unit and where it is from.
//!
//! No flag sets them. The relations between them are checked by the compiler at the bottom.

use std::time::Duration;

/// Port where DNS servers listen (RFC 1035, 4.2).
pub const DNS_PORT: u16 = 53;
/// Bytes of a DNS reply that may come in one datagram where it does not fit the 512 of RFC 1035:
/// every path carries them in one piece (RFC 9715, as the DNS flag day of 2020 proposed).
pub const DNS_UDP_BYTES: u16 = 1232;
/// Most aliases in a row that one DNS reply is followed through.
pub const DNS_ALIASES_MAX: usize = 16;
/// Most records that are kept of one name. One more than the set of endpoints takes, so that it is
/// noticed; the first ones in an order of our own, since servers shuffle theirs.
pub const DNS_RECORDS_MAX: usize = super::ENDPOINTS_MAX + 1;
/// Most DNS servers that are asked: `MAXNS` of resolv.conf(5).
pub const DNS_SERVERS_MAX: usize = 3;
/// Most suffixes of the search list; a name that does not exist costs a question for each. glibc
/// has no limit since 2.26, Kubernetes one of 32; the log tells of a list that is longer.
pub const DNS_SEARCH_MAX: usize = 256;
/// `ndots` of resolv.conf(5) where it is not set.
pub const DNS_DOTS_DEFAULT: u8 = 1;
/// Largest `ndots` of resolv.conf(5).
pub const DNS_DOTS_MAX: u8 = 15;
/// Shortest wait for one DNS server: what glibc makes of a `timeout` of 0.
pub const DNS_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// `timeout` of resolv.conf(5) where it is not set.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Largest `timeout` of resolv.conf(5).
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// `attempts` of resolv.conf(5) where it is not set.
pub const DNS_ATTEMPTS_DEFAULT: u8 = 2;
/// Largest `attempts` of resolv.conf(5).
pub const DNS_ATTEMPTS_MAX: u8 = 5;
/// Most bytes of `/etc/resolv.conf` that are looked at, in one piece; the log tells of a file that
/// has more.
pub const RESOLV_CONF_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of `/etc/hosts` that are read in one turn of the reactor, which has as many bytes as
/// one may wish: lists of unwanted hosts are often kept there. Clients wait for them for a fraction
/// of a millisecond.
pub const HOSTS_BYTES_PER_TURN: usize = 64 * 1024;
/// How long a version of `/etc/hosts` has to be there before it is believed that nobody writes the
/// file any more: times of files are as coarse as the kernel's tick, of some file systems a second.
pub const HOSTS_SETTLE: Duration = Duration::from_secs(1);
/// How often `/etc/hosts` is read in a row because it changed meanwhile, before that is taken which
/// was found.
pub const HOSTS_READS_MAX: u32 = 4;
/// Questions under way at a time; other look-ups wait for their turn.
pub const DNS_QUESTIONS_MAX: usize = 48;
/// Those of them that may be about names that were not answered within their first turn. The others
/// are left to names that are answered in milliseconds, or were not asked for so far.
pub const DNS_QUESTIONS_SLOW_MAX: usize = 40;
/// Those of the latter that may be about names that nobody answers for.
pub const DNS_QUESTIONS_DEAD_MAX: usize = 32;
/// Those of them that are kept for names that nobody answers for, as long as some wait.
pub const DNS_QUESTIONS_DEAD_MIN: usize = 8;
/// Look-ups in a row in which nobody says anything, after which a name counts as one that nobody
/// answers for from the beginning.
pub const DNS_SILENCES_MIN: u32 = 2;
/// First turn of a look-up while others wait for its place; doubles with each one in vain. Of 250
/// silent names the last has had its first turn after a third of a second.
pub const DNS_TURN_MIN: Duration = Duration::from_millis(25);
/// Turns in vain after which a name counts as one that nobody answers for.
pub const DNS_TURNS_MAX: u32 = 6;
/// Turns after which it does even if something was heard in each: the last is longer than any
/// look-up takes.
pub const DNS_TURNS_HEARD_MAX: u32 = 12;
/// Sockets of one question that are open at a time: one for each server, so that an answer is heard
/// however late it is. Where an answer did not fit, that server has two, and the oldest give way.
pub const DNS_TRIES_OPEN_MAX: usize = DNS_SERVERS_MAX;
/// Most descriptors that one look-up holds: two families of addresses, or two sets of records.
pub const DNS_DESCRIPTORS_PER_LOOK_UP: usize = 2 * DNS_TRIES_OPEN_MAX;
/// Most descriptors that the resolver holds.
pub const DNS_DESCRIPTORS_MAX: usize = DNS_QUESTIONS_MAX * DNS_TRIES_OPEN_MAX;
/// Descriptors of files that the resolver reads.
pub const DNS_FILES_MAX: usize = 1;
/// Longest silence after which the next name server is asked, whatever `timeout` says there: a
/// server that comes back is found within it.
pub const DNS_RESEND_MAX: Duration = Duration::from_secs(2);
/// How long the second family of a host's addresses may still take once the first is known, or
/// known not to be there.
pub const DNS_FAMILY_GRACE: Duration = Duration::from_secs(1);
/// Longest time for one question in all, in which an answer is heard however late it is.
pub const DNS_QUERY_MAX: Duration = Duration::from_secs(10);
/// Time for one name with all suffixes of the search list, each of which has an equal share of what
/// is left. Longer by [`DNS_TIMEOUT_MIN`] for each where the shares would be shorter than that.
pub const DNS_LOOKUP_MAX: Duration = Duration::from_secs(30);
/// Messages that are no answer to the question, after which a try is given up.
pub const DNS_FOREIGN_MAX: usize = 32;
/// Shortest and first pause after a look-up that failed; doubles up to the maximum.
pub const DNS_RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a look-up that failed. With [`DNS_RESEND_MAX`] below the five seconds in
/// which a name server that is back has to be noticed.
pub const DNS_RETRY_MAX: Duration = Duration::from_secs(2);
/// Pause after a look-up that failed for one family of addresses only, or for one of the two sets
/// of SRV records, while the other serves.
pub const DNS_RETRY_PARTIAL: Duration = Duration::from_secs(30);
/// Shortest time between two look-ups of a name that failed dials cause.
pub const DNS_REFRESH_MIN: Duration = Duration::from_secs(1);
/// Shortest life of an answer: a TTL of 0 means "for this once", and we are never done.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(1);
/// Longest life of an answer: who forgot to lower a TTL before a move waits no longer than this,
/// and a failed dial asks at once.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(300);
/// Life of the answer that there is nothing, where the server does not say.
pub const DNS_NEGATIVE_TTL: Duration = Duration::from_secs(30);
/// Longest life of the answer that a name we depend on leads nowhere.
pub const DNS_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);
/// How long a name to listen on is looked up before the start is given up: as long as one question
/// may take, in which several name servers have their turn.
pub const LISTEN_LOOKUP_MAX: Duration = Duration::from_secs(10);
/// How long SRV records that are gone still count while the hosts of new ones are looked up.
pub const SRV_HANDOVER: Duration = Duration::from_secs(1);
/// How often `/etc/hosts` is read again for a name that is there.
pub const HOSTS_TTL: Duration = Duration::from_secs(5);

// RFC 6891, 6.2.3: less than this counts as this.
const _: () = assert!(DNS_UDP_BYTES >= 512);
const _: () = assert!(DNS_SERVERS_MAX > 0);
const _: () = assert!(DNS_DOTS_DEFAULT <= DNS_DOTS_MAX);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() > 0);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() <= DNS_TIMEOUT_DEFAULT.as_nanos());
const _: () = assert!(DNS_TIMEOUT_DEFAULT.as_nanos() <= DNS_TIMEOUT_MAX.as_nanos());
const _: () = assert!(DNS_ATTEMPTS_DEFAULT > 0 && DNS_ATTEMPTS_DEFAULT <= DNS_ATTEMPTS_MAX);
// A server that comes back is asked within five seconds: after the longest silence, or pause.
const _: () = assert!(DNS_RESEND_MAX.as_nanos() + DNS_RETRY_MAX.as_nanos() < 5_000_000_000);
const _: () = assert!(DNS_RETRY_MIN.as_nanos() > 0 && DNS_REFRESH_MIN.as_nanos() > 0);
const _: () = assert!(DNS_RETRY_MIN.as_nanos() <= DNS_RETRY_MAX.as_nanos());
const _: () =
    assert!(DNS_TTL_MIN.as_nanos() > 0 && DNS_TTL_MIN.as_nanos() < DNS_TTL_MAX.as_nanos());
const _: () = assert!(DNS_NEGATIVE_TTL_MAX.as_nanos() >= DNS_TTL_MIN.as_nanos());
const _: () = assert!(DNS_RESEND_MAX.as_nanos() <= DNS_QUERY_MAX.as_nanos());
const _: () = assert!(DNS_TRIES_OPEN_MAX > 0);
// A suffix whose servers are silent leaves time for the name itself.
const _: () = assert!(DNS_QUERY_MAX.as_nanos() * 2 <= DNS_LOOKUP_MAX.as_nanos());
// A name server that comes back while a start waits for it is noticed.
const _: () =
    assert!(LISTEN_LOOKUP_MAX.as_nanos() > DNS_RESEND_MAX.as_nanos() + DNS_RETRY_MAX.as_nanos());
// A look-up of both families finds room, of a name that is answered and of one that is not.
const _: () = assert!(DNS_QUESTIONS_DEAD_MIN >= 2);
const _: () = assert!(DNS_QUESTIONS_DEAD_MIN <= DNS_QUESTIONS_DEAD_MAX);
const _: () = assert!(DNS_QUESTIONS_DEAD_MAX + 2 <= DNS_QUESTIONS_SLOW_MAX);
const _: () = assert!(DNS_QUESTIONS_SLOW_MAX + 2 <= DNS_QUESTIONS_MAX);
// All turns together are shorter than the question would take to its end.
const _: () = assert!(DNS_TURN_MIN.as_nanos() > 0);
const _: () = assert!(DNS_TURN_MIN.as_nanos() << DNS_TURNS_MAX <= DNS_RESEND_MAX.as_nanos());
const _: () = assert!(DNS_TURNS_MAX <= DNS_TURNS_HEARD_MAX);
const _: () = assert!(
    DNS_TURN_MIN.as_nanos() << (DNS_TURNS_HEARD_MAX - 1) > DNS_LOOKUP_MAX.as_nanos(),
    "no look-up that gets on is cut short for ever"
);
// A change of records is in effect within their TTL and two seconds.
const _: () = assert!(DNS_FAMILY_GRACE.as_nanos() < 2_000_000_000);
const _: () = assert!(SRV_HANDOVER.as_nanos() < 2_000_000_000);
