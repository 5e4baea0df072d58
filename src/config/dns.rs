//! Limits and defaults of the resolver, each with its unit and where it is from.
//!
//! No flag sets them. The relations between them are checked by the compiler at the bottom.

use std::time::Duration;

/// Port where DNS servers listen (RFC 1035, 4.2).
pub const DNS_PORT: u16 = 53;
/// Bytes of a DNS reply that may come in one datagram, which every path carries in one piece
/// (RFC 9715, as the DNS flag day of 2020 proposed).
pub const DNS_UDP_BYTES: u16 = 1232;
/// Most aliases in a row that one DNS reply is followed through.
pub const DNS_ALIASES_MAX: usize = 16;
/// Most records that are kept of one DNS reply, and addresses of one name in hosts(5).
pub const DNS_RECORDS_MAX: usize = 256;
/// Most DNS servers that are asked: `MAXNS` of resolv.conf(5).
pub const DNS_SERVERS_MAX: usize = 3;
/// Most suffixes of the search list; a name that does not exist costs a question for each.
pub const DNS_SEARCH_MAX: usize = 32;
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

// RFC 6891, 6.2.3: less than this counts as this.
const _: () = assert!(DNS_UDP_BYTES >= 512);
const _: () = assert!(DNS_RECORDS_MAX >= super::ENDPOINTS_MAX, "one name can fill the set");
const _: () = assert!(DNS_SERVERS_MAX > 0);
const _: () = assert!(DNS_DOTS_DEFAULT <= DNS_DOTS_MAX);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() > 0);
const _: () = assert!(DNS_TIMEOUT_MIN.as_nanos() <= DNS_TIMEOUT_DEFAULT.as_nanos());
const _: () = assert!(DNS_TIMEOUT_DEFAULT.as_nanos() <= DNS_TIMEOUT_MAX.as_nanos());
const _: () = assert!(DNS_ATTEMPTS_DEFAULT > 0 && DNS_ATTEMPTS_DEFAULT <= DNS_ATTEMPTS_MAX);
